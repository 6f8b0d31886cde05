//! Searches: translates the criteria of a request to SQL and returns the ids of resources.

use rusqlite::{Connection, params_from_iter, types::Value};
use volt_api::volt::{GetResourcesRequest, ResourceAttributeQuery};

use super::rows::{signed, strings, to_json};
use crate::error::{Result, invalid};

/// The longest pattern, in bytes.
pub(crate) const MAX_PATTERN: usize = 500;
/// The maximum number of `*` in a pattern. Each one makes matching slower.
const MAX_WILDCARDS: usize = 16;
/// The maximum number of values or patterns in a criterion.
const MAX_TERMS: usize = 10_000;
/// The maximum number of attributes in a search.
const MAX_ATTRIBUTES: usize = 100;

/// Returns the ids of the matching resources, ordered by name. The caller of this function applies
/// the limit, after removing the resources that the actor may not see.
pub(crate) fn find(store: &Connection, request: &GetResourcesRequest) -> Result<Vec<String>> {
    let mut query = Query::default();
    query.exact("id IN", &request.id)?;
    query.exact("owner IN", &request.owner)?;
    query.exact("store IN", &request.store)?;
    query.exact("id IN (SELECT child_id FROM link WHERE parent_id IN", &request.parent_id)?;
    query.wild("", "name", &request.name)?;
    query.wild("", "description", &request.description)?;
    query.wild("kind WHERE resource_id = resource.id", "kind", &request.kind)?;
    query.wild("alias WHERE resource_id = resource.id", "alias", &request.alias)?;
    query.wild(SERVICES, "json_each.value", &request.service_api)?;
    query.attributes(&request.attribute, request.any_of)?;
    let glue = if request.combine_terms_exclusive { " OR " } else { " AND " };
    let terms = if query.terms.is_empty() { "1".to_owned() } else { query.terms.join(glue) };
    let sql = format!("SELECT id FROM resource WHERE ({terms}) AND modified > ? ORDER BY name, id");
    // With 0, also match resources whose modification time is 0.
    let since = signed(request.modified_since);
    query.values.push(Value::Integer(if since == 0 { -1 } else { since }));
    strings(store, &sql, params_from_iter(query.values))
}

/// Returns the ids of the services with an API whose name matches any of `patterns`.
pub(crate) fn services(store: &Connection, patterns: &[String]) -> Result<Vec<String>> {
    let mut query = Query::default();
    query.wild(SERVICES, "json_each.value", patterns)?;
    let terms = query.terms.pop().unwrap_or_else(|| "1".to_owned());
    let sql =
        format!("SELECT id FROM resource WHERE service IS NOT NULL AND {terms} ORDER BY rowid");
    strings(store, &sql, params_from_iter(query.values))
}

const SERVICES: &str = "json_each(resource.service, '$.service_api') WHERE 1";

/// A `WHERE` clause under construction. The `?` placeholders and the values are kept in the same
/// order.
#[derive(Default)]
struct Query {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    /// Adds the condition that a column equals one of the values. They are passed as one parameter,
    /// a JSON array, so that their number does not increase the depth of the expression.
    fn exact(&mut self, column: &str, values: &[String]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        refuse_too_many(values)?;
        let close = if column.contains('(') { ")" } else { "" };
        self.terms.push(format!("{column} (SELECT value FROM json_each(?)){close}"));
        self.values.push(Value::Text(to_json(&values)?));
        Ok(())
    }

    /// Adds the condition that a column matches any of the patterns. If `source` is not empty, the
    /// column belongs to a row of `source`.
    fn wild(&mut self, source: &str, column: &str, patterns: &[String]) -> Result<()> {
        if patterns.is_empty() {
            return Ok(());
        }
        refuse_too_many(patterns)?;
        let patterns = patterns.iter().map(|pattern| like(pattern)).collect::<Result<Vec<_>>>()?;
        let matches = format!(
            "EXISTS (SELECT 1 FROM json_each(?) AS pattern WHERE {column} LIKE pattern.value ESCAPE '\\')"
        );
        self.terms.push(if source.is_empty() {
            matches
        } else {
            format!("EXISTS (SELECT 1 FROM {source} AND {matches})")
        });
        self.values.push(Value::Text(to_json(&patterns)?));
        Ok(())
    }

    fn attributes(&mut self, queries: &[ResourceAttributeQuery], any_of: bool) -> Result<()> {
        if queries.len() > MAX_ATTRIBUTES {
            return Err(
                invalid(format!("a search may have {MAX_ATTRIBUTES} attributes at most")).into()
            );
        }
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

fn refuse_too_many(terms: &[String]) -> Result<()> {
    if terms.len() <= MAX_TERMS {
        return Ok(());
    }
    Err(invalid(format!("a search may list {MAX_TERMS} values at most")).into())
}

/// Translates a pattern with `*` to a `LIKE` pattern. Rejects patterns that are too long or have
/// too many wildcards.
pub(crate) fn like(pattern: &str) -> Result<String> {
    let wildcards = pattern.bytes().filter(|byte| *byte == b'*').count();
    if pattern.len() > MAX_PATTERN || wildcards > MAX_WILDCARDS {
        return Err(invalid(format!(
            "a search pattern may have {MAX_PATTERN} bytes and {MAX_WILDCARDS} `*` at most"
        ))
        .into());
    }
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
    Ok(like)
}
