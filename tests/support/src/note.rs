//! A message for services that are written by hand.

use serde::{Deserialize, Serialize};
use volt_runtime::{Message, Status};

/// The request and the response of every method of a test's service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
pub struct Note {
    /// Any text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Any number.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// In a response: an error.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// The status of a response that is an error.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
pub struct Refusal {
    /// The number of the code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The message.
    #[prost(string, tag = "2")]
    pub message: String,
}

impl Note {
    /// A note without an error.
    pub fn new(text: impl Into<String>, number: u64) -> Self {
        Self { text: text.into(), number, refused: None }
    }
}

impl Message for Note {
    const NAME: &'static str = "test.Note";

    fn refusal(&self) -> Option<Status> {
        let Refusal { code, message } = self.refused.as_ref()?;
        Status::from_parts(*code, message, "")
    }

    fn refused(status: &Status) -> Option<Self> {
        let refusal = Refusal { code: status.code().into(), message: status.message().to_owned() };
        Some(Self { refused: Some(refusal), ..Self::default() })
    }
}
