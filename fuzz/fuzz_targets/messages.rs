//! The messages of a gRPC body: they do not depend on how frames split them, and equal those of an
//! independent decoder.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use volt_runtime::__core::read_messages;

const LIMIT: usize = 1 << 16;

fuzz_target!(|input: (bool, Vec<u8>, Vec<u8>)| {
    let (gzip, cuts, data) = input;
    let mut rest = Bytes::from(data);
    let whole = vec![rest.clone()];
    let mut parts = Vec::new();
    for cut in cuts {
        parts.push(rest.split_to(rest.len().min(cut.into())));
    }
    parts.push(rest);
    let expected = read_messages(whole.clone(), gzip, LIMIT);
    assert_eq!(read_messages(parts, gzip, LIMIT), expected);
    if !gzip {
        assert_eq!(expected, plain(&whole[0]));
    }
});

/// Reads messages that are not compressed.
fn plain(mut data: &[u8]) -> (Vec<Bytes>, bool) {
    let mut messages = Vec::new();
    while let Some((&[flag, a, b, c, d], rest)) = data.split_first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if flag != 0 || length > LIMIT || rest.len() < length {
            return (messages, false);
        }
        messages.push(Bytes::copy_from_slice(&rest[..length]));
        data = &rest[length..];
    }
    (messages, data.is_empty())
}
