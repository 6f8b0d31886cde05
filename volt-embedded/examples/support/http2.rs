//! A gRPC client of raw HTTP/2 frames (RFC 9113), which can do what no proper client does.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use volt_api::ClientConfig;
use volt_test_support::begin_tls;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// The largest frame that a server has to accept.
const MAX_FRAME: usize = 16 << 10;

/// Opens a connection without streams, and accepts the server's settings.
pub(crate) async fn connect(
    config: &ClientConfig,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    let address = config.volt.address.as_deref().unwrap_or_default();
    let authority = config.volt.ca_pem.as_deref().unwrap_or_default();
    let mut stream = begin_tls(TcpStream::connect(address).await?, authority).await?;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await?;
    stream.flush().await?;
    // The server's first frame has its settings, which apply once they are acknowledged.
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    tokio::io::copy(&mut (&mut stream).take(length.into()), &mut tokio::io::sink()).await?;
    stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
    stream.flush().await?;
    Ok(stream)
}

/// The frame that opens a stream with a call of this method.
pub(crate) fn open(stream: u32, path: &str) -> Vec<u8> {
    // Fields that HPACK indexes: `POST`, `https`, and the names of the next three.
    let mut fields = vec![0x83, 0x87, 0x04];
    text(&mut fields, path);
    fields.push(0x01);
    text(&mut fields, "volt");
    fields.extend([0x0f, 0x10]);
    text(&mut fields, "application/grpc");
    fields.push(0x00);
    text(&mut fields, "te");
    text(&mut fields, "trailers");
    frame(HEADERS, END_HEADERS, stream, &fields)
}

/// The frames with this content of a stream.
pub(crate) fn data(stream: u32, content: &[u8]) -> Vec<u8> {
    content.chunks(MAX_FRAME).flat_map(|chunk| frame(DATA, 0, stream, chunk)).collect()
}

/// A message with the prefix of gRPC. `announced` is the length that the prefix states.
pub(crate) fn message(announced: u32, content: &[u8]) -> Vec<u8> {
    [&[0], &announced.to_be_bytes()[..], content].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// Appends a text without compression. The texts of this client are shorter than 127 bytes.
fn text(fields: &mut Vec<u8>, text: &str) {
    fields.push(u8::try_from(text.len()).unwrap_or_default());
    fields.extend(text.as_bytes());
}
