//! Attacks by clients with a session: each is rejected or bounded, and other clients are still
//! served.

use std::time::Duration;

use volt_api::{
    Client, Code,
    data::{
        SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteStart, SqlImportCsvConfiguration,
        SqlImportCsvRequest,
    },
    volt::{
        ConnectHello, ConnectRequest, DownloadFileRequest, GetResourceRequest, PublishWireRequest,
        Resource, SaveAccessRequest, SaveSessionRequest, SaveWireRequest, Session, SessionStatus,
        SetFileContentRequest, SubscribeWireRequest, UploadFileRequest, UploadFileStart,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::support::{self, code, database, guest, make, permit, query, start};

const ENDLESS: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)";

async fn is_served(client: &Client, volt: &EmbeddedVolt) {
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    soon(client.volt().get_resource(request)).await.unwrap();
}

async fn bulk_update(client: &Client, database: &str, statement: &str) -> Result<(), Code> {
    let request =
        SqlBulkUpdateRequest::default().with_database_id(database).with_statement([statement]);
    let outcome = client.sqlite_database().bulk_update(request).await;
    outcome.map(drop).map_err(|error| error.code())
}

/// Starts a Volt with a very short time limit for statements, an owner's client and a database.
async fn impatient() -> (EmbeddedVolt, Client, String) {
    let builder = EmbeddedVolt::builder().query_timeout(Duration::from_millis(200));
    let volt = builder.start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let id = database(&client, &["CREATE TABLE t (x)"]).await;
    (volt, client, id)
}

#[tokio::test]
async fn hostile_statements_are_refused() {
    let (volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)", "INSERT INTO t VALUES ('a')"]).await;
    let stars = "*".repeat(20_000);
    let nested = format!("SELECT 1{}", " + 1".repeat(5000));
    let compound = vec!["SELECT 1"; 1000].join(" UNION ALL ");
    let columns = format!("SELECT {}", vec!["1"; 5000].join(", "));
    let many = format!("SELECT max({})", vec!["1"; 500].join(", "));
    for (statement, expected) in [
        (format!("SELECT x LIKE '{}' FROM t", "%".repeat(20_000)), Code::InvalidArgument),
        (format!("SELECT x GLOB '{stars}' FROM t"), Code::InvalidArgument),
        (nested, Code::InvalidArgument),
        (compound, Code::InvalidArgument),
        (columns, Code::InvalidArgument),
        (many, Code::InvalidArgument),
        ("SELECT zeroblob(900000000)".to_owned(), Code::ResourceExhausted),
        ("SELECT length(hex(zeroblob(16000000)))".to_owned(), Code::ResourceExhausted),
        (format!("SELECT {}", ["zeroblob(9000000)"; 8].join(", ")), Code::ResourceExhausted),
        (
            "SELECT instr(zeroblob(9000000), zeroblob(4000000) || 1)".to_owned(),
            Code::InvalidArgument,
        ),
        (
            "SELECT trim(hex(zeroblob(900000)), hex(zeroblob(90000)))".to_owned(),
            Code::InvalidArgument,
        ),
        ("SELECT hex(zeroblob(4000000)) LIKE hex(zeroblob(400))".to_owned(), Code::InvalidArgument),
        ("SELECT load_extension('x')".to_owned(), Code::InvalidArgument),
        ("ATTACH ':memory:' AS other".to_owned(), Code::PermissionDenied),
        ("VACUUM".to_owned(), Code::PermissionDenied),
        ("SAVEPOINT s".to_owned(), Code::PermissionDenied),
        ("CREATE VIRTUAL TABLE v USING unknown(x)".to_owned(), Code::PermissionDenied),
    ] {
        let outcome = code(query(&client, &db, &statement).await);
        assert_eq!(outcome, expected, "{}", &statement[..statement.len().min(60)]);
    }
    is_served(&client, &volt).await;
}

#[tokio::test]
async fn a_row_cannot_hold_or_compute_many_large_values() {
    let (volt, client) = start().await;
    let db = database(&client, &[]).await;
    // Without the limit, the first would hold 8 GB, and the second compute as much.
    for value in ["hex(zeroblob(N))", "length(hex(zeroblob(N)))"] {
        let values = (8_000_000..8_000_500).map(|number| value.replace('N', &number.to_string()));
        let statement = format!("SELECT {}", values.collect::<Vec<_>>().join(", "));
        let error = soon(query(&client, &db, &statement)).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
        assert!(error.to_string().contains("a value of this statement"), "{error}");
    }
    is_served(&client, &volt).await;
}

#[tokio::test]
async fn pragmas_are_limited_to_the_database() {
    let (volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    let (reader, identity) = guest(&volt).await;
    permit(&client, &db, &identity, "volt:database-read").await;
    for pragma in [
        "hard_heap_limit=1",
        "soft_heap_limit=1",
        "temp_store_directory='/tmp'",
        "journal_mode=DELETE",
        "writable_schema=ON",
        "mmap_size=1000000000",
        "cache_size=-1000000",
        "page_size=65536",
        "locking_mode=EXCLUSIVE",
        "threads=8",
        "wal_checkpoint(TRUNCATE)",
        "wal_autocheckpoint=0",
        "database_list",
        "synchronous=OFF",
        "trusted_schema=ON",
        "busy_timeout=1000000",
        "case_sensitive_like=ON",
    ] {
        for client in [&reader, &client] {
            let outcome = code(query(client, &db, &format!("PRAGMA {pragma}")).await);
            assert_eq!(outcome, Code::PermissionDenied, "{pragma}");
        }
    }
    for pragma in ["table_info(t)", "user_version", "foreign_keys", "integrity_check", "page_count"]
    {
        query(&reader, &db, &format!("PRAGMA {pragma}")).await.unwrap();
    }
    query(&client, &db, "PRAGMA user_version = 7").await.unwrap();
    assert_eq!(query(&reader, &db, "PRAGMA user_version").await.unwrap(), ["7"]);
}

#[tokio::test]
async fn endless_statements_have_a_time_limit() {
    let (volt, client, db) = impatient().await;
    let endless = format!("{ENDLESS} SELECT max(n) FROM n");
    assert_eq!(code(soon(query(&client, &db, &endless)).await), Code::DeadlineExceeded);
    let insert = format!("INSERT INTO t {ENDLESS} SELECT max(n) FROM n");
    assert_eq!(soon(bulk_update(&client, &db, &insert)).await, Err(Code::DeadlineExceeded));
    let trigger = format!(
        "CREATE TRIGGER endless AFTER INSERT ON t BEGIN
             DELETE FROM t WHERE x IN (SELECT max(n) FROM ({ENDLESS} SELECT n FROM n)); END"
    );
    bulk_update(&client, &db, &trigger).await.unwrap();
    let insert = "INSERT INTO t VALUES (1)";
    assert_eq!(soon(bulk_update(&client, &db, insert)).await, Err(Code::DeadlineExceeded));
    is_served(&client, &volt).await;
    client.close().await;
    soon(volt.shutdown()).await;
}

#[tokio::test]
async fn an_idle_transaction_loses_its_lock() {
    let builder = EmbeddedVolt::builder()
        .query_timeout(Duration::from_millis(200))
        .idle_query_timeout(Duration::from_millis(200));
    let volt = builder.start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    let start = SqlExecuteStart::default()
        .with_database_id(&db)
        .with_statement("INSERT INTO t VALUES ('idle')")
        .with_transaction(true);
    let mut call = client.sqlite_database().execute().await.unwrap();
    call.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    assert!(call.message().await.unwrap().is_some());
    assert_eq!(code(soon(call.message()).await), Code::DeadlineExceeded);
    soon(async { while bulk_update(&client, &db, "INSERT INTO t VALUES (1)").await.is_err() {} })
        .await;
    assert_eq!(query(&client, &db, "SELECT DISTINCT x FROM t").await.unwrap(), ["1"]);
    // The Volt does not wait for an upload that never arrives, either.
    let configuration =
        SqlImportCsvConfiguration::default().with_database_id(&db).with_table_name("t");
    let mut call = client.sqlite_database().import_csv().await.unwrap();
    call.send(SqlImportCsvRequest::default().with_configuration(configuration)).await.unwrap();
    assert_eq!(code(soon(call.message()).await), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_trigger_of_a_wire_cannot_block_its_publishers() {
    let (volt, client, _) = impatient().await;
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true)
        .with_persist(true);
    let wire = client.wire().save_wire(wire).await.unwrap().resource.unwrap().id;
    let trigger = format!(
        "CREATE TRIGGER endless AFTER INSERT ON wire_data BEGIN
             DELETE FROM wire_data WHERE id IN (SELECT max(n) FROM ({ENDLESS} SELECT n FROM n)); END"
    );
    bulk_update(&client, &wire, &trigger).await.unwrap();
    let mut call = client.wire().publish_wire().await.unwrap();
    let message = PublishWireRequest::default().with_wire_id(&wire).with_chunk("x");
    call.send(message).await.unwrap();
    assert_eq!(code(soon(call.message()).await), Code::DeadlineExceeded);
    is_served(&client, &volt).await;
}

#[tokio::test]
async fn a_statement_stops_when_its_caller_leaves() {
    let (volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    let insert = format!("INSERT INTO t {ENDLESS} SELECT max(n) FROM n");
    for _ in 0..3 {
        let leaver = Client::connect(volt.config()).await.unwrap();
        let endless = bulk_update(&leaver, &db, &insert);
        assert!(tokio::time::timeout(Duration::from_millis(100), endless).await.is_err());
        leaver.close().await;
    }
    // The statements held the database's lock; wait until it is released.
    soon(async { while bulk_update(&client, &db, "INSERT INTO t VALUES (1)").await.is_err() {} })
        .await;
    client.close().await;
    soon(volt.shutdown()).await;
}

#[tokio::test]
async fn one_identity_cannot_occupy_all_queries() {
    let builder = EmbeddedVolt::builder().max_open_queries(4).max_open_queries_per_identity(3);
    let volt = builder.start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let db = database(&client, &[]).await;
    let (greedy, identity) = guest(&volt).await;
    permit(&client, &db, &identity, "volt:database-read").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let start = SqlExecuteStart::default()
            .with_database_id(&db)
            .with_statement("SELECT 1")
            .with_transaction(true);
        let mut call = greedy.sqlite_database().execute().await.unwrap();
        call.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
        assert!(call.message().await.unwrap().is_some());
        held.push(call);
    }
    assert_eq!(code(query(&greedy, &db, "SELECT 1").await), Code::ResourceExhausted);
    assert_eq!(query(&client, &db, "SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn ending_a_session_ends_its_calls() {
    let (volt, owner) = start().await;
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true);
    let wire = owner.wire().save_wire(wire).await.unwrap().resource.unwrap().id;
    let config = volt.guest("guest").unwrap();
    let (session, identity) = (config.session_id().unwrap().to_owned(), support::identity(&config));
    let client = Client::connect(config).await.unwrap();
    permit(&owner, &wire, &identity, "volt:wire-subscribe").await;
    let file = make(&client, "file", "volt:file").await.id;
    let db = database(&client, &[]).await;

    let mut connect = client.volt().connect().await.unwrap();
    let hello = ConnectRequest::default().with_hello(ConnectHello::default());
    connect.send(hello).await.unwrap();
    assert!(connect.message().await.unwrap().is_some());
    let mut subscription = client.wire().subscribe_wire().await.unwrap();
    subscription.send(SubscribeWireRequest::default().with_wire_id(&wire)).await.unwrap();
    let mut upload = client.file().upload_file().await.unwrap();
    let start = UploadFileStart::default().with_resource_id(&file);
    upload.send(UploadFileRequest::default().with_start(start)).await.unwrap();
    upload.send(UploadFileRequest::default().with_block("late")).await.unwrap();
    assert!(upload.message().await.unwrap().is_some());
    let start = SqlExecuteStart::default()
        .with_database_id(&db)
        .with_statement("SELECT 1")
        .with_transaction(true);
    let mut execute = client.sqlite_database().execute().await.unwrap();
    execute.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    assert!(execute.message().await.unwrap().is_some());

    let over = Session::default().with_id(session).with_status(SessionStatus::Revoked);
    owner.volt().save_session(SaveSessionRequest::default().with_session(over)).await.unwrap();
    assert_eq!(code(soon(connect.message()).await), Code::Unauthenticated);
    assert_eq!(code(soon(subscription.message()).await), Code::Unauthenticated);
    assert_eq!(code(soon(upload.message()).await), Code::Unauthenticated);
    soon(async { while execute.message().await.is_ok_and(|message| message.is_some()) {} }).await;
    is_served(&owner, &volt).await;
}

#[tokio::test]
async fn open_calls_end_when_their_session_expires() {
    let (volt, owner) = start().await;
    let config = volt.guest("guest").unwrap();
    let session = config.session_id().unwrap().to_owned();
    let client = Client::connect(config).await.unwrap();
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true);
    let wire = client.wire().save_wire(wire).await.unwrap().resource.unwrap().id;
    let mut subscription = client.wire().subscribe_wire().await.unwrap();
    subscription.send(SubscribeWireRequest::default().with_wire_id(&wire)).await.unwrap();
    let mut connect = client.volt().connect().await.unwrap();
    let hello = ConnectRequest::default().with_hello(ConnectHello::default());
    connect.send(hello).await.unwrap();
    assert!(connect.message().await.unwrap().is_some());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let soon_over = u64::try_from(now.as_millis()).unwrap() + 200;
    let over = Session::default().with_id(session).with_expires(soon_over);
    owner.volt().save_session(SaveSessionRequest::default().with_session(over)).await.unwrap();
    assert_eq!(code(soon(connect.message()).await), Code::Unauthenticated);
    assert_eq!(code(soon(subscription.message()).await), Code::Unauthenticated);
}

#[tokio::test]
async fn deleting_an_identity_ends_its_calls() {
    let (volt, owner) = start().await;
    let (client, identity) = guest(&volt).await;
    let mut connect = client.volt().connect().await.unwrap();
    let hello = ConnectRequest::default().with_hello(ConnectHello::default());
    connect.send(hello).await.unwrap();
    assert!(connect.message().await.unwrap().is_some());
    let delete = volt_api::volt::DeleteResourceRequest::default().with_resource_id(identity);
    owner.volt().delete_resource(delete).await.unwrap();
    assert_eq!(code(soon(connect.message()).await), Code::Unauthenticated);
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    assert_eq!(code(soon(client.volt().get_resource(request)).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_revoked_right_ends_its_calls() {
    let (volt, owner) = start().await;
    let (client, identity) = guest(&volt).await;
    let file = make(&owner, "file", "volt:file").await.id;
    let db = database(&owner, &["CREATE TABLE t (x)"]).await;
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true);
    let wire = owner.wire().save_wire(wire).await.unwrap().resource.unwrap().id;
    for id in [&file, &db, &wire] {
        permit(&owner, id, &identity, "volt:resource-write").await;
    }
    let mut upload = client.file().upload_file().await.unwrap();
    let start = UploadFileStart::default().with_resource_id(&file);
    upload.send(UploadFileRequest::default().with_start(start)).await.unwrap();
    upload.send(UploadFileRequest::default().with_block("late")).await.unwrap();
    assert!(upload.message().await.unwrap().is_some());
    let start = SqlExecuteStart::default()
        .with_database_id(&db)
        .with_statement("INSERT INTO t VALUES (1)")
        .with_transaction(true);
    let mut execute = client.sqlite_database().execute().await.unwrap();
    execute.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    assert!(execute.message().await.unwrap().is_some());
    let mut publish = client.wire().publish_wire().await.unwrap();
    publish
        .send(PublishWireRequest::default().with_wire_id(&wire).with_chunk("one"))
        .await
        .unwrap();

    // More than the connection holds, so that the Volt is still sending it.
    let movie = make(&owner, "movie", "volt:file").await.id;
    let content = SetFileContentRequest::default().with_resource_id(&movie);
    owner.file().set_file_content(content.with_content(vec![1; 48 << 20])).await.unwrap();
    permit(&owner, &movie, &identity, "volt:resource-write").await;
    let request = DownloadFileRequest::default().with_resource_id(&movie);
    let mut download = client.file().download_file(request).await.unwrap();
    assert!(download.message().await.unwrap().is_some());

    for id in [&file, &db, &wire, &movie] {
        let rule = volt_api::volt::Access::default()
            .with_resource_id(id)
            .with_identity_did(&identity)
            .with_access("volt:resource-write")
            .with_decision(volt_api::volt::PolicyDecision::Deny);
        let deny = SaveAccessRequest::default().with_access(rule);
        owner.volt().save_access(deny).await.unwrap();
    }
    upload.half_close();
    assert_eq!(code(soon(upload.message()).await), Code::PermissionDenied);
    let end = volt_api::data::SqlExecuteEnd::default().with_commit_transaction(true);
    execute.send(SqlExecuteRequest::default().with_end(end)).await.unwrap();
    assert_eq!(code(soon(execute.message()).await), Code::PermissionDenied);
    assert!(query(&owner, &db, "SELECT x FROM t").await.unwrap().is_empty());
    publish.send(PublishWireRequest::default().with_chunk("two")).await.unwrap();
    assert_eq!(code(soon(publish.message()).await), Code::PermissionDenied);
    let end = loop {
        match soon(download.message()).await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(code(end), Code::PermissionDenied);
}

#[tokio::test]
async fn only_a_database_reader_copies_a_database() {
    let (volt, owner) = start().await;
    let (client, identity) = guest(&volt).await;
    let db = database(&owner, &["CREATE TABLE t (x)", "INSERT INTO t VALUES ('secret')"]).await;
    let copy = volt_api::volt::CopyResourceRequest::default()
        .with_resource_id(&db)
        .with_to_resource_id(&identity)
        .with_mode(volt_api::volt::CopyResourceMode::Copy);
    for access in ["volt:resource-read", "volt:wire-publish"] {
        permit(&owner, &db, &identity, access).await;
        let outcome = client.volt().copy_resource(copy.clone()).await;
        assert_eq!(code(outcome), Code::PermissionDenied, "{access}");
    }
    permit(&owner, &db, &identity, "volt:database-read").await;
    client.volt().copy_resource(copy).await.unwrap();
}

#[tokio::test]
async fn an_import_is_refused_before_its_upload() {
    let (volt, owner) = start().await;
    let (client, identity) = guest(&volt).await;
    let db = database(&owner, &["CREATE TABLE t (x)"]).await;
    permit(&owner, &db, &identity, "volt:database-read").await;
    let configuration =
        SqlImportCsvConfiguration::default().with_database_id(&db).with_table_name("t");
    let mut call = client.sqlite_database().import_csv().await.unwrap();
    call.send(SqlImportCsvRequest::default().with_configuration(configuration)).await.unwrap();
    assert_eq!(code(soon(call.message()).await), Code::PermissionDenied);
}

#[tokio::test]
async fn a_deleted_database_is_reported_as_deleted() {
    let (_volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    let start = SqlExecuteStart::default()
        .with_database_id(&db)
        .with_statement("INSERT INTO t VALUES (1)")
        .with_transaction(true);
    let mut execute = client.sqlite_database().execute().await.unwrap();
    execute.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    assert!(execute.message().await.unwrap().is_some());
    let delete = volt_api::volt::DeleteResourceRequest::default().with_resource_id(&db);
    client.volt().delete_resource(delete).await.unwrap();
    let end = volt_api::data::SqlExecuteEnd::default().with_commit_transaction(true);
    execute.send(SqlExecuteRequest::default().with_end(end)).await.unwrap();
    assert_eq!(code(soon(execute.message()).await), Code::NotFound);
    assert_eq!(code(query(&client, &db, "SELECT 1").await), Code::NotFound);
}

#[test]
fn debug_output_has_no_challenge_code() {
    let builder = EmbeddedVolt::builder().challenge("do-not-print");
    assert!(!format!("{builder:?}").contains("do-not-print"));
}
