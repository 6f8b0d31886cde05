//! Mocks of closures.

use std::{collections::BTreeSet, fmt, future::Future, slice, sync::Arc};

use crate::{
    CallOptions, Channel, Error, Executed, Message, Method, Result, StateWatch, Status,
    TypedMethod,
    call::{Bidi, ClientStreaming, ServerStreaming, Unary},
    message::Encoding,
    server::{self, IncomingCall, Requests, Responses, Router, Service, in_process::InProcess},
    transport::{BoxFuture, RawCall, Transport},
};

/// A mock of a Volt: one closure for each method that a test expects.
///
/// A closure receives what the caller sends, and returns a future of the answer. Its arguments depend on the
/// kind of the method:
///
/// | kind | arguments | result |
/// |---|---|---|
/// | unary | the request | the response |
/// | server streaming | the request, [`Responses`] | `()` |
/// | client streaming | [`Requests`] | the response |
/// | bidirectional | [`Requests`], [`Responses`] | `()` |
///
/// The result is in `Ok`; an `Err` with a [`Status`] is the Volt's refusal. Messages are written and read as
/// on a websocket. Several calls may run the closure at once.
///
/// A call to a method without a closure fails before it is executed, with
/// [`ErrorKind::Configuration`](crate::ErrorKind): the error names the method, and the methods that the
/// mock answers.
///
/// ```
/// use volt_runtime::{
///     Channel, Code, Method, MethodKind, Status, TypedMethod, UnaryCall,
///     call::Unary,
///     json::WellKnown,
///     testing::Mock,
/// };
///
/// // Generated clients have these constants: `VoltApiClient::GET_RESOURCE`.
/// static METHOD: Method = Method { path: "/shop.v1.ShopAPI/GetPrice", kind: MethodKind::Unary };
/// const GET_PRICE: TypedMethod<Unary<WellKnown<String>, WellKnown<f64>>> = TypedMethod::new(&METHOD);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> volt_runtime::Result<()> {
/// let mock = Mock::new().on(GET_PRICE, |request: WellKnown<String>| async move {
///     match &*request.0 {
///         "apple" => Ok(1.5.into()),
///         other => Err(Status::new(Code::NotFound, format!("there is no {other}"))),
///     }
/// });
/// let channel = mock.channel();
/// let price = UnaryCall::<WellKnown<String>, WellKnown<f64>>::new(
///     &channel,
///     &METHOD,
///     "apple".to_owned().into(),
/// );
/// assert_eq!(price.await?.0, 1.5);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "stub")]
#[doc(alias = "fake")]
#[derive(Clone, Debug, Default)]
#[must_use = "a mock answers the calls of its channel"]
pub struct Mock {
    router: Router,
    known: BTreeSet<&'static str>,
}

/// A kind of call that a closure of type `H` can answer. Implemented for the four kinds of method;
/// other implementations are not supported.
pub trait MockCall<H> {
    /// Runs the closure for one call.
    #[doc(hidden)]
    fn run(handler: &Arc<H>, call: IncomingCall) -> BoxFuture<()>;
}

impl Mock {
    /// Creates a mock that answers no method.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a method with a closure. A method that is set twice is answered by the last closure.
    pub fn on<C, H>(mut self, method: TypedMethod<C>, handler: H) -> Self
    where
        C: MockCall<H>,
        H: Send + Sync + 'static,
    {
        let (method, handler) = (method.method(), Arc::new(handler));
        self.known.insert(method.path);
        let answer = Box::new(move |call| C::run(&handler, call));
        self.router = self.router.with(Mocked { method, answer });
        self
    }

    /// Answers all methods of a service with an implementation of its server trait. A method that it does not
    /// implement answers `UNIMPLEMENTED`.
    pub fn service(mut self, service: impl Service) -> Self {
        self.known.extend(service.methods().iter().map(|method| method.path));
        self.router = self.router.with(service);
        self
    }

    /// Returns a channel whose calls this mock answers. Calls run as tasks of the tokio runtime on which they
    /// are made.
    pub fn channel(self) -> Channel {
        let inner = InProcess::new(self.router, Encoding::Json);
        Channel::new(MockTransport { inner, known: self.known })
    }
}

impl<Req, Res, H, F> MockCall<H> for Unary<Req, Res>
where
    Req: Message,
    Res: Message,
    H: Fn(Req) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Res, Status>> + Send + 'static,
{
    fn run(handler: &Arc<H>, call: IncomingCall) -> BoxFuture<()> {
        let handler = Arc::clone(handler);
        server::unary(call, move |_, request| handler(request))
    }
}

impl<Req, Res, H, F> MockCall<H> for ServerStreaming<Req, Res>
where
    Req: Message,
    Res: Message,
    H: Fn(Req, Responses<Res>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    fn run(handler: &Arc<H>, call: IncomingCall) -> BoxFuture<()> {
        let handler = Arc::clone(handler);
        server::server_streaming(call, move |_, request, responses| handler(request, responses))
    }
}

impl<Req, Res, H, F> MockCall<H> for ClientStreaming<Req, Res>
where
    Req: Message,
    Res: Message,
    H: Fn(Requests<Req>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Res, Status>> + Send + 'static,
{
    fn run(handler: &Arc<H>, call: IncomingCall) -> BoxFuture<()> {
        let handler = Arc::clone(handler);
        server::client_streaming(call, move |_, requests| handler(requests))
    }
}

impl<Req, Res, H, F> MockCall<H> for Bidi<Req, Res>
where
    Req: Message,
    Res: Message,
    H: Fn(Requests<Req>, Responses<Res>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    fn run(handler: &Arc<H>, call: IncomingCall) -> BoxFuture<()> {
        let handler = Arc::clone(handler);
        server::bidi(call, move |_, requests, responses| handler(requests, responses))
    }
}

/// One method, as a separate service.
struct Mocked {
    method: &'static Method,
    answer: Box<dyn Fn(IncomingCall) -> BoxFuture<()> + Send + Sync>,
}

impl Service for Mocked {
    fn name(&self) -> &'static str {
        self.method.service()
    }

    fn methods(&self) -> &'static [Method] {
        slice::from_ref(self.method)
    }

    fn call(&self, _: usize, call: IncomingCall) -> BoxFuture<()> {
        (self.answer)(call)
    }
}

/// The in-process transport, which refuses calls to other methods by itself: a test should not mistake a
/// missing closure for the answer of a Volt.
#[derive(Debug)]
struct MockTransport {
    inner: InProcess,
    known: BTreeSet<&'static str>,
}

impl MockTransport {
    fn unknown(&self, path: &str) -> Error {
        let known: Vec<_> = self.known.iter().map(|path| format!("`{path}`")).collect();
        let known = if known.is_empty() { "no method".to_owned() } else { known.join(", ") };
        let message = format!(
            "the mock does not answer `{path}`: set a closure with `Mock::on`. It answers {known}"
        );
        Error::configuration(message).with_executed(Executed::No)
    }
}

impl Transport for MockTransport {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if !self.known.contains(method.path) {
            return Err(self.unknown(method.path));
        }
        self.inner.open(method, options)
    }

    fn state(&self) -> StateWatch {
        self.inner.state()
    }

    fn close(&self) -> BoxFuture<()> {
        self.inner.close()
    }

    fn open_calls(&self) -> usize {
        self.inner.open_calls()
    }
}

impl fmt::Debug for Mocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mocked").field(&self.method.path).finish()
    }
}
