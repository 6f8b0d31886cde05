//! Descriptors of RPCs.
//!
//! A [`Method`] is what the untyped parts know of a call: its path names it on the wire, its kind
//! determines which sides may stream.

use std::{fmt, marker::PhantomData};

/// One RPC of a service. Generated clients list theirs in the constant `METHODS`.
///
/// ```
/// use volt_runtime::{Method, MethodKind};
///
/// const GET: Method = Method { path: "/shop.v1.ShopAPI/GetArticle", kind: MethodKind::Unary };
/// assert_eq!(GET.full_name(), "shop.v1.ShopAPI/GetArticle");
/// assert_eq!(GET.service(), "shop.v1.ShopAPI");
/// assert!(!GET.kind.client_streams());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    /// The name on the wire, `/package.Service/Method`.
    pub path: &'static str,
    /// The kind of call: which sides stream messages.
    pub kind: MethodKind,
}

impl Method {
    /// Returns the full name of the method, `package.Service/Method`.
    pub fn full_name(&self) -> &'static str {
        self.path.strip_prefix('/').unwrap_or(self.path)
    }

    /// Returns the full name of the method's service, `package.Service`.
    pub fn service(&self) -> &'static str {
        let name = self.full_name();
        name.split_once('/').map_or(name, |(service, _)| service)
    }
}

/// A [`Method`] with the types of its messages. Generated clients have one for each method:
/// `ShopApiClient::GET_ARTICLE`. [`Mock`](crate::testing::Mock) answers methods by them.
///
/// `C` is the kind of the call with its messages, such as
/// [`Unary<Request, Response>`](crate::call::Unary).
///
/// ```
/// use volt_runtime::{Method, MethodKind, TypedMethod, call::Unary, json::Empty};
///
/// const METHOD: Method = Method { path: "/shop.v1.ShopAPI/Close", kind: MethodKind::Unary };
/// const CLOSE: TypedMethod<Unary<Empty, Empty>> = TypedMethod::new(&METHOD);
/// assert_eq!(CLOSE.method().service(), "shop.v1.ShopAPI");
/// ```
pub struct TypedMethod<C> {
    method: &'static Method,
    call: PhantomData<fn() -> C>,
}

impl<C> TypedMethod<C> {
    /// Creates the descriptor. For generated code: `C` must be the kind and the messages of the
    /// method.
    pub const fn new(method: &'static Method) -> Self {
        Self { method, call: PhantomData }
    }

    /// Returns the method.
    pub const fn method(&self) -> &'static Method {
        self.method
    }
}

impl<C> Clone for TypedMethod<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for TypedMethod<C> {}

impl<C> fmt::Debug for TypedMethod<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedMethod").field(&self.method.path).finish()
    }
}

/// The four kinds of call that protobuf services have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, any number of responses.
    ServerStreaming,
    /// Any number of requests, one response.
    ClientStreaming,
    /// Any number of requests and responses, independently.
    Bidi,
}

impl MethodKind {
    /// Returns whether the client may send more than one message.
    pub const fn client_streams(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::Bidi)
    }

    /// Returns whether the server may send more than one message.
    pub const fn server_streams(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::Bidi)
    }
}
