//! What the runtime knows of one RPC.

/// One RPC of a service. Generated code holds a `static` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    /// The name on the wire, `/package.Service/Method`.
    pub path: &'static str,
    /// Which side sends more than one message.
    pub kind: MethodKind,
}

impl Method {
    /// The full name of the service that it belongs to, `package.Service`.
    pub fn service(&self) -> &'static str {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        path.split_once('/').map_or(path, |(service, _)| service)
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
    /// Whether the client may send more than one message.
    pub const fn client_streams(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::Bidi)
    }

    /// Whether the server may send more than one message.
    pub const fn server_streams(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::Bidi)
    }
}
