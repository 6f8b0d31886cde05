//! SQL: queries, transactions and CSV imports.

use std::{
    fmt::Write as _,
    future::{Future as _, poll_fn},
    io::{self, Cursor},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, ReadBuf};
use volt_api::{
    Client, Code, ErrorKind, Executed, FromRow, Status,
    data::{
        Column, RowHeader, SqlExecuteRequest, SqlExecuteResponse, SqliteDatabaseApi,
        SqliteDatabaseApiServer, Variant, VariantRow, sql_execute_request::Payload,
    },
    server::{Context, Requests, Responses},
};
use volt_test_support::soon;

use crate::support::{mock, shop, start};

#[derive(Debug, PartialEq, FromRow)]
struct Article {
    id: i64,
    name: String,
    price: Option<f64>,
}

async fn count(client: &Client) -> i64 {
    client.database("@shop").query("SELECT count(*) FROM article").scalar().await.unwrap()
}

#[tokio::test]
async fn values_are_bound_by_position_and_by_name() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let shop = client.database("@shop");
    let changed = shop
        .query("INSERT INTO article VALUES (?, ?, ?, ?), (2, :name, NULL, NULL)")
        .bind(1)
        .bind("apple")
        .bind(0.5)
        .bind(vec![0_u8, 255])
        .bind_as("name", "pear".to_owned())
        .execute()
        .await;
    assert_eq!(changed.unwrap(), 2);
    let all: Vec<Article> =
        shop.query("SELECT * FROM article ORDER BY id").fetch_all().await.unwrap();
    assert_eq!(all[0], Article { id: 1, name: "apple".to_owned(), price: Some(0.5) });
    assert_eq!(all[1], Article { id: 2, name: "pear".to_owned(), price: None });
    let picture = shop.query("SELECT picture FROM article WHERE id = ?").bind(1);
    assert_eq!(picture.scalar::<Vec<u8>>().await.unwrap(), [0, 255]);
    let missing = shop.query("SELECT id FROM article WHERE price IS ?").bind(None::<f64>);
    assert_eq!(missing.scalar::<i64>().await.unwrap(), 2);
}

#[tokio::test]
async fn no_row_and_several_rows_are_distinguished_from_one() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let shop = client.database("@shop");
    let one_of = |rows: &str| shop.query(format!("SELECT * FROM (VALUES {rows})"));
    assert_eq!(one_of("(7)").fetch_one::<(i64,)>().await.unwrap(), (7,));
    assert_eq!(one_of("(7)").fetch_optional::<(i64,)>().await.unwrap(), Some((7,)));
    let none = || shop.query("SELECT 1 WHERE 0");
    assert_eq!(none().fetch_optional::<(i64,)>().await.unwrap(), None);
    assert_eq!(none().scalar::<i64>().await.unwrap_err().kind(), ErrorKind::Conversion);
    for rows in ["(1), (2)", "(1), (2), (3)"] {
        let error = one_of(rows).fetch_one::<(i64,)>().await.unwrap_err();
        assert!(error.to_string().contains("more than one row"), "{error}");
    }
}

#[tokio::test]
async fn a_stream_reads_all_pages() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50) SELECT x FROM n";
    let query = client.database("@shop").query(numbers).page_size(7);
    let mut rows = query.timeout(Duration::from_mins(1)).fetch::<(i64,)>().await.unwrap();
    for expected in 1..=50 {
        assert_eq!(rows.row().await.unwrap(), Some((expected,)));
    }
    assert_eq!(rows.row().await.unwrap(), None);
}

#[tokio::test]
async fn triggers_count_as_affected_and_failures_change_nothing() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let shop = client.database("@shop");
    for statement in [
        "CREATE TABLE log (x)",
        "CREATE TRIGGER t AFTER INSERT ON article BEGIN INSERT INTO log VALUES (new.id); END",
    ] {
        assert_eq!(shop.query(statement).execute().await.unwrap(), 0);
    }
    let insert = || shop.query("INSERT INTO article (id) VALUES (1), (2) RETURNING id");
    assert_eq!(insert().execute().await.unwrap(), 4);
    let error = insert().execute().await.unwrap_err();
    assert_eq!((error.code(), error.is_refused()), (Code::FailedPrecondition, true));
    let error = shop.query("SELEC").execute().await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn only_a_commit_keeps_the_changes_of_a_transaction() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let shop = client.database("@shop");

    let mut transaction = shop.transaction().await.unwrap();
    let insert = "INSERT INTO article (name) VALUES (?)";
    for name in ["apple", "pear"] {
        assert_eq!(transaction.query(insert).bind(name).execute().await.unwrap(), 1);
    }
    // Statements see the changes before them, and the counts are those of each statement.
    let within = transaction.query("SELECT count(*) FROM article").scalar::<i64>().await;
    assert_eq!(within.unwrap(), 2);
    assert_eq!(transaction.query("CREATE TABLE other (x)").execute().await.unwrap(), 0);
    let id: i64 = transaction
        .query("SELECT id FROM article WHERE name = :n")
        .bind_as(":n", "pear")
        .scalar()
        .await
        .unwrap();
    assert_eq!(transaction.query("UPDATE article SET price = id").execute().await.unwrap(), 2);
    let rows: Vec<(i64,)> = transaction
        .query("DELETE FROM article WHERE id = ? RETURNING id")
        .bind(id)
        .fetch_all()
        .await
        .unwrap();
    assert_eq!(rows, [(id,)]);
    assert_eq!(count(&client).await, 0, "others see nothing before the commit");
    transaction.commit().await.unwrap();
    assert_eq!(count(&client).await, 1);

    let mut transaction = shop.transaction().await.unwrap();
    transaction.query("DELETE FROM article").execute().await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(count(&client).await, 1);

    let mut transaction = shop.transaction().await.unwrap();
    transaction.query("DELETE FROM article").execute().await.unwrap();
    drop(transaction);
    // The next writer waits for the roll-back.
    assert_eq!(shop.query("UPDATE article SET price = 1").execute().await.unwrap(), 1);
}

#[tokio::test]
async fn a_row_that_does_not_fit_leaves_the_transaction_open() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let mut transaction = client.database("@shop").transaction().await.unwrap();
    transaction.query("INSERT INTO article (id) VALUES (1)").execute().await.unwrap();
    let misfit = transaction.query("SELECT 'a' UNION ALL SELECT 'b'").fetch_all::<(i64,)>().await;
    assert_eq!(misfit.unwrap_err().kind(), ErrorKind::Conversion);
    transaction.commit().await.unwrap();
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn a_refused_statement_fails_the_whole_transaction() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let mut transaction = client.database("@shop").transaction().await.unwrap();
    transaction.query("INSERT INTO article (id) VALUES (1)").execute().await.unwrap();
    let refused = transaction.query("SELEC").execute().await.unwrap_err();
    let later = transaction.query("SELECT 1").execute().await.unwrap_err();
    let commit = transaction.commit().await.unwrap_err();
    for error in [refused, later, commit] {
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    assert_eq!(count(&client).await, 0);
}

#[tokio::test]
async fn a_dropped_statement_rolls_the_transaction_back() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let mut transaction = client.database("@shop").transaction().await.unwrap();
    {
        let mut insert =
            Box::pin(transaction.query("INSERT INTO article (id) VALUES (1)").execute());
        // One poll sends the statement and cannot have its answer yet.
        let poll = poll_fn(|cx| Poll::Ready(insert.as_mut().poll(cx).is_pending()));
        assert!(poll.await);
    }
    let error = transaction.commit().await.unwrap_err();
    assert!(error.to_string().contains("dropped"), "{error}");
    assert_eq!(count(&client).await, 0);
}

#[tokio::test]
async fn a_lost_connection_rolls_back_the_transaction() {
    let (volt, client) = start().await;
    shop(&client).await;
    let mut transaction = client.database("@shop").transaction().await.unwrap();
    transaction.query("INSERT INTO article (id) VALUES (1)").execute().await.unwrap();
    client.close().await;
    let error = transaction.query("SELECT 1").execute().await.unwrap_err();
    assert_ne!(error.executed(), Executed::Yes, "{error}");
    assert!(transaction.commit().await.is_err());
    let again = Client::connect(volt.config()).await.unwrap();
    assert_eq!(soon(count(&again)).await, 0);
}

/// Executes as a Volt that reports no affected rows, and counts changes by the letters of statements.
#[derive(Default)]
struct Silent(Mutex<Vec<String>>);

impl SqliteDatabaseApi for Silent {
    async fn execute(
        &self,
        _: Context,
        mut requests: Requests<SqlExecuteRequest>,
        mut responses: Responses<SqlExecuteResponse>,
    ) -> Result<(), Status> {
        let mut changes = 100;
        while let Some(request) = requests.message().await? {
            let start = match request.payload {
                Some(Payload::Start(start)) => start,
                Some(Payload::End(end)) => {
                    self.0.lock().unwrap().push(format!("commit {}", end.commit_transaction));
                    return Ok(());
                }
                other => panic!("{other:?}"),
            };
            if let Some(name) = start.statement.strip_prefix("SELECT total_changes() AS ") {
                let column = Column::default().with_name(name.trim_matches('"'));
                let header = RowHeader::default().with_column([column]);
                responses.send(SqlExecuteResponse::default().with_header(header)).await?;
                let row =
                    VariantRow::default().with_column([Variant::default().with_integer(changes)]);
                responses.send(SqlExecuteResponse::default().with_row(row)).await?;
            } else {
                changes += 3;
                self.0.lock().unwrap().push(start.statement);
            }
        }
        self.0.lock().unwrap().push("no end".to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn affected_rows_do_not_depend_on_the_volts_report() {
    let volt = Arc::new(Silent::default());
    let client = mock(SqliteDatabaseApiServer::from_arc(Arc::clone(&volt)));
    let database = client.database("any");
    assert_eq!(soon(database.query("one").execute()).await.unwrap(), 3);
    let mut transaction = soon(database.transaction()).await.unwrap();
    assert_eq!(soon(transaction.query("two").execute()).await.unwrap(), 3);
    assert_eq!(soon(transaction.query("three").execute()).await.unwrap(), 3);
    soon(transaction.commit()).await.unwrap();
    assert_eq!(*volt.0.lock().unwrap(), ["one", "commit true", "two", "three", "commit true"]);
}

#[tokio::test]
async fn csv_is_imported_with_progress_up_to_the_total() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let mut csv = String::from("code,weight\n");
    for row in 0..2500 {
        writeln!(csv, "00{row},{row}.5").unwrap();
    }
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reports);
    let shop = client.database("@shop");
    let rows = shop
        .import_csv("stock", Cursor::new(csv.clone()))
        .on_progress(move |rows, total| seen.lock().unwrap().push((rows, total)))
        .await;
    assert_eq!(rows.unwrap(), 2500);
    assert_eq!(*reports.lock().unwrap(), [(1000, 2500), (2000, 2500), (2500, 2500)]);
    let first: (String, f64) =
        shop.query("SELECT code, weight FROM stock LIMIT 1").fetch_one().await.unwrap();
    assert_eq!(first, ("000".to_owned(), 0.5));
    let again = shop.import_csv("stock", Cursor::new(csv)).create_table(true).await;
    assert_eq!(again.unwrap_err().code(), Code::AlreadyExists);
}

/// Reads some of a CSV, and then fails.
struct Failing(AtomicBool);

impl AsyncRead for Failing {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.swap(true, Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::other("unplugged")));
        }
        buffer.put_slice(b"a,b\n1,2\n");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_reader_that_fails_imports_nothing() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let shop = client.database("@shop");
    let error = shop.import_csv("stock", Failing(AtomicBool::new(false))).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Io, Executed::No));
    assert!(format!("{error:#}").ends_with("unplugged"), "{error:#}");
    let tables = shop.query("SELECT count(*) FROM sqlite_master WHERE name = 'stock'");
    assert_eq!(tables.scalar::<i64>().await.unwrap(), 0);
}

/// Requires that a future can move to another thread.
fn is_send<T: Send>(_: &T) {}

#[tokio::test]
async fn operations_can_run_on_any_thread() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let shop = client.database("@shop");
    is_send(&shop.query("SELECT 1").fetch_all::<(i64,)>());
    is_send(&shop.query("SELECT 1").fetch::<(i64,)>());
    is_send(&shop.query("SELECT 1").execute());
    let mut transaction = shop.transaction().await.unwrap();
    is_send(&transaction.query("SELECT 1").scalar::<i64>());
    is_send(&transaction.commit());
    is_send(&client.wire().follow("@news"));
    is_send(&client.volt().ensure_folder("@a").into_future());
    is_send(&client.file().upload("@a").from_bytes("").into_future());
}

/// A column whose name resembles that of the statement that marks the end of another one.
#[tokio::test]
async fn no_column_ends_a_statement_of_a_transaction() {
    let (_volt, client) = start().await;
    shop(&client).await;
    let mut transaction = client.database("@shop").transaction().await.unwrap();
    let rows = transaction.query("SELECT 7 AS \"volt:total_changes\" UNION SELECT 8");
    assert_eq!(rows.fetch_all::<(i64,)>().await.unwrap(), [(7,), (8,)]);
    let changed = transaction.query("INSERT INTO article (name) VALUES ('apple')").execute().await;
    assert_eq!(changed.unwrap(), 1);
    transaction.commit().await.unwrap();
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn an_import_without_a_file_is_refused() {
    let (_volt, client) = start().await;
    let error = client.database("@shop").import_csv_file("article", "").await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
}
