//! SQL rows as user-defined types.

use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use volt_api::{
    Channel, Client, Code, Error, ErrorKind, FromRow, Status,
    data::{
        SqlExecuteRequest, SqlExecuteResponse, SqlExecuteStart, SqliteDatabaseApi,
        SqliteDatabaseApiServer, sql_execute_request::Payload,
    },
    rows::{RowDecoder, RowError, Rows},
    server::{Context, Requests, Responses, Router},
    volt::AttributeValue,
};

use crate::support::{database, start};

#[derive(Debug, PartialEq, FromRow)]
#[row(rename_all = "camelCase")]
struct Article {
    id: u32,
    name: String,
    unit_price: Option<f64>,
    #[row(rename = "pic")]
    picture: Vec<u8>,
    sold_out: bool,
    #[row(from_str)]
    maker: IpAddr,
    #[row(from_str)]
    seller: Option<IpAddr>,
    #[row(default)]
    rank: i8,
    #[row(skip)]
    seen: bool,
}

const CREATE: &str = "CREATE TABLE article (id INTEGER, name TEXT, unitPrice REAL, pic BLOB, \
                      soldOut BOOLEAN, maker TEXT, seller TEXT)";
const INSERT: &str = "INSERT INTO article VALUES (1, 'hat', 2.5, x'00ff', 0, '10.0.0.1', NULL), \
                      (4294967295, 'ü', NULL, x'', TRUE, '::1', '10.0.0.2')";

fn on(database: &str, statement: &str) -> SqlExecuteStart {
    SqlExecuteStart::default().with_database_id(database).with_statement(statement)
}

async fn query<T: FromRow>(
    client: &Client,
    database: &str,
    statement: &str,
) -> Result<Vec<T>, Error> {
    client.sqlite_database().query(on(database, statement)).await?.all().await
}

#[tokio::test]
async fn every_type_of_value_is_read_by_name() {
    let (_volt, client) = start().await;
    let db = database(&client, &[CREATE, INSERT]).await;
    // The columns may be in any order, with others in between.
    let statement =
        "SELECT seller, soldOut, maker, 7 AS other, pic, unitPrice, name, id FROM article";
    let found: Vec<Article> = query(&client, &db, statement).await.unwrap();
    let hat = Article {
        id: 1,
        name: "hat".to_owned(),
        unit_price: Some(2.5),
        picture: vec![0, 255],
        sold_out: false,
        maker: "10.0.0.1".parse().unwrap(),
        seller: None,
        rank: 0,
        seen: false,
    };
    let other = Article {
        id: u32::MAX,
        name: "ü".to_owned(),
        unit_price: None,
        picture: Vec::new(),
        sold_out: true,
        maker: "::1".parse().unwrap(),
        seller: Some("10.0.0.2".parse().unwrap()),
        rank: 0,
        seen: false,
    };
    assert_eq!(found, [hat, other]);
    let statement = "SELECT *, id - 5 AS rank FROM article WHERE id = 1";
    assert_eq!(query::<Article>(&client, &db, statement).await.unwrap()[0].rank, -4);
}

#[tokio::test]
async fn conversion_errors_name_their_column() {
    let (_volt, client) = start().await;
    let db = database(&client, &[CREATE, INSERT]).await;
    let all = "id, name, unitPrice, pic, soldOut, maker, seller";
    let cases = [
        ("-1 AS id", "column `id`: -1 does not fit u32"),
        ("4294967296 AS id", "column `id`: 4294967296 does not fit u32"),
        ("'1' AS id", "column `id`: it is text, not an integer"),
        ("1.0 AS id", "column `id`: it is a real, not an integer"),
        ("NULL AS id", "column `id`: it is NULL: make the field an `Option`"),
        ("x'00' AS name", "column `name`: it is a blob, not text"),
        ("'x' AS unitPrice", "column `unitPrice`: it is text, not a real"),
        ("2 AS soldOut", "column `soldOut`: 2 is not a bool, which is 0 or 1"),
        ("'x' AS maker", "column `maker`: it cannot be read: invalid IP address syntax"),
        ("'x' AS seller", "column `seller`: it cannot be read: invalid IP address syntax"),
    ];
    for (column, problem) in cases {
        let name = column.rsplit(' ').next().unwrap();
        let statement =
            format!("SELECT {} FROM article WHERE name = 'hat'", all.replace(name, column));
        let error = query::<Article>(&client, &db, &statement).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conversion, "{statement}: {error}");
        assert_eq!(error.to_string(), format!("cannot be converted: {problem}"), "{statement}");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.downcast_ref::<RowError>().unwrap().column(), Some(name));
    }
    let error = query::<Article>(&client, &db, "SELECT id FROM article").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot be converted: column `name`: it is not in the result, which has `id`"
    );
    let twice = "SELECT *, 2 AS id FROM article";
    let error = query::<Article>(&client, &db, twice).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot be converted: column `id`: it occurs in the result twice: give each a name with `AS`"
    );
}

const COUNT: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 7) \
                     SELECT n FROM n WHERE n <> :not";

#[tokio::test]
async fn tuples_are_read_by_position_page_by_page() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    // Use pages that end before, at and after the last row.
    for page in [0, 1, 2, 3, 6, 7] {
        let parameter = [(":not", AttributeValue::default().with_integer(4))];
        let count = on(&db, COUNT).with_page_size(page).with_parameter(parameter);
        let rows: Rows<(u8,)> = client.sqlite_database().query(count).await.unwrap();
        let numbers: Vec<_> = rows.try_collect().await.unwrap();
        assert_eq!(numbers, [(1,), (2,), (3,), (5,), (6,), (7,)], "pages of {page}");
    }
    let error = query::<(i64, i64)>(&client, &db, "SELECT 1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot be converted: column `2`: it does not exist; the row has 1 values"
    );
}

/// Fails each query with its page size.
struct PageSize;

impl SqliteDatabaseApi for PageSize {
    async fn execute(
        &self,
        _: Context,
        mut requests: Requests<SqlExecuteRequest>,
        _: Responses<SqlExecuteResponse>,
    ) -> Result<(), Status> {
        match requests.message().await?.and_then(|request| request.payload) {
            Some(Payload::Start(start)) => {
                Err(Status::new(Code::Aborted, start.page_size.to_string()))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_query_has_pages_unless_it_is_started_without() {
    let router = Router::new().with(SqliteDatabaseApiServer::new(PageSize));
    let client = Client::from_channel(Channel::in_process(router));
    let page_size = async |rows: Result<Rows<(u8,)>, Error>| {
        rows.unwrap().all().await.unwrap_err().status().unwrap().message().to_owned()
    };
    let api = client.sqlite_database();
    assert_eq!(page_size(api.query(on("db", "")).await).await, "1000");
    assert_eq!(page_size(api.query(on("db", "").with_page_size(7)).await).await, "7");
    let call = api.execute().await.unwrap();
    assert_eq!(page_size(Rows::start(call, on("db", "")).await).await, "0");
}

#[tokio::test]
async fn rows_after_a_conversion_error_can_be_read() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    let statement = "SELECT 1 AS n UNION ALL SELECT 'x' UNION ALL SELECT 3";
    let mut rows: Rows<(i64,)> = client.sqlite_database().query(on(&db, statement)).await.unwrap();
    assert_eq!(rows.row().await.unwrap(), Some((1,)));
    assert_eq!(rows.row().await.unwrap_err().kind(), ErrorKind::Conversion);
    assert_eq!(rows.row().await.unwrap(), Some((3,)));
    assert_eq!(rows.row().await.unwrap(), None);
}

#[tokio::test]
async fn refused_queries_fail_on_every_read() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    let mut rows: Rows<(i64,)> = client.sqlite_database().query(on(&db, "SELEC")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(rows.row().await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert!(rows.try_next().await.unwrap().is_none(), "a stream ends after its error");
}

#[tokio::test]
async fn statements_of_a_transaction_are_read_by_a_decoder() {
    let (_volt, client) = start().await;
    let db = database(&client, &["CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2)"]).await;
    let select = on(&db, "SELECT x FROM t").with_transaction(true);
    let error = client.sqlite_database().query::<(i64,)>(select.clone()).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");

    let mut call = client.sqlite_database().execute().await.unwrap();
    let mut decoder = RowDecoder::<(i64,)>::default();
    call.send(SqlExecuteRequest::default().with_start(select)).await.unwrap();
    let mut rows = Vec::new();
    while rows.len() < 2 {
        let response = call.message().await.unwrap().unwrap();
        rows.extend(decoder.decode(&response).unwrap());
    }
    assert_eq!(rows, [(1,), (2,)]);
}
