//! Options for one call, or for all calls of a channel.
//!
//! The options of a connection are in `ConnectOptions`, those of a server in
//! [`ServerOptions`](crate::server::ServerOptions).

use std::time::Duration;

use crate::message::ToJson;

/// The options of a call. Builders have [methods](crate::call::CallBuilder) for those that differ from
/// call to call; a channel [holds the defaults](crate::Channel::with_defaults).
///
/// ```
/// use std::time::Duration;
/// use volt_runtime::{CallOptions, Overflow};
///
/// let mut options = CallOptions::default();
/// options.ready_timeout = Duration::from_secs(5);
/// options.overflow = Overflow::Fail;
/// assert_eq!(options.receive_buffer, 4 << 20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallOptions {
    /// The timeout of the whole call, with its wait for a connection and its retries. `None`, the default,
    /// means the channel's [unary timeout](crate::Channel::with_unary_timeout) for unary calls, and no
    /// timeout for streams.
    pub timeout: Option<Duration>,
    /// The service to call, if it is not one of the Volt's own. Default `None`: the Volt itself.
    pub target: Option<Target>,
    /// Runs the call on its own connection, so that its messages do not delay those of other calls:
    /// the protocol has no flow control for one call. For streams of bulk data that are read or
    /// handled slowly. Default `None`: true for `DownloadFile` and `UploadFile`, else false.
    ///
    /// A client has up to four such connections. They are established when they are needed, which the
    /// call waits for, reused, and closed when they have not been used for half a minute. Further
    /// calls share the least busy one. There a call that is read slowly fails only if it is not read
    /// at all for a minute or two. If the Volt refuses a further connection, or with
    /// [`wait_for_ready`](Self::wait_for_ready) unset, the call runs on the shared one. In-process and
    /// relayed transports ignore this option.
    pub own_connection: Option<bool>,
    /// The maximum number of bytes of unread responses before the call draws on the connection's
    /// buffer ([`connection_buffer`](crate::ConnectOptions::connection_buffer)) or, with
    /// [`Overflow::Fail`], fails. Default 4 MiB. One message is always accepted, regardless of its
    /// size.
    pub receive_buffer: usize,
    /// The policy for when that limit is reached. Default: wait for up to 5 seconds in total.
    pub overflow: Overflow,
    /// Opens the call with its own token and ephemeral key, not shared with other calls. Default false:
    /// see [`ConnectOptions::token_lifetime`](crate::ConnectOptions::token_lifetime) for how long they
    /// are reused, and the consequences. It also keeps the call from taking a pre-opened one.
    pub fresh_key: bool,
    /// Lets a call that is made while the client reconnects wait for the connection, rather than
    /// fail at once. Default true.
    pub wait_for_ready: bool,
    /// The maximum time that a call waits for a connection while the client reconnects, if
    /// [`wait_for_ready`](Self::wait_for_ready) is set. After that the call fails, marked as not
    /// executed. Default one minute. The call's own timeout may end it earlier; subscriptions wait
    /// until their timeout.
    pub ready_timeout: Duration,
    /// Declares that executing the call twice is harmless. Default false. If set, a unary call is
    /// retried even if the connection was lost after the Volt may have received the call.
    pub idempotent: bool,
    /// The maximum number of attempts of a unary call, if the connection was lost before the call
    /// can have reached the Volt, or if the call is `idempotent`. Default 5; 1 disables retries.
    ///
    /// It also bounds the attempts of a subscription whose target has never answered: such a target may
    /// not exist. One that has answered before is retried without a limit.
    pub max_attempts: u32,
    /// Converts the responses to JSON, for records.
    pub(crate) response_json: Option<ToJson>,
}

/// The policy for responses that arrive faster than they are read.
///
/// The protocol has no per-call flow control, so these are the only two options, beside
/// [`CallOptions::own_connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Use the connection's buffer, except for a quarter that is kept for other calls. When that is
    /// full too, stop reading the connection until there is room, at most for this long; after that
    /// the call fails as with [`Overflow::Fail`]. All other calls of the connection wait too, so this
    /// bounds the harm that a neglected stream can do to them.
    ///
    /// The waits of a call add up, and it pays back one second a minute. Waits while no other call is
    /// open do not count: then the call fails only if it is not read at all for at least a minute.
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
            own_connection: None,
            receive_buffer: 4 << 20,
            overflow: Overflow::Wait(Duration::from_secs(5)),
            fresh_key: false,
            wait_for_ready: true,
            ready_timeout: Duration::from_mins(1),
            idempotent: false,
            max_attempts: 5,
            response_json: None,
        }
    }
}

/// A service other than the Volt's own: its location and its host.
///
/// `volt-api` creates one from the resource of a service that `DiscoverServices` returned. The fields
/// are those of the service's description, as the published clients use them:
///
/// | service | token's audience | route | signer of the key exchange |
/// |---|---|---|---|
/// | the Volt's own | the Volt | direct | the Volt |
/// | of another host, `relayed` | the host | through the Volt, named by `host_service_id` | the host |
/// | of a server, [`at`](Target::at) its own address | the host | to that server, over gRPC | none: TLS identifies the server |
///
/// ```
/// use volt_runtime::Target;
///
/// // One of the Volt's own services with the same API, by its resource id.
/// let own = Target::new("@second-database");
/// assert!(!own.relayed);
/// // A service that another client hosts.
/// let hosted = Target::new("0f1c").hosted_by("did:volt:host", "(PEM)").relayed("shop");
/// assert_eq!(hosted.host_service_id.as_deref(), Some("shop"));
/// ```
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
    /// Set if the host is a client of the Volt, to be reached through it.
    pub relayed: bool,
    /// The gRPC server of the service, `host:port`, if the service has its own.
    pub host_address: Option<String>,
    /// The certificate authority (PEM) of that server. Default: the one that the Volt issued,
    /// `credential.ca`.
    pub host_ca_pem: Option<String>,
}

impl Target {
    /// Creates a target from the service's resource id.
    pub fn new(service_id: impl Into<String>) -> Self {
        Self { service_id: Some(service_id.into()), ..Self::default() }
    }

    /// Sets the host, as named in the service's description: the DID of the client that hosts the service
    /// and its public key (PEM). An empty text means the Volt itself. The key is read, and an invalid
    /// one reported, when the call is opened.
    pub fn hosted_by(
        mut self,
        client_id: impl Into<String>,
        public_key: impl Into<String>,
    ) -> Self {
        self.host_client_id = Some(client_id.into()).filter(|id| !id.is_empty());
        self.host_public_key = Some(public_key.into()).filter(|key| !key.is_empty());
        self
    }

    /// Reaches the service through the Volt that its host is connected to, which forwards the call. The
    /// Volt cannot read it: the call's key is agreed with the host.
    pub fn relayed(mut self, host_service_id: impl Into<String>) -> Self {
        self.host_service_id = Some(host_service_id.into()).filter(|id| !id.is_empty());
        self.relayed = true;
        self
    }

    /// Calls the service at its own gRPC server, `host:port`, regardless of the transport to the Volt.
    /// An empty text for the certificate authority means `credential.ca`.
    ///
    /// This needs the feature `grpc`. The token of such a call is for the host alone. Calls wait for the
    /// connection, which [`CallOptions::wait_for_ready`] must allow; success of such a call does not prove
    /// that the Volt can be reached.
    pub fn at(mut self, address: impl Into<String>, ca_pem: impl Into<String>) -> Self {
        self.host_address = Some(address.into()).filter(|address| !address.is_empty());
        self.host_ca_pem = Some(ca_pem.into()).filter(|pem| !pem.is_empty());
        self
    }
}
