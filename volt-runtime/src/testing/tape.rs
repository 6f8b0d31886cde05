//! The format of recorded calls: JSON lines.
//!
//! The first line names the format. Each further line is a call, in the order in which calls ended:
//!
//! ```json
//! {"volt_record":1,"hidden":[]}
//! {"method":"/shop.v1.ShopAPI/GetPrice","events":[{"sent":{"name":"apple"}},"half_closed",{"received":{"price":1.5}}],"end":"finished"}
//! ```
//!
//! `events` has the messages of both directions, in their order. `end` is `"finished"`, `"cancelled"` by the
//! caller, or `{"failed":…}` with the error.

use std::{collections::BTreeSet, fmt::Write as _};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{Error, ErrorKind, Executed, Result},
    message::{Payload, to_json},
    method::Method,
    redact,
    status::{Code, Status},
};

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// The replacement of a secret.
const HIDDEN: &str = "(hidden)";

/// The longest text of a value in a message about a difference, in characters.
const SHOWN: usize = 100;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) volt_record: u32,
    /// Fields whose values are hidden, besides those of the API.
    #[serde(default)]
    pub(super) hidden: BTreeSet<String>,
}

/// One call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Recorded {
    pub(super) method: String,
    /// The service that the caller named, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<String>,
    pub(super) events: Vec<Event>,
    pub(super) end: End,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    Sent(Value),
    HalfClosed,
    Received(Value),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    Finished,
    Cancelled,
    Failed(Failure),
}

/// The parts of an error that a program can distinguish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: String,
    executed: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<FailureStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FailureStatus {
    code: i32,
    message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
}

/// The kinds of errors by name.
const KINDS: [(&str, ErrorKind); 11] = [
    ("refused", ErrorKind::Refused),
    ("failed", ErrorKind::Failed),
    ("routing", ErrorKind::Routing),
    ("protocol", ErrorKind::Protocol),
    ("connection", ErrorKind::Connection),
    ("ended", ErrorKind::Ended),
    ("deadline", ErrorKind::Deadline),
    ("io", ErrorKind::Io),
    ("resource_exhausted", ErrorKind::ResourceExhausted),
    ("configuration", ErrorKind::Configuration),
    ("conversion", ErrorKind::Conversion),
];

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let kind = KINDS.iter().find(|(_, kind)| *kind == error.kind());
        Self {
            kind: kind.map_or("failed", |(name, _)| name).to_owned(),
            executed: match error.executed() {
                Executed::No => "no",
                Executed::Maybe => "maybe",
                Executed::Yes => "yes",
            }
            .to_owned(),
            message: error.message().to_owned(),
            status: error.status().map(|status| FailureStatus {
                code: status.code().into(),
                message: status.message().to_owned(),
                description: status.description().to_owned(),
            }),
        }
    }

    pub(super) fn to_error(&self) -> Error {
        let kind = KINDS.iter().find(|(name, _)| *name == self.kind);
        let error = Error::new(kind.map_or(ErrorKind::Failed, |(_, kind)| *kind), &self.message);
        let error = error.with_executed(match &*self.executed {
            "no" => Executed::No,
            "yes" => Executed::Yes,
            _ => Executed::Maybe,
        });
        match &self.status {
            Some(status) => {
                let code = Code::from(status.code);
                let restored = Status::new(code, &status.message);
                error.with_status(restored.with_description(&status.description))
            }
            None => error,
        }
    }
}

/// Replaces the values of secret fields in a message of a method, at any depth and under both of their names, and
/// private keys.
pub(super) fn hide(method: &Method, message: &mut Value, hidden: &BTreeSet<String>) {
    hide_at(unqualified(method.path), message);
    hide_below(message, hidden);
}

fn hide_below(value: &mut Value, hidden: &BTreeSet<String>) {
    // The message in a `google.protobuf.Any`.
    let ty = value.get("@type").and_then(Value::as_str).map(|ty| unqualified(ty).to_owned());
    if let Some(ty) = ty {
        hide_at(&ty, value);
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let snake = snake(name);
                if !is_empty(value) && (redact::is_secret(&snake) || hidden.contains(&snake)) {
                    *value = HIDDEN.into();
                    continue;
                }
                hide_at(&snake, value);
                hide_below(value, hidden);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide_below(value, hidden)),
        Value::String(text) if text.contains("PRIVATE KEY") => HIDDEN.clone_into(text),
        _ => {}
    }
}

/// Replaces the fields that are secret only at this place: in a message of this type, below this
/// field, or of this method.
fn hide_at(place: &str, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if !is_empty(value) && redact::is_secret_at(place, &snake(name)) {
                    *value = HIDDEN.into();
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide_at(place, value)),
        _ => {}
    }
}

/// Returns a request as it is recorded.
///
/// # Errors
///
/// Fails if the message has no JSON form.
pub(super) fn request(
    method: &Method,
    message: &dyn Payload,
    hidden: &BTreeSet<String>,
) -> Result<Value> {
    let mut value = to_json(message)?;
    hide(method, &mut value, hidden);
    Ok(value)
}

/// The name of a type or a method without its package.
fn unqualified(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Null) || value.as_str() == Some("")
}

/// The name of a field in the `.proto`, from either of its names in JSON.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for char in name.chars() {
        if char.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

/// Describes the first difference between two messages.
pub(super) fn difference(recorded: &Value, sent: &Value) -> Option<String> {
    difference_at("", recorded, sent)
}

fn difference_at(path: &str, recorded: &Value, sent: &Value) -> Option<String> {
    match (recorded, sent) {
        (Value::Object(recorded), Value::Object(sent)) => {
            let names: BTreeSet<_> = recorded.keys().chain(sent.keys()).collect();
            names.into_iter().find_map(|name| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (recorded.get(name), sent.get(name)) {
                    (Some(recorded), Some(sent)) => difference_at(&path, recorded, sent),
                    (recorded, sent) => Some(differs(&path, recorded, sent)),
                }
            })
        }
        (Value::Array(recorded), Value::Array(sent)) => (0..recorded.len().max(sent.len()))
            .find_map(|index| {
                let path = format!("{path}[{index}]");
                match (recorded.get(index), sent.get(index)) {
                    (Some(recorded), Some(sent)) => difference_at(&path, recorded, sent),
                    (recorded, sent) => Some(differs(&path, recorded, sent)),
                }
            }),
        _ => (recorded != sent).then(|| differs(path, Some(recorded), Some(sent))),
    }
}

fn differs(path: &str, recorded: Option<&Value>, sent: Option<&Value>) -> String {
    let path = if path.is_empty() { "the message" } else { path };
    format!("`{path}`: recorded {}, sent {}", shown(recorded), shown(sent))
}

/// A value for a message, cut if it is long.
fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        // Writing to a `String` cannot fail.
        let _ = write!(shown, "… ({} bytes)", text.len());
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        MethodKind,
        secret_fields::{SECRET_FIELDS, SECRETS_AT},
    };

    const GET: Method = Method { path: "/p.S/Get", kind: MethodKind::Unary };

    #[test]
    fn secrets_are_hidden_at_any_depth_and_under_both_names() {
        let mut message = json!({
            "session_id": "S1",
            "credential": [{ "exchangeToken": "S2", "name": "shown", "token": "" }],
            "session": [{ "id": "S3", "name": "shown" }],
            "id": "shown",
            "text": "-----BEGIN PRIVATE KEY-----\nS4",
            "own_secret": 5,
        });
        hide(&GET, &mut message, &BTreeSet::from(["own_secret".to_owned()]));
        assert_eq!(
            message,
            json!({
                "session_id": "(hidden)",
                "credential": [{ "exchangeToken": "(hidden)", "name": "shown", "token": "" }],
                "session": [{ "id": "(hidden)", "name": "shown" }],
                "id": "shown",
                "text": "(hidden)",
                "own_secret": "(hidden)",
            })
        );
    }

    #[test]
    fn every_listed_secret_is_hidden() {
        for field in SECRET_FIELDS {
            let mut message = json!({ "a": [{ *field: "S" }] });
            hide(&GET, &mut message, &BTreeSet::new());
            assert_eq!(message, json!({ "a": [{ *field: "(hidden)" }] }));
        }
        for (place, field) in SECRETS_AT.iter().copied() {
            // A method, a type or a field.
            let (path, mut message) = if place.contains('/') {
                (place, json!({ field: "S" }))
            } else if place.starts_with(char::is_uppercase) {
                (GET.path, json!({ "any": { "@type": format!("t/p.{place}"), field: "S" } }))
            } else {
                (GET.path, json!({ place: [{ field: "S" }] }))
            };
            hide(&Method { path, ..GET }, &mut message, &BTreeSet::new());
            assert!(message.to_string().contains("(hidden)"), "{place}: {message}");
        }
        let mut message = json!({ "id": "shown" });
        hide(&GET, &mut message, &BTreeSet::new());
        assert_eq!(message["id"], "shown", "an id is a secret at some places only");
    }

    #[test]
    fn a_difference_names_its_place_and_both_values() {
        let recorded = json!({ "a": { "b": [1, { "c": "x" }] } });
        for (sent, text) in [
            (json!({ "a": { "b": [1, { "c": "y" }] } }), "`a.b[1].c`: recorded \"x\", sent \"y\""),
            (json!({ "a": { "b": [1] } }), "`a.b[1]`: recorded {\"c\":\"x\"}, sent nothing"),
            (json!({ "a": {}, "d": 1 }), "`a.b`: recorded [1,{\"c\":\"x\"}], sent nothing"),
            (json!([]), "`the message`: recorded {\"a\":{\"b\":[1,{\"c\":\"x\"}]}}, sent []"),
        ] {
            assert_eq!(difference(&recorded, &sent).unwrap(), text);
        }
        assert_eq!(difference(&recorded, &recorded), None);
        let long = json!("é".repeat(500));
        let text = difference(&json!(1), &long).unwrap();
        assert!(text.ends_with("… (1002 bytes)") && text.len() < 300, "{text}");
    }

    #[test]
    fn errors_keep_the_parts_that_programs_distinguish() {
        let error = Error::refused(Status::new(Code::NotFound, "gone").with_description("why"));
        let lost = Error::connection("lost").with_executed(Executed::No);
        for error in [error, lost] {
            let line = serde_json::to_string(&Failure::of(&error)).unwrap();
            let restored = serde_json::from_str::<Failure>(&line).unwrap().to_error();
            assert_eq!(restored.to_string(), error.to_string());
            assert_eq!(
                (restored.kind(), restored.executed(), restored.code()),
                (error.kind(), error.executed(), error.code())
            );
        }
    }
}
