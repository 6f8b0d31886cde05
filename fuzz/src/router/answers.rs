//! A call from the point of view of its client, and the answers that it may receive.

use std::sync::Arc;

use bytes::Bytes;
use volt_api::volt::AuthenticateResponse;
use volt_runtime::{
    __core::{
        Body,
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        frame::{Frame, FrameKind, KeyReply},
    },
    Code, Method, Status, json,
};

use super::opening;

/// The methods for callers without a session.
const OPEN: [&str; 2] = ["/Authenticate", "/CheckCompatibility"];

#[derive(Default)]
pub(super) struct Call {
    /// The claim of the token that opened it.
    claim: u8,
    /// The server's key exchange, until the key is needed: computing it is slow.
    reply: Option<Bytes>,
    key: Option<Arc<CallKey>>,
    pub(super) outgoing: Option<Outgoing>,
    /// `Some(None)` for a method that does not exist.
    method: Option<Option<&'static Method>>,
    named_service: bool,
    refused: bool,
    ended: bool,
    /// The client made the rest of the call unpredictable. Its answers are still checked for data that
    /// no stranger may receive.
    spoiled: bool,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("claim", &self.claim).field("method", &self.method).finish()
    }
}

impl Call {
    pub(super) fn new(claim: u8) -> Self {
        Self { claim, ..Self::default() }
    }

    pub(super) fn spoil(&mut self) {
        self.spoiled = true;
    }

    /// Returns whether the server must still answer.
    pub(super) fn is_due(&self) -> bool {
        let single = self
            .method
            .is_some_and(|method| method.is_none_or(|method| !method.kind.client_streams()));
        single && !self.ended && !self.spoiled
    }

    /// The server's signature is not verified here: other tests do this, and it would double the
    /// time of this one.
    pub(super) fn key(&mut self) -> Option<Arc<CallKey>> {
        if let Some(reply) = self.reply.take() {
            let reply = KeyReply::decode(reply).expect("a server's key exchange can be read");
            self.key = opening::agree(self.claim, &reply.key).map(Arc::new);
        }
        self.key.clone()
    }

    /// Names the method. Returns the key, unless there is none, or a method was named before.
    pub(super) fn invoke(
        &mut self,
        method: Option<&'static Method>,
        named_service: bool,
    ) -> Option<Arc<CallKey>> {
        if self.method.is_some() {
            return None;
        }
        let key = self.key()?;
        (self.method, self.named_service) = (Some(method), named_service);
        Some(key)
    }

    /// The parts that seal a further message.
    pub(super) fn sealing(&mut self) -> Option<(Arc<CallKey>, &mut Outgoing)> {
        let key = self.key()?;
        Some((key, self.outgoing.as_mut()?))
    }

    /// Checks a frame of the server.
    pub(super) fn arrived(&mut self, frame: Frame) {
        assert!(!self.ended || self.spoiled, "an answer after the end");
        if frame.kind == FrameKind::KeyExchange {
            assert!(opening::is_acceptable(self.claim) || self.spoiled, "{self:?} was admitted");
            (self.reply, self.key) = (Some(frame.body), None);
            return;
        }
        if call::rejection(&frame.body).expect("a server's frames can be read").is_some() {
            self.ended = true;
            return;
        }
        let Some(key) = self.key() else {
            assert!(self.spoiled, "an answer before the key");
            return;
        };
        // A spoiled call may have been opened twice, with different keys.
        let Ok(incoming) = call::open(&key, frame.body) else {
            assert!(self.spoiled, "a server seals with the call's key");
            return;
        };
        match incoming {
            Incoming::Envelope(Envelope::Payload(Body::Json(text))) => self.message(&text),
            Incoming::Envelope(Envelope::End(status)) => {
                self.ended = true;
                self.end(status);
            }
            other => panic!("a server sends {other:?}"),
        }
    }

    fn message(&mut self, text: &str) {
        let path = self.path();
        if path.is_some_and(|path| path.ends_with(OPEN[0])) {
            let answer: AuthenticateResponse =
                json::read(text.as_bytes()).expect("a server's message can be read");
            assert!(answer.session_id.is_empty(), "a stranger got a session: {text}");
            return;
        }
        if path.is_some_and(|path| path.ends_with(OPEN[1])) {
            return;
        }
        // A refusal within a response: nothing else.
        let value: serde_json::Value = serde_json::from_str(text).expect("a message is JSON");
        let members = value.as_object().expect("a message is an object");
        let status = members.get("status").filter(|_| members.len() == 1);
        let code = status.and_then(|status| status["code"].as_i64());
        let code = code.unwrap_or_else(|| panic!("{path:?} answered a stranger: {text}"));
        let status = Status::from_parts(i32::try_from(code).unwrap(), "", "");
        self.refused(status.expect("a refusal has a code").code());
        self.refused = true;
    }

    fn end(&self, status: Option<Status>) {
        match status {
            Some(status) => self.refused(status.code()),
            None => {
                let open =
                    self.path().is_some_and(|path| OPEN.iter().any(|end| path.ends_with(end)));
                assert!(open || self.refused, "{:?} succeeded for a stranger", self.path());
            }
        }
    }

    /// Checks the reason of a refusal.
    fn refused(&self, code: Code) {
        let open = self.path().is_some_and(|path| OPEN.iter().any(|end| path.ends_with(end)));
        let expected = match code {
            Code::Unauthenticated | Code::InvalidArgument | Code::Cancelled => true,
            // Not every method of the API is implemented.
            Code::Unimplemented => true,
            Code::NotFound => self.named_service || open,
            Code::PermissionDenied => open,
            // The limits of challenge codes, and of the calls of a connection.
            Code::ResourceExhausted => true,
            _ => false,
        };
        assert!(expected || self.spoiled, "{self:?} failed with {code:?}");
    }

    fn path(&self) -> Option<&'static str> {
        Some(self.method??.path)
    }
}
