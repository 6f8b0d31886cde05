//! The key exchange that opens a call, from both ends.
//!
//! It costs one round trip and names no method: the method follows sealed, in the first envelope.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ProtocolError,
    crypto::{self, CallKey, Ephemeral, NONCE_LEN},
    frame::{Frame, FrameKind, KeyReply, KeyRequest},
    token::{Claims, Token},
};
use crate::key::{SigningKey, VerifyingKey};

/// Where a call goes, and whose key must sign the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The token's audience: the Volt's id, or the client id of a relayed service's host.
    pub audience: String,
    /// Who signs the key exchange: the Volt, or the host.
    pub signer: VerifyingKey,
    /// Where relays pass the call on to, and to which service.
    pub via: Via,
}

/// The metadata of a client's key exchange, which relays read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// The ids to pass through, the target last; empty when it is who is connected to.
    #[serde(default, rename = "d", skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// The relayed service's `host_service_id`.
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl Via {
    /// Takes the id of who the call has come to off the way that is left.
    pub fn arrive(&mut self, id: &str) {
        if self.destinations.first().is_some_and(|destination| destination == id) {
            self.destinations.remove(0);
        }
    }

    pub(super) fn write(&self) -> Result<Bytes, ProtocolError> {
        if *self == Self::default() {
            return Ok(Bytes::new());
        }
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| json_error(&error))
    }

    fn read(metadata: &[u8]) -> Result<Self, ProtocolError> {
        if metadata.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(metadata).map_err(|error| json_error(&error))
    }
}

/// The client's side, waiting for the server's key.
#[derive(Debug)]
pub struct ClientHandshake {
    ephemeral: Ephemeral,
    signer: VerifyingKey,
}

impl ClientHandshake {
    /// Opens call number `call` at `now` (Unix seconds): the handshake and the frame to send.
    ///
    /// # Errors
    ///
    /// When something does not fit a frame, such as an absurdly long session id.
    pub fn begin(
        call: u64,
        route: &Route,
        key: &SigningKey,
        session: Option<&str>,
        ephemeral: Ephemeral,
        now: u64,
    ) -> Result<(Self, Vec<u8>), ProtocolError> {
        let (claims, signature) =
            Claims::new(&route.audience, session, ephemeral.public_der(), now).sign(key)?;
        let request = KeyRequest {
            metadata: route.via.write()?,
            signature: signature.into(),
            claims: claims.into(),
        };
        let frame = request.encode(call)?;
        Ok((Self { ephemeral, signer: route.signer.clone() }, frame))
    }

    /// Takes the body of the server's key exchange and gives the call's key.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Signature`] when it is not signed by whom the route says, and errors for a
    /// damaged frame or key.
    pub fn complete(&self, body: Bytes) -> Result<CallKey, ProtocolError> {
        let reply = KeyReply::decode(body)?;
        if !self.signer.verify(&signed(&reply.key, &reply.nonce), &reply.signature) {
            return Err(ProtocolError::Signature);
        }
        self.ephemeral.agree(&reply.key)
    }
}

/// A key exchange that a server received.
#[derive(Debug)]
pub struct ServerHandshake {
    /// The caller's token, not checked yet.
    pub token: Token,
    /// Where the caller wants to go.
    pub via: Via,
}

impl ServerHandshake {
    /// Reads the frame that opens a call.
    ///
    /// # Errors
    ///
    /// When it is no key exchange, or damaged.
    pub fn accept(frame: &Frame) -> Result<Self, ProtocolError> {
        if frame.kind != FrameKind::KeyExchange {
            return Err(ProtocolError::Unexpected("a call must begin with a key exchange"));
        }
        let request = KeyRequest::decode(frame.body.clone())?;
        Ok(Self {
            via: Via::read(&request.metadata)?,
            token: Token::parse(&request.claims, request.signature)?,
        })
    }

    /// Answers it: the call's key and the frame to send, signed by `identity`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::PeerKey`] when the token carries no usable key.
    pub fn reply(
        &self,
        call: u64,
        identity: &SigningKey,
        ephemeral: &Ephemeral,
    ) -> Result<(CallKey, Vec<u8>), ProtocolError> {
        self.reply_with_nonce(call, identity, ephemeral, crypto::random::<NONCE_LEN>()?)
    }

    /// As [`reply`](Self::reply), for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply).
    pub fn reply_with_nonce(
        &self,
        call: u64,
        identity: &SigningKey,
        ephemeral: &Ephemeral,
        nonce: [u8; NONCE_LEN],
    ) -> Result<(CallKey, Vec<u8>), ProtocolError> {
        let key = ephemeral.agree(&self.token.ephemeral_der()?)?;
        let signature = identity
            .sign(&signed(ephemeral.public_der(), &nonce))
            .map_err(|_| ProtocolError::Crypto("signing"))?;
        let reply = KeyReply {
            key: Bytes::copy_from_slice(ephemeral.public_der()),
            nonce: Bytes::copy_from_slice(&nonce),
            signature: signature.into(),
        };
        Ok((key, reply.encode(call)?))
    }
}

fn signed(key: &[u8], nonce: &[u8]) -> Vec<u8> {
    [key, nonce].concat()
}

fn json_error(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Json { what: "key exchange metadata", why: error.to_string() }
}
