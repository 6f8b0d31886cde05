//! `Actor`: a caller with a session. The API's logic is written as methods of an actor.

use std::sync::Arc;

use rusqlite::Connection;
use volt_api::{Status, server::Context};

use crate::{
    error::{Result, denied, unauthenticated},
    rights::{self, CONTENT, READ},
    scope::Scope,
    store::{Tx, resources},
    volt::Volt,
};

/// A caller with a session, in one call.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) volt: Arc<Volt>,
    /// The DID, or the key's fingerprint for an identity without one.
    pub(crate) identity: String,
    pub(crate) session: String,
    /// Cancels the actor's reads and queries when the call ends.
    pub(crate) scope: Scope,
}

impl Actor {
    /// Returns the caller, who must have a session.
    pub(crate) fn new(volt: &Arc<Volt>, context: &Context) -> Result<Self, Status> {
        let caller = context.caller();
        match (&caller.identity, &caller.session_id) {
            (Some(identity), Some(session)) => Ok(Self {
                volt: Arc::clone(volt),
                identity: identity.clone(),
                session: session.clone(),
                scope: volt.scope.for_call(),
            }),
            _ => Err(unauthenticated("this needs a session: call Authenticate first")),
        }
    }

    /// Reads from the store. The read is cancelled when the call ends.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.volt.store.read(&self.scope, work)
    }

    /// Changes the store. A change that has begun completes even if the caller disconnects.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        self.scope.check()?;
        self.volt.store.write(work)
    }

    /// Returns whether the actor owns the Volt.
    pub(crate) fn is_owner(&self) -> bool {
        self.identity == self.volt.owner
    }

    /// Fails unless the actor owns the Volt.
    pub(crate) fn demand_owner(&self) -> Result<()> {
        if self.is_owner() {
            return Ok(());
        }
        Err(denied("only the owner of the Volt may do this").into())
    }

    /// Fails unless the actor owns the resource or the Volt.
    pub(crate) fn demand_ownership(&self, store: &Connection, id: &str) -> Result<()> {
        let owner = resources::owner(store, id)?;
        if self.is_owner() || owner == self.identity {
            return Ok(());
        }
        Err(denied(format!("only the owner of resource `{id}` may do this")).into())
    }

    /// Returns whether the actor has this access to a resource.
    pub(crate) fn may(&self, store: &Connection, id: &str, access: &str) -> Result<bool> {
        rights::may(store, &self.volt.owner, &self.identity, id, access)
    }

    /// Fails unless the actor has this access to a resource.
    pub(crate) fn demand(&self, store: &Connection, id: &str, access: &str) -> Result<()> {
        if self.may(store, id, access)? {
            return Ok(());
        }
        // Rules have no separate right to read content; it is part of the right to read.
        let access = if access == CONTENT { READ } else { access };
        Err(denied(format!("`{access}` to resource `{id}` is not permitted")).into())
    }

    /// Returns the id of the resource that `reference` names, if the actor has this access to it.
    pub(crate) fn reach(
        &self,
        store: &Connection,
        reference: &str,
        access: &str,
    ) -> Result<String> {
        let id = resources::resolve(store, reference)?;
        self.demand(store, &id, access)?;
        Ok(id)
    }
}
