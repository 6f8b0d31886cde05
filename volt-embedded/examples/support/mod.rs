//! Parts that several examples share: a Volt in its own process, the resources of a process, and
//! raw connections.

// Each example uses some of them.
#![allow(dead_code)]

pub(crate) mod http2;

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use volt_api::ClientConfig;

/// This program again, in its own process, in another role, or the program that `VOLT_SERVER` names. It
/// ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Process {
    pub(crate) fn start(role: &[&str]) -> io::Result<Self> {
        let program =
            env::var_os("VOLT_SERVER").map_or_else(env::current_exe, |path| Ok(path.into()))?;
        let mut child = Command::new(program)
            .args(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = child.stdout.take().map(BufReader::new);
        let lines = lines.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, lines })
    }

    /// Reads the next line that it prints.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory(&self) -> f64 {
        memory(&self.child.id().to_string())
    }

    /// The CPU time that it has used.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        // The second field is a name, which may contain any character.
        let ticks = stat.ok().and_then(|stat| {
            let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
            let user: u64 = fields.next()?.parse().ok()?;
            Some(user + fields.next()?.parse::<u64>().ok()?)
        });
        Duration::from_millis(ticks.unwrap_or_default() * 10)
    }

    /// The number of its open sockets.
    pub(crate) fn sockets(&self) -> usize {
        let Ok(files) = fs::read_dir(format!("/proc/{}/fd", self.child.id())) else { return 0 };
        let is_socket = |path: io::Result<_>| {
            path.is_ok_and(|path: std::path::PathBuf| path.to_string_lossy().starts_with("socket:"))
        };
        files.flatten().filter(|file| is_socket(fs::read_link(file.path()))).count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The resident memory of a process in MiB; `self` is this one.
#[expect(clippy::cast_precision_loss, reason = "it is shown with one decimal")]
pub(crate) fn memory(process: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() as f64 / 1024.0
}

/// The address in a configuration.
pub(crate) fn address(config: &ClientConfig) -> SocketAddr {
    let url = config.volt.http_address.as_deref().unwrap_or_default();
    url.trim_start_matches("http://").parse().expect("the Volt has an address")
}

/// Opens a websocket and returns its TCP connection.
pub(crate) async fn websocket(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /api HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let head = head(&mut stream).await?;
    if head.starts_with("HTTP/1.1 101") { Ok(stream) } else { Err(io::Error::other(head)) }
}

/// Opens this many connections, or as many as the server admits.
pub(crate) async fn connections<T, F: Future<Output = io::Result<T>>>(
    count: usize,
    open: impl Fn() -> F,
) -> Vec<T> {
    let mut all = Vec::new();
    while all.len() < count {
        let attempts = 64.min(count - all.len());
        let some = (0..attempts).map(|_| timeout(Duration::from_secs(2), open()));
        let before = all.len();
        all.extend(join_all(some).await.into_iter().filter_map(|one| one.ok()?.ok()));
        if all.len() - before < attempts {
            break;
        }
    }
    all
}

/// Opens this many websockets, or as many as the server admits.
pub(crate) async fn websockets(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    connections(count, || websocket(address)).await
}

/// Accepts a websocket from a client.
pub(crate) async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (mut stream, _) = listener.accept().await?;
    let request = head(&mut stream).await?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let text = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap_or_default());
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode(hash)
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream)
}

/// Reads the head of a request or an answer.
async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A websocket frame: `first` is its first byte. A client's is masked, with zeros.
pub(crate) fn frame(first: u8, content: &[u8], masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match u16::try_from(content.len()) {
        Ok(length @ 0..126) => frame.push(mask | u8::try_from(length).unwrap_or_default()),
        Ok(length) => {
            frame.push(mask | 0x7e);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(mask | 0x7f);
            frame.extend((content.len() as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend([0; 4]);
    }
    frame.extend_from_slice(content);
    frame
}
