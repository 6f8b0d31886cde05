//! Calls that are refused, by the Volt or on this side.

use super::*;

#[test]
fn a_half_close_without_a_message_fails_the_call() {
    for keyed in [false, true] {
        let mut pair = Pair::new();
        let (id, opening) = pair.open();
        let key = keyed.then(|| {
            let key = pair.reply(&opening);
            assert!(matches!(pair.ready(id), Poll::Ready(Ok(_))));
            key
        });
        pair.half_close(id);
        let error = pair.error(id);
        assert!(error.to_string().contains("no message was sent"), "{error}");
        assert_eq!((error.is_configuration(), error.executed()), (true, Executed::No));
        // The Volt is notified that nothing more follows.
        let key = key.unwrap_or_else(|| pair.reply(&opening));
        pair.work();
        assert!(is_cancel(pair.said(&key).as_ref()));
        pair.abandon(id);
        assert_eq!((pair.connection.open_calls(), pair.sent().is_none()), (0, true));
    }
}

#[test]
fn a_message_above_the_limit_is_refused_alone() {
    let mut pair = Pair::new();
    let (id, key) = pair.keyed();
    let mut outgoing = Outgoing::client(id, "/test/Method", None).with_limit(10);
    let error = outgoing.message(&key, &Text).unwrap_err();
    assert!(matches!(error, ProtocolError::MessageTooLarge { limit: 10, .. }), "{error}");
    let error = super::super::protocol_error(error);
    assert_eq!(
        (error.kind(), error.executed()),
        (ErrorKind::ResourceExhausted, Executed::No),
        "{error}"
    );
    assert!(!outgoing.is_invoked());
    outgoing = outgoing.with_limit(1000);
    pair.connection.send(id, outgoing.message(&key, &Text).unwrap());
    assert!(matches!(pair.said(&key), Some(Envelope::Invoke { .. })));
}

#[test]
fn a_refused_call_is_not_open_even_if_it_is_not_read() {
    let mut pair = Pair::new();
    let (rejected, _) = pair.open();
    let (ended, key) = pair.invoked();
    pair.receive(call::reject(rejected, "not you").unwrap());
    pair.receive(Outgoing::server(ended).end(&key, None).unwrap());
    assert_eq!((pair.connection.open_calls(), pair.connection.open_ids().count()), (0, 0));
    // Dropping the rejected call removes it at once: no key will arrive to cancel it with.
    pair.abandon(rejected);
    assert_eq!(pair.connection.next_timeout(), None);
    assert!(matches!(pair.read(rejected), Poll::Ready(Err(_))));
    assert!(matches!(pair.read(ended), Poll::Ready(Ok(Some(Envelope::End(None))))));
    pair.connection.finish(ended, None);
    assert_eq!(pair.connection.open_calls(), 0);
}

#[test]
fn frames_after_the_last_take_no_memory() {
    let mut pair = Pair::new();
    let (id, key) = pair.invoked();
    let mut outgoing = Outgoing::server(id);
    pair.receive(outgoing.end(&key, None).unwrap());
    let mut late = Outgoing::server(id);
    for _ in 0..10 {
        pair.receive(late.message(&key, &Text).unwrap());
    }
    assert!(matches!(pair.read(id), Poll::Ready(Ok(Some(Envelope::End(None))))));
    assert!(pair.read(id).is_pending());
}

#[test]
fn a_dropped_call_is_cancelled_although_a_payload_preceded_its_key() {
    let mut pair = Pair::new();
    let (id, opening) = pair.open();
    pair.abandon(id);
    let stranger = CallKey::from_raw(&[7; 32]).unwrap();
    pair.receive(Outgoing::server(id).message(&stranger, &Text).unwrap());
    let key = pair.reply(&opening);
    pair.work();
    assert!(is_cancel(pair.said(&key).as_ref()));
}
