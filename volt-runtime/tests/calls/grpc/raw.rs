//! A gRPC client of bare HTTP/2, which can do what no proper client does.

use std::{future::poll_fn, net::SocketAddr};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use hyper::{HeaderMap, Request, StatusCode};
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use volt_runtime::{Code, Status, key::SigningKey, server::Claims};
use volt_test_support::{Note, soon};

use crate::{hostile::now, support::Volt};

/// A connection.
pub(crate) struct Raw {
    requests: SendRequest<Bytes>,
    /// The token of the calls.
    pub(crate) token: Option<String>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// The token of a key.
pub(crate) fn token(key: &SigningKey, audience: &str, session: Option<&str>) -> String {
    Claims::direct(audience, session, now()).to_jwt(key).unwrap()
}

impl Raw {
    /// Connects as the client that the Volt knows.
    pub(crate) async fn connect(volt: &Volt) -> Self {
        let mut raw = Self::to(volt.server.local_addr()).await;
        raw.token = Some(known(volt));
        raw
    }

    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        // One call that is not read leaves room for the others.
        let mut client = h2::client::Builder::new();
        client.initial_connection_window_size(16 << 20);
        let (requests, connection) = soon(client.handshake(stream)).await.unwrap();
        Self { requests, token: None, driver: tokio::spawn(connection) }
    }

    /// Opens a call.
    pub(crate) async fn open(&mut self, method: &str) -> Call {
        self.open_with(method, &[]).await
    }

    pub(crate) async fn open_with(&mut self, method: &str, headers: &[(&str, &str)]) -> Call {
        let path = if method.starts_with('/') {
            method.to_owned()
        } else {
            format!("/test.Notes/{method}")
        };
        let mut request = Request::post(format!("http://volt{path}"));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc").header("te", "trailers");
        }
        if let Some(token) = &self.token {
            request = request.header("volt-token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = soon(self.requests.clone().ready()).await.unwrap();
        let (response, send) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        Call { response: Some(response), body: None, only: None, send, received: BytesMut::new() }
    }

    /// Makes a unary call without a half-close, and returns its outcome.
    pub(crate) async fn get(&mut self, note: &Note) -> Outcome {
        let mut call = self.open("Get").await;
        call.send(note);
        call.outcome().await
    }

    /// Waits for the end of the connection.
    pub(crate) async fn ended(self) {
        drop(self.requests);
        let _ = soon(self.driver).await.unwrap();
    }

    /// Loses the connection.
    pub(crate) fn lose(self) {
        self.driver.abort();
    }
}

/// The token of the client that the Volt knows.
pub(crate) fn known(volt: &Volt) -> String {
    token(&volt.config.signing_key().unwrap(), crate::support::VOLT_ID, Some("session-1"))
}

/// An open call.
pub(crate) struct Call {
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
    /// The headers of an answer that has no body.
    pub(crate) only: Option<HeaderMap>,
    send: SendStream<Bytes>,
    received: BytesMut,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) messages: Vec<Note>,
    /// The status in the trailers.
    pub(crate) status: Status,
}

/// A message behind its prefix.
pub(crate) fn framed(note: &Note) -> Bytes {
    let encoded = note.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(encoded.len()).unwrap());
    framed.put_slice(&encoded);
    framed.freeze()
}

impl Call {
    pub(crate) fn send(&mut self, note: &Note) {
        self.send_bytes(framed(note));
    }

    pub(crate) fn send_bytes(&mut self, bytes: impl Into<Bytes>) {
        self.send.send_data(bytes.into(), false).unwrap();
    }

    pub(crate) fn half_close(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    pub(crate) fn reset(&mut self) {
        self.reset_for(Reason::CANCEL);
    }

    pub(crate) fn reset_for(&mut self, reason: Reason) {
        self.send.send_reset(reason);
    }

    /// Waits for the headers of the answer.
    pub(crate) async fn headers(&mut self) -> Result<StatusCode, h2::Error> {
        let Some(response) = self.response.take() else { return Ok(StatusCode::OK) };
        let (head, body) = soon(response).await?.into_parts();
        self.only = body.is_end_stream().then_some(head.headers);
        self.body = Some(body);
        Ok(head.status)
    }

    /// Reads a message, or the trailers.
    pub(crate) async fn next(&mut self) -> Result<Result<Note, HeaderMap>, h2::Error> {
        self.headers().await?;
        if let Some(headers) = self.only.take() {
            return Ok(Err(headers));
        }
        let body = self.body.as_mut().unwrap();
        loop {
            if self.received.len() >= 5 {
                let length = u32::from_be_bytes(self.received[1..5].try_into().unwrap()) as usize;
                if self.received.len() >= 5 + length {
                    self.received.advance(5);
                    return Ok(Ok(Note::decode(self.received.split_to(length)).unwrap()));
                }
            }
            let Some(data) = soon(poll_fn(|cx| body.poll_data(cx))).await else {
                assert_eq!(self.received.len(), 0, "a message is cut short");
                let trailers = soon(poll_fn(|cx| body.poll_trailers(cx))).await?;
                return Ok(Err(trailers.expect("trailers")));
            };
            let data = data?;
            body.flow_control().release_capacity(data.len()).unwrap();
            self.received.put_slice(&data);
        }
    }

    /// Reads the next message.
    pub(crate) async fn message(&mut self) -> Note {
        self.next().await.unwrap().unwrap()
    }

    /// Reads the call to its end.
    pub(crate) async fn outcome(mut self) -> Outcome {
        let mut messages = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Ok(note) => messages.push(note),
                Err(trailers) => return Outcome { messages, status: status(&trailers) },
            }
        }
    }

    /// The reason for which the stream is reset, before any trailers.
    pub(crate) async fn reset_reason(mut self) -> Option<Reason> {
        loop {
            match self.next().await {
                Ok(Ok(_)) => {}
                Ok(Err(trailers)) => panic!("the call ended: {trailers:?}"),
                Err(error) => return error.reason(),
            }
        }
    }
}

fn status(trailers: &HeaderMap) -> Status {
    let text = |name| trailers.get(name).map_or("", |value| value.to_str().unwrap());
    Status::new(Code::from(text("grpc-status").parse::<i32>().unwrap()), text("grpc-message"))
}

/// The outcome of a call that ended well.
pub(crate) fn good(messages: impl IntoIterator<Item = Note>) -> Outcome {
    Outcome { messages: messages.into_iter().collect(), status: Status::new(Code::Ok, "") }
}

/// The outcome of a call that ended without a message.
pub(crate) fn bad(code: Code, message: &str) -> Outcome {
    Outcome { messages: Vec::new(), status: Status::new(code, message) }
}
