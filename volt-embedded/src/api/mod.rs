//! The services, as implementations of the SDK's server traits. The operations are in
//! [`logic`](crate::logic).

mod connect;
mod databases;
mod files;
pub(crate) mod http;
mod invoke;
pub(crate) mod legacy;
mod sync;
mod volt;
mod wires;

use std::sync::Arc;

use volt_api::{
    Status,
    data::{SqliteDatabaseApiServer, SqliteServerApiServer},
    server::{Context, Router},
    volt::{FileApiServer, SyncApiServer, VoltApiServer, WireApiServer},
};

use crate::{
    actor::Actor,
    error::Result,
    volt::{Volt, blocking},
};

/// The built-in services.
pub(crate) const SERVICES: [&str; 6] = [
    "tdx.volt_api.volt.v1.VoltAPI",
    "tdx.volt_api.volt.v1.FileAPI",
    "tdx.volt_api.volt.v1.WireAPI",
    "tdx.volt_api.volt.v1.SyncAPI",
    "tdx.volt_api.data.v1.SqliteServerAPI",
    "tdx.volt_api.data.v1.SqliteDatabaseAPI",
];

/// Handles the calls of all services, which share their state.
pub(crate) struct Handlers {
    volt: Arc<Volt>,
}

impl Handlers {
    pub(crate) fn new(volt: &Arc<Volt>) -> Self {
        Self { volt: Arc::clone(volt) }
    }

    /// Returns the routes to all services.
    pub(crate) fn router(volt: &Arc<Volt>) -> Router {
        let handlers = Arc::new(Self::new(volt));
        Router::new()
            .with(VoltApiServer::from_arc(Arc::clone(&handlers)))
            .with(FileApiServer::from_arc(Arc::clone(&handlers)))
            .with(WireApiServer::from_arc(Arc::clone(&handlers)))
            .with(SyncApiServer::from_arc(Arc::clone(&handlers)))
            .with(SqliteServerApiServer::from_arc(Arc::clone(&handlers)))
            .with(SqliteDatabaseApiServer::from_arc(handlers))
    }

    /// Returns the caller, who must have a session.
    fn actor(&self, context: &Context) -> Result<Actor, Status> {
        Actor::new(&self.volt, context)
    }

    /// Runs work for a caller with a session. Reads are cancelled when the caller disconnects.
    async fn run<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&Actor) -> Result<T> + Send + 'static,
    ) -> Result<T, Status> {
        let actor = self.actor(context)?;
        let _cancel = actor.scope.cancel_on_drop();
        on(&actor, work).await
    }

    /// Runs a long-lived call of a caller with a session. The call ends with the session, and the
    /// blocking work of the call ends with the call.
    async fn run_long<F: Future<Output = Result<(), Status>>>(
        &self,
        context: &Context,
        call: impl FnOnce(Actor) -> F,
    ) -> Result<(), Status> {
        let actor = self.actor(context)?;
        let _cancel = actor.scope.cancel_on_drop();
        let session = on(&actor, Actor::join_session).await?;
        tokio::select! {
            biased;
            outcome = call(actor) => outcome,
            status = session.ended() => Err(status),
        }
    }
}

/// Checks an actor's rights again if the store has changed since they were last checked. `checked` is the number of
/// its changes then.
async fn recheck(
    actor: &Actor,
    checked: &mut u64,
    check: impl FnOnce(&Actor) -> Result<()> + Send + 'static,
) -> Result<(), Status> {
    let changes = actor.volt.store.changes();
    if changes != *checked {
        on(actor, check).await?;
        *checked = changes;
    }
    Ok(())
}

/// Runs blocking work for an actor, within the limits of its identity.
async fn on<T: Send + 'static>(
    actor: &Actor,
    work: impl FnOnce(&Actor) -> Result<T> + Send + 'static,
) -> Result<T, Status> {
    let permit = actor.volt.permits.operation(&actor.identity).await?;
    let actor = actor.clone();
    let work = move || {
        // Hold the permit until the work ends, which may be after its caller has disconnected.
        let _permit = permit;
        work(&actor)
    };
    Ok(blocking(work).await?)
}
