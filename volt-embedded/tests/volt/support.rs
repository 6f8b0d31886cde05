//! Helpers shared by the tests.

use volt_api::{
    Client, ClientConfig, Code, ConnectOptions, Error, TransportKind,
    data::{
        CreateDatabaseRequest, SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteResponse,
        SqlExecuteStart, Variant, sql_execute_response::Payload, variant::Data,
    },
    volt::{Access, Resource, SaveAccessRequest, SaveResourceRequest},
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

pub(crate) const TRANSPORTS: [TransportKind; 2] = [TransportKind::Websocket, TransportKind::Grpc];

/// Connects over this transport.
pub(crate) async fn connect_over(config: ClientConfig, transport: TransportKind) -> Client {
    let mut options = ConnectOptions::default();
    options.transport = transport;
    soon(Client::connect_with(config, options)).await.unwrap()
}

/// Starts a Volt. Returns it with a client of its owner.
pub(crate) async fn start() -> (EmbeddedVolt, Client) {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    (volt, client)
}

/// Returns a client whose identity owns only its home folder, and that identity.
pub(crate) async fn guest(volt: &EmbeddedVolt) -> (Client, String) {
    let config = volt.guest("guest").unwrap();
    let identity = identity(&config);
    (Client::connect(config).await.unwrap(), identity)
}

pub(crate) fn identity(config: &ClientConfig) -> String {
    config.credential.as_ref().unwrap().identity_did.clone().unwrap()
}

/// Creates a resource in the home folder.
pub(crate) async fn make(client: &Client, name: &str, kind: &str) -> Resource {
    let resource = Resource::default().with_name(name).with_kind([kind]);
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    client.volt().save_resource(request).await.unwrap().resource.unwrap()
}

/// Creates a database and runs these statements on it.
pub(crate) async fn database(client: &Client, statements: &[&str]) -> String {
    let request = CreateDatabaseRequest::default().with_name("db");
    let answer = client.sqlite_server().create_database(request).await.unwrap();
    let id = answer.resource.unwrap().id;
    let request = SqlBulkUpdateRequest::default()
        .with_database_id(&id)
        .with_statement(statements.iter().copied());
    client.sqlite_database().bulk_update(request).await.unwrap();
    id
}

/// Permits an identity an access to a resource.
pub(crate) async fn permit(client: &Client, resource: &str, identity: &str, access: &str) {
    let rule = Access::default()
        .with_resource_id(resource)
        .with_identity_did(identity)
        .with_access(access);
    let request = SaveAccessRequest::default().with_access(rule);
    client.volt().save_access(request).await.unwrap();
}

#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Code {
    outcome.expect_err("not refused").code()
}

/// Runs a query and returns its rows, each as one line of text.
pub(crate) async fn query(
    client: &Client,
    database: &str,
    statement: &str,
) -> Result<Vec<String>, Error> {
    let start = SqlExecuteStart::default().with_database_id(database).with_statement(statement);
    let mut call = client.sqlite_database().execute().await?;
    call.send(SqlExecuteRequest::default().with_start(start)).await?;
    call.half_close();
    let mut rows = Vec::new();
    while let Some(response) = call.message().await? {
        rows.extend(row(&response));
    }
    Ok(rows)
}

/// Returns the text of a response that is a row.
pub(crate) fn row(response: &SqlExecuteResponse) -> Option<String> {
    match &response.payload {
        Some(Payload::Row(row)) => Some(row.column.iter().map(cell).collect::<Vec<_>>().join("|")),
        _ => None,
    }
}

fn cell(variant: &Variant) -> String {
    match &variant.data {
        Some(Data::Text(text)) => text.clone(),
        Some(Data::Integer(number)) => number.to_string(),
        Some(Data::Real(number)) => format!("{number:?}"),
        Some(Data::Blob(bytes)) => format!("{bytes:?}"),
        Some(Data::Null(true)) => "NULL".to_owned(),
        other => panic!("no value: {other:?}"),
    }
}
