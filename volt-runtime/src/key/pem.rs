//! PEM.
//!
//! The reader is written by hand, because keys arrive in configurations that people edit and that other
//! clients write: with lines of any length, text around the block, or `\n` as two characters. The first two
//! are accepted; the last is explained.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::error::KeyError;

pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";
pub(super) const ENCRYPTED_KEY: &str = "ENCRYPTED PRIVATE KEY";
pub(super) const PUBLIC_KEY: &str = "PUBLIC KEY";
pub(super) const CERTIFICATE: &str = "CERTIFICATE";

/// The length of a written line (RFC 7468).
const LINE: usize = 64;

/// Writes a PEM block with `\n` line ends. The text may hold a key: it is wiped from memory when dropped.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let lines = base64.len().div_ceil(LINE);
    // Room for all of it: a text that grows leaves copies behind.
    let mut text =
        Zeroizing::new(String::with_capacity(base64.len() + lines + 2 * (label.len() + 20)));
    let mut rest = &**base64;
    *text += "-----BEGIN ";
    *text += label;
    *text += "-----\n";
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        *text += line;
        text.push('\n');
        rest = after;
    }
    *text += "-----END ";
    *text += label;
    *text += "-----\n";
    text
}

/// Reads the label and the content of the first PEM block in a text.
///
/// As lenient as OpenSSL: text around the block is skipped, and white space within the base64 is
/// ignored, so lines may have any length.
pub(super) fn decode(text: &str) -> Result<(&str, Zeroizing<Vec<u8>>), KeyError> {
    let (label, body, _) = block(text)?;
    // Blocks with headers, such as those of OpenSSL's own encryption: the caller rejects their label.
    if body.contains(':') && ![PRIVATE_KEY, ENCRYPTED_KEY, PUBLIC_KEY, CERTIFICATE].contains(&label)
    {
        return Ok((label, Zeroizing::default()));
    }
    Ok((label, content(body)?))
}

/// Reads the certificates (DER) in a text, as lenient as [`decode`]. Other PEM blocks are skipped.
///
/// # Errors
///
/// When there is no certificate, or the text is not PEM.
#[cfg(feature = "tls")]
pub(crate) fn certificates(text: &str) -> Result<Vec<Vec<u8>>, KeyError> {
    let (mut found, mut other, mut rest) = (Vec::new(), None, text);
    while rest.contains(BEGIN) {
        let (label, body, after) = block(rest)?;
        // A chain may have a key or parameters in between.
        if label == CERTIFICATE {
            found.push(content(body)?.to_vec());
        } else {
            other = Some(label);
        }
        rest = after;
    }
    match other {
        Some(label) if found.is_empty() => Err(KeyError::wrong_label(label, CERTIFICATE)),
        None if found.is_empty() => Err(KeyError::NotPem("it contains no certificate")),
        _ => Ok(found),
    }
}

const BEGIN: &str = "-----BEGIN ";

/// Splits a text at its first PEM block: the label, the text within, and the text after. Each error
/// names the wrong line.
fn block(text: &str) -> Result<(&str, &str, &str), KeyError> {
    let (_, rest) = text.split_once(BEGIN).ok_or(KeyError::NotPem(
        "a PEM block starts with a line such as `-----BEGIN PRIVATE KEY-----`",
    ))?;
    let (label, rest) = rest
        .split_once("-----")
        .filter(|(label, _)| !label.contains(['\n', '\r']))
        .ok_or(KeyError::NotPem("its `-----BEGIN …` line does not end in `-----`"))?;
    let (body, end) = rest
        .split_once("-----END ")
        .ok_or(KeyError::NotPem("its `-----END …-----` line is missing"))?;
    match end.split_once("-----") {
        Some((end, after)) if end == label => Ok((label, body, after)),
        _ => Err(KeyError::NotPem("its `-----BEGIN …` and `-----END …` lines do not match")),
    }
}

/// Decodes the text within a PEM block.
fn content(body: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if body.contains("\\n") || body.contains("\\r") {
        return Err(KeyError::NotPem(
            "its lines are separated by the two characters `\\n`: put line breaks in their place",
        ));
    }
    let base64: Zeroizing<Vec<u8>> =
        body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>().into();
    STANDARD
        .decode(&*base64)
        .map(Zeroizing::new)
        .map_err(|_| KeyError::NotPem("the text between its first and last line is not base64"))
}
