//! The traits that generated messages implement, and messages without their types.
//!
//! The typed layer works with [`Message`]. Transports work with [`Payload`], which writes itself in either
//! encoding, and [`Body`], which holds a received message in one.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Error, Result, Status, json};

/// A protobuf message with its binary form (prost) and its canonical JSON form (serde). Generated
/// code implements it; [`WellKnown`](crate::json::WellKnown) implements it for the types of
/// `google.protobuf`.
pub trait Message:
    prost::Message + Debug + Default + Clone + Serialize + DeserializeOwned + 'static
{
    /// The full protobuf name, such as `tdx.volt_api.volt.v1.Resource`.
    const NAME: &'static str;

    /// Returns the refusal that this response carries, if it has a status other than OK. The status may be
    /// a field of the message, or a member of a oneof. Calls report a refusal as an error of kind
    /// [`Refused`](crate::ErrorKind::Refused).
    fn refusal(&self) -> Option<Status> {
        None
    }

    /// Creates a response that carries `status`. Returns `None` if this message has no field for
    /// one: a server then ends the call with the status instead.
    fn refused(status: &Status) -> Option<Self> {
        let _ = status;
        None
    }
}

/// The message that carries a status within responses (`tdx.volt_api.volt.v1.Status`).
pub trait StatusMessage: Sized {
    /// Converts the message to a status. Returns `None` on success.
    fn to_status(&self) -> Option<Status>;

    /// Creates the message from `status`.
    fn from_status(status: &Status) -> Self;
}

/// An outgoing message of any type, so that transports need not be generic.
///
/// A transport writes it once, in its own encoding, directly into the outgoing buffer.
pub trait Payload: Send + Sync {
    /// Appends the message's JSON text to `out`, in the given form.
    ///
    /// # Errors
    ///
    /// Fails if the message has no JSON form: see [`json::write`].
    fn write_json(&self, out: &mut Vec<u8>, form: json::Form) -> Result<(), serde_json::Error>;

    /// Returns the length of the message's binary form, in bytes.
    fn protobuf_len(&self) -> usize;

    /// Appends the message's binary form to `out`.
    fn write_protobuf(&self, out: &mut Vec<u8>);
}

impl<M: Message> Payload for M {
    fn write_json(&self, out: &mut Vec<u8>, form: json::Form) -> Result<(), serde_json::Error> {
        json::write(self, out, form)
    }

    fn protobuf_len(&self) -> usize {
        self.encoded_len()
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        self.encode_raw(out);
    }
}

/// An incoming message, in the encoding of its transport. It is not parsed until its type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// JSON text, as on the websocket.
    Json(String),
    /// The binary form, as in gRPC.
    Protobuf(Bytes),
}

impl Body {
    /// Returns the encoding that the message is in.
    pub const fn encoding(&self) -> Encoding {
        match self {
            Self::Json(_) => Encoding::Json,
            Self::Protobuf(_) => Encoding::Protobuf,
        }
    }

    /// Reads the message.
    ///
    /// # Errors
    ///
    /// Fails if the body is not a message of this type.
    pub fn read<M: Message>(&self) -> Result<M, DecodeError> {
        match self {
            // Checked for UTF-8 when it was received.
            Self::Json(text) => Ok(json::read_text(text)?),
            // Reading `Bytes` copies no field of type `Bytes`.
            Self::Protobuf(bytes) => Ok(M::decode(bytes.clone())?),
        }
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Protobuf(bytes) => bytes.len(),
        }
    }

    /// Returns whether the body is empty: in the binary form, a message of defaults.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An encoding of messages on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON text, as on the websocket.
    #[default]
    Json,
    /// The binary form, as in gRPC.
    Protobuf,
}

impl Encoding {
    /// Writes a message in this encoding, as it arrives at the other end.
    pub(crate) fn write(self, message: &dyn Payload) -> Result<Body> {
        match self {
            Self::Json => {
                let mut text = Vec::new();
                message.write_json(&mut text, json::Form::Plain).map_err(unwritable)?;
                // The writer produces UTF-8, but a payload may be of another implementation.
                let text = String::from_utf8(text).map_err(|error| {
                    Error::protocol("the message is not UTF-8").with_source(error)
                })?;
                Ok(Body::Json(text))
            }
            Self::Protobuf => {
                let mut bytes = Vec::with_capacity(message.protobuf_len());
                message.write_protobuf(&mut bytes);
                Ok(Body::Protobuf(bytes.into()))
            }
        }
    }
}

/// Converts received messages of one type to JSON, for records of calls over a transport with protobuf.
#[derive(Clone)]
pub(crate) enum ToJson {
    /// Of a generated type.
    Typed(fn(&Body) -> Result<Value>),
    /// Of a type that is known at run time.
    Untyped(Arc<Convert>),
}

type Convert = dyn Fn(&Body) -> Result<Value> + Send + Sync;

impl ToJson {
    /// Converts messages of this type.
    pub(crate) fn of<M: Message>() -> Self {
        Self::Typed(|body| {
            let message: M = body.read().map_err(|error| {
                Error::protocol(format!("the Volt's `{}` cannot be read", M::NAME))
                    .with_source(error)
            })?;
            to_json(&message)
        })
    }

    /// # Errors
    ///
    /// Fails if the body is not a message of the type, or the message has no JSON form.
    pub(crate) fn convert(&self, body: &Body) -> Result<Value> {
        match self {
            Self::Typed(convert) => convert(body),
            Self::Untyped(convert) => convert(body),
        }
    }
}

impl Debug for ToJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToJson")
    }
}

/// Returns the JSON form of a message.
///
/// # Errors
///
/// Fails if the message has no JSON form.
pub(crate) fn to_json(message: &dyn Payload) -> Result<Value> {
    let mut text = Vec::new();
    let written = message.write_json(&mut text, json::Form::Plain);
    written.and_then(|()| serde_json::from_slice(&text)).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::protocol("the message cannot be written").with_source(error)
}

/// The reason why a [`Body`] cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or not the JSON form of this message.
    Json(#[from] serde_json::Error),
    /// Not the binary form of this message.
    Protobuf(#[from] prost::DecodeError),
}
