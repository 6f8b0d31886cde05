//! `SyncAPI`.

mod blobs;
mod document;
mod paths;
mod states;

use volt_api::{
    Status,
    server::{Context, Requests, Responses},
    volt::{
        CreateSynapseConnectionRequest, CreateSynapseConnectionResponse,
        CreateSyncDocumentVersionRequest, CreateSyncDocumentVersionResponse,
        DeleteSynapseConnectionRequest, DeleteSynapseConnectionResponse,
        DeleteSynapseDocumentMetadataRequest, DeleteSynapseDocumentMetadataResponse,
        GetSynapseBlobRequest, GetSynapseBlobResponse, GetSynapseDocumentStateRequest,
        GetSynapseDocumentStateResponse, GetSyncDocumentVersionRequest,
        GetSyncDocumentVersionResponse, HasSynapseBlobRequest, HasSynapseBlobResponse,
        ListSyncDocumentVersionsRequest, ListSyncDocumentVersionsResponse, PutSynapseBlobRequest,
        PutSynapseBlobResponse, RevertSyncDocumentVersionRequest,
        RevertSyncDocumentVersionResponse, SaveSynapseRequest, SaveSynapseResponse,
        SaveSyncDatabaseRequest, SaveSyncDatabaseResponse, SetSynapseDocumentMetadataRequest,
        SetSynapseDocumentMetadataResponse, SyncApi, SyncDocumentRequest, SyncDocumentResponse,
        WatchSynapseDocumentStateRequest, WatchSynapseDocumentStateResponse,
        WatchSynapsePathRequest, WatchSynapsePathResponse, WriteSynapsePathRequest,
        WriteSynapsePathResponse,
    },
};

use super::Handlers;
use crate::rights::DATABASE_READ;

impl SyncApi for Handlers {
    async fn create_synapse_connection(
        &self,
        context: Context,
        request: CreateSynapseConnectionRequest,
    ) -> Result<CreateSynapseConnectionResponse, Status> {
        let resource =
            self.run(&context, move |actor| actor.create_synapse_connection(request)).await?;
        Ok(CreateSynapseConnectionResponse::default().with_resource(resource))
    }

    async fn delete_synapse_connection(
        &self,
        context: Context,
        request: DeleteSynapseConnectionRequest,
    ) -> Result<DeleteSynapseConnectionResponse, Status> {
        self.run(&context, move |actor| actor.delete_synapse_connection(&request)).await?;
        Ok(DeleteSynapseConnectionResponse::default())
    }

    async fn delete_synapse_document_metadata(
        &self,
        context: Context,
        request: DeleteSynapseDocumentMetadataRequest,
    ) -> Result<DeleteSynapseDocumentMetadataResponse, Status> {
        self.run(&context, move |actor| actor.delete_document_metadata(&request)).await?;
        Ok(DeleteSynapseDocumentMetadataResponse::default())
    }

    async fn save_synapse(
        &self,
        context: Context,
        request: SaveSynapseRequest,
    ) -> Result<SaveSynapseResponse, Status> {
        let resource = self.run(&context, move |actor| actor.save_synapse(request)).await?;
        Ok(SaveSynapseResponse::default().with_resource(resource))
    }

    async fn save_sync_database(
        &self,
        context: Context,
        request: SaveSyncDatabaseRequest,
    ) -> Result<SaveSyncDatabaseResponse, Status> {
        let resource = self.run(&context, move |actor| actor.save_sync_database(request)).await?;
        Ok(SaveSyncDatabaseResponse::default().with_resource(resource))
    }

    async fn set_synapse_document_metadata(
        &self,
        context: Context,
        request: SetSynapseDocumentMetadataRequest,
    ) -> Result<SetSynapseDocumentMetadataResponse, Status> {
        self.run(&context, move |actor| actor.set_document_metadata(request)).await?;
        Ok(SetSynapseDocumentMetadataResponse::default())
    }

    async fn sync_document(
        &self,
        context: Context,
        requests: Requests<SyncDocumentRequest>,
        responses: Responses<SyncDocumentResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| document::run(actor, requests, responses)).await
    }

    async fn watch_synapse_path(
        &self,
        context: Context,
        requests: Requests<WatchSynapsePathRequest>,
        responses: Responses<WatchSynapsePathResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| paths::watch(actor, requests, responses)).await
    }

    async fn get_synapse_document_state(
        &self,
        context: Context,
        request: GetSynapseDocumentStateRequest,
    ) -> Result<GetSynapseDocumentStateResponse, Status> {
        let progress = self.run(&context, move |actor| {
            let synapse = actor.reach_documents(&request.synapse_id, DATABASE_READ)?;
            actor.document_progress(&synapse, &request.document_id, &mut None)
        });
        let progress = progress.await?;
        Ok(GetSynapseDocumentStateResponse::default()
            .with_state(progress.state)
            .with_hash(progress.hash)
            .with_local_hash(progress.local_hash))
    }

    async fn watch_synapse_document_state(
        &self,
        context: Context,
        requests: Requests<WatchSynapseDocumentStateRequest>,
        responses: Responses<WatchSynapseDocumentStateResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| states::watch(actor, requests, responses)).await
    }

    async fn write_synapse_path(
        &self,
        context: Context,
        request: WriteSynapsePathRequest,
    ) -> Result<WriteSynapsePathResponse, Status> {
        self.run(&context, move |actor| actor.write_path(&request)).await?;
        Ok(WriteSynapsePathResponse::default())
    }

    async fn list_sync_document_versions(
        &self,
        context: Context,
        request: ListSyncDocumentVersionsRequest,
    ) -> Result<ListSyncDocumentVersionsResponse, Status> {
        let versions = self.run(&context, move |actor| actor.document_versions(&request)).await?;
        Ok(ListSyncDocumentVersionsResponse::default().with_versions(versions))
    }

    async fn get_sync_document_version(
        &self,
        context: Context,
        request: GetSyncDocumentVersionRequest,
    ) -> Result<GetSyncDocumentVersionResponse, Status> {
        let (info, whole) =
            self.run(&context, move |actor| actor.document_version(&request)).await?;
        Ok(GetSyncDocumentVersionResponse::default().with_info(info).with_state_update(whole))
    }

    async fn create_sync_document_version(
        &self,
        context: Context,
        request: CreateSyncDocumentVersionRequest,
    ) -> Result<CreateSyncDocumentVersionResponse, Status> {
        let id = self.run(&context, move |actor| actor.create_document_version(&request)).await?;
        Ok(CreateSyncDocumentVersionResponse::default().with_version_id(id))
    }

    async fn revert_sync_document_version(
        &self,
        context: Context,
        request: RevertSyncDocumentVersionRequest,
    ) -> Result<RevertSyncDocumentVersionResponse, Status> {
        let id = self.run(&context, move |actor| actor.revert_document(&request)).await?;
        Ok(RevertSyncDocumentVersionResponse::default().with_version_id(id))
    }

    async fn has_synapse_blob(
        &self,
        context: Context,
        request: HasSynapseBlobRequest,
    ) -> Result<HasSynapseBlobResponse, Status> {
        let exists =
            self.run(&context, move |actor| actor.has_blob(&request.synapse_id, &request.hash));
        Ok(HasSynapseBlobResponse::default().with_exists(exists.await?))
    }

    async fn put_synapse_blob(
        &self,
        context: Context,
        requests: Requests<PutSynapseBlobRequest>,
        responses: Responses<PutSynapseBlobResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| blobs::put(actor, requests, responses)).await
    }

    async fn get_synapse_blob(
        &self,
        context: Context,
        request: GetSynapseBlobRequest,
        responses: Responses<GetSynapseBlobResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| blobs::get(actor, request, responses)).await
    }
}
