//! The scenarios, and the comparison of their results.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One scenario of `tests/interop/scenarios.json`.
#[derive(Deserialize)]
pub(super) struct Scenario {
    pub(super) name: String,
    /// The members that a result must have. `null` stands for a value that is not known in advance; the
    /// first client that reports one sets it for the others.
    expected: Map<String, Value>,
}

pub(super) fn load(root: &Path) -> anyhow::Result<Vec<Scenario>> {
    let path = root.join("tests/interop/scenarios.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

impl Scenario {
    /// Compares a client's result with the expected one and with those of earlier clients.
    ///
    /// A member is `null` if the client cannot report it.
    pub(super) fn compare(&mut self, result: Value) -> anyhow::Result<()> {
        let Value::Object(result) = result else { bail!("the result is not an object: {result}") };
        let missing = self.expected.keys().find(|name| !result.contains_key(*name));
        if let Some(name) = missing {
            bail!("the result has no {name:?}");
        }
        for (name, got) in result {
            let Some(expected) = self.expected.get_mut(&name) else {
                bail!("the result has an unexpected member {name:?}");
            };
            if expected.is_null() {
                *expected = got;
            } else if !got.is_null() && !same(expected, &got) {
                bail!("{name:?} is {got}; expected {expected}");
            }
        }
        Ok(())
    }
}

/// JSON equality in which 1 and 1.0 are the same number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scenario(expected: &Value) -> Scenario {
        serde_json::from_value(json!({ "name": "test", "expected": expected })).expect("a scenario")
    }

    #[test]
    fn missing_extra_and_different_members_are_errors() {
        let mut scenario = scenario(&json!({ "cells": [{ "real": 1.0 }] }));
        scenario.compare(json!({ "cells": [{ "real": 1 }] })).expect("the same number");
        for wrong in [
            json!({ "cells": [{ "real": 2 }] }),
            json!({ "cells": [{ "integer": 1 }] }),
            json!({ "cells": [] }),
            json!({ "cells": [{ "real": 1 }], "more": 1 }),
            json!({}),
            json!([]),
        ] {
            scenario.compare(wrong).expect_err("a difference");
        }
    }

    #[test]
    fn first_reported_value_binds_later_clients() {
        let mut scenario = scenario(&json!({ "message": null }));
        scenario.compare(json!({ "message": null })).expect("a client that cannot report it");
        scenario.compare(json!({ "message": "not found" })).expect("the first report");
        scenario.compare(json!({ "message": null })).expect("another client that cannot report it");
        let error = scenario.compare(json!({ "message": "gone" })).expect_err("a difference");
        assert_eq!(error.to_string(), r#""message" is "gone"; expected "not found""#);
    }
}
