//! Somebody with a session, acting on the Volt. The API's logic is written as what an actor does.

use std::sync::Arc;

use rusqlite::Connection;
use volt_api::{Status, server::Context};

use crate::{
    error::{Result, denied, unauthenticated},
    rights,
    store::resources,
    volt::Volt,
};

/// Who does something, and where.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) volt: Arc<Volt>,
    /// The DID, or the key's fingerprint where there is none.
    pub(crate) identity: String,
    pub(crate) session: String,
}

impl Actor {
    /// The caller, who must have a session.
    pub(crate) fn new(volt: &Arc<Volt>, context: &Context) -> Result<Self, Status> {
        let caller = context.caller();
        match (&caller.identity, &caller.session_id) {
            (Some(identity), Some(session)) => Ok(Self {
                volt: Arc::clone(volt),
                identity: identity.clone(),
                session: session.clone(),
            }),
            _ => Err(unauthenticated("this needs a session: call Authenticate first")),
        }
    }

    /// Whether the Volt is theirs.
    pub(crate) fn is_owner(&self) -> bool {
        self.identity == self.volt.owner
    }

    /// Refuses everyone but the owner of the Volt.
    pub(crate) fn demand_owner(&self) -> Result<()> {
        if self.is_owner() {
            return Ok(());
        }
        Err(denied("only the owner of the Volt may do this").into())
    }

    /// Whether they may do something with a resource.
    pub(crate) fn may(&self, store: &Connection, id: &str, access: &str) -> Result<bool> {
        rights::may(store, &self.volt.owner, &self.identity, id, access)
    }

    /// Refuses them if they may not.
    pub(crate) fn demand(&self, store: &Connection, id: &str, access: &str) -> Result<()> {
        if self.may(store, id, access)? {
            return Ok(());
        }
        Err(denied(format!("`{access}` to resource `{id}` is not permitted")).into())
    }

    /// The id of the resource that `reference` names, if they may do this with it.
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
