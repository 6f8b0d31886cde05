//! Shared parts of the fuzz targets: keys, messages and a service.

pub mod client;
pub mod server;

use volt_runtime::transport::{Form, Payload};

/// A message that is already text, with any content.
pub struct Text<'a>(pub &'a str);

impl Payload for Text<'_> {
    fn write(&self, out: &mut Vec<u8>, form: Form) -> Result<(), serde_json::Error> {
        let quoted = serde_json::to_vec(self.0)?;
        match form {
            Form::Plain => out.extend_from_slice(self.0.as_bytes()),
            Form::Escaped => out.extend_from_slice(&quoted[1..quoted.len() - 1]),
        }
        Ok(())
    }
}

/// A frame with any content.
pub fn frame(kind: u8, call: u64, body: &[u8]) -> Vec<u8> {
    [&[1, kind][..], &call.to_be_bytes(), body].concat()
}
