//! Describes errors in a configuration's JSON without its values, which may be secrets.
//!
//! serde quotes the value that it did not expect, and people post error messages.

use serde_json::error::Category;

/// Describes an error at this member of the configuration.
pub(super) fn describe(path: &str, error: &serde_json::Error) -> String {
    // Only errors about data quote values.
    let (line, column) = (error.line(), error.column());
    let place = format!("at line {line} column {column}");
    let text = error.to_string();
    let what = match error.classify() {
        Category::Data => without_value(text.trim_end_matches(&*place).trim_end()),
        _ => text.trim_end_matches(&*place).trim_end().to_owned(),
    };
    let hint = match path {
        "p" => ". A passphrase is a text: put it in quotes",
        _ => "",
    };
    match path {
        "." | "" => format!("{what} {place}"),
        path => format!("{path}: {what} {place}{hint}"),
    }
}

/// Removes the value from serde's message, such as the number in "invalid type: integer `7`,
/// expected a string".
fn without_value(message: &str) -> String {
    // The expected type follows the last comma: the value itself may contain one.
    let unexpected = |rest: &str| {
        let (found, expected) = rest.rsplit_once(", expected ")?;
        let kind = found.split(['`', '"']).next().unwrap_or_default().trim();
        Some(format!("expected {expected}, not {kind}"))
    };
    if message.contains("RelayConfig") {
        return "expected an address as text, or an object like `volt`".to_owned();
    }
    if message.starts_with("duplicate field ") {
        return message.to_owned();
    }
    ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .and_then(unexpected)
        .unwrap_or_else(|| "the value is invalid".to_owned())
}
