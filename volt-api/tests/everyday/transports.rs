//! The helpers over each transport between two programs.

use std::{
    fs,
    io::Cursor,
    sync::{Arc, Mutex},
};

use futures_util::TryStreamExt as _;
use tempfile::TempDir;
use volt_api::{
    Code, Event,
    volt::{ConnectResourceEvent, Resource},
    wires::WireEvent,
};
use volt_test_support::soon;

use crate::{
    files::content,
    support::{TRANSPORTS, start_over},
};

fn names(resources: Vec<Resource>) -> Vec<String> {
    resources.into_iter().map(|resource| resource.name).collect()
}

#[tokio::test]
async fn published_messages_are_followed_from_the_first_to_the_latest() {
    for transport in TRANSPORTS {
        let (_volt, client) = start_over(transport).await;
        let wires = client.wire();
        let wire = wires.ensure_wire("@news").persist(true).await.unwrap();
        assert_eq!(wires.ensure_wire("@news").await.unwrap().id, wire.id, "{transport:?}");
        wires.publish("@news", "one").await.unwrap();
        let mut news = wires.publisher("@news").await.unwrap();
        news.publish("two").await.unwrap();
        news.flush().await.unwrap();

        let mut follower = wires.follow("@news").from_start().await.unwrap();
        let mut received = Vec::new();
        loop {
            match soon(follower.event()).await.unwrap().unwrap() {
                WireEvent::Message(message) => received.push(message.text().into_owned()),
                WireEvent::CaughtUp => break,
                other => panic!("{transport:?}: {other:?}"),
            }
        }
        assert_eq!(received, ["one", "two"], "{transport:?}");
        news.publish("three").await.unwrap();
        news.finish().await.unwrap();
        let live = soon(follower.message()).await.unwrap().unwrap();
        assert_eq!(live.text(), "three", "{transport:?}");
        let missing = wires.publish("@none", "x").await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound, "{transport:?}");
    }
}

#[tokio::test]
async fn files_are_transferred_unchanged_and_with_progress() {
    for transport in TRANSPORTS {
        let (_volt, client) = start_over(transport).await;
        client.volt().ensure_folder("@docs").await.unwrap();
        let (files, here) = (client.file(), TempDir::new().unwrap());
        // More than one block, and than the window of a stream.
        let content = content((1 << 20) + 1);
        let total = content.len() as u64;
        let (source, target) = (here.path().join("source"), here.path().join("target"));
        fs::write(&source, &content).unwrap();
        let reports = Arc::<Mutex<Vec<u64>>>::default();
        let report = || {
            let reports = Arc::clone(&reports);
            move |done, _| reports.lock().unwrap().push(done)
        };
        let reported = || std::mem::take(&mut *reports.lock().unwrap());

        let upload = files.upload("@docs/a/path").from_path(&source).on_progress(report());
        assert_eq!(soon(upload).await.unwrap(), total, "{transport:?}");
        let up = reported();
        assert!(up.len() > 1 && up.last() == Some(&total), "{transport:?}: {up:?}");
        soon(files.upload("@docs/a/bytes").from_bytes(content.clone())).await.unwrap();
        let reader = Cursor::new(content.clone());
        soon(files.upload("@docs/a/reader").from_reader(reader)).await.unwrap();
        for name in ["path", "bytes", "reader"] {
            let bytes = soon(files.download(format!("@docs/a/{name}")).bytes()).await.unwrap();
            assert!(bytes == content, "{transport:?}: {name}");
        }
        let blocks = soon(files.download("@docs/a/path").stream()).await.unwrap();
        let blocks: Vec<Vec<u8>> = soon(blocks.try_collect()).await.unwrap();
        assert!(blocks.concat() == content, "{transport:?}");
        let download = files.download("@docs/a").to_path(&target).on_progress(report());
        assert_eq!(soon(download).await.unwrap(), 3 * total, "{transport:?}");
        let down = reported();
        assert!(down.len() > 1 && down.last() == Some(&(3 * total)), "{transport:?}: {down:?}");
        assert!(fs::read(target.join("reader")).unwrap() == content, "{transport:?}");

        files.put_json("@docs/list.json", &[1, 2, 3]).await.unwrap();
        let list: Vec<u8> = files.get_json("@docs/list.json").await.unwrap();
        assert_eq!(list, [1, 2, 3], "{transport:?}");
    }
}

#[tokio::test]
async fn statements_transactions_and_imports_change_a_database() {
    for transport in TRANSPORTS {
        let (_volt, client) = start_over(transport).await;
        client.sqlite_server().ensure_database("@shop").await.unwrap();
        let shop = client.database("@shop");
        shop.query("CREATE TABLE article (name TEXT, price REAL)").execute().await.unwrap();
        let insert = "INSERT INTO article VALUES (?, ?)";
        let inserted = shop.query(insert).bind("apple").bind(0.5).execute().await.unwrap();
        assert_eq!(inserted, 1, "{transport:?}");
        let mut transaction = shop.transaction().await.unwrap();
        transaction.query(insert).bind("pear").bind(1.5).execute().await.unwrap();
        transaction.commit().await.unwrap();
        let mut transaction = shop.transaction().await.unwrap();
        transaction.query("DELETE FROM article").execute().await.unwrap();
        transaction.rollback().await.unwrap();
        let csv = Cursor::new("name,price\nplum,2.5\nfig,3.5\n");
        let imported = shop.import_csv("article", csv).create_table(false).await.unwrap();
        assert_eq!(imported, 2, "{transport:?}");
        let all = shop.query("SELECT name, price FROM article ORDER BY price");
        let all: Vec<(String, f64)> = all.fetch_all().await.unwrap();
        let expected = [("apple", 0.5), ("pear", 1.5), ("plum", 2.5), ("fig", 3.5)];
        assert_eq!(all, expected.map(|(name, price)| (name.to_owned(), price)), "{transport:?}");
        let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 50) \
                    SELECT x FROM n";
        let mut rows = shop.query(many).page_size(7).fetch::<(i64,)>().await.unwrap();
        let mut sum = 0;
        while let Some((number,)) = soon(rows.row()).await.unwrap() {
            sum += number;
        }
        assert_eq!(sum, 50 * 51 / 2, "{transport:?}");
    }
}

#[tokio::test]
async fn resources_are_created_found_and_signed() {
    for transport in TRANSPORTS {
        let (_volt, client) = start_over(transport).await;
        let volt = client.volt();
        let folder = volt.ensure_folder("@home/a").await.unwrap();
        assert_eq!(volt.ensure_folder("@home/a").await.unwrap().id, folder.id, "{transport:?}");
        assert_eq!(volt.resource("@home/a").await.unwrap().id, folder.id, "{transport:?}");
        assert!(volt.exists("@home/a").await.unwrap(), "{transport:?}");
        assert!(!volt.exists("@home/b").await.unwrap(), "{transport:?}");
        for name in ["report-1", "report-2"] {
            client.file().upload(format!("@home/a/{name}")).from_bytes("x").await.unwrap();
        }
        let children = volt.children("@home/a").await.unwrap();
        assert_eq!(names(children), ["report-1", "report-2"], "{transport:?}");
        let found = volt.find().kind("volt:file").name("report-*").await.unwrap();
        assert_eq!(names(found), ["report-1", "report-2"], "{transport:?}");

        let signature = volt.sign("the contract").await.unwrap();
        assert!(volt.verify("the contract", &signature).await.unwrap(), "{transport:?}");
        assert!(!volt.verify("another", &signature).await.unwrap(), "{transport:?}");
    }
}

#[tokio::test]
async fn a_presence_receives_events_until_it_is_closed() {
    for transport in TRANSPORTS {
        let (_volt, client) = start_over(transport).await;
        let presence = client.presence().resource_events([ConnectResourceEvent::Create]);
        let mut presence = presence.await.unwrap();
        let folder = client.volt().ensure_folder("@new").await.unwrap();
        let Some(Event::Resource(ConnectResourceEvent::Create, created)) =
            soon(presence.event()).await.unwrap()
        else {
            panic!("{transport:?}: no event");
        };
        assert_eq!(created.id, folder.id, "{transport:?}");
        soon(presence.close()).await.unwrap();
    }
}
