//! Resources by path, folders, databases, JSON files and signatures.

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use volt_api::{
    Client, Code, ErrorKind, ResourcePath,
    volt::{DeleteResourceRequest, MoveResourceRequest, Resource, SaveResourceRequest},
};

use crate::support::start;

/// Creates a folder with the alias `@home`.
async fn home(client: &Client) -> Resource {
    let folder = Resource::default().with_name("h").with_kind(["volt:folder"]).with_alias(["home"]);
    let request = SaveResourceRequest::default().with_resource(folder).with_create(true);
    client.volt().save_resource(request).await.unwrap().resource.unwrap()
}

#[tokio::test]
async fn a_path_leads_through_names_to_a_resource() {
    let (_volt, client) = start().await;
    let home = home(&client).await;
    let volt = client.volt();
    let folder = volt.ensure_folder("@home/a/b").await.unwrap();
    assert_eq!(volt.resource("@home/a/b").await.unwrap().id, folder.id);
    assert_eq!(volt.resource(&home).await.unwrap().id, home.id);
    assert_eq!(volt.resource(("@home", "/a//b/")).await.unwrap().name, "b");
    for missing in ["@home/a/c", "@home/b", "@none", "@home/a/b/c"] {
        assert!(!volt.exists(missing).await.unwrap(), "{missing}");
        assert_eq!(volt.resource(missing).optional().await.unwrap(), None);
        assert_eq!(volt.resource(missing).await.unwrap_err().code(), Code::NotFound);
    }
    assert!(volt.exists("@home/a").await.unwrap());
    assert!(volt.exists("@home/a/..").await.unwrap_err().is_configuration());

    client.file().upload("@home/a/file.txt").from_bytes("x").await.unwrap();
    let names = |found: Vec<Resource>| found.into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(volt.children("@home/a").await.unwrap()), ["b", "file.txt"]);
    assert_eq!(names(volt.children("@home/a").kind("volt:file").await.unwrap()), ["file.txt"]);
    assert_eq!(names(volt.children(&home).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn concurrent_callers_create_a_folder_once() {
    let (volt, client) = start().await;
    home(&client).await;
    let ask = |path: &'static str| {
        let config = volt.config();
        async move {
            let client = Client::connect(config).await.unwrap();
            client.volt().ensure_folder(path).await.unwrap().id
        }
    };
    let (one, two, three) =
        tokio::join!(ask("@home/a/b/c"), ask("@home/a/b/c"), ask("@home/a/b/c"));
    assert!(one == two && two == three);
    let (one, two, three) = tokio::join!(ask("@new/a"), ask("@new/a"), ask("@new/a"));
    assert!(one == two && two == three);
    for (folder, count) in [("@home", 1), ("@home/a", 1), ("@home/a/b", 1), ("@home/a/b/c", 0)] {
        assert_eq!(client.volt().children(folder).await.unwrap().len(), count, "{folder}");
    }
}

#[tokio::test]
async fn a_moved_or_deleted_folder_is_recreated() {
    let (_volt, client) = start().await;
    home(&client).await;
    let volt = client.volt();
    let first = volt.ensure_folder("@home/a").await.unwrap();
    let other = volt.ensure_folder("@home/other").await.unwrap();
    let request =
        MoveResourceRequest::default().with_resource_id(&first.id).with_to_resource_id(&other.id);
    volt.move_resource(request).await.unwrap();
    let second = volt.ensure_folder("@home/a").await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(volt.ensure_folder("@home/a").await.unwrap().id, second.id);
    let delete = DeleteResourceRequest::default().with_resource_id(&second.id);
    volt.delete_resource(delete).await.unwrap();
    volt.ensure_folder("@home/a").await.unwrap();
    // A file is not mistaken for a folder.
    client.file().upload("@home/file").from_bytes("x").await.unwrap();
    let error = volt.ensure_folder("@home/file/b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conversion);
}

#[tokio::test]
async fn a_database_is_created_once() {
    let (_volt, client) = start().await;
    let ask = async || client.sqlite_server().ensure_database("@shop").await.unwrap().id;
    let (one, two) = tokio::join!(ask(), ask());
    assert_eq!(one, two);
    assert_eq!(client.database("@shop").query("SELECT 1").scalar::<i64>().await.unwrap(), 1);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    theme: String,
    size: u8,
}

#[tokio::test]
async fn values_are_stored_as_json() {
    let (_volt, client) = start().await;
    home(&client).await;
    let (files, path) = (client.file(), ResourcePath::from("@home/app/settings.json"));
    let settings = Settings { theme: "dark".to_owned(), size: 3 };
    files.put_json(&path, &settings).await.unwrap();
    assert_eq!(files.get_json::<Settings>(&path).await.unwrap(), settings);
    let error = files.get_json::<Vec<u8>>(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conversion);
    assert!(error.to_string().contains("@home/app/settings.json"), "{error}");
    let missing = files.get_json::<Settings>("@home/none.json").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let map = std::collections::HashMap::from([((1, 2), 3)]);
    let error = files.put_json(&path, &map).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conversion, "keys of JSON are texts");
}

#[tokio::test]
async fn signatures_are_valid_only_for_their_message_and_signer() {
    let (volt, client) = start().await;
    let api = client.volt();
    let signature = api.sign("the contract").await.unwrap();
    assert!(api.verify("the contract", &signature).await.unwrap());
    assert!(!api.verify("another", &signature).await.unwrap());
    let owner = volt.config().credential.unwrap().identity_did.clone().unwrap();
    assert!(!api.verify("the contract", &signature).by(owner).await.unwrap());
    let unknown = api.verify("the contract", &signature).by("did:volt:none").await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    let guest = Client::connect(volt.guest("guest").unwrap()).await.unwrap();
    assert_eq!(guest.volt().sign("x").await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_search_finds_what_fits_all_conditions() {
    let (volt, client) = start().await;
    let folder = client.volt().ensure_folder("@docs").await.unwrap();
    for name in ["report-1", "report-2", "other"] {
        client.file().upload(("@docs", name)).from_bytes("x").await.unwrap();
    }
    let names = |found: Vec<Resource>| found.into_iter().map(|one| one.name).collect::<Vec<_>>();
    let find = || client.volt().find();
    let reports = find().kind("volt:file").name("report-*").await.unwrap();
    assert_eq!(names(reports), ["report-1", "report-2"]);
    let all = find().parent(&folder.id).stream().try_collect().await.unwrap();
    assert_eq!(names(all), ["other", "report-1", "report-2"]);
    assert_eq!(names(find().name("report-*").limit(1).await.unwrap()), ["report-1"]);
    assert_eq!(find().alias("@docs").await.unwrap()[0].id, folder.id);
    assert!(find().name("nothing").await.unwrap().is_empty());
    let later = std::time::SystemTime::now() + std::time::Duration::from_mins(10);
    assert!(find().modified_since(later).await.unwrap().is_empty());
    let children = client.volt().children("@docs").stream().try_collect().await.unwrap();
    assert_eq!(names(children), ["other", "report-1", "report-2"]);
    drop(volt);
}
