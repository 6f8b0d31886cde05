//! The text of an address: checks, and its form for a transport.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{
    error::{Error, Result},
    redact,
};

/// Turns a field's address into the one of the websocket. An address is used as written or
/// rejected: nothing is dropped or filled in, so that no connection goes elsewhere.
pub(super) fn websocket_url(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let invalid = |why: &str| invalid(field, text, why);
    let Some((scheme, rest)) = text.split_once("://") else {
        let shown = redact::address(text);
        return Err(invalid(&format!(
            "lacks a scheme: write https://{shown}, or http://{shown} if it does not speak TLS"
        )));
    };
    let (scheme, is_websocket) = match scheme.to_ascii_lowercase().as_str() {
        "http" => ("ws", false),
        "https" => ("wss", false),
        "ws" => ("ws", true),
        "wss" => ("wss", true),
        _ => return Err(invalid("has a scheme other than https:// or http://")),
    };
    if rest.contains('@') {
        return Err(invalid("holds a user name or password, which Volts do not use: remove it"));
    }
    if rest.contains(['?', '#']) {
        return Err(invalid("has a query or fragment, which an address cannot have: remove it"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    check_authority(authority).map_err(|why| invalid(&why))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:%".contains(&byte);
    if !path.bytes().all(allowed) {
        return Err(invalid("has a path with characters that must be percent-encoded"));
    }
    let path = path.trim_end_matches('/');
    // An address with `ws://` is the websocket's own, unless it stops at the host.
    let api = if is_websocket && !path.is_empty() { "" } else { "/api" };
    Ok(format!("{scheme}://{authority}{path}{api}"))
}

/// Turns a field's address into the one of a gRPC server. Without a scheme it is `host:port`, with
/// TLS.
pub(super) fn grpc_url(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let invalid = |why: &str| invalid(field, text, why);
    let (scheme, authority) = match text.split_once("://") {
        None => {
            // The port after the last colon, or after the bracket of an IPv6 address.
            let has_port = text.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
            if !has_port {
                return Err(invalid("lacks a port: write `host:port`"));
            }
            ("https", text)
        }
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", rest.trim_end_matches('/')),
            "https" => ("https", rest.trim_end_matches('/')),
            _ => {
                return Err(invalid(
                    "has a scheme other than https:// or http://: a gRPC server's address is \
                     `host:port`",
                ));
            }
        },
    };
    if authority.contains(['/', '@', '?', '#']) {
        return Err(invalid("is not `host:port`, the only form of a gRPC server's address"));
    }
    check_authority(authority).map_err(|why| invalid(&why))?;
    Ok(format!("{scheme}://{authority}"))
}

fn invalid(field: &str, text: &str, why: &str) -> Error {
    Error::configuration(format!("`{field}` is `{}`, which {why}", redact::address(text)))
}

/// Checks `host` or `host:port`. The error describes what is wrong with the address.
fn check_authority(authority: &str) -> Result<(), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("lacks the `]` after its IPv6 address")?;
        if host.contains('%') {
            return Err("has an IPv6 address with a zone id, which is not supported".to_owned());
        }
        host.parse::<Ipv6Addr>().map_err(|_| format!("has the invalid IPv6 address `{host}`"))?;
        (host, port)
    } else {
        if authority.matches(':').count() > 1 {
            return Err("has an IPv6 address without brackets: write [address]:port".to_owned());
        }
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        check_host(host)?;
        (host, port)
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        None => Err(format!("has `{port}` after the host `{host}`, where a port is expected")),
        Some(port) => match port.parse::<u16>() {
            // The parser allows a sign.
            Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
            _ => Err(format!("has the port `{port}`: a port is a number from 1 to 65535")),
        },
    }
}

/// Checks a host name or IPv4 address.
fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    if !host.is_ascii() {
        return Err(format!("has the host `{host}`: write it in its ASCII form, `xn--…`"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !host.bytes().all(allowed) || host.starts_with('.') || host.contains("..") {
        return Err(format!("has the invalid host `{host}`"));
    }
    // Resolvers read numbers in many ways: `127.1` would be 127.0.0.1, and `010.0.0.1` 8.0.0.1.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!("has the invalid IPv4 address `{host}`"));
    }
    Ok(())
}
