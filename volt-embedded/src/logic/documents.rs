//! Documents that several callers edit concurrently, and the databases that contain them.

use std::sync::Arc;

use volt_api::volt::{
    AttributeDataType, Resource, SaveResourceRequest, SaveSynapseRequest, SaveSyncDatabaseRequest,
    SyncDocumentStart, attribute_value::Value,
};

use super::{
    limits,
    resources::{attribute, set_attribute},
};
use crate::{
    actor::Actor,
    archive::Archive,
    disk::Purpose,
    error::{Result, precondition},
    rights::{DATABASE_READ, DATABASE_WRITE},
    state::documents::{Author, OpenDocument, Seat, Settings},
    store::{
        resources,
        resources::{DATABASE_KINDS, add_kind, has_kind},
    },
    sync::document::decode_state,
};

/// The kind of a database for documents.
pub(crate) const SYNC_DATABASE: &str = "volt:sync-database";
/// The kind of a synapse.
pub(crate) const SYNAPSE: &str = "volt:synapse";
/// The attributes with the settings for documents.
const NO_COMPACTION: &str = "volt:sync-no-compaction";
const BATCH_SIZE: &str = "volt:sync-batch-size";
/// The number of updates that are merged at a time, unless the database sets another number.
const DEFAULT_BATCH: usize = 256;

/// A sync database or synapse that a caller has reached.
pub(crate) struct Reached {
    pub(crate) id: String,
    pub(crate) archive: Arc<Archive>,
    settings: Settings,
}

impl Actor {
    /// Creates or updates a database for documents.
    pub(crate) fn save_sync_database(&self, request: SaveSyncDatabaseRequest) -> Result<Resource> {
        let mut database = request.resource.unwrap_or_default();
        let batch = Value::Integer(request.batch_size.into());
        set_attribute(&mut database, BATCH_SIZE, AttributeDataType::Integer, batch);
        self.save_documents(
            SYNC_DATABASE,
            SaveSynapseRequest {
                resource: Some(database),
                create: request.create,
                create_in_parent_id: request.create_in_parent_id,
                purge_attributes: request.purge_attributes,
                encrypted: request.encrypted,
                read_audit: request.read_audit,
                write_audit: request.write_audit,
                no_compaction: request.no_compaction,
                ..SaveSynapseRequest::default()
            },
        )
    }

    /// Creates or updates a synapse.
    pub(crate) fn save_synapse(&self, request: SaveSynapseRequest) -> Result<Resource> {
        self.save_documents(SYNAPSE, request)
    }

    fn save_documents(&self, kind: &str, request: SaveSynapseRequest) -> Result<Resource> {
        let mut resource = request.resource.unwrap_or_default();
        // An existing resource keeps its kinds if none are given.
        if request.create || !resource.kind.is_empty() {
            for kind in DATABASE_KINDS.into_iter().chain([kind]) {
                add_kind(&mut resource, kind);
            }
        }
        for (name, value) in [
            ("volt:db-encrypted", request.encrypted),
            ("volt:db-read-audit", request.read_audit),
            ("volt:db-write-audit", request.write_audit),
            (NO_COMPACTION, request.no_compaction),
        ] {
            set_attribute(&mut resource, name, AttributeDataType::Boolean, Value::Boolean(value));
        }
        let saved = self.save_resource(SaveResourceRequest {
            resource: Some(resource),
            create: request.create,
            create_in_parent_id: request.create_in_parent_id,
            purge_attributes: request.purge_attributes,
            ..SaveResourceRequest::default()
        })?;
        // The documents may be in use.
        self.volt.documents.configure(&saved.id, settings(&saved));
        Ok(saved)
    }

    /// Returns a sync database or synapse, if the actor has this access to it.
    pub(crate) fn reach_documents(&self, reference: &str, access: &str) -> Result<Reached> {
        let resource = self.read(|store| {
            let id = self.reach(store, reference, access)?;
            resources::require(store, &id)
        })?;
        if !has_kind(&resource, SYNC_DATABASE) && !has_kind(&resource, SYNAPSE) {
            let message = format!("`{}` is neither a sync database nor a synapse", resource.id);
            return Err(precondition(message).into());
        }
        let archive = self.volt.documents.archive(&resource.id, &self.identity, || {
            let exists = || self.read(|store| resources::owner(store, &resource.id)).map(drop);
            let path = self.volt.disk.open_database(&resource.id, Purpose::Documents, exists)?;
            Archive::open(&path, self.volt.options.durable)
        })?;
        Ok(Reached { settings: settings(&resource), id: resource.id, archive })
    }

    /// Returns a document of a database.
    pub(crate) fn document(&self, reached: &Reached, name: &str) -> Result<Arc<OpenDocument>> {
        limits::document(name)?;
        let Reached { id, archive, settings } = reached;
        Ok(self.volt.documents.document(archive, id, name, *settings, &self.identity))
    }

    /// Opens a document for a call. Returns the call's seat, and whether it may only read.
    pub(crate) fn join_document(&self, start: &SyncDocumentStart) -> Result<(Seat, Opened)> {
        let state = decode_state(&start.state_vector)?;
        let reached = self.reach_documents(&start.database_id, DATABASE_READ)?;
        let writable = self.read(|store| self.may(store, &reached.id, DATABASE_WRITE))?;
        let read_only = start.read_only || (!writable && start.read_only_fallback);
        if !read_only {
            self.read(|store| self.demand(store, &reached.id, DATABASE_WRITE))?;
        }
        let document = self.document(&reached, &start.document_id)?;
        let seat = self.volt.documents.join(document, &self.identity, &state, read_only)?;
        Ok((seat, Opened { database: reached.id, read_only }))
    }

    /// Returns the author of a change. `call` is the call with the document open, if there is one.
    pub(crate) fn author(&self, call: Option<u64>) -> Author<'_> {
        Author { identity: &self.identity, call }
    }
}

/// The rights of a call to the document that it has open.
pub(crate) struct Opened {
    /// The id of the database.
    pub(crate) database: String,
    pub(crate) read_only: bool,
}

impl Opened {
    /// Returns the access that the call needs for as long as it lasts.
    pub(crate) fn access(&self) -> &'static str {
        if self.read_only { DATABASE_READ } else { DATABASE_WRITE }
    }
}

fn settings(resource: &Resource) -> Settings {
    let strict = has_kind(resource, SYNAPSE);
    if matches!(attribute(resource, NO_COMPACTION), Some(Value::Boolean(true))) {
        return Settings { strict, merge_after: None };
    }
    let batch = match attribute(resource, BATCH_SIZE) {
        Some(Value::Integer(batch)) => usize::try_from(*batch).unwrap_or(0),
        _ => 0,
    };
    Settings { strict, merge_after: Some(if batch == 0 { DEFAULT_BATCH } else { batch }) }
}
