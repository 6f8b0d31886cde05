//! The key exchange that opens a call, from both ends.
//!
//! It costs one round trip and names no method: the method follows sealed, in the first envelope.
//!
//! The client sends a token with its ephemeral key, signed by its own key ([`CallToken`]). The server
//! answers with its ephemeral key and a nonce, signed by the Volt's or host's key ([`Answer`]). Relays
//! in between read the route ([`Via`]) and cannot compute the call's key. The answer's signature covers
//! neither the client's key nor the call. An attacker can replay an answer, but cannot derive the key
//! of the call that accepts it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ProtocolError,
    crypto::{self, CallKey, Ephemeral, NONCE_LEN},
    frame::{Frame, FrameKind, KeyReply, KeyRequest},
    token::{Claims, TTL, Token},
};
use crate::key::{SigningKey, VerifyingKey};

/// The destination of a call, and the key that must sign the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The token's audience: the Volt's id, or the client id of a relayed service's host.
    pub audience: String,
    /// The signer of the key exchange: the Volt or the host.
    pub signer: VerifyingKey,
    /// The relays' next hops, and the service.
    pub via: Via,
}

/// The metadata of a client's key exchange, which relays read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// The ids to route through, the target last; empty when the target is the direct peer.
    #[serde(default, rename = "d", skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// The relayed service's `host_service_id`.
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The token's header in base64, if it is another one than [`HEADER`](super::token::HEADER). Only tokens
    /// that have arrived whole have another one.
    #[serde(default, rename = "h", skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

impl Via {
    /// Removes this hop from the remaining route.
    pub fn arrive(&mut self, id: &str) {
        // A route may begin after this hop: the caller names it only if it connects through a
        // relay.
        if self.destinations.first().is_some_and(|destination| destination == id) {
            self.destinations.remove(0);
        }
    }

    pub(super) fn write(&self) -> Result<Bytes, ProtocolError> {
        // The usual case, in which the published clients send no metadata at all.
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

/// A signed token with its ephemeral key. It can open any number of calls on its route while it is
/// valid.
///
/// Each call still has its own key, because the server draws its own ephemeral key for each. Calls
/// that share a token share their exposure: an attacker who reads the token's private key from this
/// process's memory can derive the keys of all of them; with one token per call, only those of the
/// open calls.
pub struct CallToken {
    route: Route,
    ephemeral: Arc<Ephemeral>,
    /// The content of each call's key exchange.
    request: KeyRequest,
    /// Unix seconds.
    made: u64,
}

impl CallToken {
    /// Creates a token at `now` (Unix seconds).
    ///
    /// # Errors
    ///
    /// Fails if the crypto library fails, which is not expected.
    pub fn new(
        route: &Route,
        key: &SigningKey,
        session: Option<&str>,
        ephemeral: Ephemeral,
        now: u64,
    ) -> Result<Self, ProtocolError> {
        let (claims, signature) =
            Claims::new(&route.audience, session, ephemeral.public_der(), now).sign(key)?;
        let request = KeyRequest {
            metadata: route.via.write()?,
            signature: signature.into(),
            claims: claims.into(),
        };
        Ok(Self { route: route.clone(), ephemeral: Arc::new(ephemeral), request, made: now })
    }

    /// Returns whether the token may open further calls at `now`: it must be younger than
    /// `lifetime` (in seconds), and younger than half of its validity period.
    pub fn is_valid(&self, now: u64, lifetime: u64) -> bool {
        // If the clock was set back, the token's age is unknown. Half of the validity leaves the peer's
        // clock room.
        now.checked_sub(self.made).is_some_and(|age| age < lifetime.min(TTL / 2))
    }

    /// Returns whether the token may open further calls on `route`.
    pub fn serves(&self, route: &Route, now: u64, lifetime: u64) -> bool {
        self.is_valid(now, lifetime) && self.route == *route
    }

    /// Opens call number `call`: the handshake and the frame to send.
    ///
    /// # Errors
    ///
    /// Fails if a field does not fit a frame, such as an absurdly long session id.
    pub fn open(&self, call: u64) -> Result<(ClientHandshake, Vec<u8>), ProtocolError> {
        let frame = self.request.encode(call)?;
        let (ephemeral, signer) = (Arc::clone(&self.ephemeral), self.route.signer.clone());
        Ok((ClientHandshake { ephemeral, signer }, frame))
    }
}

/// The token authorizes calls, so it is not printed.
impl fmt::Debug for CallToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallToken").field("route", &self.route).finish_non_exhaustive()
    }
}

/// The client's side, waiting for the server's key.
#[derive(Debug)]
pub struct ClientHandshake {
    ephemeral: Arc<Ephemeral>,
    signer: VerifyingKey,
}

impl ClientHandshake {
    /// Opens call `call` at `now` (Unix seconds), with its own token.
    ///
    /// # Errors
    ///
    /// Same as [`CallToken::new`] and [`CallToken::open`].
    pub fn begin(
        call: u64,
        route: &Route,
        key: &SigningKey,
        session: Option<&str>,
        ephemeral: Ephemeral,
        now: u64,
    ) -> Result<(Self, Vec<u8>), ProtocolError> {
        CallToken::new(route, key, session, ephemeral, now)?.open(call)
    }

    /// Verifies the body of the server's key exchange and derives the call's key.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::Signature`] if the body is not signed by the route's signer, or
    /// another error if the frame or key is damaged.
    pub fn complete(&self, body: Bytes) -> Result<CallKey, ProtocolError> {
        let reply = KeyReply::decode(body)?;
        // Verify the signature before using the key: it may belong to an attacker in between.
        if !self.signer.verify(&signed(&reply.key, &reply.nonce), &reply.signature) {
            return Err(ProtocolError::Signature);
        }
        self.ephemeral.agree(&reply.key)
    }
}

/// A key exchange received by a server.
#[derive(Debug)]
pub struct ServerHandshake {
    /// The caller's token, not verified yet.
    pub token: Arc<Token>,
    /// The caller's requested route.
    pub via: Via,
}

impl ServerHandshake {
    /// Reads the frame that opens a call.
    ///
    /// # Errors
    ///
    /// Fails if the frame is not a key exchange, or is damaged.
    pub fn accept(frame: &Frame) -> Result<Self, ProtocolError> {
        Self::accept_after(frame, None)
    }

    /// Like [`accept`](Self::accept), for a caller that has already opened a call with the token
    /// `earlier`. If the token is the same, it is neither parsed nor verified again.
    ///
    /// # Errors
    ///
    /// Same as [`accept`](Self::accept).
    pub fn accept_after(
        frame: &Frame,
        earlier: Option<&Arc<Token>>,
    ) -> Result<Self, ProtocolError> {
        if frame.kind != FrameKind::KeyExchange {
            return Err(ProtocolError::Unexpected("a call must begin with a key exchange"));
        }
        let request = KeyRequest::decode(frame.body.clone())?;
        let mut via = Via::read(&request.metadata)?;
        // The header belongs to the token: a relay writes it again.
        let header = via.header.take();
        // The tokens must be equal byte for byte, signature included: otherwise the cached
        // verification would not apply.
        let is_same = |earlier: &&Arc<Token>| {
            header.is_none() && earlier.is(&request.claims, &request.signature)
        };
        let token = if let Some(earlier) = earlier.filter(is_same) {
            Arc::clone(earlier)
        } else {
            let header = header.as_deref();
            Arc::new(Token::parse_with(header, &request.claims, request.signature)?)
        };
        Ok(Self { token, via })
    }

    /// Answers the key exchange. Returns the call's key and the frame to send, signed by
    /// `identity`.
    ///
    /// # Errors
    ///
    /// Same as [`agree`](Self::agree).
    pub fn reply(
        &self,
        call: u64,
        identity: &SigningKey,
        ephemeral: &Ephemeral,
    ) -> Result<(CallKey, Vec<u8>), ProtocolError> {
        let reply = sign(identity, ephemeral, crypto::random_iv()?)?;
        Ok((self.key(ephemeral)?, reply.encode(call)?))
    }

    /// Derives the key of the call that received this answer.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::PeerKey`] if the token carries no usable key.
    pub fn agree(&self, answer: &Answer) -> Result<CallKey, ProtocolError> {
        self.key(&answer.ephemeral)
    }

    fn key(&self, ephemeral: &Ephemeral) -> Result<CallKey, ProtocolError> {
        ephemeral.agree(&self.token.ephemeral_der()?)
    }
}

/// A server's half of the key exchange of one call. It does not depend on the caller, so it can be
/// prepared in advance.
#[derive(Debug)]
pub struct Answer {
    ephemeral: Ephemeral,
    reply: KeyReply,
}

impl Answer {
    /// Creates an answer signed by `identity`.
    ///
    /// # Errors
    ///
    /// Fails if the crypto library fails, which is not expected.
    pub fn new(identity: &SigningKey) -> Result<Self, ProtocolError> {
        Self::with_nonce(identity, Ephemeral::generate()?, crypto::random_iv()?)
    }

    /// Like [`new`](Self::new), for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// Same as [`new`](Self::new).
    pub fn with_nonce(
        identity: &SigningKey,
        ephemeral: Ephemeral,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Self, ProtocolError> {
        let reply = sign(identity, &ephemeral, nonce)?;
        Ok(Self { ephemeral, reply })
    }

    /// Encodes the frame that answers call `call`.
    ///
    /// # Errors
    ///
    /// Fails if a field does not fit its length prefix, which is not expected.
    pub fn encode(&self, call: u64) -> Result<Vec<u8>, ProtocolError> {
        self.reply.encode(call)
    }
}

fn sign(
    identity: &SigningKey,
    ephemeral: &Ephemeral,
    nonce: [u8; NONCE_LEN],
) -> Result<KeyReply, ProtocolError> {
    let key = ephemeral.public_der();
    let signature =
        identity.sign(&signed(key, &nonce)).map_err(|_| ProtocolError::Crypto("signing"))?;
    Ok(KeyReply {
        key: Bytes::copy_from_slice(key),
        nonce: Bytes::copy_from_slice(&nonce),
        signature: signature.into(),
    })
}

fn signed(key: &[u8], nonce: &[u8]) -> Vec<u8> {
    [key, nonce].concat()
}

fn json_error(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Json { what: "key exchange metadata", why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(audience: &str, signer: &SigningKey) -> Route {
        let (audience, signer) = (audience.to_owned(), signer.verifying_key());
        Route { audience, signer, via: Via::default() }
    }

    #[test]
    fn a_token_is_reused_for_at_most_half_of_its_validity() {
        let key = SigningKey::generate().unwrap();
        let (here, there) = (route("here", &key), route("there", &key));
        let pass = CallToken::new(&here, &key, None, Ephemeral::generate().unwrap(), 1000).unwrap();
        assert!(pass.serves(&here, 1000, 20) && pass.serves(&here, 1019, 20));
        assert!(!pass.serves(&here, 1020, 20), "too old");
        assert!(!pass.serves(&here, 1000, 0), "never again");
        assert!(!pass.serves(&here, 999, 20), "the clock was set back");
        assert!(!pass.serves(&there, 1000, 20));
        assert!(pass.serves(&here, 1029, u64::MAX) && !pass.serves(&here, 1030, u64::MAX));
    }

    /// Each call has its own key; the token is the same, which the server detects.
    #[test]
    fn calls_that_share_a_token_share_no_key() {
        let (client, volt) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let route = route("volt", &volt);
        let ephemeral = Ephemeral::generate().unwrap();
        let pass = CallToken::new(&route, &client, Some("session"), ephemeral, 1000).unwrap();
        let mut earlier: Option<Arc<Token>> = None;
        let mut probes = Vec::new();
        for call in 1..=3 {
            let (handshake, frame) = pass.open(call).unwrap();
            let frame = Frame::decode(frame.into()).unwrap();
            let accepted = ServerHandshake::accept_after(&frame, earlier.as_ref()).unwrap();
            if let Some(earlier) = &earlier {
                assert!(Arc::ptr_eq(earlier, &accepted.token));
            }
            accepted.token.verify(&client.verifying_key()).unwrap();
            accepted.token.verify(&volt.verifying_key()).unwrap_err();
            let (theirs, reply) =
                accepted.reply(call, &volt, &Ephemeral::generate().unwrap()).unwrap();
            let ours = handshake.complete(Frame::decode(reply.into()).unwrap().body).unwrap();
            let probe = |key: &CallKey| {
                let mut probe = b"probe".to_vec();
                key.encrypt_from([0; 16], &mut probe, 0).unwrap();
                probe
            };
            assert_eq!(probe(&ours), probe(&theirs));
            probes.push(probe(&ours));
            earlier = Some(accepted.token);
        }
        probes.dedup();
        assert_eq!(probes.len(), 3);
    }

    /// A token that only resembles an earlier one is verified like any other.
    #[test]
    fn a_different_token_is_not_cached_as_an_earlier_one() {
        let (client, volt) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let route = route("volt", &volt);
        let begin = |session: &str| {
            let ephemeral = Ephemeral::generate().unwrap();
            let begun = ClientHandshake::begin(1, &route, &client, Some(session), ephemeral, 1000);
            Frame::decode(begun.unwrap().1.into()).unwrap()
        };
        let first = begin("one");
        let honest = ServerHandshake::accept(&first).unwrap().token;
        honest.verify(&client.verifying_key()).unwrap();
        let mut request = KeyRequest::decode(begin("two").body).unwrap();
        request.signature = KeyRequest::decode(first.body).unwrap().signature;
        let forged = Frame::decode(request.encode(1).unwrap().into()).unwrap();
        let forged = ServerHandshake::accept_after(&forged, Some(&honest)).unwrap().token;
        assert!(!Arc::ptr_eq(&honest, &forged));
        forged.verify(&client.verifying_key()).unwrap_err();
    }
}
