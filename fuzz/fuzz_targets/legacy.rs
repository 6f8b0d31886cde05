//! The decoder of the legacy JSON protocol. The identity is an Ed25519 key, so an opening is read
//! only up to the RSA operation, which would otherwise take most of the time.

#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use volt_runtime::{
    __core::{
        call::{self, Incoming},
        crypto::CallKey,
        frame::FrameKind,
        legacy,
    },
    key::SigningKey,
};

static IDENTITY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

fuzz_target!(|data: &[u8]| {
    let key = CallKey::legacy(&[7; 32], [9; 16]).expect("any 32 bytes are a key");
    let opened = call::open(&key, Bytes::copy_from_slice(data));
    let Ok(frame) = legacy::decode(Bytes::copy_from_slice(data)) else { return };
    assert_eq!(&frame.body[..], data);
    if frame.kind == FrameKind::LegacyOpening {
        if let Ok(token) = legacy::accept(data) {
            let opened = legacy::call_key(&token, &IDENTITY);
            assert!(opened.is_err(), "only an RSA key opens it");
        }
    }
    if let Ok(Incoming::Rejected(reason)) = opened {
        let rejection = legacy::reject(frame.call, &reason).expect("it was JSON before");
        let again = legacy::decode(rejection.clone().into()).expect("our own can be read");
        assert!(again.last && again.call == frame.call);
        assert_eq!(call::open(&key, rejection.into()), Ok(Incoming::Rejected(reason)));
    }
});
