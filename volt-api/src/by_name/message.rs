//! Converts messages between JSON and both encodings of the wire.

use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use volt_runtime::{
    __private::prost::Message as _,
    Code, Error, Executed, Result, Status,
    json::{self, Form},
    transport::{Body, Payload},
};

use super::check;

/// The message that carries a status within responses.
const STATUS: &str = "tdx.volt_api.volt.v1.Status";

/// The names and forms of protobuf's JSON that the Volt API uses.
fn options() -> SerializeOptions {
    SerializeOptions::new().use_proto_field_name(true).skip_default_fields(true)
}

/// A request, in both encodings.
pub(super) struct Request {
    json: Value,
    protobuf: Vec<u8>,
}

impl Request {
    /// # Errors
    ///
    /// Returns a configuration error that names the value that does not fit the descriptor.
    pub(super) fn new(descriptor: &MessageDescriptor, value: Value) -> Result<Self> {
        check::names(descriptor, &value).map_err(invalid)?;
        let strict = DeserializeOptions::new().deny_unknown_fields(true);
        let message = DynamicMessage::deserialize_with_options(descriptor.clone(), value, &strict);
        // The error's own text may quote a value, which may be a secret.
        let message = message.map_err(|_| {
            invalid(format!(
                "the request is not a `{}`: a number is out of range, a text is not base64 or not the \
                 form of its type, or several members of a oneof are set",
                descriptor.full_name()
            ))
        })?;
        let json = write(&message).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { json, protobuf: message.encode_to_vec() })
    }
}

fn write(message: &DynamicMessage) -> std::result::Result<Value, serde_json::Error> {
    message.serialize_with_options(serde_json::value::Serializer, &options())
}

fn invalid(why: impl Into<String>) -> Error {
    Error::configuration(why).with_executed(Executed::No)
}

impl Payload for Request {
    fn write_json(
        &self,
        out: &mut Vec<u8>,
        form: Form,
    ) -> std::result::Result<(), serde_json::Error> {
        json::write(&self.json, out, form)
    }

    fn protobuf_len(&self) -> usize {
        self.protobuf.len()
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.protobuf);
    }
}

/// Reads a response.
///
/// # Errors
///
/// Returns a refusal if the response carries a status other than OK, or a protocol error if it
/// cannot be read.
pub(super) fn read(descriptor: &MessageDescriptor, body: &Body) -> Result<Value> {
    let value = value(descriptor, body)?;
    refused(descriptor, &value).map_or(Ok(value), Err)
}

/// Returns a response in JSON, even if it is a refusal.
///
/// # Errors
///
/// Returns a protocol error if it cannot be read.
pub(super) fn value(descriptor: &MessageDescriptor, body: &Body) -> Result<Value> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::protocol(format!("the Volt's `{}` cannot be read: {error}", descriptor.full_name()))
    };
    let message = match body {
        Body::Protobuf(bytes) => DynamicMessage::decode(descriptor.clone(), bytes.clone())
            .map_err(|error| unreadable(error.into()))?,
        Body::Json(text) => {
            let mut reader = serde_json::Deserializer::from_str(text);
            // Unknown fields are skipped, as in typed calls: the Volt may be newer.
            let lenient = DeserializeOptions::new().deny_unknown_fields(false);
            let message =
                DynamicMessage::deserialize_with_options(descriptor.clone(), &mut reader, &lenient);
            if let Ok(message) = message {
                message
            } else {
                // Volts write some values in ways that protobuf's JSON does not have. The response is then
                // returned unchanged.
                return serde_json::from_str(text).map_err(|error| unreadable(error.into()));
            }
        }
    };
    write(&message).map_err(|error| unreadable(error.into()))
}

/// Returns the error of a response whose status is not OK.
fn refused(descriptor: &MessageDescriptor, value: &Value) -> Option<Error> {
    let mut fields = descriptor.fields();
    let field = fields.find(|field| {
        !field.is_list() && field.kind().as_message().is_some_and(|kind| kind.full_name() == STATUS)
    })?;
    let status = value.get(field.name()).or_else(|| value.get(field.json_name()))?;
    let text = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = i32::try_from(status.get("code")?.as_i64()?).ok()?;
    let code = Code::from(code);
    (code != Code::Ok).then(|| {
        let status = Status::new(code, text("message")).with_description(text("description"));
        Error::refused(status)
    })
}
