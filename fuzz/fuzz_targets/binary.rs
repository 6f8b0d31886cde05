//! The binary form of a sealed payload: a valid one survives being written, sealed, opened and read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_runtime::{
    __core::{
        Body, Encoding,
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        frame::Frame,
        tunnel::TunnelFrame,
    },
    MethodKind,
    transport::{Form, Payload},
};

/// A message of these bytes.
struct Raw<'a>(&'a [u8]);

impl Payload for Raw<'_> {
    fn write_json(&self, _: &mut Vec<u8>, _: Form) -> Result<(), serde_json::Error> {
        Err(serde::ser::Error::custom("it has no text"))
    }

    fn protobuf_len(&self) -> usize {
        self.0.len()
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

fuzz_target!(|data: &[u8]| {
    let key = CallKey::from_raw(&[7; 32]).expect("any 32 bytes are a key");
    let mut ciphertext = data.to_vec();
    key.encrypt_from([9; 16], &mut ciphertext, 0).expect("it can be encrypted");
    let frame = TunnelFrame::Payload {
        iv: vec![9; 16].into(),
        ciphertext: ciphertext.into(),
        encoding: Encoding::Protobuf,
        end: false,
    };
    let frame = frame.to_target(1).expect("its fields are short");
    let Ok(Incoming::Envelope(envelope)) = call::open(&key, frame.body) else { return };
    let mut server = Outgoing::server(1);
    server.set_encoding(Encoding::Protobuf);
    let written = match &envelope {
        Envelope::Invoke { method_name, service_id, request: Body::Protobuf(request) } => {
            let client = Outgoing::client(1, method_name, service_id.as_deref());
            client.in_protobuf(MethodKind::Bidi).message(&key, &Raw(request))
        }
        Envelope::Payload(Body::Protobuf(message)) => server.message(&key, &Raw(message)),
        Envelope::End(failure) => server.end(&key, failure.as_ref()),
        // A message in JSON within the binary form is only read.
        _ => return,
    };
    let frame = Frame::decode(written.expect("it can be written").into()).expect("it is a frame");
    assert_eq!(call::open(&key, frame.body), Ok(Incoming::Envelope(envelope)));
});
