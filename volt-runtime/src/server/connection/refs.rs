//! References to a connection's calls, for the tasks that run them.
//!
//! The machine does not refer to the tasks, except through wakers, so there is no cycle: a connection's
//! state is freed when its driver and the last task of its calls have ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;

use super::{admission::Admission, shares::Shares};
use crate::{
    proto::server::Connection,
    queue::Wakes,
    socket::{self, machine},
};

machine!(Connection);

pub(super) type Shared = socket::Shared<Connection>;

/// Returns the number of a new connection, unique within the process.
pub(in crate::server) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A reference to a connection, held by the tasks of its calls.
#[derive(Clone)]
pub(super) struct ConnectionRef {
    number: u64,
    /// The machine of the connection.
    shared: Arc<Shared>,
    /// Shared with the stream below the websocket.
    admission: Arc<Admission>,
    is_tunnel: bool,
    /// The places that it shares with other tunnels, if it is that of a stream.
    shares: Option<Arc<Shares>>,
}

impl ConnectionRef {
    pub(super) fn new(shared: Arc<Shared>, admission: Arc<Admission>) -> Self {
        Self { number: next_number(), shared, admission, is_tunnel: false, shares: None }
    }

    pub(super) fn into_tunnel(self, shares: Option<Arc<Shares>>) -> Self {
        Self { is_tunnel: true, shares, ..self }
    }

    pub(super) fn shares(&self) -> Option<&Shares> {
        self.shares.as_deref()
    }

    /// Returns whether the frames travel in the messages of other calls, so that they may come over
    /// gRPC.
    pub(super) fn is_tunnel(&self) -> bool {
        self.is_tunnel
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Called when a call was admitted with a session.
    pub(super) fn authenticated(&self) {
        // Once for each connection: the lock is not needed for later calls.
        if !self.admission.is_admitted() {
            self.shared.with(Connection::authenticated);
            self.admission.admit();
        }
    }
}

/// A reference to a call, held by its handler's halves.
#[derive(Clone)]
pub(super) struct CallRef {
    shared: Arc<Shared>,
    id: u64,
}

impl CallRef {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Changes the machine of the call's connection, under its lock.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Connection) -> T) -> T {
        self.shared.with(change)
    }
}

/// Removes a call from its connection when its task ends, for any reason. A half that the handler
/// has moved elsewhere may outlive the task.
pub(super) struct Entry {
    call: CallRef,
    admission: Arc<Admission>,
}

impl Entry {
    pub(super) fn new(connection: &ConnectionRef, id: u64) -> Self {
        let call = CallRef { shared: Arc::clone(&connection.shared), id };
        Self { call, admission: Arc::clone(&connection.admission) }
    }

    pub(super) fn call(&self) -> &CallRef {
        &self.call
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let queued = self.call.with(|machine| {
            machine.remove(self.call.id);
            machine.queued()
        });
        // Outside the machine's lock, as in `ServerSide::accept`.
        if !self.admission.is_admitted() {
            self.admission.released(queued);
        }
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;
    use crate::{
        Overflow,
        proto::{
            frame::{Frame, FrameKind},
            server::Limits,
        },
        server::connection::{addresses::Place, admission::Newcomers},
        socket::now,
    };

    /// Other connections may use them, even if this client sends nothing more.
    #[test]
    fn the_bytes_of_a_call_are_returned_when_it_ends() {
        let newcomers = Newcomers::new(3000);
        let [own, other] =
            [(); 2].map(|()| Admission::new(Arc::clone(&newcomers), Place::uncounted()));
        let machine = Connection::new(Limits {
            max_calls: 1,
            max_key_exchanges: 1,
            max_relayed_exchanges: 1,
            unauthenticated_buffer: 1000,
            receive_buffer: 1000,
            connection_buffer: 1000,
            overflow: Overflow::Fail,
            invoke_timeout: std::time::Duration::from_mins(1),
        });
        let connection = ConnectionRef::new(Shared::new(machine), own);
        let body = Bytes::from_static(b"opening");
        let frame = Frame { kind: FrameKind::KeyExchange, call: 1, last: false, body };
        assert!(connection.shared().with(|machine| machine.receive(now(), frame)).is_some());
        let entry = Entry::new(&connection, 1);
        connection.admission().queued(connection.shared().with(|machine| machine.queued()));
        assert!(connection.admission().arriving(100));
        assert!(!other.arriving(2000), "the call counts");
        drop(entry);
        assert!(!other.arriving(2901), "the message that is arriving counts");
        assert!(other.arriving(2900));
    }
}
