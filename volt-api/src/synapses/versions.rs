//! The kept versions of a sync document.

use std::{collections::HashSet, future::IntoFuture};

use volt_runtime::{Result, transport::BoxFuture};

use crate::{
    operation::Operation,
    volt::{
        CreateSyncDocumentVersionRequest, GetSyncDocumentVersionRequest,
        ListSyncDocumentVersionsRequest, RevertSyncDocumentVersionRequest, SyncApiClient,
        SyncDocumentVersionSummary,
    },
};

/// The number of versions in one request.
const PAGE: u32 = 100;

/// A list that has not been requested yet, created by [`SyncApiClient::versions`].
pub type ListVersions = Operation<Versions>;

/// The kind of a [`ListVersions`].
#[derive(Debug)]
pub struct Versions(Place);

/// A version that has not been requested yet, created by [`SyncApiClient::version`].
pub type GetVersion = Operation<OneVersion>;

/// The kind of a [`GetVersion`].
#[derive(Debug)]
pub struct OneVersion {
    place: Place,
    version: String,
}

/// A version that has not been kept yet, created by [`SyncApiClient::create_version`].
pub type CreateVersion = Operation<NewVersion>;

/// The kind of a [`CreateVersion`].
#[derive(Debug)]
pub struct NewVersion {
    place: Place,
    label: String,
}

/// A document that has not been reverted yet, created by [`SyncApiClient::revert_version`].
pub type RevertVersion = Operation<VersionRevert>;

/// The kind of a [`RevertVersion`].
#[derive(Debug)]
pub struct VersionRevert {
    place: Place,
    version: String,
    label: String,
}

/// A document.
#[derive(Debug)]
struct Place {
    client: SyncApiClient,
    database: String,
    document: String,
}

/// A kept version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DocumentVersion {
    /// Its id, time, author, label and hash.
    pub info: SyncDocumentVersionSummary,
    /// The whole document as one Yjs update in the second encoding.
    pub update: Vec<u8>,
}

impl SyncApiClient {
    /// Returns all kept versions of a document.
    pub fn versions(
        &self,
        database: impl Into<String>,
        document: impl Into<String>,
    ) -> ListVersions {
        Operation::new(Versions(self.place(database, document)))
    }

    /// Returns a kept version of a document with its content.
    pub fn version(
        &self,
        database: impl Into<String>,
        document: impl Into<String>,
        version: impl Into<String>,
    ) -> GetVersion {
        let place = self.place(database, document);
        Operation::new(OneVersion { place, version: version.into() })
    }

    /// Keeps the current content of a document as a version. Awaiting it returns the id of the
    /// version.
    pub fn create_version(
        &self,
        database: impl Into<String>,
        document: impl Into<String>,
    ) -> CreateVersion {
        let place = self.place(database, document);
        Operation::new(NewVersion { place, label: String::new() })
    }

    /// Reverts a document to a kept version. Clients that have it open receive a change. Awaiting it
    /// returns the id of the version that is kept for the change.
    pub fn revert_version(
        &self,
        database: impl Into<String>,
        document: impl Into<String>,
        version: impl Into<String>,
    ) -> RevertVersion {
        let place = self.place(database, document);
        Operation::new(VersionRevert { place, version: version.into(), label: String::new() })
    }

    fn place(&self, database: impl Into<String>, document: impl Into<String>) -> Place {
        Place { client: self.clone(), database: database.into(), document: document.into() }
    }
}

impl CreateVersion {
    /// Sets the label of the version. Default: none.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.kind.label = label.into();
        self
    }
}

impl RevertVersion {
    /// Sets the label of the version that is kept for the change. Default: none.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.kind.label = label.into();
        self
    }
}

impl IntoFuture for ListVersions {
    type Output = Result<Vec<SyncDocumentVersionSummary>>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses the call.
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let Versions(Place { client, database, document }) = self.kind;
            let mut versions: Vec<SyncDocumentVersionSummary> = Vec::new();
            // A version that is created meanwhile moves the others to later pages.
            let mut known = HashSet::new();
            loop {
                let request = ListSyncDocumentVersionsRequest::default()
                    .with_database_id(&database)
                    .with_document_id(&document)
                    .with_limit(PAGE)
                    .with_offset(u32::try_from(versions.len()).unwrap_or(u32::MAX));
                let call = settings.apply(client.list_sync_document_versions(request));
                let page = call.idempotent().await?.versions;
                let before = versions.len();
                versions
                    .extend(page.into_iter().filter(|one| known.insert(one.version_id.clone())));
                // Stop if the page is empty (a Volt may return shorter pages than requested), or if
                // the Volt ignores the offset.
                if versions.len() == before {
                    return Ok(versions);
                }
            }
        })
    }
}

impl IntoFuture for GetVersion {
    type Output = Result<DocumentVersion>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if there is no such version, or the Volt refuses the call.
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let OneVersion { place, version } = self.kind;
            let request = GetSyncDocumentVersionRequest::default()
                .with_database_id(place.database)
                .with_document_id(place.document)
                .with_version_id(version);
            let call = settings.apply(place.client.get_sync_document_version(request));
            let answer = call.idempotent().await?;
            let info = answer.info.unwrap_or_default();
            Ok(DocumentVersion { info, update: answer.state_update })
        })
    }
}

impl IntoFuture for CreateVersion {
    type Output = Result<String>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses the call, or the connection is lost:
    /// [`executed`](volt_runtime::Error::executed) then reports whether the version may have been kept.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the version may or may not have been kept.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let NewVersion { place, label } = self.kind;
            let request = CreateSyncDocumentVersionRequest::default()
                .with_database_id(place.database)
                .with_document_id(place.document)
                .with_label(label);
            let call = settings.apply(place.client.create_sync_document_version(request));
            Ok(call.await?.version_id)
        })
    }
}

impl IntoFuture for RevertVersion {
    type Output = Result<String>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Same as for [`CreateVersion`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the document may or may not have been reverted.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let VersionRevert { place, version, label } = self.kind;
            let request = RevertSyncDocumentVersionRequest::default()
                .with_database_id(place.database)
                .with_document_id(place.document)
                .with_version_id(version)
                .with_label(label);
            let call = settings.apply(place.client.revert_sync_document_version(request));
            Ok(call.await?.version_id)
        })
    }
}
