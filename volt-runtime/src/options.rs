//! What can be set for one call, and for all calls of a channel.

use std::time::Duration;

/// How a call is made. Every builder has a method for each of these; a channel holds the defaults.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long the whole call may take, from opening it to its end. `None` is for ever.
    ///
    /// Left unset, unary calls get the channel's `unary_timeout` and streaming calls none.
    pub timeout: Option<Duration>,
    /// The service to call, where it is not one of the Volt's own.
    pub target: Option<Target>,
    /// How many bytes of responses that nobody has read yet are kept. Default 4 MiB. One message is
    /// always taken, whatever its size.
    pub receive_buffer: usize,
    /// What happens when that is full.
    pub overflow: Overflow,
    /// Whether the call gets a token and an ephemeral key that serve no other call. Default no:
    /// `ConnectOptions::token_lifetime` says for how long they are used, and what that means.
    pub fresh_key: bool,
    /// Whether a call that is made while the client reconnects waits for the connection, rather than
    /// failing at once. Default true.
    pub wait_for_ready: bool,
    /// How long a call waits for a connection at most while the client reconnects, if
    /// [`wait_for_ready`](Self::wait_for_ready) is set; then it fails, and was not executed. Default one
    /// minute. The call's own timeout may end it earlier; subscriptions wait until their timeout.
    pub ready_timeout: Duration,
    /// Whether it does no harm to make the call twice. Default no. If so, a unary call is tried
    /// again even if the connection was lost after it may have reached the Volt.
    pub idempotent: bool,
    /// How often a unary call is tried at most, where the connection was lost before it can have
    /// reached the Volt, or the call is `idempotent`. Default 5; 1 is no second try.
    pub max_attempts: u32,
}

/// What happens when responses arrive faster than they are read.
///
/// The wire has no flow control for a single call, so there are only these two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Stop reading the connection until there is room, at most for this long; after that the call
    /// fails as with [`Overflow::Fail`]. All other calls of the connection wait as well, so this
    /// bounds what a reader that forgets its stream can do to them.
    Wait(Duration),
    /// Fail the call at once with [`ErrorKind::ResourceExhausted`](crate::ErrorKind) and end it on
    /// the wire. Responses received before that can still be read.
    Fail,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            timeout: None,
            target: None,
            receive_buffer: 4 << 20,
            overflow: Overflow::Wait(Duration::from_secs(5)),
            fresh_key: false,
            wait_for_ready: true,
            ready_timeout: Duration::from_mins(1),
            idempotent: false,
            max_attempts: 5,
        }
    }
}

/// A service that is not one of the Volt's own: where it is and who answers for it.
///
/// `volt-api` makes one from the resource of a service that `DiscoverServices` returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The service's resource id, sent with the invocation.
    pub service_id: Option<String>,
    /// The DID of the client that hosts it; the Volt itself when empty.
    pub host_client_id: Option<String>,
    /// The host's name for the service, which relays use.
    pub host_service_id: Option<String>,
    /// The host's public key (PEM), which must sign the key exchange.
    pub host_public_key: Option<String>,
    /// Whether the host is a client of the Volt, to be reached through it.
    pub relayed: bool,
}

impl Target {
    /// A service by its resource id.
    pub fn new(service_id: impl Into<String>) -> Self {
        Self { service_id: Some(service_id.into()), ..Self::default() }
    }

    /// The host, as the service's description names it.
    pub fn hosted_by(
        mut self,
        client_id: impl Into<String>,
        public_key: impl Into<String>,
    ) -> Self {
        self.host_client_id = Some(client_id.into()).filter(|id| !id.is_empty());
        self.host_public_key = Some(public_key.into()).filter(|key| !key.is_empty());
        self
    }

    /// The service is reached through the Volt that its host is connected to.
    pub fn relayed(mut self, host_service_id: impl Into<String>) -> Self {
        self.host_service_id = Some(host_service_id.into()).filter(|id| !id.is_empty());
        self.relayed = true;
        self
    }
}
