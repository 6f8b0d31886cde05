//! The web pages that may use a server.
//!
//! Browsers let any page open a websocket to any server and state the page's origin. Without this check, a
//! page from anywhere could reach a Volt on its visitor's machine.

use std::net::IpAddr;

use hyper::{
    HeaderMap, Uri,
    header::{HOST, ORIGIN},
};

use crate::server::AllowedOrigins;

/// Returns whether a request comes from a program, or from a web page that may use the server.
pub(super) fn is_allowed(headers: &HeaderMap, allowed: &AllowedOrigins) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    headers.get_all(ORIGIN).iter().all(|origin| match (allowed, origin.to_str()) {
        (AllowedOrigins::Any, _) => true,
        (_, Err(_)) => false,
        (AllowedOrigins::SameHost, Ok(origin)) => is_near(origin, host),
        (AllowedOrigins::List(list), Ok(origin)) => {
            is_near(origin, host) || list.iter().any(|one| one.eq_ignore_ascii_case(origin))
        }
    })
}

/// Returns whether a page is of the requested host or of this machine.
fn is_near(origin: &str, host: Option<&str>) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    // `null` has no scheme.
    let (Some(_), Some(page)) = (origin.scheme(), origin.host()) else { return false };
    let host = host.and_then(|host| host.parse::<Uri>().ok());
    let host = host.as_ref().and_then(Uri::host);
    host.is_some_and(|host| host.eq_ignore_ascii_case(page)) || is_loopback(page)
}

fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn allowed(host: &str, origin: &str, allowed: &AllowedOrigins) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        if !origin.is_empty() {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        is_allowed(&headers, allowed)
    }

    #[test]
    fn pages_of_this_host_and_machine_are_allowed_by_default() {
        for (host, origin, expected) in [
            ("127.0.0.1:8080", "", true),
            ("volt.example:8080", "https://VOLT.example", true),
            ("[2001:db8::1]:1", "http://[2001:db8::1]:99", true),
            ("volt.example", "http://localhost:3000", true),
            ("volt.example", "http://app.localhost", true),
            ("127.0.0.1:8080", "http://[::1]:5173", true),
            ("127.0.0.1:8080", "https://evil.example", false),
            ("127.0.0.1:8080", "https://127.0.0.1.evil.example", false),
            ("127.0.0.1:8080", "https://localhost@evil.example", false),
            ("volt.example", "https://evil-volt.example", false),
            ("volt.example", "null", false),
            ("null", "null", false),
            ("volt.example", "volt.example", false),
            ("volt.example", "file://", false),
            ("", "https://", false),
        ] {
            let outcome = allowed(host, origin, &AllowedOrigins::default());
            assert_eq!(outcome, expected, "{origin} at {host}");
        }
    }

    #[test]
    fn a_list_allows_further_pages() {
        let list = AllowedOrigins::List(vec!["https://app.example".into(), "null".into()]);
        for (origin, expected) in [
            ("https://app.example", true),
            ("https://APP.example", true),
            ("null", true),
            ("http://localhost", true),
            ("https://app.example:444", false),
            ("http://app.example", false),
        ] {
            assert_eq!(allowed("volt.example", origin, &list), expected, "{origin}");
        }
        assert!(allowed("volt.example", "https://evil.example", &AllowedOrigins::Any));
    }
}
