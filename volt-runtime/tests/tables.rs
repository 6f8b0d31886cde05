//! The macros for generated messages and enums, on messages written by hand.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use volt_runtime::{__private as rt, Code, Message, Status, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, rt::prost::Enumeration)]
#[repr(i32)]
enum Size {
    Unknown = 0,
    Large = 2,
}

rt::enumeration! { Size {
    "SIZE_UNKNOWN" Unknown;
    "SIZE_LARGE" | "SIZE_BIG" Large;
} }

#[derive(Clone, PartialEq, rt::prost::Message)]
struct Refusal {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(string, tag = "3")]
    description: String,
}

rt::message! { Refusal = "test.Refusal";
    0 "code" [i32] code with_code;
    1 "message" [string] message with_message;
    2 "description" [string] description with_description;
}

rt::status! { Refusal }

/// One field for each kind of line in a table.
#[derive(Clone, PartialEq, rt::prost::Message)]
#[prost(skip_debug)]
struct Everything {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, optional, tag = "2")]
    r#type: Option<String>,
    #[prost(bytes = "vec", tag = "3")]
    token: Vec<u8>,
    #[prost(enumeration = "Size", tag = "4")]
    size: i32,
    #[prost(message, optional, boxed, tag = "5")]
    inner: Option<Box<Self>>,
    #[prost(message, optional, tag = "6")]
    status: Option<Refusal>,
    #[prost(enumeration = "Size", repeated, tag = "7")]
    sizes: Vec<i32>,
    #[prost(btree_map = "int32, message", tag = "8")]
    refusals: BTreeMap<i32, Refusal>,
    #[prost(btree_map = "string, enumeration(Size)", tag = "9")]
    named: BTreeMap<String, i32>,
    #[prost(oneof = "Body", tags = "10, 11, 12")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, rt::prost::Oneof)]
#[prost(skip_debug)]
enum Body {
    #[prost(string, tag = "10")]
    Text(String),
    #[prost(message, tag = "11")]
    More(Box<Everything>),
    #[prost(enumeration = "Size", tag = "12")]
    OfSize(i32),
}

rt::message! { Everything = "test.Everything" refuses [status];
    0 "number" [u64] number with_number;
    1 "type" [optional string] r#type with_type;
    2 "token" [bytes] token with_token;
    3 "size" [named Size] size with_size;
    4 "inner" [boxed message Everything] inner with_inner;
    5 "status" [optional message Refusal] status with_status;
    6 "sizes" [repeated named Size] sizes with_sizes;
    7 "refusals" [map i32, message Refusal] refusals with_refusals;
    8 "named" [map string, named Size] named with_named;
    9 "text" [oneof Body::Text, string] body with_text;
    10 "more" [oneof Body::More, boxed message Everything] body with_more;
    11 "of_size" | "ofSize" [oneof Body::OfSize, named Size] body with_of_size;
}

rt::redacted! { struct Everything = "Everything" {
    shown number;
    hidden token;
    shown body;
} }

rt::redacted! { enum Body {
    hidden Text;
    shown More;
    shown OfSize;
} }

fn text(message: &impl Message) -> String {
    let mut out = Vec::new();
    json::write(message, &mut out, json::Form::Plain).unwrap();
    String::from_utf8(out).unwrap()
}

fn everything() -> Everything {
    Everything::default()
        .with_number(7)
        .with_type("t")
        .with_token([1, 2])
        .with_size(Size::Large)
        .with_inner(Everything::default().with_text("inside"))
        .with_status(Refusal::default().with_code(5))
        .with_sizes([Size::Large, Size::Unknown])
        .with_refusals([(1, Refusal::default().with_message("m"))])
        .with_named([("k", Size::Large)])
        .with_of_size(Size::Large)
}

#[test]
fn each_kind_of_field_is_written_and_read() {
    let written = text(&everything());
    assert_eq!(
        written,
        "{\"number\":\"7\",\"type\":\"t\",\"token\":\"AQI=\",\"size\":\"SIZE_LARGE\",\
         \"inner\":{\"text\":\"inside\"},\"status\":{\"code\":5},\
         \"sizes\":[\"SIZE_LARGE\",\"SIZE_UNKNOWN\"],\"refusals\":{\"1\":{\"message\":\"m\"}},\
         \"named\":{\"k\":\"SIZE_LARGE\"},\"of_size\":\"SIZE_LARGE\"}"
    );
    assert_eq!(json::read::<Everything>(written.as_bytes()).unwrap(), everything());

    let more = Everything::default().with_more(Everything::default().with_number(1));
    assert_eq!(text(&more), "{\"more\":{\"number\":\"1\"}}");
    assert_eq!(json::read::<Everything>(text(&more).as_bytes()).unwrap(), more);
}

#[test]
fn other_names_are_read_too() {
    let read: Everything = json::read(b"{\"ofSize\":\"SIZE_BIG\",\"unknown\":1}").unwrap();
    assert_eq!(read, Everything::default().with_of_size(Size::Large));
    let twice = json::read::<Everything>(b"{\"of_size\":2,\"text\":\"t\"}").unwrap_err();
    assert!(twice.to_string().contains("oneof"), "{twice}");
}

#[test]
fn status_is_the_refusal() {
    assert_eq!(Everything::NAME, "test.Everything");
    let status = Status::new(Code::NotFound, "no such thing");
    let refused = Everything::refused(&status).unwrap();
    assert_eq!(refused, Everything::default().with_status(refused.status.clone().unwrap()));
    assert_eq!(refused.refusal().unwrap().code(), Code::NotFound);
    assert_eq!(Everything::default().refusal().map(|status| status.code()), None);
}

#[test]
fn debug_hides_secrets() {
    let shown = format!("{:?}", Everything::default().with_token([1]).with_text("secret"));
    assert_eq!(shown, "Everything { number: 0, token: (hidden), body: Some(Text((hidden))) }");
}

#[test]
fn enum_names_include_aliases() {
    assert_eq!(Size::Large.as_str_name(), "SIZE_LARGE");
    assert_eq!(Size::from_str_name("SIZE_BIG"), Some(Size::Large));
    assert_eq!(Size::from_str_name("SIZE_HUGE"), None);
}
