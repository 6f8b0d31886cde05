//! Checks every method against every right: a guest with one rule calls each method.

use volt_api::{
    Channel, Code,
    data::{
        CreateDatabaseRequest, SqlBulkUpdateRequest, SqliteDatabaseApiClient, SqliteServerApiClient,
    },
    volt::{
        Access, CopyResourceMode, CopyResourceRequest, CreateSynapseConnectionRequest,
        CreateSyncDocumentVersionRequest, DeleteAccessRequest, DeleteResourceRequest,
        DeleteSynapseConnectionRequest, DeleteSynapseDocumentMetadataRequest, FileApiClient,
        GetAccessRequest, GetFileContentRequest, GetFileDescendantsRequest, GetFileRequest,
        GetIdentityRequest, GetResourceAncestorsRequest, GetResourceDescendantsRequest,
        GetResourceRequest, GetResourceResponse, GetSyncDocumentVersionRequest, Identity,
        ListSyncDocumentVersionsRequest, MoveResourceRequest, PolicyDecision, PutSynapseBlobStart,
        RequestAccessRequest, Resource, RevertSyncDocumentVersionRequest, SaveAccessRequest,
        SaveDatabaseRequest, SaveIdentityRequest, SaveResourceRequest, SaveSynapseRequest,
        SaveSyncDatabaseRequest, SaveWireRequest, ServiceDescription, ServiceHostType,
        SetAccessRequestDecisionRequest, SetFileContentRequest, SetServiceStatusRequest,
        SetSynapseDocumentMetadataRequest, ShareMode, SignVerifyRequest, SynapseDocumentMetadata,
        SyncApiClient, SyncDocumentStart, SyncDocumentVersionSummary, UploadFileStart,
        VoltApiClient, WireApiClient, WriteSynapsePathRequest,
    },
};
use volt_runtime::BidiCall;

use super::{guest, make, owner, volt};
use crate::{
    actor::Actor,
    api::Handlers,
    error::{Fault, Result},
    rights::{CREATE, DATABASE_READ, DATABASE_WRITE, READ, WIRE_PUBLISH, WIRE_SUBSCRIBE, WRITE},
};

/// The resources on which a guest calls methods. They belong to the Volt's owner.
struct Targets {
    folder: String,
    /// A second folder, in which the guest may create resources.
    other: String,
    file: String,
    database: String,
    wire: String,
    service: String,
    synapse: String,
    connection: String,
    /// The folder to which the guest may copy or move resources.
    home: String,
}

type Method = fn(&Actor, &Targets) -> Result<()>;

const SEE: [&str; 7] =
    [READ, WRITE, DATABASE_READ, DATABASE_WRITE, WIRE_PUBLISH, WIRE_SUBSCRIBE, "*"];

fn copy(actor: &Actor, id: &str, to: &str, mode: CopyResourceMode) -> Result<()> {
    let request =
        CopyResourceRequest::default().with_resource_id(id).with_to_resource_id(to).with_mode(mode);
    actor.copy_resource(&request)
}

fn update(actor: &Actor, resource: Resource) -> Result<()> {
    actor.save_resource(SaveResourceRequest::default().with_resource(resource)).map(drop)
}

/// Each method with the rights that permit it.
const METHODS: &[(&str, &[&str], Method)] = &[
    ("GetResource", &SEE, |guest, on| {
        guest.get_resource(&GetResourceRequest::default().with_resource_id(&on.file)).map(drop)
    }),
    ("GetResourceAncestors", &SEE, |guest, on| {
        let request = GetResourceAncestorsRequest::default().with_resource_id(&on.file);
        guest.get_resource_ancestors(&request).map(drop)
    }),
    ("GetResourceDescendants", &SEE, |guest, on| {
        let request = GetResourceDescendantsRequest::default().with_resource_id(&on.folder);
        guest.get_resource_descendants(&request).map(drop)
    }),
    ("GetFile", &SEE, |guest, on| {
        guest.get_file(&GetFileRequest::default().with_resource_id(&on.file)).map(drop)
    }),
    ("GetFileDescendants", &SEE, |guest, on| {
        let request = GetFileDescendantsRequest::default().with_resource_id(&on.folder);
        guest.get_file_descendants(&request).map(drop)
    }),
    ("GetFileContent", &[READ, WRITE, "*"], |guest, on| {
        let request = GetFileContentRequest::default().with_resource_id(&on.file);
        guest.get_file_content(&request).map(drop)
    }),
    ("DownloadFile", &[READ, WRITE, "*"], |guest, on| guest.open_file(&on.file, "").map(drop)),
    ("SetFileContent", &[WRITE, "*"], |guest, on| {
        let request = SetFileContentRequest::default().with_resource_id(&on.file);
        guest.set_file_content(&request)
    }),
    ("UploadFile", &[WRITE, "*"], |guest, on| {
        let start = UploadFileStart::default().with_resource_id(&on.file);
        guest.finish_upload(guest.begin_upload(&start)?)
    }),
    ("SaveResource", &[WRITE, "*"], |guest, on| {
        update(guest, Resource::default().with_id(&on.file).with_description("changed"))
    }),
    ("SaveResource, share_mode", &[], |guest, on| {
        let public = Resource::default().with_id(&on.file).with_share_mode(ShareMode::PublicRead);
        update(guest, public)
    }),
    ("SaveResource, owner", &[], |guest, on| {
        update(guest, Resource::default().with_id(&on.file).with_owner(&guest.identity))
    }),
    ("SaveResource, create", &[CREATE, WRITE, "*"], |guest, on| {
        let request = SaveResourceRequest::default()
            .with_resource(Resource::default().with_name("new"))
            .with_create(true)
            .with_create_in_parent_id(&on.folder);
        guest.save_resource(request).map(drop)
    }),
    ("DeleteResource", &[WRITE, "*"], |guest, on| {
        guest.delete_resource(&DeleteResourceRequest::default().with_resource_id(&on.file))
    }),
    ("MoveResource", &[WRITE, "*"], |guest, on| {
        let request = MoveResourceRequest::default()
            .with_resource_id(&on.file)
            .with_to_resource_id(&on.other);
        guest.move_resource(&request)
    }),
    ("MoveResource, to a third party", &[], |guest, on| {
        let request =
            MoveResourceRequest::default().with_resource_id(&on.file).with_to_resource_id(&on.home);
        guest.move_resource(&request)
    }),
    ("CopyResource, LINK", &[WRITE, "*"], |guest, on| {
        copy(guest, &on.file, &on.other, CopyResourceMode::Link)
    }),
    ("CopyResource, LINK to a third party", &[], |guest, on| {
        copy(guest, &on.file, &on.home, CopyResourceMode::Link)
    }),
    ("CopyResource, COPY", &[READ, WRITE, "*"], |guest, on| {
        copy(guest, &on.file, &on.home, CopyResourceMode::Copy)
    }),
    ("CopyResource, COPY of a database", &[WRITE, "*"], |guest, on| {
        copy(guest, &on.database, &on.home, CopyResourceMode::Copy)
    }),
    ("CopyResource, COPY of a persistent wire", &[WRITE, "*"], |guest, on| {
        copy(guest, &on.wire, &on.home, CopyResourceMode::Copy)
    }),
    ("Execute", &[DATABASE_READ, DATABASE_WRITE, WRITE, "*"], |guest, on| {
        guest.open_database(&on.database).map(drop)
    }),
    ("Execute on a persistent wire", &[DATABASE_READ, DATABASE_WRITE, WRITE, "*"], |guest, on| {
        guest.open_database(&on.wire).map(drop)
    }),
    ("BulkUpdate", &[DATABASE_WRITE, WRITE, "*"], |guest, on| {
        let request = SqlBulkUpdateRequest::default().with_database_id(&on.database);
        guest.bulk_update(&request)
    }),
    ("ImportCSV", &[DATABASE_WRITE, WRITE, "*"], |guest, on| {
        guest.open_database_to_write(&on.database).map(drop)
    }),
    ("CreateDatabase", &[CREATE, WRITE, "*"], |guest, on| {
        let request =
            CreateDatabaseRequest::default().with_name("new").with_create_in_parent_id(&on.folder);
        guest.create_database(request).map(drop)
    }),
    ("SaveDatabase", &[WRITE, "*"], |guest, on| {
        let database = Resource::default().with_id(&on.database).with_description("changed");
        guest.save_database(SaveDatabaseRequest::default().with_resource(database)).map(drop)
    }),
    ("SaveWire", &[WRITE, "*"], |guest, on| {
        let wire = Resource::default().with_id(&on.wire).with_description("changed");
        guest.save_wire(SaveWireRequest::default().with_resource(wire)).map(drop)
    }),
    ("GetIdentity", &[], |guest, _| {
        let owner = guest.volt.owner.clone();
        let request = GetIdentityRequest::default().with_identity_did(owner);
        guest.get_identity(&request).map(drop)
    }),
    ("SetAccessRequestDecision", &[], |guest, on| {
        let ask = RequestAccessRequest::default().with_resource_id(&on.file).with_access("my:wish");
        guest.request_access(&ask)?;
        // The caller with all rights has a rule instead of a request.
        let rules = guest.get_access(&GetAccessRequest::default().with_resource_id(&on.file))?;
        let request = SetAccessRequestDecisionRequest::default()
            .with_id(&rules[0].id)
            .with_decision(PolicyDecision::Permit);
        guest.set_access_request_decision(&request)
    }),
    ("GetParameters", &[], |guest, _| guest.get_parameters().map(drop)),
    ("SignVerify", &[], |guest, _| {
        guest.sign_verify(&SignVerifyRequest::default().with_message("words")).map(drop)
    }),
    ("Shutdown", &[], |guest, _| guest.shutdown()),
    ("PublishWire", &[WIRE_PUBLISH, WRITE, "*"], |guest, on| {
        guest.reach_wire(&on.wire, WIRE_PUBLISH).map(drop)
    }),
    ("SubscribeWire", &[WIRE_SUBSCRIBE, READ, WRITE, "*"], |guest, on| {
        guest.reach_wire(&on.wire, WIRE_SUBSCRIBE).map(drop)
    }),
    ("SetServiceStatus", &[WRITE, "*"], |guest, on| {
        let service = Resource::default().with_id(&on.service);
        guest
            .set_service_status(&SetServiceStatusRequest::default().with_service(service))
            .map(drop)
    }),
    ("SaveAccess", &[], |guest, on| {
        let rule = Access::default()
            .with_resource_id(&on.file)
            .with_identity_did(&guest.identity)
            .with_access("*");
        guest.save_access(SaveAccessRequest::default().with_access(rule))
    }),
    ("DeleteAccess", &[], |guest, on| {
        guest.delete_access(&DeleteAccessRequest::default().with_resource_id(&on.file))
    }),
    ("SaveIdentity", &[], |guest, on| {
        let resource = Resource::default().with_id(&on.folder);
        let identity = Identity::default().with_resource(resource);
        guest.save_identity(SaveIdentityRequest::default().with_identity(identity)).map(drop)
    }),
    ("SaveSyncDatabase", &[WRITE, "*"], |guest, on| {
        let database = Resource::default().with_id(&on.synapse).with_description("changed");
        let request = SaveSyncDatabaseRequest::default().with_resource(database);
        guest.save_sync_database(request).map(drop)
    }),
    ("SaveSynapse", &[WRITE, "*"], |guest, on| {
        let synapse = Resource::default().with_id(&on.synapse).with_description("changed");
        guest.save_synapse(SaveSynapseRequest::default().with_resource(synapse)).map(drop)
    }),
    ("CreateSynapseConnection", &[WRITE, "*"], |guest, on| {
        let request = CreateSynapseConnectionRequest::default()
            .with_resource(Resource::default().with_name("connection"))
            .with_create(true)
            .with_local_synapse_id(&on.synapse);
        guest.create_synapse_connection(request).map(drop)
    }),
    ("DeleteSynapseConnection", &[WRITE, "*"], |guest, on| {
        let id = &on.connection;
        let request = DeleteSynapseConnectionRequest::default().with_synapse_connection_id(id);
        guest.delete_synapse_connection(&request)
    }),
    ("SetSynapseDocumentMetadata", &[WRITE, "*"], |guest, on| {
        guest.set_document_metadata(description(&on.synapse))
    }),
    ("DeleteSynapseDocumentMetadata", &[WRITE, "*"], |guest, on| {
        let request = DeleteSynapseDocumentMetadataRequest::default()
            .with_synapse_id(&on.synapse)
            .with_document_id("doc");
        guest.delete_document_metadata(&request)
    }),
    ("WriteSynapsePath", &[DATABASE_WRITE, WRITE, "*"], |guest, on| {
        let request = WriteSynapsePathRequest::default()
            .with_synapse_id(&on.synapse)
            .with_document_id("doc")
            .with_path("$.data.a")
            .with_json("1");
        guest.write_path(&request)
    }),
    ("SyncDocument", &[DATABASE_WRITE, WRITE, "*"], |guest, on| {
        guest.join_document(&document(&on.synapse)).map(drop)
    }),
    ("SyncDocument, read_only", &QUERY, |guest, on| {
        guest.join_document(&document(&on.synapse).with_read_only(true)).map(drop)
    }),
    ("WatchSynapsePath", &QUERY, |guest, on| {
        guest.reach_documents(&on.synapse, DATABASE_READ).map(drop)
    }),
    ("WatchSynapseDocumentState", &QUERY, |guest, on| {
        guest.reach_documents(&on.synapse, DATABASE_READ).map(drop)
    }),
    ("GetSynapseDocumentState", &QUERY, |guest, on| {
        let synapse = guest.reach_documents(&on.synapse, DATABASE_READ)?;
        guest.document_progress(&synapse, "doc", &mut None).map(drop)
    }),
    ("ListSyncDocumentVersions", &QUERY, |guest, on| versions(guest, on).map(drop)),
    ("GetSyncDocumentVersion", &QUERY, |guest, on| {
        let request = GetSyncDocumentVersionRequest::default()
            .with_database_id(&on.synapse)
            .with_document_id("doc")
            .with_version_id(&versions(guest, on)?[0].version_id);
        guest.document_version(&request).map(drop)
    }),
    ("CreateSyncDocumentVersion", &[DATABASE_WRITE, WRITE, "*"], |guest, on| {
        let request = CreateSyncDocumentVersionRequest::default()
            .with_database_id(&on.synapse)
            .with_document_id("doc");
        guest.create_document_version(&request).map(drop)
    }),
    ("RevertSyncDocumentVersion", &[DATABASE_WRITE, WRITE, "*"], |guest, on| {
        let request = RevertSyncDocumentVersionRequest::default()
            .with_database_id(&on.synapse)
            .with_document_id("doc")
            .with_version_id(&versions(guest, on)?[0].version_id);
        guest.revert_document(&request).map(drop)
    }),
    ("HasSynapseBlob", &QUERY, |guest, on| guest.has_blob(&on.synapse, EMPTY_HASH).map(drop)),
    ("GetSynapseBlob", &QUERY, |guest, on| guest.open_blob(&on.synapse, EMPTY_HASH).map(drop)),
    ("PutSynapseBlob", &[DATABASE_WRITE, WRITE, "*"], |guest, on| put_blob(guest, &on.synapse)),
];

const QUERY: [&str; 4] = [DATABASE_READ, DATABASE_WRITE, WRITE, "*"];

/// The hash of empty content.
const EMPTY_HASH: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

fn document(synapse: &str) -> SyncDocumentStart {
    SyncDocumentStart::default().with_database_id(synapse).with_document_id("doc")
}

fn description(synapse: &str) -> SetSynapseDocumentMetadataRequest {
    SetSynapseDocumentMetadataRequest::default()
        .with_synapse_id(synapse)
        .with_document_id("doc")
        .with_metadata([SynapseDocumentMetadata::default().with_name("data")])
}

fn versions(actor: &Actor, on: &Targets) -> Result<Vec<SyncDocumentVersionSummary>> {
    let request = ListSyncDocumentVersionsRequest::default()
        .with_database_id(&on.synapse)
        .with_document_id("doc");
    actor.document_versions(&request)
}

fn put_blob(actor: &Actor, synapse: &str) -> Result<()> {
    let start = PutSynapseBlobStart::default().with_synapse_id(synapse).with_hash(EMPTY_HASH);
    actor.begin_blob(&start)?.map_or(Ok(()), |arriving| actor.finish_blob(arriving))
}

/// Adds the content that the synapse's methods need.
fn fill(owner: &Actor, on: &Targets) {
    owner.set_document_metadata(description(&on.synapse)).unwrap();
    let request = CreateSyncDocumentVersionRequest::default()
        .with_database_id(&on.synapse)
        .with_document_id("doc");
    owner.create_document_version(&request).unwrap();
    put_blob(owner, &on.synapse).unwrap();
}

/// The methods that no right to a resource permits or forbids.
const WITHOUT_RIGHTS: [(&str, &str); 12] = [
    ("Authenticate", "open to strangers"),
    ("CheckCompatibility", "open to strangers"),
    ("Connect", "sends events about resources that the caller may see"),
    ("CanAccessResource", "answers about the caller"),
    ("DiscoverServices", "finds services that the caller may see"),
    ("GetAccess", "lists rules of the caller's resources and about the caller"),
    ("GetIdentities", "finds identities that the caller may see"),
    ("GetOneTimeToken", "for the caller's own session"),
    ("GetResources", "finds resources that the caller may see"),
    ("GetSessions", "lists the caller's own sessions"),
    ("RequestAccess", "asks the owner"),
    ("SaveSession", "ends the caller's own sessions"),
];

fn targets(owner: &Actor, guest: &Actor) -> Targets {
    let folder = make(owner, "", "folder", "volt:folder");
    let other = make(owner, "", "other", "volt:folder");
    rule(owner, &other, guest, CREATE);
    let description = ServiceDescription::default().with_host_type(ServiceHostType::Server);
    let service = Resource::default().with_name("service").with_service_description(description);
    let request = SaveResourceRequest::default().with_resource(service).with_create(true);
    let service = owner.save_resource(request).unwrap().id;
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true)
        .with_persist(true);
    Targets {
        file: make(owner, &folder, "file", "volt:file"),
        synapse: make(owner, "", "synapse", "volt:synapse"),
        connection: make(owner, "", "connection", "volt:synapse-connection"),
        database: make(owner, "", "database", "volt:sqlite-database"),
        wire: owner.save_wire(wire).unwrap().id,
        home: guest.identity.clone(),
        folder,
        other,
        service,
    }
}

fn rule(owner: &Actor, resource: &str, guest: &Actor, access: &str) {
    let rule = Access::default()
        .with_resource_id(resource)
        .with_identity_did(&guest.identity)
        .with_access(access);
    owner.save_access(SaveAccessRequest::default().with_access(rule)).unwrap();
}

#[test]
fn every_method_demands_its_right() {
    let volt = volt();
    let owner = owner(&volt);
    let rights = [
        "",
        READ,
        WRITE,
        CREATE,
        DATABASE_READ,
        DATABASE_WRITE,
        WIRE_PUBLISH,
        WIRE_SUBSCRIBE,
        "*",
        "my:own",
    ];
    for (name, permitted, method) in METHODS {
        for right in rights {
            let guest = guest(&volt);
            let on = targets(&owner, &guest);
            if !right.is_empty() {
                let files = [&on.folder, &on.file, &on.database, &on.wire, &on.service];
                for id in files.into_iter().chain([&on.synapse, &on.connection]) {
                    rule(&owner, id, &guest, right);
                }
            }
            if name.contains("Syn") {
                fill(&owner, &on);
            }
            let outcome = method(&guest, &on);
            let denied = matches!(
                &outcome,
                Err(Fault::Refused(status)) if status.code() == Code::PermissionDenied
            );
            assert_eq!(denied, !permitted.contains(&right), "{name} with `{right}`: {outcome:?}");
            assert!(denied || outcome.is_ok(), "{name} with `{right}`: {outcome:?}");
        }
    }
}

/// Calls every method without a session. A method refused for that reason is implemented, and so is
/// in one of the tables above.
#[tokio::test]
async fn every_method_refuses_strangers_and_has_its_test() {
    let volt = volt();
    let channel = Channel::in_process(Handlers::router(&volt));
    let services = [
        VoltApiClient::METHODS,
        FileApiClient::METHODS,
        WireApiClient::METHODS,
        SyncApiClient::METHODS,
        SqliteServerApiClient::METHODS,
        SqliteDatabaseApiClient::METHODS,
    ];
    for method in services.iter().flat_map(|methods| methods.iter()) {
        let name = method.path.rsplit_once('/').unwrap().1;
        let table = METHODS.iter().map(|(name, ..)| *name);
        let names = table.chain(WITHOUT_RIGHTS.iter().map(|(name, _)| *name));
        let is_tested =
            names.map(|name| name.split([',', ' ']).next()).any(|one| one == Some(name));
        // An empty request is one of any method.
        let mut call = BidiCall::<GetResourceRequest, GetResourceResponse>::new(&channel, method)
            .await
            .unwrap();
        let _ = call.send(GetResourceRequest::default()).await;
        call.half_close();
        let code = call.message().await.map_err(|error| error.code()).err();
        match code {
            Some(Code::Unimplemented) => assert!(!is_tested, "{name} is not implemented"),
            Some(Code::Unauthenticated) => assert!(is_tested, "{name} has no test"),
            // An empty request is invalid for a stranger, too.
            Some(Code::InvalidArgument) => assert_eq!(name, "Authenticate"),
            other => assert_eq!((name, other), ("CheckCompatibility", None)),
        }
    }
}
