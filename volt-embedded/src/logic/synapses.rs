//! Synapses: their descriptions of documents, the states of these, and their connections.

use aws_lc_rs::digest;
use volt_api::volt::{
    AttributeDataType, CreateSynapseConnectionRequest, DeleteResourceRequest,
    DeleteSynapseConnectionRequest, DeleteSynapseDocumentMetadataRequest, OnlineStatus, Resource,
    SaveResourceRequest, SetSynapseDocumentMetadataRequest, SynapseDocumentState,
    WriteSynapsePathRequest, attribute_value::Value,
};

use super::{
    blobs::parse_hash,
    documents::{Reached, SYNAPSE},
    limits,
    resources::set_attribute,
    signing::encode,
};
use crate::{
    actor::Actor,
    archive::descriptions::Description,
    error::{Result, invalid, precondition},
    rights::{DATABASE_WRITE, WRITE},
    store::{
        resources,
        resources::{add_kind, has_kind},
    },
    sync::path,
};

/// The kind of a synapse's connection.
const CONNECTION: &str = "volt:synapse-connection";

/// The state of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) state: SynapseDocumentState,
    /// The hash that was announced.
    pub(crate) hash: String,
    /// The hash of the local content.
    pub(crate) local_hash: String,
}

/// The hash of a document's content.
pub(crate) struct Hashed {
    /// The number of the last update in the content.
    last: i64,
    hash: String,
}

impl Actor {
    /// Sets a synapse's description of a document. Later changes must fit it.
    pub(crate) fn set_document_metadata(
        &self,
        request: SetSynapseDocumentMetadataRequest,
    ) -> Result<()> {
        // Schemas restrict the callers that may only change documents.
        let synapse = self.reach_documents(&request.synapse_id, WRITE)?;
        limits::metadata(&request)?;
        let document = self.document(&synapse, &request.document_id)?;
        let initial = match request.json.as_str() {
            "" => None,
            text => {
                let initial: serde_json::Value = serde_json::from_str(text)
                    .map_err(|error| invalid(format!("`json` cannot be read: {error}")))?;
                if !initial.is_object() {
                    return Err(invalid("`json` must be an object of the document's roots").into());
                }
                Some(initial)
            }
        };
        let blob_hash = match request.blob_hash.as_str() {
            "" => String::new(),
            hash => parse_hash(hash)?,
        };
        let description = Description {
            roots: request.metadata,
            publish_hash: request.publish_hash,
            blob_hash,
            deleted: false,
        };
        document.describe(self.author(None), &description, initial)
    }

    /// Removes a synapse's description of a document. The document stays.
    pub(crate) fn delete_document_metadata(
        &self,
        request: &DeleteSynapseDocumentMetadataRequest,
    ) -> Result<()> {
        let reference = either(&request.synapse_id, &request.database_id);
        let synapse = self.reach_documents(reference, WRITE)?;
        self.document(&synapse, &request.document_id)?.remove_description()
    }

    /// Writes a value at a path of a document.
    pub(crate) fn write_path(&self, request: &WriteSynapsePathRequest) -> Result<()> {
        let reference = either(&request.synapse_id, &request.database_id);
        let path = path::parse_place(&request.path)?;
        let value: serde_json::Value = serde_json::from_str(&request.json)
            .map_err(|error| invalid(format!("`json` cannot be read: {error}")))?;
        let synapse = self.reach_documents(reference, DATABASE_WRITE)?;
        let document = self.document(&synapse, &request.document_id)?;
        document.write_at(self.author(None), &path, &value)?;
        document.tidy();
        Ok(())
    }

    /// Returns the state of a document. `known` is the hash of its content from the last time, which is
    /// computed again only after a change.
    pub(crate) fn document_progress(
        &self,
        synapse: &Reached,
        document: &str,
        known: &mut Option<Hashed>,
    ) -> Result<Progress> {
        limits::document(document)?;
        let progress = |state, hash, local_hash| Progress { state, hash, local_hash };
        let description = synapse.archive.description(document)?;
        let last = synapse.archive.last_update(document)?;
        let description = match description {
            Some(description) if description.deleted => {
                let state = SynapseDocumentState::Deleted;
                return Ok(progress(state, String::new(), String::new()));
            }
            Some(description) => description,
            None if last.is_some() => Description::default(),
            None => {
                let state = SynapseDocumentState::Absent;
                return Ok(progress(state, String::new(), String::new()));
            }
        };
        if !description.blob_hash.is_empty() {
            let hash = description.blob_hash;
            return Ok(if synapse.archive.blob(&hash)?.is_some() {
                progress(SynapseDocumentState::Ready, hash.clone(), hash)
            } else {
                progress(SynapseDocumentState::Announced, hash, String::new())
            });
        }
        let local = match known {
            Some(Hashed { last: of, hash }) if Some(*of) == last => hash.clone(),
            _ => {
                let document = self.document(synapse, document)?;
                let hash = document_hash(&document.with(|document| Ok(document.identity()))?);
                *known = last.map(|last| Hashed { last, hash: hash.clone() });
                hash
            }
        };
        Ok(if description.publish_hash {
            progress(SynapseDocumentState::Ready, local.clone(), local)
        } else {
            progress(SynapseDocumentState::Draft, String::new(), local)
        })
    }

    /// Stores a connection of a synapse with one on another Volt. It stays offline.
    pub(crate) fn create_synapse_connection(
        &self,
        request: CreateSynapseConnectionRequest,
    ) -> Result<Resource> {
        if request.create || !request.local_synapse_id.is_empty() {
            let local = self.reach_documents(&request.local_synapse_id, WRITE)?;
            let local = self.read(|store| resources::require(store, &local.id))?;
            if !has_kind(&local, SYNAPSE) {
                return Err(precondition(format!("`{}` is not a synapse", local.id)).into());
            }
        }
        let mut resource = request.resource.unwrap_or_default();
        if request.create || !resource.kind.is_empty() {
            add_kind(&mut resource, CONNECTION);
        }
        for (name, text) in [
            ("volt:local-synapse", request.local_synapse_id),
            ("volt:remote-synapse", request.remote_synapse_id),
            ("volt:remote-volt-identity", request.remote_volt_identity),
            ("volt:remote-volt-address", request.remote_volt_address),
            ("volt:remote-volt-http-address", request.remote_volt_http_address),
            ("volt:remote-volt-ca", request.remote_volt_ca),
            ("volt:remote-identity", request.remote_identity),
            ("volt:relay-address", request.relay_address),
            ("volt:relay-http-address", request.relay_http_address),
            ("volt:relay-ca", request.relay_ca),
            // The code that a relay admits this Volt with is a secret, so it is not stored.
        ] {
            limits::connection(name, &text)?;
            if !text.is_empty() {
                set_attribute(&mut resource, name, AttributeDataType::String, Value::String(text));
            }
        }
        let saved = self.save_resource(SaveResourceRequest {
            resource: Some(resource),
            create: request.create,
            create_in_parent_id: request.create_in_parent_id,
            purge_attributes: request.purge_attributes,
            ..SaveResourceRequest::default()
        })?;
        self.write(|tx| {
            let mut connection = resources::require(tx, &saved.id)?;
            connection.online_status = OnlineStatus::Offline.into();
            resources::update(tx, &connection)?;
            resources::require(tx, &saved.id)
        })
    }

    /// Removes a connection. Both synapses keep their documents.
    pub(crate) fn delete_synapse_connection(
        &self,
        request: &DeleteSynapseConnectionRequest,
    ) -> Result<()> {
        let id = self.read(|store| {
            let id = self.reach(store, &request.synapse_connection_id, WRITE)?;
            if !has_kind(&resources::require(store, &id)?, CONNECTION) {
                return Err(precondition(format!("`{id}` is not a synapse connection")).into());
            }
            Ok(id)
        })?;
        self.delete_resource(&DeleteResourceRequest::default().with_resource_id(id))
    }
}

/// Returns the hash of a document's content.
pub(crate) fn document_hash(identity: &[u8]) -> String {
    encode(digest::digest(&digest::SHA256, identity).as_ref())
}

/// Returns the database that a request names in one of two fields.
fn either<'a>(synapse: &'a str, database: &'a str) -> &'a str {
    if synapse.is_empty() { database } else { synapse }
}
