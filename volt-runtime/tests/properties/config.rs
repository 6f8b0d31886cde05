//! A configuration preserves members that it does not model.

use proptest::{collection::btree_map, prelude::*};
use serde_json::{Map, Value};
use volt_runtime::ClientConfig;

/// Any JSON of limited depth.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(".*", inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Members that no configuration models.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("x_.*", json(), 0..4).prop_map(|members| members.into_iter().collect())
}

fn object(mut known: Value, unknown: Map<String, Value>) -> Value {
    known.as_object_mut().unwrap().extend(unknown);
    known
}

proptest! {
    #[test]
    fn a_configuration_round_trips(
        config in unknown(),
        credential in unknown(),
        volt in unknown(),
        relay in unknown(),
        name in ".*",
    ) {
        let relay = object(serde_json::json!({ "http_address": name }), relay);
        let text = object(
            serde_json::json!({
                "client_name": name,
                "credential": object(serde_json::json!({ "session_id": name }), credential),
                "volt": object(serde_json::json!({ "id": name, "relay": relay }), volt),
            }),
            config,
        );
        let read = ClientConfig::from_json(&text.to_string()).unwrap();
        let written = serde_json::to_string(&read).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(&written).unwrap(), &text);
        let again = ClientConfig::from_json(&written).unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), written);
    }
}
