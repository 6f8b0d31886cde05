//! Writing and reading messages as JSON.
/// How text is written.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// As it is.
    Plain,
    /// For the inside of a JSON string.
    Escaped,
}
/// Appends a message.
///
/// # Errors
///
/// When it cannot be written.
pub fn write(
    m: &impl serde::Serialize,
    out: &mut Vec<u8>,
    form: Form,
) -> Result<(), serde_json::Error> {
    match form {
        Form::Plain => serde_json::to_writer(out, m),
        Form::Escaped => {
            let s = serde_json::to_string(&serde_json::to_string(m)?)?;
            out.extend_from_slice(&s.as_bytes()[1..s.len() - 1]);
            Ok(())
        }
    }
}
/// Reads a message.
///
/// # Errors
///
/// When the text is not this message.
pub fn read<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text)
}
