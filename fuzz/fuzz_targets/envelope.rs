//! The contents of a sealed payload: a valid one survives being written, sealed, opened and read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_runtime::__core::{
    Body,
    call::{self, Incoming, Outgoing},
    crypto::CallKey,
    envelope::Envelope,
    frame::Frame,
};
use volt_test_support::Text;

fuzz_target!(|data: &[u8]| {
    let Ok(envelope) = Envelope::read(data) else { return };
    let key = CallKey::from_raw(&[7; 32]).expect("any 32 bytes are a key");
    let (iv, server) = ([9; 16], &mut Outgoing::server(1));
    let written = match &envelope {
        Envelope::Invoke { method_name, service_id, request: Body::Json(request) } => {
            let mut client = Outgoing::client(1, method_name, service_id.as_deref());
            client.message_with_iv(&key, iv, &Text(request))
        }
        Envelope::Payload(Body::Json(text)) => server.message_with_iv(&key, iv, &Text(text)),
        Envelope::End(failure) => server.end_with_iv(&key, iv, failure.as_ref()),
        other => panic!("no writer for {other:?}"),
    };
    let frame = Frame::decode(written.expect("it can be written").into()).expect("it is a frame");
    assert_eq!(call::open(&key, frame.body), Ok(Incoming::Envelope(envelope)));
});
