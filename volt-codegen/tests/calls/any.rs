//! `google.protobuf.Any` in JSON, and the names of fields there.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{Any, Duration, Value};
use volt_runtime::{
    Message,
    json::{self, Form, Names, WellKnown},
};

use super::generated::odd::any::{Holder, Item};

fn any<M: Message>(message: &M) -> Any {
    let type_url = format!("type.googleapis.com/{}", M::NAME);
    Any { type_url, value: message.encode_to_vec() }
}

fn item() -> Item {
    Item::default().with_unit_price("1 €").with_weight(0.1).with_data([0xFF])
}

fn text(message: &impl Message, names: Names) -> String {
    let mut out = Vec::new();
    json::write_with_names(message, &mut out, Form::Plain, names).expect("it can be written");
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[track_caller]
fn round_trips(message: &Holder, json: &str) {
    assert_eq!(text(message, Names::Original), json);
    assert_eq!(&json::read::<Holder>(json.as_bytes()).expect("it can be read"), message);
    // As any serde format does.
    let value = serde_json::to_value(message).expect("it is a value");
    assert_eq!(&serde_json::from_value::<Holder>(value).expect("it can be read"), message);
}

#[track_caller]
fn fails(json: &str) -> String {
    json::read::<Holder>(json.as_bytes()).expect_err("it is wrong").to_string()
}

#[test]
fn generated_messages_are_written_with_their_type() {
    let inner = r#""@type":"type.googleapis.com/odd.any.Item","unit_price":"1 €","weight":0.1,"data":"/w==""#;
    round_trips(&Holder::default().with_one(any(&item())), &format!(r#"{{"one":{{{inner}}}}}"#));
    round_trips(
        &Holder::default()
            .with_list([any(&item()), Any::default()])
            .with_by_name([("k", any(&item()))])
            .with_chosen(any(&Holder::default().with_one(any(&Item::default())))),
        &format!(
            r#"{{"list":[{{{inner}}},{{}}],"by_name":{{"k":{{{inner}}}}},"chosen":{{"@type":"type.googleapis.com/odd.any.Holder","one":{{"@type":"type.googleapis.com/odd.any.Item"}}}}}}"#
        ),
    );
}

#[test]
fn types_with_special_forms_are_in_a_member() {
    let duration = WellKnown(Duration { seconds: 1, nanos: 500_000_000 });
    round_trips(
        &Holder::default().with_one(any(&duration)),
        r#"{"one":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}}"#,
    );
    let nested = WellKnown(any(&WellKnown(7_i64)));
    round_trips(
        &Holder::default().with_one(any(&nested)),
        r#"{"one":{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"7"}}}"#,
    );
    let null = WellKnown(Value { kind: Some(prost_types::value::Kind::NullValue(0)) });
    round_trips(
        &Holder::default().with_one(any(&null)),
        r#"{"one":{"@type":"type.googleapis.com/google.protobuf.Value","value":null}}"#,
    );
    round_trips(
        &Holder::default().with_one(any(&json::Empty::default())),
        r#"{"one":{"@type":"type.googleapis.com/google.protobuf.Empty"}}"#,
    );
}

#[test]
fn the_type_may_be_anywhere_and_on_any_server() {
    let json =
        r#"{"one":{"unitPrice":"1 €","@type":"h/odd.any.Item","data":"/w==","weight":"0.1"}}"#;
    let holder: Holder = json::read(json.as_bytes()).expect("it can be read");
    let one = holder.one.expect("it is there");
    assert_eq!((one.type_url.as_str(), Item::decode(&*one.value)), ("h/odd.any.Item", Ok(item())));
}

#[test]
fn errors_name_the_type_and_the_field() {
    let unknown = r#"{"one":{"@type":"x/no.Such"}}"#;
    let found = fails(unknown);
    assert!(found.starts_with("field `one`: the type of `x/no.Such` is unknown: "), "{found}");
    let wrong = fails(r#"{"one":{"@type":"x/odd.any.Item","weight":true}}"#);
    assert!(wrong.starts_with("field `one`: in the `x/odd.any.Item`: field `weight`: "), "{wrong}");
    assert!(!wrong.contains("line 1 column 12"), "{wrong}");
    for (json, error) in [
        (r#"{"one":{"a":1}}"#, "must have the member `@type`"),
        (r#"{"one":{"@type":1}}"#, "must have the member `@type`"),
        (r#"{"one":[]}"#, "must be an object"),
        (r#"{"one":{"@type":"odd.any.Item"}}"#, "is not the URL of a type"),
        (r#"{"one":{"@type":"x/google.protobuf.Duration"}}"#, "has no member `value`"),
        (r#"{"one":{"@type":"x/odd.any.Item","data":"","data":""}}"#, "occurs twice"),
    ] {
        let found = fails(json);
        assert!(found.contains(error), "{json}: {found}");
    }
    let holder = Holder::default().with_one(Any { type_url: "x/no.Such".into(), value: vec![] });
    let error = json::write(&holder, &mut Vec::new(), Form::Plain).expect_err("it is unknown");
    assert!(error.to_string().contains("`x/no.Such` is unknown"), "{error}");
}

#[test]
fn programs_register_further_types() {
    let resource = volt_api::volt::Resource::default().with_id("r");
    let holder = Holder::default().with_one(any(&resource));
    assert!(json::write(&holder, &mut Vec::new(), Form::Plain).is_err());
    json::register::<volt_api::volt::Resource>();
    round_trips(
        &holder,
        r#"{"one":{"@type":"type.googleapis.com/tdx.volt_api.volt.v1.Resource","id":"r"}}"#,
    );
}

#[test]
fn values_in_values_know_the_generated_types() {
    let nested = WellKnown(any(&WellKnown(any(&item()))));
    round_trips(
        &Holder::default().with_one(any(&nested)),
        r#"{"one":{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/odd.any.Item","unit_price":"1 €","weight":0.1,"data":"/w=="}}}}"#,
    );
    let wrong = fails(
        r#"{"one":{"@type":"x/google.protobuf.Any","value":{"@type":"x/odd.any.Item","weight":true}}}"#,
    );
    assert!(
        wrong.contains("in the `x/google.protobuf.Any`: in the `x/odd.any.Item`: field `weight`"),
        "{wrong}"
    );
}

/// Each binary value is within prost's limit; together they would take 1600 messages of stack.
#[test]
fn messages_in_values_have_equal_depth_limits() {
    let chain = |one: Any, levels: usize| {
        (1..levels)
            .fold(Holder::default().with_one(one), |inner, _| Holder::default().with_inner(inner))
    };
    for (around, within) in [
        (1, 98),
        (1, 99),
        (1, 100),
        (27, 99),
        (28, 99),
        (60, 65),
        (60, 67),
        (99, 27),
        (99, 28),
        (99, 99),
    ] {
        let message = chain(any(&chain(any(&item()), within)), around);
        let json = format!(
            r#"{}{{"one":{{"@type":"type.googleapis.com/odd.any.Holder",{}"one":{{"@type":"type.googleapis.com/odd.any.Item","unit_price":"1 €","weight":0.1,"data":"/w=="}}{}"#,
            r#"{"inner":"#.repeat(around - 1),
            r#""inner":{"#.repeat(within - 1),
            "}".repeat(around + within),
        );
        let mut written = Vec::new();
        match json::write(&message, &mut written, Form::Plain) {
            Ok(()) => {
                assert_eq!(String::from_utf8(written).expect("JSON is UTF-8"), json);
                let read = json::read::<Holder>(json.as_bytes());
                assert_eq!(read.expect("what is written can be read"), message);
                assert!(within < 100 && around + within <= 126, "{around} {within}");
            }
            Err(error) => {
                assert!(error.to_string().contains("nested too deeply"), "{error}");
                json::read::<Holder>(json.as_bytes()).expect_err("it is too deep to be read too");
                assert!(within == 100 || around + within >= 127, "{around} {within}");
            }
        }
    }
    let deepest = (0..16).fold(any(&item()), |one, _| any(&chain(one, 90)));
    let error = json::write(&Holder::default().with_one(deepest), &mut Vec::new(), Form::Plain);
    assert!(error.expect_err("it is too deep").to_string().contains("nested too deeply"));
    // The counts start again.
    round_trips(&Holder::default(), "{}");
}

/// Lists, objects and the values in them count as they do when they are read.
#[test]
fn any_json_in_values_is_written_to_the_depth_that_is_read() {
    let list = |levels: u32| {
        (1..levels).fold(Value::from(Vec::new()), |inner, _| Value::from(vec![inner]))
    };
    let object = |levels: u32| {
        (1..levels).fold(Value::from(BTreeMap::new()), |inner, _| {
            Value::from(BTreeMap::from([("a".to_owned(), inner)]))
        })
    };
    let around = |value: Value, levels: u32| {
        let inner = Holder::default().with_one(any(&WellKnown(value)));
        let chain = (1..levels).fold(inner, |inner, _| Holder::default().with_inner(inner));
        Holder::default().with_one(any(&chain))
    };
    for (value, levels, fits) in [
        (list(40), 20, true),
        (list(40), 21, false),
        (list(10), 80, true),
        (list(10), 81, false),
        (object(20), 40, true),
        (object(20), 41, false),
    ] {
        let message = around(value, levels);
        let mut json = Vec::new();
        let written = json::write(&message, &mut json, Form::Plain);
        assert_eq!(written.is_ok(), fits, "{levels}");
        if fits {
            assert_eq!(json::read::<Holder>(&json).expect("it can be read"), message);
        }
    }
}

#[test]
fn values_nest_to_a_limit() {
    let nested = |levels: u32| {
        let innermost = any(&item());
        let one = (1..levels).fold(innermost, |inner, _| any(&Holder::default().with_one(inner)));
        Holder::default().with_one(one)
    };
    let text = text(&nested(16), Names::Original);
    assert_eq!(json::read::<Holder>(text.as_bytes()).expect("16 are allowed"), nested(16));
    let error = json::write(&nested(17), &mut Vec::new(), Form::Plain).expect_err("17 are not");
    assert!(error.to_string().contains("more than 16"), "{error}");
    let more = text.replace("\"unit_price\":\"1 €\"", "\"@type\":\"x/odd.any.Item\"");
    assert!(json::read::<Holder>(more.as_bytes()).is_err(), "a member occurs twice");
}

#[test]
fn names_of_fields_may_be_in_camel_case() {
    let holder = Holder::default().with_by_name([("a_b", any(&item()))]);
    let inner = r#""@type":"type.googleapis.com/odd.any.Item","unitPrice":"1 €","weight":0.1,"data":"/w==""#;
    let camel = text(&holder, Names::LowerCamel);
    assert_eq!(camel, format!(r#"{{"byName":{{"a_b":{{{inner}}}}}}}"#));
    assert_eq!(json::read::<Holder>(camel.as_bytes()).expect("either name is read"), holder);
    // The choice ends with the text.
    assert!(text(&holder, Names::Original).starts_with(r#"{"by_name""#));

    let mut escaped = Vec::new();
    json::write_with_names(&item(), &mut escaped, Form::Escaped, Names::LowerCamel).expect("text");
    assert!(escaped.starts_with(br#"{\"unitPrice\":"#));
}

#[test]
fn negative_zeros_without_presence_are_in_json_only() {
    let item = Item::default().with_weight(-0.0);
    assert_eq!(text(&item, Names::Original), r#"{"weight":-0.0}"#);
    // prost compares with the default, to which a negative zero is equal.
    assert_eq!(item.encoded_len(), 0);
    // With presence, it stays.
    let inner = super::generated::odd::old::old::Inner { value: Some(-0.0) };
    let back = super::generated::odd::old::old::Inner::decode(&*inner.encode_to_vec());
    assert!(back.is_ok_and(|back| back.value.is_some_and(f64::is_sign_negative)));
}
