//! One identity can neither fill the memory nor use all threads, and others are still served.

use tokio::task::JoinSet;
use volt_api::{
    Client, Code, Duplex, Error,
    data::{
        SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteResponse, SqlExecuteStart,
        sql_execute_response::Payload,
    },
    volt::AttributeValue,
};
use volt_test_support::soon;

use crate::support::{database, guest, permit, query, start};

#[tokio::test]
async fn open_queries_of_one_identity_share_their_memory() {
    const LARGE: &str = "SELECT length(hex(zeroblob(7000000)) || column1) FROM (VALUES (1), (2))";
    /// Opens a query that keeps a page, and the values of its row, until it is dropped.
    async fn hold(
        client: &Client,
        db: &str,
        sql: &str,
    ) -> Result<Duplex<SqlExecuteRequest, SqlExecuteResponse>, Error> {
        let start = SqlExecuteStart::default().with_database_id(db).with_statement(sql);
        let mut call = client.sqlite_database().execute().await?;
        call.send(SqlExecuteRequest::default().with_start(start.with_page_size(1))).await?;
        while !matches!(call.message().await?.unwrap().payload, Some(Payload::Row(_))) {}
        Ok(call)
    }
    let (volt, client) = start().await;
    let db = database(&client, &[]).await;
    let (greedy, identity) = guest(&volt).await;
    permit(&client, &db, &identity, "volt:database-read").await;
    let mut held = Vec::new();
    let refused = loop {
        match soon(hold(&greedy, &db, LARGE)).await {
            Ok(call) => held.push(call),
            Err(error) => break error,
        }
    };
    assert!((1..5).contains(&held.len()), "{} at once", held.len());
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.to_string().contains("fewer open queries permit longer"), "{refused}");
    // Small values, and other identities, are unaffected.
    let mut small = Vec::new();
    for _ in 0..20 {
        let sql = "SELECT hex(zeroblob(100000)) FROM (VALUES (1), (2))";
        small.push(soon(hold(&greedy, &db, sql)).await.unwrap());
    }
    drop(soon(hold(&client, &db, LARGE)).await.unwrap());
    let parameter = AttributeValue::default().with_string("x".repeat(15 << 20));
    let start = SqlExecuteStart::default()
        .with_database_id(&db)
        .with_statement("SELECT coalesce(:one, :other) IS NULL")
        .with_parameter([("one", parameter.clone()), ("other", parameter)]);
    let mut call = greedy.sqlite_database().execute().await.unwrap();
    let sent = call.send(SqlExecuteRequest::default().with_start(start)).await;
    let error = sent.and(soon(call.message()).await.map(drop)).unwrap_err();
    assert!(error.to_string().contains("finish some of them first"), "{error}");
    drop((held, small));
    soon(async { while hold(&greedy, &db, LARGE).await.is_err() {} }).await;
}

#[tokio::test]
async fn hundreds_of_endless_statements_of_one_identity_delay_no_other() {
    const ENDLESS: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)";
    let (volt, owner) = start().await;
    let db = database(&owner, &["CREATE TABLE t (x)"]).await;
    let config = volt.guest("greedy").unwrap();
    let connect = || Client::connect(config.clone());
    let clients = [connect().await.unwrap(), connect().await.unwrap(), connect().await.unwrap()];
    let own = database(&clients[0], &["CREATE TABLE t (x)"]).await;
    let (mut reading, mut changing) = (JoinSet::new(), JoinSet::new());
    for (number, client) in (0..530).zip(clients.iter().cycle()) {
        let (client, own) = (client.clone(), own.clone());
        if number % 10 == 0 {
            let insert = format!("INSERT INTO t {ENDLESS} SELECT max(n) FROM n");
            let request = SqlBulkUpdateRequest::default().with_database_id(own);
            let request = request.with_statement([insert]);
            changing.spawn(client.sqlite_database().bulk_update(request).into_future());
        } else {
            let select = format!("{ENDLESS} SELECT max(n) FROM n");
            reading.spawn(async move { query(&client, &own, &select).await });
        }
    }
    // All but those that may run are refused.
    for _ in 0..reading.len() - 32 {
        let error = soon(reading.join_next()).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    }
    soon(query(&owner, &db, "INSERT INTO t VALUES (1)")).await.unwrap();
    assert_eq!(soon(query(&owner, &db, "SELECT x FROM t")).await.unwrap(), ["1"]);
    soon(volt.shutdown()).await;
    while let Some(outcome) = soon(reading.join_next()).await {
        outcome.unwrap().unwrap_err();
    }
    while let Some(outcome) = soon(changing.join_next()).await {
        outcome.unwrap().unwrap_err();
    }
}
