//! Kept versions of documents.

use uuid::Uuid;
use volt_api::volt::{
    CreateSyncDocumentVersionRequest, GetSyncDocumentVersionRequest,
    ListSyncDocumentVersionsRequest, RevertSyncDocumentVersionRequest, SyncDocumentVersionSummary,
};

use super::{limits, synapses::document_hash};
use crate::{
    actor::Actor,
    error::{Result, not_found},
    rights::{DATABASE_READ, DATABASE_WRITE},
    state::documents::OpenDocument,
    store::now,
    sync::versions::reversal,
};

/// The default and the maximum number of listed versions.
const LISTED: u32 = 50;
const MAX_LISTED: u32 = 1000;

impl Actor {
    /// Returns the versions of a document, newest first.
    pub(crate) fn document_versions(
        &self,
        request: &ListSyncDocumentVersionsRequest,
    ) -> Result<Vec<SyncDocumentVersionSummary>> {
        let database = self.reach_documents(&request.database_id, DATABASE_READ)?;
        limits::document(&request.document_id)?;
        let limit = if request.limit == 0 { LISTED } else { request.limit.min(MAX_LISTED) };
        database.archive.versions(&request.document_id, limit, request.offset)
    }

    /// Returns a version of a document, and the whole document of that version.
    pub(crate) fn document_version(
        &self,
        request: &GetSyncDocumentVersionRequest,
    ) -> Result<(SyncDocumentVersionSummary, Vec<u8>)> {
        let database = self.reach_documents(&request.database_id, DATABASE_READ)?;
        limits::document(&request.document_id)?;
        let found = database.archive.version(&request.document_id, &request.version_id)?;
        found.ok_or_else(|| not_found("version", &request.version_id).into())
    }

    /// Keeps the current content of a document as a version. Returns the id of the version.
    pub(crate) fn create_document_version(
        &self,
        request: &CreateSyncDocumentVersionRequest,
    ) -> Result<String> {
        let database = self.reach_documents(&request.database_id, DATABASE_WRITE)?;
        limits::label(&request.label)?;
        let document = self.document(&database, &request.document_id)?;
        self.keep_version(&document, &request.label)
    }

    /// Reverts a document to a version. Returns the id of the version that is kept for the change.
    pub(crate) fn revert_document(
        &self,
        request: &RevertSyncDocumentVersionRequest,
    ) -> Result<String> {
        let database = self.reach_documents(&request.database_id, DATABASE_WRITE)?;
        limits::label(&request.label)?;
        let document = self.document(&database, &request.document_id)?;
        let found = database.archive.version(&request.document_id, &request.version_id)?;
        let (_, whole) = found.ok_or_else(|| not_found("version", &request.version_id))?;
        document.write(self.author(None), |document| {
            let update = reversal(document, &whole)?;
            document.apply(&update)
        })?;
        self.keep_version(&document, &request.label)
    }

    fn keep_version(&self, document: &OpenDocument, label: &str) -> Result<String> {
        let (whole, identity) =
            document.with(|document| Ok((document.whole()?, document.identity())))?;
        let version = SyncDocumentVersionSummary {
            version_id: Uuid::new_v4().to_string(),
            timestamp: now(),
            identity: self.identity.clone(),
            label: label.to_owned(),
            document_hash: document_hash(&identity),
            ..SyncDocumentVersionSummary::default()
        };
        document.archive().keep_version(document.name(), &version, &whole)?;
        Ok(version.version_id)
    }
}
