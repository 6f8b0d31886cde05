use volt_api::{
    Code,
    volt::{
        AttributeDataType, AttributeValue, ConnectResourceEvent as What, CopyResourceMode,
        CopyResourceRequest, DeleteResourceRequest, GetResourceDescendantsRequest,
        GetResourceRequest, MoveResourceRequest, Resource, ResourceAttribute, SaveDatabaseRequest,
        SaveResourceRequest, SetFileContentRequest,
    },
};

use super::{code, guest, make, names, owner, volt};
use crate::{actor::Actor, store::events::Event};

fn get(actor: &Actor, id: &str) -> crate::error::Result<Resource> {
    let request = GetResourceRequest::default().with_resource_id(id).with_include_attributes(true);
    actor.get_resource(&request)
}

fn children(actor: &Actor, id: &str) -> Vec<Resource> {
    let request = GetResourceDescendantsRequest::default().with_resource_id(id).with_depth(1);
    actor.get_resource_descendants(&request).unwrap()
}

fn delete(id: &str) -> DeleteResourceRequest {
    DeleteResourceRequest::default().with_resource_id(id)
}

fn text(name: &str, value: &str) -> ResourceAttribute {
    ResourceAttribute::default()
        .with_attribute_id(name)
        .with_data_type(AttributeDataType::String)
        .with_value([AttributeValue::default().with_string(value)])
}

fn update(resource: Resource) -> SaveResourceRequest {
    SaveResourceRequest::default().with_resource(resource)
}

#[test]
fn a_new_resource_has_its_fields_and_is_in_the_home_folder() {
    let actor = guest(&volt());
    let given = Resource::default()
        .with_name("notes")
        .with_description("of mine")
        .with_kind(["volt:folder", "my:kind"])
        .with_alias(["@notes"])
        .with_attribute([text("colour", "red")]);
    let request = SaveResourceRequest::default().with_resource(given).with_create(true);
    let made = actor.save_resource(request).unwrap();
    assert_eq!(made.owner, actor.identity);
    assert_eq!(made.volt_id, actor.volt.id);
    assert_eq!((made.version, made.created), (1, made.modified));
    assert_eq!(made.alias, ["notes"]);
    let by_alias = get(&actor, "@notes").unwrap();
    assert_eq!(by_alias, made);
    assert_eq!(by_alias.kind, ["volt:folder", "my:kind"]);
    assert_eq!(by_alias.attribute[0].value, text("colour", "red").value);
    assert_eq!(names(&children(&actor, &actor.identity)), ["notes"]);
}

#[test]
fn attributes_are_returned_on_request() {
    let actor = owner(&volt());
    let given = Resource::default().with_name("x").with_attribute([text("a", "1")]);
    let request = SaveResourceRequest::default().with_resource(given).with_create(true);
    let id = actor.save_resource(request).unwrap().id;
    let request = GetResourceRequest::default().with_resource_id(id);
    assert!(actor.get_resource(&request).unwrap().attribute.is_empty());
}

#[test]
fn an_update_changes_only_given_fields() {
    let actor = owner(&volt());
    let id = make(&actor, "", "old", "volt:folder");
    let first = Resource::default().with_id(&id).with_attribute([text("a", "1"), text("b", "2")]);
    actor.save_resource(update(first)).unwrap();
    let second = Resource::default()
        .with_id(&id)
        .with_name("new")
        .with_attribute([text("b", "3"), text("c", "4")]);
    let saved = actor.save_resource(update(second)).unwrap();
    assert_eq!((saved.name.as_str(), saved.version), ("new", 3));
    assert_eq!(saved.kind, ["volt:folder"]);
    let attributes: Vec<_> =
        saved.attribute.iter().map(|one| (one.attribute_id.as_str(), one.value.clone())).collect();
    let value = |value: &str| text("", value).value;
    assert_eq!(attributes, [("a", value("1")), ("b", value("3")), ("c", value("4"))]);

    let third = Resource::default().with_id(&id).with_attribute([text("d", "5")]);
    let saved = actor.save_resource(update(third).with_purge_attributes(true)).unwrap();
    assert_eq!(saved.attribute.len(), 1);
}

#[test]
fn invalid_requests_change_nothing() {
    let actor = owner(&volt());
    let create =
        |resource| SaveResourceRequest::default().with_resource(resource).with_create(true);
    let named = |id: &str| Resource::default().with_name("x").with_id(id);
    assert_eq!(code(actor.save_resource(SaveResourceRequest::default())), Code::InvalidArgument);
    assert_eq!(code(actor.save_resource(create(Resource::default()))), Code::InvalidArgument);
    assert_eq!(code(actor.save_resource(create(named("../x")))), Code::InvalidArgument);
    assert_eq!(code(actor.save_resource(update(named("")))), Code::InvalidArgument);
    assert_eq!(code(actor.save_resource(update(named("none")))), Code::NotFound);
    assert_eq!(
        code(actor.save_resource(create(named("a")).with_create_in_parent_id("none"))),
        Code::NotFound
    );
    actor.save_resource(create(named("a").with_alias(["same"]))).unwrap();
    assert_eq!(code(actor.save_resource(create(named("a")))), Code::AlreadyExists);
    let taken = create(named("b").with_alias(["same"]));
    assert_eq!(code(actor.save_resource(taken)), Code::AlreadyExists);
    assert_eq!(code(get(&actor, "b")), Code::NotFound);
    assert_eq!(code(get(&actor, "@none")), Code::NotFound);
    assert_eq!(code(get(&actor, "")), Code::InvalidArgument);
}

#[test]
fn deleting_a_parent_needs_recursive() {
    let actor = owner(&volt());
    let folder = make(&actor, "", "folder", "volt:folder");
    let inner = make(&actor, &folder, "inner", "volt:folder");
    let file = make(&actor, &inner, "file", "volt:file");
    assert_eq!(code(actor.delete_resource(&delete(&folder))), Code::FailedPrecondition);
    actor.delete_resource(&delete(&folder).with_recursive(true)).unwrap();
    for id in [&folder, &inner, &file] {
        assert_eq!(code(get(&actor, id)), Code::NotFound);
    }
}

#[test]
fn resources_with_another_parent_survive() {
    let actor = owner(&volt());
    let doomed = make(&actor, "", "doomed", "volt:folder");
    let other = make(&actor, "", "other", "volt:folder");
    let file = make(&actor, &doomed, "file", "volt:file");
    let request = CopyResourceRequest::default()
        .with_resource_id(&file)
        .with_from_resource_id(&doomed)
        .with_to_resource_id(&other)
        .with_mode(CopyResourceMode::Link);
    actor.copy_resource(&request).unwrap();
    assert_eq!(children(&actor, &other), children(&actor, &doomed));
    actor.delete_resource(&delete(&doomed).with_recursive(true)).unwrap();
    assert_eq!(names(&children(&actor, &other)), ["file"]);
}

#[test]
fn deleting_from_a_parent_unlinks_until_the_last() {
    let actor = owner(&volt());
    let one = make(&actor, "", "one", "volt:folder");
    let other = make(&actor, "", "other", "volt:folder");
    let file = make(&actor, &one, "file", "volt:file");
    let link = CopyResourceRequest::default()
        .with_resource_id(&file)
        .with_to_resource_id(&other)
        .with_mode(CopyResourceMode::Link);
    actor.copy_resource(&link).unwrap();
    actor.delete_resource(&delete(&file).with_parent_id(&one)).unwrap();
    assert!(children(&actor, &one).is_empty());
    assert_eq!(names(&children(&actor, &other)), ["file"]);
    let again = actor.delete_resource(&delete(&file).with_parent_id(&one));
    assert_eq!(code(again), Code::NotFound);
    actor.delete_resource(&delete(&file).with_parent_id(&other)).unwrap();
    assert_eq!(code(get(&actor, &file)), Code::NotFound);
}

#[test]
fn the_volt_itself_cannot_be_deleted() {
    let actor = owner(&volt());
    for id in [actor.volt.id.clone(), actor.volt.owner.clone()] {
        let outcome = actor.delete_resource(&delete(&id).with_recursive(true));
        assert_eq!(code(outcome), Code::FailedPrecondition);
    }
}

#[test]
fn a_move_changes_one_parent() {
    let actor = owner(&volt());
    let from = make(&actor, "", "from", "volt:folder");
    let to = make(&actor, "", "to", "volt:folder");
    let file = make(&actor, &from, "file", "volt:file");
    let request = |from: &str| {
        MoveResourceRequest::default()
            .with_resource_id(&file)
            .with_from_resource_id(from)
            .with_to_resource_id(&to)
    };
    actor.move_resource(&request("")).unwrap();
    assert!(children(&actor, &from).is_empty());
    assert_eq!(names(&children(&actor, &to)), ["file"]);
    assert_eq!(code(actor.move_resource(&request(&from))), Code::NotFound);
}

#[test]
fn a_resource_cannot_contain_itself() {
    let actor = owner(&volt());
    let outer = make(&actor, "", "outer", "volt:folder");
    let inner = make(&actor, &outer, "inner", "volt:folder");
    let link = CopyResourceRequest::default()
        .with_resource_id(&outer)
        .with_to_resource_id(&inner)
        .with_mode(CopyResourceMode::Link);
    assert_eq!(code(actor.copy_resource(&link)), Code::InvalidArgument);
    let step = MoveResourceRequest::default().with_resource_id(&outer).with_to_resource_id(&outer);
    assert_eq!(code(actor.move_resource(&step)), Code::InvalidArgument);
}

#[test]
fn a_recursive_copy_has_its_own_files_and_databases() {
    let actor = owner(&volt());
    let folder = make(&actor, "", "folder", "volt:folder");
    let file = make(&actor, &folder, "a.txt", "volt:file");
    let content = |id: &str, text: &str| {
        SetFileContentRequest::default().with_resource_id(id).with_content(text)
    };
    actor.set_file_content(&content(&file, "first")).unwrap();
    let database = SaveDatabaseRequest::default()
        .with_resource(Resource::default().with_name("db"))
        .with_create(true)
        .with_create_in_parent_id(&folder);
    let database = actor.save_database(database).unwrap().id;
    actor.open_database(&database).unwrap().run("CREATE TABLE t (x)").unwrap();

    let target = make(&actor, "", "target", "volt:folder");
    let copy = CopyResourceRequest::default()
        .with_resource_id(&folder)
        .with_to_resource_id(&target)
        .with_mode(CopyResourceMode::Copy)
        .with_recursive(true);
    actor.copy_resource(&copy).unwrap();
    actor.set_file_content(&content(&file, "second")).unwrap();

    let copied = children(&actor, &children(&actor, &target)[0].id);
    assert_eq!(names(&copied), ["a.txt", "db"]);
    let request = volt_api::volt::GetFileContentRequest::default().with_resource_id(&copied[0].id);
    assert_eq!(actor.get_file_content(&request).unwrap(), b"first");
    let copy = actor.open_database(&copied[1].id).unwrap();
    assert_eq!(copy.id(), copied[1].id);
    copy.run("INSERT INTO t VALUES (1)").unwrap();
}

#[test]
fn events_follow_commits_in_order() {
    let actor = owner(&volt());
    let folder = make(&actor, "", "folder", "volt:folder");
    let mut events = actor.volt.store.subscribe();
    let file = make(&actor, &folder, "file", "volt:file");
    // Rejected, so no event is emitted.
    code(actor.delete_resource(&delete(&folder)));
    actor.save_resource(update(Resource::default().with_id(&file).with_name("f"))).unwrap();
    actor.delete_resource(&delete(&file)).unwrap();
    let mut told = Vec::new();
    while let Ok(Event::Resource(what, resource)) = events.try_recv() {
        told.push((what, resource.id.clone()));
    }
    assert_eq!(
        told,
        [
            (What::Create, file.clone()),
            (What::CreateChild, folder.clone()),
            (What::Update, file.clone()),
            (What::DeleteChild, folder),
            (What::Delete, file),
        ]
    );
}
