//! The key exchange that opens a call, from both ends.
//!
//! It costs one round trip and names no method: the method follows sealed, in the first envelope.

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

/// A signed token with the ephemeral key in it. It can open any number of calls on its route, for
/// as long as it is valid.
///
/// The key of each call is another one in any case, because the server draws its own ephemeral key
/// for each. What calls that share a token have in common is who could read them: whoever learns the
/// token's private key while it lives, from this process's memory, can derive the keys of all of
/// them; with a token for each call, only of the calls that are open.
pub struct CallToken {
    route: Route,
    ephemeral: Arc<Ephemeral>,
    /// What the key exchange of each call carries.
    request: KeyRequest,
    /// Unix seconds.
    made: u64,
}

impl CallToken {
    /// Makes a token at `now` (Unix seconds).
    ///
    /// # Errors
    ///
    /// When the crypto library fails, which is not expected.
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

    /// Whether it may open further calls at `now`: it is younger than `lifetime`, in seconds, and
    /// than half of the time for which its token is valid.
    pub fn is_valid(&self, now: u64, lifetime: u64) -> bool {
        // After a clock was set back, nothing is known of its age.
        now.checked_sub(self.made).is_some_and(|age| age < lifetime.min(TTL / 2))
    }

    /// Whether it may open further calls on `route`.
    pub fn serves(&self, route: &Route, now: u64, lifetime: u64) -> bool {
        self.is_valid(now, lifetime) && self.route == *route
    }

    /// Opens call number `call`: the handshake and the frame to send.
    ///
    /// # Errors
    ///
    /// When something does not fit a frame, such as an absurdly long session id.
    pub fn open(&self, call: u64) -> Result<(ClientHandshake, Vec<u8>), ProtocolError> {
        let frame = self.request.encode(call)?;
        let (ephemeral, signer) = (Arc::clone(&self.ephemeral), self.route.signer.clone());
        Ok((ClientHandshake { ephemeral, signer }, frame))
    }
}

/// Its token is good for calls, and so is not printed.
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
    /// Opens call number `call` at `now` (Unix seconds), with its own token.
    ///
    /// # Errors
    ///
    /// As [`CallToken::new`] and [`CallToken::open`].
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
    pub token: Arc<Token>,
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
        Self::accept_after(frame, None)
    }

    /// As [`accept`](Self::accept), for a caller who has opened a call before with the token
    /// `earlier`: if this is the same one, it need not be read again, and its signature need not
    /// be checked again.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_after(
        frame: &Frame,
        earlier: Option<&Arc<Token>>,
    ) -> Result<Self, ProtocolError> {
        if frame.kind != FrameKind::KeyExchange {
            return Err(ProtocolError::Unexpected("a call must begin with a key exchange"));
        }
        let request = KeyRequest::decode(frame.body.clone())?;
        let via = Via::read(&request.metadata)?;
        let token = match earlier {
            Some(earlier) if earlier.is(&request.claims, &request.signature) => Arc::clone(earlier),
            _ => Arc::new(Token::parse(&request.claims, request.signature)?),
        };
        Ok(Self { token, via })
    }

    /// Answers it: the call's key and the frame to send, signed by `identity`.
    ///
    /// # Errors
    ///
    /// As [`agree`](Self::agree).
    pub fn reply(
        &self,
        call: u64,
        identity: &SigningKey,
        ephemeral: &Ephemeral,
    ) -> Result<(CallKey, Vec<u8>), ProtocolError> {
        let reply = sign(identity, ephemeral, crypto::random_iv()?)?;
        Ok((self.key(ephemeral)?, reply.encode(call)?))
    }

    /// The key of the call that was answered like this.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::PeerKey`] when the token carries no usable key.
    pub fn agree(&self, answer: &Answer) -> Result<CallKey, ProtocolError> {
        self.key(&answer.ephemeral)
    }

    fn key(&self, ephemeral: &Ephemeral) -> Result<CallKey, ProtocolError> {
        ephemeral.agree(&self.token.ephemeral_der()?)
    }
}

/// A server's half of the key exchange of one call. It has nothing of the caller's in it, so that it
/// can be made before there is one.
#[derive(Debug)]
pub struct Answer {
    ephemeral: Ephemeral,
    reply: KeyReply,
}

impl Answer {
    /// An answer that is signed by `identity`.
    ///
    /// # Errors
    ///
    /// When the crypto library fails, which is not expected.
    pub fn new(identity: &SigningKey) -> Result<Self, ProtocolError> {
        Self::with_nonce(identity, Ephemeral::generate()?, crypto::random_iv()?)
    }

    /// As [`new`](Self::new), for replaying a recorded call.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_nonce(
        identity: &SigningKey,
        ephemeral: Ephemeral,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Self, ProtocolError> {
        let reply = sign(identity, &ephemeral, nonce)?;
        Ok(Self { ephemeral, reply })
    }

    /// The frame that answers call number `call`.
    ///
    /// # Errors
    ///
    /// When a field does not fit its length prefix, which is not expected.
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
    fn a_pass_serves_its_route_for_its_lifetime_and_never_longer_than_half_its_token() {
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

    /// The key of each call is its own, and its token the same, which the server notices.
    #[test]
    fn calls_that_share_a_pass_share_a_token_and_no_key() {
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

    /// A token that only looks like an earlier one is checked like any other.
    #[test]
    fn another_token_does_not_pass_for_an_earlier_one() {
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
