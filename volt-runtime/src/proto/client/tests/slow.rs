//! Slow readers, and messages that take long to arrive.

use super::*;

/// A call with a buffer of one byte, and as many answers for it as fit the connection.
fn full(pair: &mut Pair) -> (u64, CallKey, Outgoing) {
    let overflow = Overflow::Wait(Duration::from_secs(5));
    let options = CallOptions { receive_buffer: 1, overflow, ..CallOptions::default() };
    let (id, opening) = pair.open_as(MethodKind::Bidi, &options);
    let key = pair.reply(&opening);
    pair.send(id);
    pair.sent();
    let mut outgoing = Outgoing::server(id);
    while pair.connection.poll_receive(&mut cx()).is_ready() {
        pair.receive(outgoing.message(&key, &Text).unwrap());
    }
    (id, key, outgoing)
}

#[test]
fn a_key_exchange_waits_for_a_long_message_to_arrive() {
    let mut pair = Pair::new();
    let (id, _) = pair.open();
    for _ in 0..40 {
        pair.connection.arriving(pair.now);
        pair.wait(Duration::from_secs(1));
    }
    assert!(pair.read(id).is_pending());
    // The last part arrived a second ago.
    pair.wait(TIMEOUT.checked_sub(Duration::from_secs(2)).unwrap());
    assert!(pair.read(id).is_pending());
    pair.wait(Duration::from_secs(1));
    assert_eq!(pair.error(id).kind(), ErrorKind::Deadline);
}

#[test]
fn short_messages_do_not_delay_a_key_exchange() {
    let mut pair = Pair::new();
    let (other, key) = pair.invoked();
    let (id, _) = pair.open();
    let mut outgoing = Outgoing::server(other);
    for _ in 0..15 {
        pair.connection.arriving(pair.now);
        pair.receive(outgoing.message(&key, &Text).unwrap());
        assert!(matches!(pair.read(other), Poll::Ready(Ok(Some(_)))));
        pair.wait(Duration::from_secs(1));
    }
    assert_eq!(pair.error(id).kind(), ErrorKind::Deadline);
}

#[test]
fn a_call_that_is_not_read_fails_after_its_wait_and_is_cancelled() {
    let mut pair = Pair::new();
    let overflow = Overflow::Wait(Duration::from_secs(5));
    let options = CallOptions { receive_buffer: 1, overflow, ..CallOptions::default() };
    let (id, opening) = pair.open_as(MethodKind::Bidi, &options);
    let key = pair.reply(&opening);
    pair.send(id);
    pair.sent();
    let (other, _) = pair.open();
    let mut outgoing = Outgoing::server(id);
    for _ in 0..2 {
        pair.receive(outgoing.message(&key, &Text).unwrap());
    }
    assert!(pair.connection.poll_receive(&mut cx()).is_pending());
    pair.wait(Duration::from_secs(5));
    assert!(pair.connection.poll_receive(&mut cx()).is_ready());
    pair.work();
    assert!(is_cancel(pair.said(&key).as_ref()));
    // Messages that had arrived can be read.
    assert!(matches!(pair.read(id), Poll::Ready(Ok(Some(_)))));
    assert_eq!(pair.error(id).kind(), ErrorKind::ResourceExhausted);
    pair.abandon(id);
    assert!(pair.connection.open_ids().eq([other]) && pair.sent().is_none());
}

#[test]
fn the_stalls_of_a_call_add_up() {
    let mut pair = Pair::new();
    pair.open();
    let (id, key, mut outgoing) = full(&mut pair);
    // It is read once a second: each frame waits for less than the limit.
    for _ in 0..4 {
        pair.wait(Duration::from_secs(1));
        while pair.connection.poll_receive(&mut cx()).is_pending() {
            assert!(matches!(pair.read(id), Poll::Ready(Ok(Some(_)))));
        }
        while pair.connection.poll_receive(&mut cx()).is_ready() {
            pair.receive(outgoing.message(&key, &Text).unwrap());
        }
    }
    pair.wait(Duration::from_secs(2));
    assert!(pair.connection.poll_receive(&mut cx()).is_ready());
    while matches!(pair.read(id), Poll::Ready(Ok(Some(_)))) {}
    assert_eq!(pair.error(id).kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn a_call_alone_on_its_connection_may_be_read_slowly() {
    let mut pair = Pair::new();
    let (id, key, mut outgoing) = full(&mut pair);
    for _ in 0..20 {
        pair.wait(Duration::from_secs(50));
        while pair.connection.poll_receive(&mut cx()).is_pending() {
            assert!(matches!(pair.read(id), Poll::Ready(Ok(Some(_)))));
        }
        while pair.connection.poll_receive(&mut cx()).is_ready() {
            pair.receive(outgoing.message(&key, &Text).unwrap());
        }
    }
    // Another call must not wait that long.
    let (other, opening) = pair.open();
    pair.wait(Duration::from_secs(5));
    assert!(pair.connection.poll_receive(&mut cx()).is_ready());
    pair.reply(&opening);
    assert!(matches!(pair.ready(other), Poll::Ready(Ok(_))));
}

#[test]
fn a_call_alone_that_is_not_read_fails() {
    let mut pair = Pair::new();
    full(&mut pair);
    pair.wait(Duration::from_mins(1));
    assert!(pair.connection.poll_receive(&mut cx()).is_ready());
}

#[test]
fn a_key_exchange_waits_while_a_frame_is_held_back() {
    let mut pair = Pair::new();
    let (id, _) = pair.open();
    let (full, ..) = full(&mut pair);
    // The other call is read just often enough to delay the connection.
    pair.wait(TIMEOUT);
    assert!(pair.read(id).is_pending());
    pair.abandon(full);
    pair.wait(TIMEOUT);
    assert_eq!(pair.error(id).kind(), ErrorKind::Deadline);
}
