//! Tunnels through an HTTP proxy (`CONNECT`, RFC 9110, 9.3.6).
//!
//! The exchange is one request and the head of one answer, so the code is written by hand. An HTTP
//! client could also read ahead into the tunnel.

use std::{fmt::Write as _, io};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::proxy::Via;

/// The maximum size of the head of a proxy's answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Asks the proxy at the other end of a stream to connect to a host. After that, the stream leads to
/// the host.
///
/// # Errors
///
/// Returns a description of why there is no tunnel.
pub(super) async fn open<S>(stream: &mut S, via: &Via, host: &str, port: u16) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: io::Error| format!("{}: {error}", via.name);
    stream.write_all(request(via, host, port).as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    // The answer may arrive in any number of pieces.
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await.map_err(failed)? == 0 {
            return Err(format!("{} ended the connection without an answer", via.name));
        }
        let end = head.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        match end {
            // The client speaks first: the host cannot have sent anything yet.
            Some(end) if end < head.len() && status(&head).is_some_and(is_success) => {
                return Err(format!("{} sent data before the tunnel was open", via.name));
            }
            Some(_) => return check(&head, via, host, port),
            None if head.len() > MAX_HEAD || status_is_hopeless(&head) => {
                return Err(format!("{} does not speak HTTP", via.name));
            }
            None => {}
        }
    }
}

/// The request. Its target has brackets around an IPv6 address (RFC 9112, 3.2.3).
fn request(via: &Via, host: &str, port: u16) -> String {
    let brackets = if host.contains(':') { ("[", "]") } else { ("", "") };
    let target = format!("{}{host}{}:{port}", brackets.0, brackets.1);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(value) = via.authorization.as_ref().and_then(|value| value.to_str().ok()) {
        // Writing to a string does not fail.
        let _ = write!(request, "Proxy-Authorization: {value}\r\n");
    }
    request.push_str("\r\n");
    request
}

/// Checks the status of the answer, with advice if the proxy refused.
fn check(head: &[u8], via: &Via, host: &str, port: u16) -> Result<(), String> {
    let name = &via.name;
    // The proxy's name has no password, so these texts can be logged.
    match status(head) {
        Some(status) if is_success(status) => Ok(()),
        Some(407) if via.authorization.is_some() => {
            Err(format!("{name} does not accept the user name and password in its address"))
        }
        Some(407) => Err(format!(
            "{name} requires a user name and password: put them into its address, \
             http://user:password@host:port"
        )),
        Some(status) => Err(format!(
            "{name} refused to connect to {host}:{port}: HTTP status {status}. Allow it there, or \
             bypass the proxy with `NO_PROXY` or `ConnectOptions::proxy`"
        )),
        None => Err(format!("{name} does not speak HTTP")),
    }
}

/// The status of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    let (digits, rest) = line.get(1..)?.strip_prefix(b" ")?.split_at_checked(3)?;
    let ends = matches!(rest.first(), Some(b' ' | b'\r'));
    let status = str::from_utf8(digits).ok()?.parse().ok()?;
    ends.then_some(status)
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Returns whether this cannot become an answer.
fn status_is_hopeless(head: &[u8]) -> bool {
    !b"HTTP/1.".iter().zip(head).all(|(expected, byte)| expected == byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::proxy::Proxy;

    /// Opens a tunnel to a proxy that answers with these bytes. Returns the request too.
    async fn against(proxy: &str, answer: &[u8]) -> (String, Result<(), String>) {
        let via = Proxy::new(proxy).unwrap().for_host(true, "volt.example").unwrap().unwrap();
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
        let opened = open(&mut ours, &via, "2001:db8::1", 8443).await;
        drop(ours);
        let mut request = String::new();
        theirs.read_to_string(&mut request).await.unwrap();
        (request, opened)
    }

    #[tokio::test]
    async fn the_request_names_the_target_and_authenticates() {
        let (request, opened) = against("user:SECRET@p.example", b"HTTP/1.1 200 OK\r\n\r\n").await;
        opened.unwrap();
        let lines: Vec<_> = request.lines().collect();
        assert_eq!(
            lines,
            [
                "CONNECT [2001:db8::1]:8443 HTTP/1.1",
                "Host: [2001:db8::1]:8443",
                "Proxy-Authorization: Basic dXNlcjpTRUNSRVQ=",
                "",
            ]
        );
    }

    #[tokio::test]
    async fn each_invalid_answer_has_its_reason() {
        let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 2 * MAX_HEAD]].concat();
        for (answer, reason) in [
            (&b""[..], "without an answer"),
            (b"HTTP/1.1 200 OK\r\n", "without an answer"),
            (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
            (b"HTTP/2 200\r\n\r\n", "does not speak HTTP"),
            (b"HTTP/1.1 20\r\n\r\n", "does not speak HTTP"),
            (&long, "does not speak HTTP"),
            (b"HTTP/1.1 200 OK\r\n\r\nearly", "before the tunnel"),
            (b"HTTP/1.1 403 Forbidden\r\n\r\nbody", "HTTP status 403"),
            (b"HTTP/1.1 407 Authenticate\r\n\r\n", "requires a user name"),
        ] {
            let (_, opened) = against("http://p.example:3128", answer).await;
            let error = opened.unwrap_err();
            assert!(error.contains(reason) && error.contains("http://p.example:3128"), "{error}");
        }
        let (_, opened) = against("http://u:SECRET@p.example", b"HTTP/1.0 407 No\r\n\r\n").await;
        let error = opened.unwrap_err();
        assert!(error.contains("does not accept") && !error.contains("SECRET"), "{error}");
    }
}
