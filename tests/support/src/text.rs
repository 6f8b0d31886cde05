//! A payload that is already JSON text.

use volt_runtime::{json::Form, transport::Payload};

/// A payload that is this text, which need not be valid JSON. It has no binary form.
#[derive(Clone, Copy, Debug)]
pub struct Text<T>(pub T);

impl<T: AsRef<str> + Send + Sync> Payload for Text<T> {
    fn write_json(&self, out: &mut Vec<u8>, form: Form) -> Result<(), serde_json::Error> {
        let text = self.0.as_ref();
        match form {
            Form::Plain => out.extend_from_slice(text.as_bytes()),
            Form::Escaped => {
                let quoted = serde_json::to_vec(text)?;
                out.extend_from_slice(&quoted[1..quoted.len() - 1]);
            }
        }
        Ok(())
    }

    fn protobuf_len(&self) -> usize {
        0
    }

    fn write_protobuf(&self, _: &mut Vec<u8>) {}
}
