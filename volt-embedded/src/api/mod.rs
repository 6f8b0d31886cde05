//! The services, as the SDK's server traits: streams and waiting. What is done is in
//! [`logic`](crate::logic).

mod connect;
mod databases;
mod files;
pub(crate) mod http;
pub(crate) mod legacy;
mod volt;
mod wires;

use std::sync::Arc;

use volt_api::{
    Status,
    data::{
        sqlite_database_api::SqliteDatabaseApiServer, sqlite_server_api::SqliteServerApiServer,
    },
    server::{Context, Router},
    volt::{file_api::FileApiServer, volt_api::VoltApiServer, wire_api::WireApiServer},
};

use crate::{
    actor::Actor,
    error::Result,
    volt::{Volt, blocking},
};

/// The services that are built in.
pub(crate) const SERVICES: [&str; 5] = [
    "tdx.volt_api.volt.v1.VoltAPI",
    "tdx.volt_api.volt.v1.FileAPI",
    "tdx.volt_api.volt.v1.WireAPI",
    "tdx.volt_api.data.v1.SqliteServerAPI",
    "tdx.volt_api.data.v1.SqliteDatabaseAPI",
];

/// What answers calls: one type for all services, because they share everything.
pub(crate) struct Handlers {
    volt: Arc<Volt>,
}

impl Handlers {
    /// The routes to all services.
    pub(crate) fn router(volt: &Arc<Volt>) -> Router {
        let handlers = Arc::new(Self { volt: Arc::clone(volt) });
        Router::new()
            .with(VoltApiServer::from_arc(Arc::clone(&handlers)))
            .with(FileApiServer::from_arc(Arc::clone(&handlers)))
            .with(WireApiServer::from_arc(Arc::clone(&handlers)))
            .with(SqliteServerApiServer::from_arc(Arc::clone(&handlers)))
            .with(SqliteDatabaseApiServer::from_arc(handlers))
    }

    /// The caller, who must have a session.
    fn actor(&self, context: &Context) -> Result<Actor, Status> {
        Actor::new(&self.volt, context)
    }

    /// Does something for a caller with a session.
    async fn run<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&Actor) -> Result<T> + Send + 'static,
    ) -> Result<T, Status> {
        let actor = self.actor(context)?;
        Ok(blocking(move || work(&actor)).await?)
    }
}

/// Does something for an actor. See [`blocking`].
async fn on<T: Send + 'static>(
    actor: &Actor,
    work: impl FnOnce(&Actor) -> Result<T> + Send + 'static,
) -> Result<T, Status> {
    let actor = actor.clone();
    Ok(blocking(move || work(&actor)).await?)
}
