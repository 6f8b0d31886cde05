//! The older API 0.15.1. Most messages have the same JSON in both versions and share the same
//! handlers; this module handles the differences.
//!
//! A message may be one type in both versions, or two. This code compiles in either case: it has
//! its own types for the streams, and names the version of each message.

use std::sync::Arc;

use volt_api::{
    Status, data as new,
    server::{Context, Requests, Responses, Router},
    v0_15::data::{self as old, SqliteDatabaseApi, SqliteDatabaseApiServer},
    volt::AttributeValue,
};

use super::{
    Handlers,
    databases::{Commands, Rows, execute},
};
use crate::{sql::execute::Command, volt::Volt};

/// Returns the routes of legacy calls.
pub(crate) fn router(volt: &Arc<Volt>) -> Router {
    let older = Older(Handlers { volt: Arc::clone(volt) });
    Handlers::router(volt).with(SqliteDatabaseApiServer::new(older))
}

struct Older(Handlers);

impl SqliteDatabaseApi for Older {
    async fn bulk_update(
        &self,
        context: Context,
        request: old::SqlBulkUpdateRequest,
    ) -> Result<old::SqlBulkUpdateResponse, Status> {
        let request = new::SqlBulkUpdateRequest::default()
            .with_database_id(request.database_id)
            .with_statement(request.statement);
        self.0.run(&context, move |actor| actor.bulk_update(&request)).await?;
        Ok(old::SqlBulkUpdateResponse::default())
    }

    async fn execute(
        &self,
        context: Context,
        requests: Requests<old::SqlExecuteRequest>,
        responses: Responses<old::SqlExecuteResponse>,
    ) -> Result<(), Status> {
        self.0
            .run_long(&context, |actor| execute(actor, OldCommands(requests), OldRows(responses)))
            .await
    }
}

/// A request with a statement starts it; a request without one asks for the next page.
struct OldCommands(Requests<old::SqlExecuteRequest>);

impl Commands for OldCommands {
    const EXPECTED_START: &'static str = "the first message of Execute needs `database_id` and `statement`: this connection speaks the \
         API 0.15, because the client has an RSA key; `start` is of the newer API";

    async fn next(&mut self) -> Result<Option<Command>, Status> {
        let Some(request) = self.0.message().await? else { return Ok(None) };
        if request.statement.is_empty() {
            return Ok(Some(Command::Next(new::SqlExecuteNext::default())));
        }
        let mut start = new::SqlExecuteStart::default()
            .with_database_id(request.database_id)
            .with_statement(request.statement)
            .with_page_size(request.page_size);
        for (name, value) in request.parameter {
            start.parameter.insert(name, recode::<_, AttributeValue>(&value)?);
        }
        Ok(Some(Command::Start(start)))
    }
}

struct OldRows(Responses<old::SqlExecuteResponse>);

impl Rows for OldRows {
    async fn give(&mut self, row: new::SqlExecuteResponse) -> Result<(), Status> {
        self.0.send(recode(&row)?).await
    }
}

/// Converts a message to the other version through JSON.
fn recode<A: serde::Serialize, B: serde::de::DeserializeOwned>(message: &A) -> Result<B, Status> {
    let other = serde_json::to_value(message).and_then(serde_json::from_value);
    other.map_err(|error| {
        crate::error::internal(format!("a message has no form in the older API: {error}"))
    })
}
