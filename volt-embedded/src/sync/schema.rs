//! Schemas of documents: a kind and a JSON Schema for each root.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value};
use volt_api::Status;

use super::{json_schema, value::Kind};
use crate::error::{invalid, precondition};

/// The schemas of a document's roots, by their names.
#[derive(Debug, Default)]
pub(crate) struct Schemas(BTreeMap<String, Schema>);

#[derive(Debug)]
struct Schema {
    kind: Option<Kind>,
    /// `None` permits everything.
    json: Option<Value>,
}

impl Schemas {
    /// Adds the schema of a root. `kind` and `json` may be empty.
    pub(crate) fn add(&mut self, root: &str, kind: &str, json: &str) -> Result<(), Status> {
        let kind = match kind {
            "" => None,
            name => Some(Kind::parse(name).ok_or_else(|| {
                invalid(format!("`{}` is not a kind of shared type", name.escape_debug()))
            })?),
        };
        let json = match json {
            "" => None,
            text => Some(parse(root, text)?),
        };
        if self.0.insert(root.to_owned(), Schema { kind, json }).is_some() {
            return Err(invalid(format!("the root `{}` is listed twice", root.escape_debug())));
        }
        Ok(())
    }

    /// Returns the kind of shared type that a root must be, if that is known.
    pub(crate) fn kind(&self, root: &str) -> Option<Kind> {
        self.0.get(root)?.kind
    }

    /// Fails if a change of a document from `old` to `new` is not permitted.
    pub(crate) fn judge(&self, old: &Value, new: &Value) -> Result<(), Status> {
        let empty = Object::new();
        let roots = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
        let (old, new) = (roots(old), new.as_object().unwrap_or(&empty));
        for root in old.keys().filter(|root| !new.contains_key(*root)).chain(new.keys()) {
            if old.get(root) != new.get(root) {
                self.judge_root(root, new.get(root))?;
            }
        }
        Ok(())
    }

    fn judge_root(&self, root: &str, value: Option<&Value>) -> Result<(), Status> {
        let shown = root.escape_debug();
        let Some(schema) = self.0.get(root) else {
            return Err(precondition(format!("the document has no schema for the root `{shown}`")));
        };
        let value = match value {
            Some(value) => value.clone(),
            None => schema.kind.map_or(Value::Null, Kind::empty),
        };
        if let Some(kind) = schema.kind.filter(|kind| !kind.accepts(&value)) {
            let message = format!("the root `{shown}` is of the kind {kind:?}");
            return Err(precondition(message));
        }
        let Some(json) = &schema.json else { return Ok(()) };
        if value.is_null() {
            // The root has no content, and its kind is unknown.
            return Ok(());
        }
        json_schema::validate(json, &value).map_err(|reason| {
            precondition(format!("the root `{shown}` does not fit its schema: {reason}"))
        })
    }
}

/// Reads a schema, and refuses one that cannot be evaluated.
fn parse(root: &str, text: &str) -> Result<Value, Status> {
    let shown = root.escape_debug();
    let schema = serde_json::from_str(text).map_err(|error| {
        invalid(format!("the schema of the root `{shown}` is not JSON: {error}"))
    })?;
    json_schema::check(&schema).map_err(|reason| {
        invalid(format!("the schema of the root `{shown}` is not supported: {reason}"))
    })?;
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_root_without_a_schema_refuses_changes_but_keeps_its_content() {
        let mut schemas = Schemas::default();
        schemas.add("known", "map", "").unwrap();
        let old = json!({"other": {"a": 1}});
        schemas.judge(&old, &json!({"other": {"a": 1}, "known": {}})).unwrap();
        assert!(schemas.judge(&old, &json!({"other": {"a": 2}})).is_err());
        assert!(schemas.judge(&old, &json!({})).is_err());
        assert!(schemas.judge(&json!({}), &json!({"known": []})).is_err());
        assert!(schemas.add("known", "map", "").is_err());
        assert!(schemas.add("strange", "tree", "").is_err());
    }
}
