//! The frame decoder: a decoded frame encodes to the same bytes, and every body can be inspected.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use volt_runtime::__core::{
    call,
    crypto::CallKey,
    frame::{Frame, FrameKind, KeyReply, KeyRequest, Sealed},
    handshake::ServerHandshake,
    tunnel::TunnelFrame,
};

fuzz_target!(|data: &[u8]| {
    let message = Bytes::copy_from_slice(data);
    let Ok(frame) = Frame::decode(message.clone()) else { return };
    let body = frame.body.clone();
    if frame.kind == FrameKind::KeyExchange {
        if let Ok(request) = KeyRequest::decode(body.clone()) {
            let written = request.encode(frame.call).expect("it came in a frame");
            assert!(message.starts_with(&written));
        }
        if let Ok(reply) = KeyReply::decode(body) {
            let written = reply.encode(frame.call).expect("it came in a frame");
            assert!(message.starts_with(&written));
        }
        if let Ok(opened) = ServerHandshake::accept(&frame) {
            let open = TunnelFrame::open(&opened.token, opened.via.clone());
            let passed_on = open.to_target(frame.call).expect("it came in a frame");
            let opened_there = ServerHandshake::accept(&passed_on).expect("it could be read here");
            assert_eq!(opened.via, opened_there.via);
            assert_eq!(opened.token.to_jwt(), opened_there.token.to_jwt());
        }
    } else {
        let sealed = Sealed::decode(body.clone());
        assert_eq!(sealed.is_err(), TunnelFrame::from_caller(body.clone()).is_err());
        let rejected = call::rejection(&body);
        let key = CallKey::from_raw(&[7; 32]).expect("any 32 bytes are a key");
        let opened = call::open(&key, body.clone());
        if let Ok(Some(reason)) = rejected {
            assert_eq!(opened, Ok(call::Incoming::Rejected(reason)));
        }
    }
    if let Ok(passed_on) = TunnelFrame::from_target(frame.clone()) {
        let back = passed_on.to_caller(frame.call).expect("it came in a frame");
        let back = Frame::decode(back.into()).expect("our own frames can be read");
        assert_eq!(TunnelFrame::from_target(back), Ok(passed_on));
    }
});
