//! The JSON of generated messages: a message is unchanged after writing and reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_runtime::{
    Message,
    json::{self, Form},
};

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    match choice % 6 {
        0 => round_trip::<volt_api::volt::Resource>(text),
        1 => round_trip::<volt_api::volt::ConnectResponse>(text),
        2 => round_trip::<volt_api::volt::AuthenticateRequest>(text),
        3 => round_trip::<volt_api::data::SqlExecuteResponse>(text),
        4 => round_trip::<volt_api::volt::SaveResourceRequest>(text),
        _ => round_trip::<volt_api::volt::DiscoverServicesResponse>(text),
    }
});

/// The texts are compared, because a message may contain NaN, which is not equal to itself.
fn round_trip<M: Message>(text: &[u8]) {
    let Ok(message) = json::read::<M>(text) else { return };
    let write = |message: &M| {
        let mut text = Vec::new();
        json::write(message, &mut text, Form::Plain).map(|()| text)
    };
    let Ok(written) = write(&message) else { return };
    let again: M = json::read(&written).expect("what is written can be read");
    assert_eq!(written, write(&again).expect("it could be written before"));
}
