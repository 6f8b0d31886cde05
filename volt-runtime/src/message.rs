//! The traits that generated messages implement.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Status, json};

/// A protobuf message with its canonical JSON form. Generated code implements it.
pub trait Message:
    Default + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The full protobuf name, such as `tdx.volt_api.volt.v1.Resource`.
    const NAME: &'static str;

    /// Returns the refusal that this response carries, if it has a status other than OK.
    fn refusal(&self) -> Option<Status> {
        None
    }

    /// Creates a response that carries `status`. Returns `None` if this message has no field for
    /// one.
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
/// Transports write it once, directly into the outgoing buffer.
pub trait Payload: Send + Sync {
    /// Appends the message's JSON text to `out`, in the given form.
    ///
    /// # Errors
    ///
    /// When the message cannot be written, which generated messages never cause.
    fn write(&self, out: &mut Vec<u8>, form: json::Form) -> Result<(), serde_json::Error>;
}

impl<M: Message> Payload for M {
    fn write(&self, out: &mut Vec<u8>, form: json::Form) -> Result<(), serde_json::Error> {
        json::write(self, out, form)
    }
}
