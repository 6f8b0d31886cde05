//! Both ends of a connection without a socket: messages are handed in, and what an end sends is
//! taken out. For the fuzz targets and the property tests, which this crate makes no promises to.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::{
    Error, Result,
    proto::{frame::Frame, legacy},
    queue::Popped,
    socket::{CallSlot as _, Link, Side},
};
pub use crate::{client::ClientEnd, server::ServerEnd};

/// What a driver does with a message, but that nothing is waited for: a call without room is failed
/// at once.
pub(crate) fn receive(side: &mut impl Side, message: Bytes, text: bool) -> Result<()> {
    let frame = if text { legacy::decode(message) } else { Frame::decode(message) };
    let frame = frame
        .map_err(|error| Error::protocol("a frame cannot be read").with_source(error))
        .inspect_err(|error| side.lost(error))?;
    if let Some((call, body)) = side.route(frame) {
        if call.inbox().poll_room(&mut Context::from_waker(Waker::noop())).is_pending() {
            call.overflowed();
        }
        let bytes = body.len();
        call.inbox().push(body, bytes);
    }
    Ok(())
}

/// The next message that an end sends.
pub(crate) fn sent(link: &Link) -> Option<Bytes> {
    match link.poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Popped::Item(message)) => Some(message),
        _ => None,
    }
}
