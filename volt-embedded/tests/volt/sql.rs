use volt_api::{
    Client, Code, Duplex,
    data::{
        DataType, SqlBulkUpdateRequest, SqlExecuteEnd, SqlExecuteNext, SqlExecuteRequest,
        SqlExecuteResponse, SqlExecuteStart, sql_execute_response::Payload,
    },
    volt::AttributeValue,
};
use volt_embedded::EmbeddedVolt;

use crate::support::{code, database, guest, make, permit, query, row, start};

type Call = Duplex<SqlExecuteRequest, SqlExecuteResponse>;

const COUNT: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 7) \
                     SELECT n FROM n";

async fn execute(client: &Client, start: SqlExecuteStart) -> Call {
    let mut call = client.sqlite_database().execute().await.unwrap();
    call.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    call
}

fn on(database: &str, statement: &str) -> SqlExecuteStart {
    SqlExecuteStart::default().with_database_id(database).with_statement(statement)
}

fn next() -> SqlExecuteRequest {
    SqlExecuteRequest::default().with_next(SqlExecuteNext::default())
}

fn end(commit: bool) -> SqlExecuteRequest {
    SqlExecuteRequest::default().with_end(SqlExecuteEnd::default().with_commit_transaction(commit))
}

/// Returns the next message, which must be the number of affected rows.
async fn affected(call: &mut Call) -> u32 {
    match call.message().await.unwrap().unwrap().payload {
        Some(Payload::AffectedRows(rows)) => rows,
        other => panic!("not a count: {other:?}"),
    }
}

#[tokio::test]
async fn rows_come_after_a_header_and_every_type_is_kept() {
    let (_volt, client) = start().await;
    let create = "CREATE TABLE t (i INTEGER, r REAL, t TEXT, b BLOB, n INTEGER)";
    let insert = "INSERT INTO t VALUES (9223372036854775807, 1.0, 'ü', x'00ff', NULL)";
    let db = database(&client, &[create, insert]).await;
    let mut call = execute(&client, on(&db, "SELECT *, 1 + 1 AS two FROM t")).await;
    // The client neither sends anything more nor half-closes: the call ends by itself.
    let Some(Payload::Header(header)) = call.message().await.unwrap().unwrap().payload else {
        panic!("no header");
    };
    let columns: Vec<_> =
        header.column.iter().map(|column| (column.name.as_str(), column.r#type())).collect();
    assert_eq!(
        columns,
        [
            ("i", DataType::Integer),
            ("r", DataType::Real),
            ("t", DataType::Text),
            ("b", DataType::Blob),
            ("n", DataType::Integer),
            ("two", DataType::Integer),
        ]
    );
    let values = call.message().await.unwrap().unwrap();
    assert_eq!(row(&values).unwrap(), "9223372036854775807|1.0|ü|[0, 255]|NULL|2");
    assert!(call.message().await.unwrap().is_none());
}

#[tokio::test]
async fn pages_are_sent_on_demand() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    let mut call = execute(&client, on(&db, COUNT).with_page_size(3)).await;
    assert!(call.message().await.unwrap().unwrap().payload.is_some());
    for page in [["1", "2", "3"], ["4", "5", "6"]] {
        for number in page {
            assert_eq!(row(&call.message().await.unwrap().unwrap()).unwrap(), number);
        }
        call.send(next()).await.unwrap();
    }
    assert_eq!(row(&call.message().await.unwrap().unwrap()).unwrap(), "7");
    assert!(call.message().await.unwrap().is_none());
}

#[tokio::test]
async fn the_caller_can_stop_after_a_page() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    for by_half_close in [true, false] {
        let mut call = execute(&client, on(&db, COUNT).with_page_size(3)).await;
        if by_half_close {
            call.half_close();
        } else {
            call.send(end(false)).await.unwrap();
        }
        let mut rows = 0;
        while let Some(response) = call.message().await.unwrap() {
            rows += usize::from(row(&response).is_some());
        }
        assert_eq!(rows, 3);
    }
}

#[tokio::test]
async fn a_transaction_commits_completely_or_not() {
    let (_volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    for (commit, left) in [(false, vec![]), (true, vec!["1", "2"])] {
        let insert = on(&db, "INSERT INTO t VALUES (1), (2)").with_transaction(true);
        let mut call = execute(&client, insert).await;
        assert_eq!(affected(&mut call).await, 2);
        let select = SqlExecuteStart::default().with_statement("SELECT x FROM t");
        call.send(SqlExecuteRequest::default().with_start(select)).await.unwrap();
        assert!(call.message().await.unwrap().is_some_and(|header| row(&header).is_none()));
        for number in ["1", "2"] {
            assert_eq!(row(&call.message().await.unwrap().unwrap()).unwrap(), number);
        }
        // This notifies the caller that all rows have been sent.
        assert_eq!(affected(&mut call).await, 0);
        call.send(end(commit)).await.unwrap();
        assert!(call.message().await.unwrap().is_none());
        assert_eq!(query(&client, &db, "SELECT x FROM t").await.unwrap(), left);
    }
}

#[tokio::test]
async fn a_failed_or_abandoned_transaction_is_rolled_back() {
    let (_volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    let begin = || on(&db, "INSERT INTO t VALUES (1)").with_transaction(true);

    let mut fails = execute(&client, begin()).await;
    assert_eq!(affected(&mut fails).await, 1);
    let wrong = SqlExecuteStart::default().with_statement("INSERT INTO none VALUES (1)");
    fails.send(SqlExecuteRequest::default().with_start(wrong)).await.unwrap();
    assert_eq!(code(fails.message().await), Code::InvalidArgument);

    let mut closed = execute(&client, begin()).await;
    assert_eq!(affected(&mut closed).await, 1);
    closed.half_close();
    assert!(closed.message().await.unwrap().is_none());

    let mut dropped = execute(&client, begin()).await;
    assert_eq!(affected(&mut dropped).await, 1);
    drop(dropped);

    // Waits until the dropped call has released the database.
    assert_eq!(query(&client, &db, "INSERT INTO t VALUES (2)").await.unwrap(), [""; 0]);
    assert_eq!(query(&client, &db, "SELECT x FROM t").await.unwrap(), ["2"]);
}

#[tokio::test]
async fn parameters_are_bound_by_name() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    let text = |text: &str| AttributeValue::default().with_string(text);
    let start = on(&db, "SELECT :a || $b || ?3").with_parameter([
        ("a", text("1")),
        ("$b", text("2")),
        ("3", text("3")),
    ]);
    let mut call = execute(&client, start.clone()).await;
    call.message().await.unwrap();
    assert_eq!(row(&call.message().await.unwrap().unwrap()).unwrap(), "123");
    let mut missing = execute(&client, on(&db, "SELECT :a")).await;
    assert_eq!(code(missing.message().await), Code::InvalidArgument);
    let surplus = on(&db, "SELECT 1").with_parameter([("a", text("1"))]);
    assert_eq!(code(execute(&client, surplus).await.message().await), Code::InvalidArgument);
}

#[tokio::test]
async fn a_numbered_parameter_needs_none_before_it() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    let third = AttributeValue::default().with_string("3");
    let third = on(&db, "SELECT ?3").with_parameter([("3", third)]);
    let mut call = execute(&client, third).await;
    call.message().await.unwrap();
    assert_eq!(row(&call.message().await.unwrap().unwrap()).unwrap(), "3");
}

#[tokio::test]
async fn violated_constraints_and_wrong_syntax_differ() {
    let (_volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x UNIQUE, y NOT NULL, CHECK (x < 9))"]).await;
    for values in ["(1, 1), (1, 1)", "(1, NULL)", "(10, 1)"] {
        let insert = format!("INSERT INTO t VALUES {values}");
        assert_eq!(code(query(&client, &db, &insert).await), Code::FailedPrecondition, "{values}");
    }
    for wrong in ["INSERT INTO t VALUES (1", "INSERT INTO none VALUES (1)", "SELECT z FROM t"] {
        assert_eq!(code(query(&client, &db, wrong).await), Code::InvalidArgument, "{wrong}");
    }
}

#[tokio::test]
async fn invalid_and_forbidden_sql_is_refused() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    for (statement, expected) in [
        ("", Code::InvalidArgument),
        ("SELEC 1", Code::InvalidArgument),
        ("SELECT * FROM none", Code::InvalidArgument),
        ("SELECT 1; SELECT 2", Code::InvalidArgument),
        ("ATTACH '/tmp/other.db' AS other", Code::PermissionDenied),
        ("BEGIN", Code::PermissionDenied),
        ("VACUUM INTO '/tmp/other.db'", Code::PermissionDenied),
    ] {
        assert_eq!(code(query(&client, &db, statement).await), expected, "{statement}");
    }
    assert_eq!(code(query(&client, "none", "SELECT 1").await), Code::NotFound);
    let folder = make(&client, "folder", "volt:folder").await.id;
    assert_eq!(code(query(&client, &folder, "SELECT 1").await), Code::FailedPrecondition);
}

#[tokio::test]
async fn readers_cannot_write() {
    let (volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"]).await;
    let (other, identity) = guest(&volt).await;
    assert_eq!(code(query(&other, &db, "SELECT x FROM t").await), Code::PermissionDenied);
    permit(&client, &db, &identity, "volt:database-read").await;
    assert_eq!(query(&other, &db, "SELECT x FROM t").await.unwrap(), ["1"]);
    let insert = "INSERT INTO t VALUES (2)";
    assert_eq!(code(query(&other, &db, insert).await), Code::PermissionDenied);
    let request = SqlBulkUpdateRequest::default().with_database_id(&db).with_statement([insert]);
    let refused = other.sqlite_database().bulk_update(request).await;
    assert_eq!(code(refused), Code::PermissionDenied);
    permit(&client, &db, &identity, "volt:database-write").await;
    query(&other, &db, insert).await.unwrap();
}

/// Each open query occupies a thread, and a caller may keep one open indefinitely.
#[tokio::test]
async fn waiting_queries_are_limited_and_do_not_block() {
    let volt = EmbeddedVolt::builder().max_open_queries(2).start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let db = database(&client, &["CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2)"]).await;
    let paged = on(&db, "SELECT x FROM t").with_page_size(1);
    let transaction = on(&db, "SELECT x FROM t").with_transaction(true);
    let mut open = Vec::new();
    for start in [paged, transaction] {
        let mut call = execute(&client, start).await;
        assert!(call.message().await.unwrap().is_some());
        open.push(call);
    }
    let refused = query(&client, &db, "SELECT x FROM t").await;
    assert_eq!(code(refused), Code::ResourceExhausted);
    make(&client, "other work", "volt:folder").await;
    drop(open);
    // A slot is free as soon as the Volt has processed the cancellations.
    while let Err(error) = query(&client, &db, "SELECT x FROM t").await {
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    }
}

#[tokio::test]
async fn a_bulk_update_is_one_transaction() {
    let (_volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)"]).await;
    let request = SqlBulkUpdateRequest::default()
        .with_database_id(&db)
        .with_statement(["INSERT INTO t VALUES (1)", "INSERT INTO none VALUES (2)"]);
    let error = client.sqlite_database().bulk_update(request).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.status().unwrap().description(), "statement 2");
    assert!(query(&client, &db, "SELECT x FROM t").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_endless_query_is_streamed_and_can_be_cancelled() {
    let (volt, client) = start().await;
    let db = database(&client, &[]).await;
    let endless = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)";
    let mut call = execute(&client, on(&db, &format!("{endless} SELECT n FROM n"))).await;
    for _ in 0..1000 {
        assert!(call.message().await.unwrap().is_some());
    }
    drop(call);
    // This query returns no rows while it runs, so it cannot end because sending a row fails.
    let silent = execute(&client, on(&db, &format!("{endless} SELECT max(n) FROM n"))).await;
    drop(silent);
    client.close().await;
    // Shutdown waits for everything that is still running.
    volt.shutdown().await;
}
