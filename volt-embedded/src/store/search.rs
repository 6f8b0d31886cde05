//! `GetResources`: from criteria to ids.

use rusqlite::{Connection, params_from_iter, types::Value};
use volt_api::volt::{GetResourcesRequest, ResourceAttributeQuery};

use super::rows::{signed, strings, to_json};
use crate::error::Result;

/// The ids of the resources that match, by name. The limit is the caller's to apply, because not
/// everyone may see all of them.
pub(crate) fn find(store: &Connection, request: &GetResourcesRequest) -> Result<Vec<String>> {
    let mut query = Query::default();
    query.exact("id = ?", &request.id);
    query.exact("owner = ?", &request.owner);
    query.exact("store = ?", &request.store);
    query.exact(
        "EXISTS (SELECT 1 FROM link WHERE child_id = resource.id AND parent_id = ?)",
        &request.parent_id,
    );
    query.wild("name LIKE ? ESCAPE '\\'", &request.name);
    query.wild("description LIKE ? ESCAPE '\\'", &request.description);
    query.wild(
        "EXISTS (SELECT 1 FROM kind WHERE resource_id = resource.id AND kind LIKE ? ESCAPE '\\')",
        &request.kind,
    );
    query.wild(
        "EXISTS (SELECT 1 FROM alias WHERE resource_id = resource.id AND alias LIKE ? ESCAPE '\\')",
        &request.alias,
    );
    query.wild(SERVICE_API, &request.service_api);
    query.attributes(&request.attribute, request.any_of)?;
    let glue = if request.combine_terms_exclusive { " OR " } else { " AND " };
    let terms = if query.terms.is_empty() { "1".to_owned() } else { query.terms.join(glue) };
    let sql = format!("SELECT id FROM resource WHERE ({terms}) AND modified > ? ORDER BY name, id");
    // A resource made at the start of time has been modified since then, too.
    let since = signed(request.modified_since);
    query.values.push(Value::Integer(if since == 0 { -1 } else { since }));
    strings(store, &sql, params_from_iter(query.values))
}

/// The ids of the services that have an API whose name matches any of `patterns`.
pub(crate) fn services(store: &Connection, patterns: &[String]) -> Result<Vec<String>> {
    let mut query = Query::default();
    query.wild(SERVICE_API, patterns);
    let terms = query.terms.pop().unwrap_or_else(|| "1".to_owned());
    let sql =
        format!("SELECT id FROM resource WHERE service IS NOT NULL AND {terms} ORDER BY rowid");
    strings(store, &sql, params_from_iter(query.values))
}

const SERVICE_API: &str = "EXISTS (SELECT 1 FROM json_each(resource.service, '$.service_api')
                                   WHERE json_each.value LIKE ? ESCAPE '\\')";

/// A `WHERE` clause that grows. `?`s and values stay in step.
#[derive(Default)]
struct Query {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    fn any(&mut self, condition: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() > 0 {
            self.terms.push(format!("({})", vec![condition; values.len()].join(" OR ")));
            self.values.extend(values);
        }
    }

    fn exact(&mut self, condition: &str, values: &[String]) {
        self.any(condition, values.iter().map(|value| Value::Text(value.clone())));
    }

    fn wild(&mut self, condition: &str, patterns: &[String]) {
        self.any(condition, patterns.iter().map(|pattern| Value::Text(like(pattern))));
    }

    fn attributes(&mut self, queries: &[ResourceAttributeQuery], any_of: bool) -> Result<()> {
        let mut conditions = Vec::new();
        for query in queries {
            let mut condition = "EXISTS (SELECT 1 FROM attribute WHERE resource_id = resource.id
                                 AND attribute_id = ?"
                .to_owned();
            self.values.push(Value::Text(query.attribute_id.clone()));
            if let Some(value) = &query.value {
                condition.push_str(
                    " AND EXISTS (SELECT 1 FROM json_each(attribute.value)
                                  WHERE json_each.value = json(?))",
                );
                self.values.push(Value::Text(to_json(value)?));
            }
            condition.push(')');
            conditions.push(condition);
        }
        if !conditions.is_empty() {
            let glue = if any_of { " OR " } else { " AND " };
            self.terms.push(format!("({})", conditions.join(glue)));
        }
        Ok(())
    }
}

/// A pattern with `*` as one for `LIKE`.
pub(crate) fn like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len() + 4);
    for character in pattern.chars() {
        match character {
            '*' => like.push('%'),
            '%' | '_' | '\\' => {
                like.push('\\');
                like.push(character);
            }
            other => like.push(other),
        }
    }
    like
}
