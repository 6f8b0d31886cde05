//! The work during which a Volt is killed, and the facts that it acknowledges.

use std::collections::BTreeMap;

use volt_api::{
    Client, Code, Result,
    data::{
        CreateDatabaseRequest, SqlBulkUpdateRequest, SqlExecuteEnd, SqlExecuteRequest,
        SqlExecuteStart, sql_execute_response::Payload, variant::Data,
    },
    volt::{
        Access, CopyResourceMode, CopyResourceRequest, DeleteResourceRequest, GetAccessRequest,
        GetFileContentRequest, GetResourceDescendantsRequest, GetResourceRequest,
        PublishWireRequest, Resource, SaveAccessRequest, SaveResourceRequest,
        SetFileContentRequest, UploadFileRequest, UploadFileStart,
    },
};

use crate::documents;

/// The number of kinds of work.
pub(crate) const KINDS: usize = 9;

/// The resources that the work shares.
#[derive(Clone)]
pub(crate) struct Places {
    pub(crate) database: String,
    pub(crate) wire: String,
    /// A file whose content is replaced by ever larger numbers.
    pub(crate) replaced: String,
    /// A database with a document to which numbers are added.
    pub(crate) documents: String,
}

/// A change that the Volt has acknowledged.
pub(crate) enum Fact {
    Uploaded { id: String, number: usize },
    Replaced { number: usize },
    Deleted { id: String },
    Copied { folder: String, number: usize },
    Published { number: usize },
    Inserted { number: usize },
    Committed { number: usize },
    Edited { number: usize },
    Shared { id: String },
    DatabaseCreated { id: String },
}

pub(crate) async fn save(client: &Client, parent: &str, name: &str, kind: &str) -> Result<String> {
    let resource = Resource::default().with_name(name).with_kind([kind]);
    let request = SaveResourceRequest::default()
        .with_resource(resource)
        .with_create(true)
        .with_create_in_parent_id(parent);
    Ok(client.volt().save_resource(request).await?.resource.unwrap_or_default().id)
}

pub(crate) async fn upload(client: &Client, id: &str, content: &str) -> Result<()> {
    let mut call = client.file().upload_file().await?;
    let start = UploadFileStart::default().with_resource_id(id);
    call.send(UploadFileRequest::default().with_start(start)).await?;
    call.send(UploadFileRequest::default().with_block(content)).await?;
    call.half_close();
    while call.message().await?.is_some() {}
    Ok(())
}

/// Inserts two rows in one transaction.
async fn transaction(client: &Client, database: &str, number: usize) -> Result<()> {
    let mut call = client.sqlite_database().execute().await?;
    for half in ["a", "b"] {
        let statement = format!("INSERT INTO pair VALUES ({number}, '{half}')");
        let start = SqlExecuteStart::default()
            .with_database_id(database)
            .with_statement(statement)
            .with_transaction(true);
        call.send(SqlExecuteRequest::default().with_start(start)).await?;
        call.message().await?;
    }
    let end = SqlExecuteEnd::default().with_commit_transaction(true);
    call.send(SqlExecuteRequest::default().with_end(end)).await?;
    while call.message().await?.is_some() {}
    Ok(())
}

async fn new_file(client: &Client, number: usize) -> Result<String> {
    let id = save(client, "", &number.to_string(), "volt:file").await?;
    upload(client, &id, &number.to_string()).await?;
    Ok(id)
}

/// Does one piece of work of this kind. Returns the facts that the Volt has acknowledged.
pub(crate) async fn work(
    kind: usize,
    client: &Client,
    places: &Places,
    number: usize,
) -> Result<Fact> {
    let text = number.to_string();
    match kind {
        0 => Ok(Fact::Uploaded { id: new_file(client, number).await?, number }),
        1 => {
            let content = SetFileContentRequest::default()
                .with_resource_id(&places.replaced)
                .with_content(text);
            client.file().set_file_content(content).await?;
            Ok(Fact::Replaced { number })
        }
        2 => {
            let id = new_file(client, number).await?;
            let delete = DeleteResourceRequest::default().with_resource_id(&id);
            client.volt().delete_resource(delete).await?;
            Ok(Fact::Deleted { id })
        }
        3 => {
            let id = new_file(client, number).await?;
            let folder = save(client, "", &text, "volt:folder").await?;
            let copy = CopyResourceRequest::default()
                .with_resource_id(id)
                .with_to_resource_id(&folder)
                .with_mode(CopyResourceMode::Copy);
            client.volt().copy_resource(copy).await?;
            Ok(Fact::Copied { folder, number })
        }
        4 => {
            let mut call = client.wire().publish_wire().await?;
            let chunk = PublishWireRequest::default().with_wire_id(&places.wire).with_chunk(text);
            call.send(chunk).await?;
            call.half_close();
            while call.message().await?.is_some() {}
            Ok(Fact::Published { number })
        }
        5 => {
            let insert = SqlBulkUpdateRequest::default()
                .with_database_id(&places.database)
                .with_statement([format!("INSERT INTO single VALUES ({number})")]);
            client.sqlite_database().bulk_update(insert).await?;
            Ok(Fact::Inserted { number })
        }
        6 => {
            transaction(client, &places.database, number).await?;
            Ok(Fact::Committed { number })
        }
        7 => {
            documents::add(client, &places.documents, number).await?;
            Ok(Fact::Edited { number })
        }
        _ if number.is_multiple_of(2) => {
            let id = save(client, "", &text, "volt:folder").await?;
            let rule = Access::default()
                .with_resource_id(&id)
                .with_identity_did("did:volt:somebody")
                .with_access("volt:resource-read");
            client.volt().save_access(SaveAccessRequest::default().with_access(rule)).await?;
            Ok(Fact::Shared { id })
        }
        _ => {
            let create = CreateDatabaseRequest::default().with_name(text);
            let created = client.sqlite_server().create_database(create).await?;
            Ok(Fact::DatabaseCreated { id: created.resource.unwrap_or_default().id })
        }
    }
}

/// Returns how often each number is in the first column of a query's rows.
async fn numbers(client: &Client, database: &str, query: &str) -> BTreeMap<usize, usize> {
    let start = SqlExecuteStart::default().with_database_id(database).with_statement(query);
    let mut call = client.sqlite_database().execute().await.unwrap();
    call.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    let mut numbers = BTreeMap::new();
    while let Some(response) = call.message().await.unwrap() {
        if let Some(Payload::Row(row)) = response.payload
            && let Some(Data::Integer(number)) = row.column[0].data
        {
            *numbers.entry(usize::try_from(number).unwrap()).or_default() += 1;
        }
    }
    numbers
}

async fn content(client: &Client, id: &str) -> usize {
    let request = GetFileContentRequest::default().with_resource_id(id);
    let content = client.file().get_file_content(request).await.unwrap().content;
    String::from_utf8(content).unwrap().parse().unwrap()
}

/// Checks that the Volt still has what it has acknowledged.
pub(crate) async fn check(client: &Client, places: &Places, facts: &[Fact]) {
    let pairs = numbers(client, &places.database, "SELECT n FROM pair").await;
    let singles = numbers(client, &places.database, "SELECT n FROM single").await;
    let published = "SELECT CAST(payload AS INTEGER) FROM wire_data";
    let published = numbers(client, &places.wire, published).await;
    let replaced = content(client, &places.replaced).await;
    let edited = documents::numbers(client, &places.documents).await;
    // Transactions are atomic.
    assert!(pairs.values().all(|halves| *halves == 2), "{pairs:?}");
    for fact in facts {
        match fact {
            Fact::Uploaded { id, number } => assert_eq!(content(client, id).await, *number),
            // The last replacement may have been made without being acknowledged.
            Fact::Replaced { number } => assert!(replaced >= *number, "{replaced} < {number}"),
            Fact::Deleted { id } => {
                let request = GetResourceRequest::default().with_resource_id(id);
                let outcome = client.volt().get_resource(request).await;
                assert_eq!(outcome.unwrap_err().code(), Code::NotFound, "{id}");
            }
            Fact::Copied { folder, number } => {
                let request = GetResourceDescendantsRequest::default().with_resource_id(folder);
                let copies = client.volt().get_resource_descendants(request).await.unwrap();
                let [copy] = &copies.descendant[..] else { panic!("{folder}: {copies:?}") };
                assert_eq!(content(client, &copy.id).await, *number);
            }
            Fact::Published { number } => assert!(published.contains_key(number), "{number}"),
            Fact::Inserted { number } => assert_eq!(singles.get(number), Some(&1), "{number}"),
            Fact::Committed { number } => assert!(pairs.contains_key(number), "{number}"),
            Fact::Edited { number } => assert!(edited.contains(number), "{number}"),
            Fact::Shared { id } => {
                let request = GetAccessRequest::default().with_resource_id(id);
                assert_eq!(client.volt().get_access(request).await.unwrap().access.len(), 1);
            }
            Fact::DatabaseCreated { id } => {
                assert!(numbers(client, id, "SELECT 1").await.contains_key(&1));
            }
        }
    }
}
