//! A message for services that are written by hand.

use serde::{Deserialize, Serialize};
use volt_runtime::{Message, Status};

/// The request and the response of every method of a test's service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// Any text.
    pub text: String,
    /// Any number.
    pub number: u64,
    /// In a response: the code and the message of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<(i32, String)>,
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
        let (code, message) = self.refused.as_ref()?;
        Status::from_parts(*code, message, "")
    }

    fn refused(status: &Status) -> Option<Self> {
        let refused = Some((status.code().into(), status.message().to_owned()));
        Some(Self { refused, ..Self::default() })
    }
}
