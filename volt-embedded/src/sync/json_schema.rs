//! Checks of JSON Schemas, and of values against them.
//!
//! The supported keywords need neither regular expressions nor other documents. A schema with another
//! keyword that could reject a value is refused, because it would protect nothing.

use std::collections::BTreeSet;

use serde_json::{Map as Object, Value};

/// The maximum number of steps to validate one value.
const MAX_STEPS: u32 = 5_000_000;
/// The maximum depth of schemas within schemas.
const MAX_DEPTH: u32 = 256;
const TOO_LONG: &str = "it takes too long to validate";

/// Keywords that are supported, or that reject no value.
const KEYWORDS: &str = "
    $anchor $comment $defs $id $ref $schema $vocabulary additionalItems additionalProperties
    allOf anyOf const contains contentEncoding contentMediaType default definitions
    dependentRequired deprecated description else enum example examples exclusiveMaximum
    exclusiveMinimum format id if items maxItems maxLength maxProperties maximum minItems
    minLength minProperties minimum multipleOf not nullable oneOf prefixItems properties
    propertyNames readOnly required then title type uniqueItems writeOnly
";

fn is_keyword(name: &str) -> bool {
    name.starts_with("x-") || KEYWORDS.split_whitespace().any(|keyword| keyword == name)
}

type Validated = Result<(), String>;

/// Fails if a schema, or the target of one of its references, has an unsupported keyword.
pub(super) fn check(whole: &Value) -> Result<(), String> {
    let mut references = Vec::new();
    check_one(whole, 0, &mut references)?;
    let mut checked = BTreeSet::new();
    while let Some(reference) = references.pop() {
        if checked.insert(reference) {
            check_one(target(whole, reference)?, 0, &mut references)?;
        }
    }
    Ok(())
}

/// Returns the schema that a reference leads to.
fn target<'a>(whole: &'a Value, reference: &str) -> Result<&'a Value, String> {
    let target = whole.pointer(reference.trim_start_matches('#'));
    target.ok_or_else(|| format!("`{}` leads nowhere", reference.escape_debug()))
}

/// Fails if a schema has an unsupported keyword.
fn check_one<'a>(
    schema: &'a Value,
    depth: u32,
    references: &mut Vec<&'a str>,
) -> Result<(), String> {
    let keywords = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(_) if depth > MAX_DEPTH => return Err("it is nested too deeply".to_owned()),
        Value::Object(keywords) => keywords,
        _ => return Err("a schema is an object or a boolean".to_owned()),
    };
    for (keyword, value) in keywords {
        let wrong = || format!("`{keyword}` has the wrong type");
        match keyword.as_str() {
            known if !is_keyword(known) => {
                return Err(format!("the keyword `{}` is not supported", known.escape_debug()));
            }
            "$ref" => {
                let reference = value.as_str().ok_or_else(wrong)?;
                if !(reference == "#" || reference.starts_with("#/")) {
                    return Err("`$ref` leads to another document".to_owned());
                }
                references.push(reference);
            }
            "properties" | "$defs" | "definitions" => {
                for schema in value.as_object().ok_or_else(wrong)?.values() {
                    check_one(schema, depth + 1, references)?;
                }
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                for schema in value.as_array().ok_or_else(wrong)? {
                    check_one(schema, depth + 1, references)?;
                }
            }
            "items" if value.is_array() => {
                for schema in value.as_array().into_iter().flatten() {
                    check_one(schema, depth + 1, references)?;
                }
            }
            "items"
            | "additionalItems"
            | "additionalProperties"
            | "contains"
            | "propertyNames"
            | "not"
            | "if"
            | "then"
            | "else" => check_one(value, depth + 1, references)?,
            "type" if !value.is_string() && !value.is_array() => return Err(wrong()),
            "enum" | "required" if !value.is_array() => return Err(wrong()),
            "dependentRequired" if !value.is_object() => return Err(wrong()),
            "minimum" | "maximum" | "multipleOf" if !value.is_number() => return Err(wrong()),
            "exclusiveMinimum" | "exclusiveMaximum"
                if !value.is_number() && !value.is_boolean() =>
            {
                return Err(wrong());
            }
            "uniqueItems" | "nullable" if !value.is_boolean() => return Err(wrong()),
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
            | "maxProperties"
                if value.as_u64().is_none() =>
            {
                return Err(wrong());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Fails if a value does not fit a schema, or if the validation takes too long.
pub(super) fn validate(schema: &Value, value: &Value) -> Validated {
    let mut validate = Validator { whole: schema, steps: 0, gave_up: false };
    let validated = validate.validate(schema, value, 0);
    // Within `not`, `if` or `oneOf`, an unfinished validation looks like a value that does not fit.
    if validate.gave_up { Err(TOO_LONG.to_owned()) } else { validated }
}

/// Validates values against one schema.
struct Validator<'a> {
    whole: &'a Value,
    steps: u32,
    /// Set once the validation was too long or too deep. The value then does not fit.
    gave_up: bool,
}

impl<'a> Validator<'a> {
    fn validate(&mut self, schema: &'a Value, value: &Value, depth: u32) -> Validated {
        self.steps += 1;
        self.gave_up |= self.steps > MAX_STEPS || depth > MAX_DEPTH;
        if self.gave_up {
            return Err(TOO_LONG.to_owned());
        }
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(keywords) => keywords,
            _ => return Err("nothing is permitted here".to_owned()),
        };
        if let Some(Value::String(reference)) = keywords.get("$ref") {
            self.validate(target(self.whole, reference)?, value, depth + 1)?;
        }
        self.combinations(keywords, value, depth + 1)?;
        simple(keywords, value)?;
        match value {
            Value::Object(entries) => self.object(keywords, entries, depth + 1),
            Value::Array(values) => self.array(keywords, values, depth + 1),
            _ => Ok(()),
        }
    }

    fn combinations(
        &mut self,
        keywords: &'a Object<String, Value>,
        value: &Value,
        depth: u32,
    ) -> Validated {
        for schema in list(keywords, "allOf") {
            self.validate(schema, value, depth)?;
        }
        for (keyword, only_one) in [("anyOf", false), ("oneOf", true)] {
            let Some(schemas) = keywords.get(keyword).and_then(Value::as_array) else { continue };
            let fits = schemas.iter().filter(|schema| self.validate(schema, value, depth).is_ok());
            let fits = fits.count();
            if fits == 0 || (only_one && fits > 1) {
                return Err(format!("{fits} of the schemas of `{keyword}` fit"));
            }
        }
        if let Some(schema) = keywords.get("not")
            && self.validate(schema, value, depth).is_ok()
        {
            return Err("the schema of `not` fits".to_owned());
        }
        if let Some(condition) = keywords.get("if") {
            let branch =
                if self.validate(condition, value, depth).is_ok() { "then" } else { "else" };
            if let Some(schema) = keywords.get(branch) {
                self.validate(schema, value, depth)?;
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        keywords: &'a Object<String, Value>,
        entries: &Object<String, Value>,
        depth: u32,
    ) -> Validated {
        let within = |name: &str| {
            let name = name.escape_debug().to_string();
            move |reason| format!("`{name}`: {reason}")
        };
        let missing = |name: &&str| !entries.contains_key(*name);
        if let Some(name) = texts(keywords.get("required")).find(missing) {
            return Err(format!("`{}` is missing", name.escape_debug()));
        }
        if let Some(Value::Object(dependent)) = keywords.get("dependentRequired") {
            for (_, names) in dependent.iter().filter(|(name, _)| entries.contains_key(*name)) {
                if let Some(name) = texts(Some(names)).find(missing) {
                    return Err(format!("`{}` is missing", name.escape_debug()));
                }
            }
        }
        bounds(keywords, "Properties", entries.len() as u64)?;
        let properties = keywords.get("properties").and_then(Value::as_object);
        for (name, value) in entries {
            if let Some(schema) = keywords.get("propertyNames") {
                self.validate(schema, &Value::String(name.clone()), depth).map_err(within(name))?;
            }
            let known = properties.and_then(|properties| properties.get(name));
            if let Some(schema) = known.or_else(|| keywords.get("additionalProperties")) {
                self.validate(schema, value, depth).map_err(within(name))?;
            }
        }
        Ok(())
    }

    fn array(
        &mut self,
        keywords: &'a Object<String, Value>,
        values: &[Value],
        depth: u32,
    ) -> Validated {
        bounds(keywords, "Items", values.len() as u64)?;
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut texts: Vec<_> = values.iter().map(Value::to_string).collect();
            texts.sort_unstable();
            if texts.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err("an element occurs twice".to_owned());
            }
        }
        // Older schemas have the list in `items`, and the schema of the others in `additionalItems`.
        let old = keywords.get("items").and_then(Value::as_array);
        let first = keywords.get("prefixItems").and_then(Value::as_array).or(old);
        let first = first.map(Vec::as_slice).unwrap_or_default();
        let others = keywords.get(if old.is_some() { "additionalItems" } else { "items" });
        for (index, value) in values.iter().enumerate() {
            if let Some(schema) = first.get(index).or(others) {
                self.validate(schema, value, depth)
                    .map_err(|reason| format!("element {index}: {reason}"))?;
            }
        }
        if let Some(schema) = keywords.get("contains")
            && !values.iter().any(|value| self.validate(schema, value, depth).is_ok())
        {
            return Err("no element fits `contains`".to_owned());
        }
        Ok(())
    }
}

/// Evaluates the keywords without schemas in them.
fn simple(keywords: &Object<String, Value>, value: &Value) -> Validated {
    if let Some(types) = keywords.get("type") {
        let nullable = value.is_null() && keywords.get("nullable") == Some(&Value::Bool(true));
        let mut types = types.as_str().into_iter().chain(texts(Some(types)));
        if !nullable && !types.any(|name| is_of_type(value, name)) {
            return Err("the type is wrong".to_owned());
        }
    }
    let same = |other: &Value| equal(value, other);
    if keywords.get("const").is_some_and(|only| !same(only)) {
        return Err("the value is not the constant".to_owned());
    }
    if keywords.contains_key("enum") && !list(keywords, "enum").any(same) {
        return Err("the value is not one of the list".to_owned());
    }
    if let Value::String(text) = value {
        bounds(keywords, "Length", text.chars().count() as u64)?;
    }
    let Some(number) = value.as_f64() else { return Ok(()) };
    let limit = |keyword: &str| keywords.get(keyword).and_then(Value::as_f64);
    // In older schemas, the exclusive limits are flags.
    let flag = |keyword: &str| keywords.get(keyword) == Some(&Value::Bool(true));
    let too_small = limit("minimum")
        .is_some_and(|least| number < least || (number <= least && flag("exclusiveMinimum")))
        || limit("exclusiveMinimum").is_some_and(|least| number <= least);
    let too_large = limit("maximum")
        .is_some_and(|most| number > most || (number >= most && flag("exclusiveMaximum")))
        || limit("exclusiveMaximum").is_some_and(|most| number >= most);
    // 0.07 is a multiple of 0.01, although their quotient is not quite 7.
    let is_whole = |ratio: f64| (ratio - ratio.round()).abs() <= ratio.abs() * f64::EPSILON;
    let uneven = limit("multipleOf").is_some_and(|of| of > 0.0 && !is_whole(number / of));
    if too_small || too_large || uneven {
        return Err(format!("the number {number} is out of range"));
    }
    Ok(())
}

/// Evaluates the keywords `minX` and `maxX`.
fn bounds(keywords: &Object<String, Value>, what: &str, count: u64) -> Validated {
    let limit = |end: &str| keywords.get(&format!("{end}{what}")).and_then(Value::as_u64);
    if limit("min").is_some_and(|least| count < least)
        || limit("max").is_some_and(|most| count > most)
    {
        return Err(format!("{count} is not a permitted number of {}", what.to_lowercase()));
    }
    Ok(())
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// Returns whether two values are equal. Numbers are equal regardless of their notation.
#[expect(clippy::float_cmp, reason = "JSON Schema compares numbers exactly")]
fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn list<'a>(keywords: &'a Object<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> {
    keywords.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn validated(schema: &Value, value: &Value) -> Validated {
        check(schema)?;
        validate(schema, value)
    }

    #[test]
    fn values_are_validated_against_their_schema() {
        let schema = json!({
            "type": "object",
            "required": ["name"],
            "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "minLength": 2, "maxLength": 4},
                "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": true},
                "next": {"$ref": "#"},
                "either": {"oneOf": [{"type": "null"}, {"const": 1}]},
            },
        });
        for good in [
            json!({"name": "anna"}),
            json!({"name": "änna", "age": 3.0, "tags": ["a", "b"]}),
            json!({"name": "x1", "next": {"name": "x2", "either": null}}),
        ] {
            validated(&schema, &good).unwrap();
        }
        for bad in [
            json!({}),
            json!([]),
            json!({"name": "a"}),
            json!({"name": "annas"}),
            json!({"name": "anna", "age": 150}),
            json!({"name": "anna", "age": 1.5}),
            json!({"name": "anna", "tags": ["a", "a"]}),
            json!({"name": "anna", "tags": ["c"]}),
            json!({"name": "anna", "other": 1}),
            json!({"name": "anna", "next": {}}),
            json!({"name": "anna", "either": 2}),
        ] {
            assert!(validated(&schema, &bad).is_err(), "{bad}");
        }
        let cents = json!({"multipleOf": 0.01});
        validated(&cents, &json!(0.07)).unwrap();
        assert!(validated(&cents, &json!(0.075)).is_err());
    }

    #[test]
    fn a_schema_with_an_unsupported_keyword_is_refused() {
        for schema in [
            json!({"pattern": "a"}),
            json!({"properties": {"a": {"patternProperties": {}}}}),
            json!({"$ref": "https://example.com/schema"}),
            json!({"required": "a"}),
            json!({"minLength": -1}),
            json!({"exclusiveMinimum": "5"}),
            json!({"$ref": "#/x-a", "x-a": {"pattern": "a"}}),
            json!({"$ref": "#/nowhere"}),
            json!([]),
        ] {
            assert!(validated(&schema, &json!({})).is_err(), "{schema}");
        }
    }

    #[test]
    fn schemas_that_take_exponential_time_are_refused() {
        let mut schema = json!({"type": "string"});
        for _ in 0..60 {
            schema = json!({"anyOf": [schema.clone(), {"$ref": "#"}]});
            if schema.to_string().len() > 4000 {
                break;
            }
        }
        assert!(
            validated(&json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}), &json!({"a": 1})).is_err()
        );
        assert!(validated(&schema, &json!({"a": 1})).is_err());
    }

    #[test]
    fn a_value_fits_no_schema_that_takes_too_long() {
        assert!(validated(&json!({"not": {"$ref": "#"}}), &json!(1)).is_err());
        // A value that is nested too deeply does not hide what `not` forbids.
        let bad = json!({"anyOf": [
            {"required": ["secret"]},
            {"required": ["next"], "properties": {"next": {"$ref": "#/$defs/bad"}}},
        ]});
        let schema = json!({"not": {"$ref": "#/$defs/bad"}, "$defs": {"bad": bad}});
        let mut deep = json!({"secret": 1});
        for _ in 0..100 {
            deep = json!({"next": deep});
        }
        assert!(validated(&schema, &deep).is_err());
    }
}
