//! How JSON text is laid out, in either form.

use std::io::{Result, Write};

use serde_json::ser::{CharEscape, Formatter};

use super::Form;

/// Compact text. One type for both forms, so that each message's code for writing exists once.
pub(super) struct Text(pub(super) Form);

impl Text {
    /// Writes what is part of the text's syntax and needs an escape inside a string.
    fn escape<W: ?Sized + Write>(&self, out: &mut W, special: &[u8]) -> Result<()> {
        match self.0 {
            Form::Plain => Ok(()),
            Form::Escaped => out.write_all(special),
        }
    }
}

impl Formatter for Text {
    fn begin_string<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.escape(out, b"\\")?;
        out.write_all(b"\"")
    }

    fn end_string<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.begin_string(out)
    }

    // Fragments between escapes hold neither quotes nor backslashes: they are right in both forms.

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> Result<()> {
        // The escape's own backslash is escaped, and what it escapes where that needs it.
        let special: &[u8] = match escape {
            CharEscape::Quote | CharEscape::ReverseSolidus => b"\\\\",
            _ => b"\\",
        };
        self.escape(out, special)?;
        serde_json::ser::CompactFormatter.write_char_escape(out, escape)
    }
}
