//! The two protocols of a Volt's websocket, without sockets, clocks or tasks.
//!
//! An Ed25519 key speaks the binary protocol, version 1: a websocket message is one
//! [`frame::Frame`]. A call begins with a key exchange ([`handshake`]), whose token ([`token`])
//! identifies the caller. Everything after that is an [`envelope`] sealed with the call's key
//! ([`crypto`]); [`call`] enforces the order of each end's messages. An RSA key speaks the
//! [`legacy`] JSON protocol, which opens and seals calls differently.
//!
//! Both the client and the server are built from these parts, and both are tested and fuzzed here:
//! bytes go in and come out, and time is an argument.
//!
//! # A call in the binary protocol
//!
//! ```text
//! client                                                      server
//!   KeyExchange   route, token, X25519 key         ─────▶   check the token, draw a key
//!   check the signature, derive the call's key     ◀─────   KeyExchange   X25519 key, nonce, signature
//!   Invoke        method, first request            ─────▶   derive the call's key, run the method
//!   Payload …     further requests                 ─────▶
//!   Payload       method_end: half-close           ─────▶
//!                                                  ◀─────   Payload …     responses
//!                                                  ◀─────   Payload       method_end: the call has ended
//! ```
//!
//! Either side may send its payloads while the other's arrive. A rejection is a payload frame with an
//! `error` in its metadata, in clear text, at any point. There is no frame for cancelling and no flow
//! control for one call; see [`call::cancel`] and `flow`.
//!
//! # Layers
//!
//! | module | knows |
//! |---|---|
//! | [`frame`], [`envelope`], `binary` | the bytes of one message, outside and inside of the encryption |
//! | [`token`], [`handshake`], [`crypto`], `iv` | keys, signatures and ciphers of one call |
//! | [`call`], `arriving`, [`legacy`] | the order of one side's messages |
//! | `client`, `server`, `flow` | the calls of one connection: state machines |
//! | [`tunnel`] | the same frames inside the messages of other calls |
//!
//! The values and layouts are those of the published clients; recorded calls of theirs replay through this
//! module byte for byte. Where they differ from one another, a server accepts all forms and a client sends
//! those of the newest.
//!
//! # Hostile peers
//!
//! Every length is checked against what has arrived, and every number that a peer chooses is added or
//! compared without overflow. A damaged body fails its call; only a header that cannot be read fails
//! the connection, because its call is unknown. Everything that a peer can make this side remember has
//! a bound: the unread frames (`flow`), the calls without a method (`server`), the payloads of a call
//! (`iv`), the legacy keys ([`legacy::SealedKeys`]). No error that is sent to a peer explains why a
//! payload could not be decrypted.

mod arriving;
mod binary;
pub mod call;
#[cfg(feature = "client")]
pub mod client;
pub mod crypto;
pub mod envelope;
#[cfg(feature = "socket")]
mod flow;
pub mod frame;
pub mod handshake;
mod iv;
pub mod legacy;
#[cfg(feature = "socket")]
pub mod server;
pub mod token;
pub mod tunnel;

/// A violation of the protocol by a peer, or invalid bytes from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame ends before a field that its length prefix announces.
    #[error("a frame is cut short in its {0}")]
    Truncated(&'static str),
    /// Not version 1.
    #[error("frame version {0} is not known")]
    Version(u8),
    /// A frame type that is unknown, or not valid in this direction.
    #[error("frame type {0} is not known")]
    FrameType(u8),
    /// A field is too long for its length prefix, such as a session id of 64 KiB.
    #[error("the {0} is too long for a frame")]
    TooLong(&'static str),
    /// A message that is larger than this side may send.
    #[error("the message has {size} bytes, more than the limit of {limit}")]
    MessageTooLarge {
        /// Its size on the wire.
        size: usize,
        /// The maximum size.
        limit: usize,
    },
    /// JSON that cannot be read.
    #[error("the {what} cannot be read: {why}")]
    Json {
        /// The part that cannot be read.
        what: &'static str,
        /// The parser's message.
        why: String,
    },
    /// Protobuf that cannot be read.
    #[error("the {what} cannot be read: {why}")]
    Protobuf {
        /// The part that cannot be read.
        what: &'static str,
        /// The parser's message.
        why: String,
    },
    /// An encrypted payload that cannot be decrypted with this call's key: its length or padding is
    /// wrong. A wrong key nearly always causes this error.
    #[error("a payload cannot be decrypted")]
    Decrypt,
    /// The system returned no random bytes, or the crypto library failed.
    #[error("the crypto library failed in {0}")]
    Crypto(&'static str),
    /// The peer's ephemeral key is not a usable X25519 key.
    #[error("the peer's key exchange carries no usable key")]
    PeerKey,
    /// The server's key exchange is not signed with the expected key.
    #[error(
        "the key exchange is not signed by the Volt's key: wrong `volt.public_key`, or not that Volt"
    )]
    Signature,
    /// A payload that this side has sent itself, or has already received in this call.
    #[error("a payload was repeated or reflected on its way")]
    Repeated,
    /// A frame or member that is not allowed at this point of a call.
    #[error("{0}")]
    Unexpected(&'static str),
}
