//! Calls of every method that requires a right to a resource.

use volt_api::{
    data::{CreateDatabaseRequest, SqlBulkUpdateRequest},
    volt::{
        Access, CopyResourceMode, CopyResourceRequest, CreateSynapseConnectionRequest,
        CreateSyncDocumentVersionRequest, DeleteAccessRequest, DeleteResourceRequest,
        DeleteSynapseConnectionRequest, DeleteSynapseDocumentMetadataRequest, GetAccessRequest,
        GetFileContentRequest, GetFileDescendantsRequest, GetFileRequest, GetIdentityRequest,
        GetResourceAncestorsRequest, GetResourceDescendantsRequest, GetResourceRequest,
        GetSyncDocumentVersionRequest, Identity, ListSyncDocumentVersionsRequest,
        MoveResourceRequest, PolicyDecision, PutSynapseBlobStart, RequestAccessRequest, Resource,
        RevertSyncDocumentVersionRequest, SaveAccessRequest, SaveDatabaseRequest,
        SaveIdentityRequest, SaveResourceRequest, SaveSynapseRequest, SaveSyncDatabaseRequest,
        SaveWireRequest, SetAccessRequestDecisionRequest, SetFileContentRequest,
        SetServiceStatusRequest, SetSynapseDocumentMetadataRequest, ShareMode, SignVerifyRequest,
        SynapseDocumentMetadata, SyncDocumentStart, SyncDocumentVersionSummary, UploadFileStart,
        WriteSynapsePathRequest,
    },
};

use crate::{
    actor::Actor,
    error::Result,
    rights::{
        CONTENT, CREATE, DATABASE_READ, DATABASE_WRITE, READ, WIRE_PUBLISH, WIRE_SUBSCRIBE, WRITE,
    },
};

/// The resources on which a guest calls methods. They belong to the Volt's owner.
pub(super) struct Targets {
    pub(super) folder: String,
    /// A second folder, in which the guest may create resources.
    pub(super) other: String,
    pub(super) file: String,
    pub(super) database: String,
    pub(super) wire: String,
    pub(super) service: String,
    pub(super) synapse: String,
    pub(super) connection: String,
    /// The folder to which the guest may copy or move resources.
    pub(super) home: String,
}

pub(super) type Method = fn(&Actor, &Targets) -> Result<()>;

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

const FETCH: [&str; 4] = [CONTENT, READ, WRITE, "*"];

/// Each method with the rights that permit it. The first is the access that the method requires.
pub(super) const METHODS: &[(&str, &[&str], Method)] = &[
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
    ("GetFileContent", &FETCH, |guest, on| {
        let request = GetFileContentRequest::default().with_resource_id(&on.file);
        guest.get_file_content(&request).map(drop)
    }),
    ("DownloadFile", &FETCH, |guest, on| guest.open_file(&on.file, "").map(drop)),
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
    ("CopyResource, COPY", &FETCH, |guest, on| {
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
pub(super) fn fill(owner: &Actor, on: &Targets) {
    owner.set_document_metadata(description(&on.synapse)).unwrap();
    let request = CreateSyncDocumentVersionRequest::default()
        .with_database_id(&on.synapse)
        .with_document_id("doc");
    owner.create_document_version(&request).unwrap();
    put_blob(owner, &on.synapse).unwrap();
}
