//! An HTTP/2 server whose answers are written by a function.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{
    Reason, RecvStream, SendStream,
    server::{Connection, SendResponse},
};
use hyper::http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::mpsc,
};
use volt_test_support::Note;

/// An order to a connection.
#[derive(Debug)]
pub(crate) enum Order {
    /// `GOAWAY`; open calls continue.
    Leave,
    /// `GOAWAY` with this reason, after which the connection is closed.
    Abort(Reason),
    /// The connection is dropped at once.
    Drop,
}

/// A server on a port of this machine.
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each call with this function.
    pub(crate) async fn start<F>(answer: impl Fn(Call) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(stream, number, answer.clone()));
            }
        });
        Self { address, connections }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Serves one connection.
pub(crate) async fn serve<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    answer: impl Fn(Call) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(connection) = h2::server::handshake(stream).await else { return };
    let mut connection: Connection<_, Bytes> = connection;
    let (orders, mut received) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            next = connection.accept() => {
                let Some(Ok((request, respond))) = next else { return };
                let orders = orders.clone();
                tokio::spawn(answer(Call::new(request, respond, number, orders)));
            }
            Some(order) = received.recv() => match order {
                Order::Leave => connection.graceful_shutdown(),
                Order::Abort(reason) => connection.abrupt_shutdown(reason),
                Order::Drop => return,
            },
        }
    }
}

/// A call, as the server sees it.
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    pub(crate) path: String,
    /// The number of its connection, from 1.
    pub(crate) connection: usize,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    buffer: BytesMut,
}

impl Call {
    fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        connection: usize,
        orders: mpsc::UnboundedSender<Order>,
    ) -> Self {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let buffer = BytesMut::new();
        Self { headers: parts.headers, path, connection, orders, body, respond, buffer }
    }

    /// Reads the next request. Returns `None` after the half-close, and the reason of a reset.
    pub(crate) async fn request(&mut self) -> Result<Option<Note>, Option<Reason>> {
        let message = self.message().await?;
        Ok(message.map(|message| Note::decode(message).unwrap()))
    }

    /// Like [`request`](Self::request), for a message of any type. Nothing is lost when the future
    /// is dropped.
    pub(crate) async fn message(&mut self) -> Result<Option<BytesMut>, Option<Reason>> {
        loop {
            if self.buffer.len() >= 5 {
                let length = u32::from_be_bytes(self.buffer[1..5].try_into().unwrap()) as usize;
                if self.buffer.len() >= 5 + length {
                    self.buffer.advance(5);
                    return Ok(Some(self.buffer.split_to(length)));
                }
            }
            match self.body.data().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.reason()),
                Some(Ok(data)) => {
                    self.body.flow_control().release_capacity(data.len()).unwrap();
                    self.buffer.extend_from_slice(&data);
                }
            }
        }
    }

    /// Reads the only request of a call, up to the half-close.
    pub(crate) async fn single(&mut self) -> Note {
        let note = self.request().await.unwrap().unwrap();
        assert_eq!(self.request().await, Ok(None), "the client half-closes");
        note
    }

    /// Begins a gRPC answer.
    pub(crate) fn begin(&mut self) -> Answer {
        self.begin_with(200, &[("content-type", "application/grpc")])
    }

    /// Begins any answer.
    pub(crate) fn begin_with(&mut self, status: u16, headers: &[(&str, &str)]) -> Answer {
        Answer(self.respond.send_response(head(status, headers), false).unwrap())
    }

    /// Answers with headers alone.
    pub(crate) fn only(&mut self, status: u16, headers: &[(&str, &str)]) {
        self.respond.send_response(head(status, headers), true).unwrap();
    }

    /// Answers with one message and status OK.
    pub(crate) fn answer(&mut self, note: &Note) {
        let mut answer = self.begin();
        answer.send(note);
        answer.end("0", "");
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits until the client resets the call.
    pub(crate) async fn is_reset(&mut self) -> Reason {
        std::future::poll_fn(|cx| self.respond.poll_reset(cx)).await.unwrap()
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap()
}

/// An answer under way.
pub(crate) struct Answer(SendStream<Bytes>);

impl Answer {
    pub(crate) fn send(&mut self, message: &impl prost::Message) {
        let body = message.encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        frame.extend(body);
        self.data(frame);
    }

    pub(crate) fn data(&mut self, bytes: impl Into<Bytes>) {
        self.0.send_data(bytes.into(), false).unwrap();
    }

    /// Ends with a status.
    pub(crate) fn end(&mut self, code: &str, message: &str) {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_str(code).unwrap());
        if !message.is_empty() {
            trailers.insert("grpc-message", HeaderValue::from_str(message).unwrap());
        }
        self.0.send_trailers(trailers).unwrap();
    }

    /// Ends with trailers that have no status.
    pub(crate) fn end_without_status(&mut self) {
        let trailers =
            HeaderMap::from_iter([("x".parse().unwrap(), HeaderValue::from_static("y"))]);
        self.0.send_trailers(trailers).unwrap();
    }

    /// Ends without trailers.
    pub(crate) fn stop(&mut self) {
        self.0.send_data(Bytes::new(), true).unwrap();
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.0.send_reset(reason);
    }

    /// Waits until the client resets the call.
    pub(crate) async fn is_reset(&mut self) -> Reason {
        std::future::poll_fn(|cx| self.0.poll_reset(cx)).await.unwrap()
    }
}
