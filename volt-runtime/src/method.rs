//! Descriptors of RPCs.
//!
//! A [`Method`] is what the untyped parts know of a call: its path names it on the wire, its kind
//! determines which sides may stream.

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
