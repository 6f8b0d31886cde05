//! The receiving side of either end of a call: it opens frames in their order, and detects repeated and
//! reflected ones.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    ProtocolError, binary,
    crypto::{CallKey, IV_LEN},
    envelope::{Envelope, Incoming},
    frame::{self, Sealed},
    iv::{self, End, Received},
    legacy,
};
use crate::message::Encoding;

#[derive(Default, Deserialize)]
struct Metadata {
    error: Option<String>,
}

/// Returns the error in a frame's metadata, which is readable without a key.
///
/// # Errors
///
/// Fails if the frame is damaged.
pub fn rejection(body: &Bytes) -> Result<Option<String>, ProtocolError> {
    read_rejection(&Sealed::decode(body.clone())?)
}

/// Returns the error in the metadata. It is the sender's claim: the metadata is not authenticated.
fn read_rejection(sealed: &Sealed) -> Result<Option<String>, ProtocolError> {
    // Most frames have no metadata, or only the mark that they are the last frame.
    if frame::is_usual(&sealed.metadata) {
        return Ok(None);
    }
    let metadata: Metadata = serde_json::from_slice(&sealed.metadata)
        .map_err(|error| ProtocolError::Json { what: "frame metadata", why: error.to_string() })?;
    Ok(metadata.error.filter(|error| !error.is_empty()))
}

/// The receiving side of a call: opens payloads, and refuses those that this side has sent itself and
/// those that have already arrived in this call.
///
/// In the legacy protocol, equal messages of both sides are equal on the wire, so it can refuse neither.
#[derive(Debug)]
pub struct Arriving {
    end: End,
    received: Received,
    /// Accept a half-close without a payload, as callers over gRPC half-close their stream.
    unsealed_ends: bool,
    /// The encoding of the last payload.
    encoding: Encoding,
}

impl Arriving {
    /// Creates the receiving side of this end.
    pub fn new(end: End) -> Self {
        let (received, encoding) = (Received::default(), Encoding::Json);
        Self { end, received, unsealed_ends: false, encoding }
    }

    /// Accepts a caller's half-close without a payload. Any intermediary can send one, so only calls that
    /// may come over gRPC accept it, where the half-close is not sealed.
    #[must_use]
    pub fn accepting_unsealed_ends(self, accepted: bool) -> Self {
        Self { unsealed_ends: accepted, ..self }
    }

    /// Returns the encoding of the payload that was opened last.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Like the function [`open`], but opens each frame only once.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::Repeated`] for a payload of this side or one that has already
    /// arrived, and the errors of [`open`].
    pub fn open(&mut self, key: &CallKey, body: Bytes) -> Result<Incoming, ProtocolError> {
        if let Some(iv) = key.legacy_iv() {
            return legacy::open_message(key, iv, &body);
        }
        let sealed = Sealed::decode(body)?;
        if let Some(block) = self.check(&sealed)? {
            self.received.remember(block);
        }
        self.encoding = frame::encoding(&sealed.metadata);
        self.open_sealed(key, sealed)
    }

    /// Like [`open`](Self::open), for a frame that will be opened again in order.
    ///
    /// # Errors
    ///
    /// Same as [`open`](Self::open).
    pub fn peek(&self, key: &CallKey, body: Bytes) -> Result<Incoming, ProtocolError> {
        if let Some(iv) = key.legacy_iv() {
            return legacy::open_message(key, iv, &body);
        }
        let sealed = Sealed::decode(body)?;
        self.check(&sealed)?;
        self.open_sealed(key, sealed)
    }

    fn open_sealed(&self, key: &CallKey, sealed: Sealed) -> Result<Incoming, ProtocolError> {
        if self.unsealed_ends && sealed.is_half_close() {
            return Ok(Incoming::Envelope(Envelope::End(None)));
        }
        open_sealed(key, sealed)
    }

    /// Returns the first block of the ciphertext of a payload that has not been seen before, if it has
    /// one.
    fn check(&self, sealed: &Sealed) -> Result<Option<[u8; IV_LEN]>, ProtocolError> {
        let iv = <[u8; IV_LEN]>::try_from(&sealed.iv[..]);
        let (Ok(iv), Some(block)) = (iv, sealed.ciphertext.first_chunk().copied()) else {
            // A rejection, or an error that opening it reports.
            return Ok(None);
        };
        // A payload that the peer has sent before, or a reflected one of this side.
        if self.received.contains(block) || iv::is_drawn(self.end, iv)? {
            return Err(ProtocolError::Repeated);
        }
        Ok(Some(block))
    }
}

/// Opens the body of an invoke or payload frame.
///
/// # Errors
///
/// Fails if the body is damaged, cannot be decrypted, or does not hold an envelope.
pub fn open(key: &CallKey, body: Bytes) -> Result<Incoming, ProtocolError> {
    match key.legacy_iv() {
        Some(iv) => legacy::open_message(key, iv, &body),
        None => open_sealed(key, Sealed::decode(body)?),
    }
}

fn open_sealed(key: &CallKey, sealed: Sealed) -> Result<Incoming, ProtocolError> {
    if let Some(error) = read_rejection(&sealed)? {
        return Ok(Incoming::Rejected(error));
    }
    let iv: [u8; IV_LEN] = sealed.iv[..].try_into().map_err(|_| ProtocolError::Decrypt)?;
    let encoding = frame::encoding(&sealed.metadata);
    let ciphertext = sealed.ciphertext;
    drop((sealed.metadata, sealed.iv));
    // The only copy of an incoming message: the socket's buffer also holds the frames that follow.
    let mut text = Vec::from(ciphertext);
    key.decrypt(iv, &mut text)?;
    let envelope = match encoding {
        Encoding::Json => Envelope::take(text),
        Encoding::Protobuf => binary::read(text.into()),
    };
    envelope.map(Incoming::Envelope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{call::Outgoing, frame::Frame};

    #[test]
    fn a_repetition_with_another_vector_is_refused() {
        let key = CallKey::from_raw(&[7; 32]).unwrap();
        let mut arriving = Arriving::new(End::Client);
        let frame = Outgoing::server(1).end(&key, None).unwrap();
        let sealed = Sealed::decode(Frame::decode(frame.clone().into()).unwrap().body).unwrap();
        let at = frame.windows(IV_LEN).position(|part| part == &sealed.iv[..]).unwrap();
        let mut changed = frame.clone();
        // The second byte of the text becomes a space, which JSON allows there.
        changed[at + 1] ^= b'"' ^ b' ';
        let mut open =
            |frame: Vec<u8>| arriving.open(&key, Frame::decode(frame.into()).unwrap().body);
        assert!(open(frame).is_ok());
        assert!(matches!(open(changed), Err(ProtocolError::Repeated)));
    }
}
