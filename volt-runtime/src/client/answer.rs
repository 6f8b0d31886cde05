//! Explains HTTP answers in place of a websocket.
//!
//! A wrong address usually leads to some other server, a proxy's page or a redirect. The explanation
//! names the field of the configuration and its correct value. The answer is not trusted: its text is
//! shortened, stripped of control characters, and never followed.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use tokio_tungstenite::tungstenite::http::{HeaderMap, Response, StatusCode, header};

use crate::redact;

/// The maximum number of characters shown of a text from the server.
const MAX_SHOWN: usize = 200;

/// The hint for an invalid answer to plain HTTP.
pub(super) const SPEAKS_TLS: &str =
    " (if it speaks TLS there, the address must begin with `https://`)";

/// The address whose server answered.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The websocket's address.
    pub(super) url: &'a str,
    /// The field of the configuration that holds it.
    pub(super) field: &'a str,
}

impl Asked<'_> {
    fn is_secure(self) -> bool {
        self.url.starts_with("wss:")
    }

    /// The scheme, host and port, with the scheme of HTTP.
    fn origin(self) -> String {
        let scheme = if self.is_secure() { "https" } else { "http" };
        let rest = self.url.split_once("://").map_or(self.url, |(_, rest)| rest);
        let end = rest.find('/').unwrap_or(rest.len());
        format!("{scheme}://{}", &rest[..end])
    }
}

/// Describes an answer, its redirect, and the remedy in the configuration.
pub(super) fn explain(response: &Response<Option<Vec<u8>>>, asked: Asked<'_>) -> String {
    let (status, headers) = (response.status(), response.headers());
    let mut text = format!("there is no websocket: HTTP status {status}");
    if status.is_redirection()
        && let Some(location) = header(headers, header::LOCATION)
    {
        text.push_str(&redirect(location, asked));
        return text;
    }
    if let Some(body) = response.body().as_deref().and_then(|body| body_text(headers, body)) {
        text.push_str(": ");
        text.push_str(&body);
    }
    if let Some(delay) = retry_after(response) {
        // Writing to a string does not fail.
        let _ = write!(text, " (it asks to wait for {delay:?})");
    } else if status == StatusCode::BAD_REQUEST && !asked.is_secure() {
        text.push_str(SPEAKS_TLS);
    }
    text
}

/// Returns the time that a server asks to wait for before the next attempt, in an answer that means
/// "later".
pub(super) fn retry_after(response: &Response<Option<Vec<u8>>>) -> Option<Duration> {
    if ![StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE]
        .contains(&response.status())
    {
        return None;
    }
    let value = header(response.headers(), header::RETRY_AFTER)?.trim();
    // Either a number of seconds or a date (RFC 9110, 10.2.3).
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The value of a header, if it is printable ASCII.
fn header(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Explains a redirect. The client does not follow it: the configuration decides where it connects.
fn redirect(location: &str, asked: Asked<'_>) -> String {
    let origin = asked.origin();
    // An absolute address, one without a scheme, an absolute path, or a relative one (RFC 3986, 4.2).
    let target = match location {
        absolute if absolute.contains("://") => absolute.to_owned(),
        host if host.starts_with("//") => {
            format!("{}:{host}", origin.split(':').next().unwrap_or_default())
        }
        path if path.starts_with('/') => format!("{origin}{path}"),
        path => format!("{origin}/{path}"),
    };
    let shown = printable(&redact::address(&target));
    let field = asked.field;
    // A truncated address cannot be copied.
    let base = target.strip_suffix("/api").filter(|base| base.len() <= MAX_SHOWN);
    let base = base.filter(|base| !base.contains(['?', '#', '@']));
    let advice = match base {
        _ if asked.is_secure() && !target.to_ascii_lowercase().starts_with("https://") => {
            format!("this one leaves https://, so check `{field}`")
        }
        Some(base) => format!("set `{field}` to {}", printable(base)),
        None => format!("check that `{field}` is the address of the Volt"),
    };
    format!(" to {shown}. The client does not follow redirects: {advice}")
}

/// The body as a short line of text. A body that is not text is omitted.
pub(super) fn body_text(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return None;
    }
    let is_chunked = header(headers, header::TRANSFER_ENCODING)
        .is_some_and(|coding| coding.trim().to_ascii_lowercase().ends_with("chunked"));
    let body = if is_chunked { unchunk(body) } else { body.to_vec() };
    // It may have been cut within a character.
    let text = String::from_utf8_lossy(&body);
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let kind = header(headers, header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let text = if kind.contains("html") { title(text)? } else { text };
    let text = printable(text);
    (!text.is_empty()).then_some(text)
}

/// The title of a page.
fn title(html: &str) -> Option<&str> {
    let start = html.find("<title>")? + "<title>".len();
    html[start..].split('<').next()
}

/// Decodes a chunked body (RFC 9112, 7.1), as far as it has arrived.
fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    while let Some(end) = body.windows(2).position(|bytes| bytes == b"\r\n") {
        let size = str::from_utf8(&body[..end]).unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size @ 1..) = usize::from_str_radix(size, 16) else { break };
        body = &body[end + 2..];
        let chunk = &body[..size.min(body.len())];
        decoded.extend_from_slice(chunk);
        body = body.get(size.saturating_add(2)..).unwrap_or_default();
    }
    decoded
}

/// The text on one line, without control characters, and cut to a readable length.
fn printable(text: &str) -> String {
    let clean: String =
        text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let words: Vec<_> = clean.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response<Option<Vec<u8>>> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Some(body.to_vec())).unwrap()
    }

    fn explained(url: &str, response: &Response<Option<Vec<u8>>>) -> String {
        explain(response, Asked { url, field: "volt.http_address" })
    }

    #[test]
    fn a_redirect_error_names_its_target_and_remedy() {
        let set = |to: &str| format!("set `volt.http_address` to {to}");
        let check = "check that `volt.http_address` is the address of the Volt".to_owned();
        for (url, location, expected) in [
            ("ws://v.example/api", "https://v.example/api", set("https://v.example")),
            ("ws://v.example:1/api", "//w.example/api", set("http://w.example")),
            ("wss://v.example:1/api", "/base/api", set("https://v.example:1/base")),
            ("wss://v.example/api", "http://v.example/api", "leaves https://".to_owned()),
            ("wss://v.example/api", "/login?to=SECRET", check.clone()),
            ("wss://v.example/api", "https://u:SECRET@v.example/api", check.clone()),
            ("wss://v.example/api", "login", check),
        ] {
            for status in [301, 302, 307, 308] {
                let text = explained(url, &answer(status, &[("location", location)], b"moved"));
                assert!(text.contains(&format!("HTTP status {status}")), "{text}");
                assert!(text.contains(&expected) && !text.contains("SECRET"), "{text}");
            }
        }
        // The advice never contains a part of an address.
        let long = format!("https://v.example/{}/api", "a".repeat(5000));
        let text = explained("wss://v.example/api", &answer(308, &[("location", &long)], b""));
        assert!(text.len() < 700 && text.contains("check that"), "{text}");
        let text = explained("wss://v.example/api", &answer(304, &[], b"what"));
        assert!(text.ends_with("Not Modified: what"), "{text}");
    }

    #[test]
    fn the_time_to_wait_is_read_from_both_forms() {
        let wait =
            |status: u16, value: &str| retry_after(&answer(status, &[("retry-after", value)], b""));
        for status in [429, 503] {
            assert_eq!(wait(status, "120"), Some(Duration::from_mins(2)));
            assert_eq!(wait(status, "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
            let future = SystemTime::now() + Duration::from_secs(1000);
            let future = wait(status, &httpdate::fmt_http_date(future)).unwrap();
            assert!((500..=1000).contains(&future.as_secs()), "{future:?}");
            for invalid in ["", "soon", "-1", "1.5", "99999999999999999999"] {
                assert_eq!(wait(status, invalid), None);
            }
        }
        assert_eq!(wait(500, "120"), None);
        let text = explained("wss://v/api", &answer(503, &[("retry-after", "7")], b"restarting"));
        assert!(text.ends_with("Unavailable: restarting (it asks to wait for 7s)"), "{text}");
    }

    #[test]
    fn a_body_is_one_short_line_of_text() {
        let chunked = &[("transfer-encoding", "chunked")][..];
        let html = &[("content-type", "text/html; charset=utf-8")][..];
        let long = "x".repeat(1000);
        let cut = format!("{}…", &long[..MAX_SHOWN]);
        for (headers, body, expected) in [
            (chunked, &b"5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\n\r\n"[..], Some("hello, world")),
            // Only a part has arrived.
            (chunked, b"5\r\nhello\r\nff\r\n, wor", Some("hello, wor")),
            (chunked, b"5\r\nhello\r\n7", Some("hello")),
            (chunked, b"ffffffffffffffff\r\nhello", Some("hello")),
            (chunked, b"zz\r\nhello", None),
            (chunked, b"0\r\n\r\n", None),
            (&[], b"a\r\n\tb\x1b[31mred\x00", Some("a b [31mred")),
            (&[], b"cut in a \xc3", Some("cut in a")),
            (&[], b"\xff\xfe\x00binary", None),
            (&[], b"  \n", None),
            (&[], long.as_bytes(), Some(&cut)),
            (html, b"<html><head><title>502 Bad\nGateway</title>...", Some("502 Bad Gateway")),
            (html, b"<html><body>no title", None),
            (&[("content-encoding", "gzip")], b"text", None),
        ] {
            let response = answer(502, headers, body);
            let text = body_text(response.headers(), body);
            assert_eq!(text.as_deref(), expected, "{}", String::from_utf8_lossy(body));
        }
    }
}
