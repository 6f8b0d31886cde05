//! Tokens that serve more than one call.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::ends::Ends;
use crate::proto::{
    ProtocolError,
    crypto::Ephemeral,
    handshake::{Pass, Route},
};

/// For how many routes passes are kept: the Volt's own, and those of the services called lately.
const KEPT: usize = 8;

/// The passes of a client, the newest last.
#[derive(Debug)]
pub(super) struct Passes {
    made: Mutex<Vec<Arc<Pass>>>,
    lifetime: u64,
}

impl Passes {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { made: Mutex::default(), lifetime: lifetime.as_secs() }
    }

    fn made(&self) -> MutexGuard<'_, Vec<Arc<Pass>>> {
        // The list is changed by single operations only, so a poisoned one is still whole.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass for a call at `now` (Unix seconds). A `fresh` one has not served before, and will not
    /// again.
    pub(super) fn get(
        &self,
        ends: &Ends,
        route: &Route,
        fresh: bool,
        now: u64,
    ) -> Result<Arc<Pass>, ProtocolError> {
        let serves = |pass: &&Arc<Pass>| pass.serves(route, now, self.lifetime);
        if !fresh && let Some(pass) = self.made().iter().rfind(serves) {
            return Ok(Arc::clone(pass));
        }
        // Made outside the lock: two that are made at once do no harm.
        let session = ends.session.as_deref();
        let pass = Arc::new(Pass::new(route, &ends.key, session, Ephemeral::generate()?, now)?);
        if !fresh && self.lifetime > 0 {
            let mut made = self.made();
            made.retain(|pass| pass.is_valid(now, self.lifetime));
            if made.len() == KEPT {
                made.remove(0);
            }
            made.push(Arc::clone(&pass));
        }
        Ok(pass)
    }
}
