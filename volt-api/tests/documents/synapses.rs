//! Paths, blobs and versions, against a mock.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use volt_api::{
    Channel, Client, Code, ErrorKind, Status,
    server::{Context, Requests, Responses, Router},
    synapses::blob_hash,
    volt::{
        CreateSyncDocumentVersionRequest, CreateSyncDocumentVersionResponse, GetSynapseBlobRequest,
        GetSynapseBlobResponse, HasSynapseBlobRequest, HasSynapseBlobResponse,
        ListSyncDocumentVersionsRequest, ListSyncDocumentVersionsResponse, PutSynapseBlobRequest,
        PutSynapseBlobResponse, SynapsePathUpdateType, SyncApi, SyncApiServer,
        SyncDocumentVersionSummary, WatchSynapsePathRequest, WatchSynapsePathResponse,
        WatchSynapsePathUpdate, WriteSynapsePathRequest, WriteSynapsePathResponse,
        put_synapse_blob_request::Payload, watch_synapse_path_request,
    },
};
use volt_test_support::soon;

#[derive(Clone, Default)]
struct Synapse {
    written: Arc<Mutex<Vec<(String, String)>>>,
    blobs: Arc<Mutex<Vec<Vec<u8>>>>,
    blocks: Arc<AtomicU32>,
    /// Returns content other than the stored one.
    damages: bool,
}

impl Synapse {
    fn has(&self, hash: &str) -> bool {
        self.blobs.lock().unwrap().iter().any(|blob| blob_hash(blob) == hash)
    }

    fn client(&self) -> Client {
        let router = Router::new().with(SyncApiServer::new(self.clone()));
        Client::from_channel(Channel::in_process(router))
    }
}

impl SyncApi for Synapse {
    async fn write_synapse_path(
        &self,
        _: Context,
        request: WriteSynapsePathRequest,
    ) -> Result<WriteSynapsePathResponse, Status> {
        if request.path.contains("refused") {
            return Err(Status::new(Code::FailedPrecondition, "no schema"));
        }
        self.written.lock().unwrap().push((request.path, request.json));
        Ok(WriteSynapsePathResponse::default())
    }

    async fn watch_synapse_path(
        &self,
        _: Context,
        mut requests: Requests<WatchSynapsePathRequest>,
        mut responses: Responses<WatchSynapsePathResponse>,
    ) -> Result<(), Status> {
        let start = requests.message().await?.and_then(|request| request.payload);
        let Some(watch_synapse_path_request::Payload::Start(start)) = start else {
            return Err(Status::new(Code::InvalidArgument, "no start"));
        };
        for (value, previous) in [("1", ""), ("\"text\"", "1"), ("3", "2"), ("", "3")] {
            let update = WatchSynapsePathUpdate::default()
                .with_watch_path(&start.path[0])
                .with_event_path("$.a")
                .with_update_type(SynapsePathUpdateType::Update)
                .with_value(value)
                .with_previous_value(previous)
                .with_total(1_u32);
            responses.send(WatchSynapsePathResponse::default().with_update(update)).await?;
        }
        Ok(())
    }

    async fn has_synapse_blob(
        &self,
        _: Context,
        request: HasSynapseBlobRequest,
    ) -> Result<HasSynapseBlobResponse, Status> {
        Ok(HasSynapseBlobResponse::default().with_exists(self.has(&request.hash)))
    }

    async fn put_synapse_blob(
        &self,
        _: Context,
        mut requests: Requests<PutSynapseBlobRequest>,
        mut responses: Responses<PutSynapseBlobResponse>,
    ) -> Result<(), Status> {
        let (mut content, mut blocks) = (Vec::new(), 0);
        while let Some(request) = requests.message().await? {
            match request.payload {
                Some(Payload::Start(start)) if self.has(&start.hash) => {
                    return responses
                        .send(PutSynapseBlobResponse::default().with_exists(true))
                        .await;
                }
                Some(Payload::Block(block)) => {
                    content.extend(block);
                    blocks += 1;
                }
                _ => {}
            }
        }
        self.blobs.lock().unwrap().push(content);
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        responses.send(PutSynapseBlobResponse::default().with_ack(blocks)).await
    }

    async fn get_synapse_blob(
        &self,
        _: Context,
        request: GetSynapseBlobRequest,
        mut responses: Responses<GetSynapseBlobResponse>,
    ) -> Result<(), Status> {
        let blobs = self.blobs.lock().unwrap().clone();
        let Some(mut blob) = blobs.into_iter().find(|blob| blob_hash(blob) == request.hash) else {
            return Err(Status::new(Code::NotFound, "no such blob"));
        };
        if self.damages {
            blob[0] ^= 1;
        }
        for block in blob.chunks(1000) {
            responses.send(GetSynapseBlobResponse::default().with_block(block)).await?;
        }
        Ok(())
    }

    async fn list_sync_document_versions(
        &self,
        _: Context,
        request: ListSyncDocumentVersionsRequest,
    ) -> Result<ListSyncDocumentVersionsResponse, Status> {
        // Smaller pages than requested.
        let numbers = (0..7).skip(request.offset as usize).take(3);
        let versions = numbers.map(|number| {
            SyncDocumentVersionSummary::default().with_version_id(format!("v{number}"))
        });
        Ok(ListSyncDocumentVersionsResponse::default().with_versions(versions))
    }

    async fn create_sync_document_version(
        &self,
        _: Context,
        request: CreateSyncDocumentVersionRequest,
    ) -> Result<CreateSyncDocumentVersionResponse, Status> {
        let id = format!("version {}", request.label);
        Ok(CreateSyncDocumentVersionResponse::default().with_version_id(id))
    }
}

#[tokio::test]
async fn values_are_written_as_json_and_refusals_are_errors() {
    let synapse = Synapse::default();
    let sync = synapse.client().sync();
    sync.write_path("@garden", "plan", "$.beds", &["north", "south"]).await.unwrap();
    let written = synapse.written.lock().unwrap().clone();
    assert_eq!(written, [("$.beds".to_owned(), r#"["north","south"]"#.to_owned())]);
    let error = sync.write_path("@garden", "plan", "$.refused", &1).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn values_of_another_type_are_errors() {
    let synapse = Synapse::default();
    let sync = synapse.client().sync();
    let mut watch = soon(sync.watch_path::<u32>("@garden", "plan", ["$.*"])).await.unwrap();
    let change = soon(watch.change()).await.unwrap().unwrap();
    assert_eq!((change.value, change.previous), (Some(1), None));
    assert_eq!(
        (change.watched.as_str(), change.path.as_str(), change.part),
        ("$.*", "$.a", (0, 1))
    );
    assert_eq!(change.kind, SynapsePathUpdateType::Update);
    let error = soon(watch.change()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conversion, "{error}");
    assert!(error.to_string().contains("$.a"), "{error}");
    let change = soon(watch.change()).await.unwrap().unwrap();
    assert_eq!((change.value, change.previous), (Some(3), Some(2)));
    let change = soon(watch.change()).await.unwrap().unwrap();
    assert_eq!((change.value, change.previous), (None, Some(3)));
    assert_eq!(soon(watch.change()).await.unwrap(), None);
}

#[tokio::test]
async fn a_blob_is_stored_once_and_read_back_whole() {
    let synapse = Synapse::default();
    let sync = synapse.client().sync();
    let content: Vec<_> = (0..600_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reports);
    let put = sync.put_blob("@garden").from_bytes(content.clone());
    let blob = soon(put.on_progress(move |done, _| seen.lock().unwrap().push(done))).await.unwrap();
    assert_eq!((blob.hash.as_str(), blob.size), (&*blob_hash(&content), 600_000));
    assert_eq!(*reports.lock().unwrap(), [262_144, 524_288, 600_000]);
    assert!(sync.has_blob("@garden", &blob.hash).await.unwrap());
    assert!(!sync.has_blob("@garden", blob_hash(b"other")).await.unwrap());

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    assert_eq!(soon(sync.put_blob("@garden").from_path(file.path())).await.unwrap(), blob);
    assert_eq!(synapse.blocks.load(Ordering::Relaxed), 3, "the blob already existed");
    assert_eq!(soon(sync.get_blob("@garden", &blob.hash)).await.unwrap(), content);
    let padded = format!("{}=", blob.hash);
    let error = soon(sync.get_blob("@garden", padded)).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "the hash is sent unchanged");
}

#[tokio::test]
async fn reading_a_blob_reports_its_total_only_if_it_is_intact() {
    let mut synapse = Synapse::default();
    let blob =
        soon(synapse.client().sync().put_blob("@garden").from_bytes([7; 2500])).await.unwrap();
    let mut expected = vec![(1000, None), (2000, None), (2500, None), (2500, Some(2500))];
    for damages in [false, true] {
        synapse.damages = damages;
        let reports = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&reports);
        let get = synapse.client().sync().get_blob("@garden", &blob.hash);
        let get = get.on_progress(move |done, total| seen.lock().unwrap().push((done, total)));
        assert_eq!(soon(get).await.is_err(), damages);
        assert_eq!(*reports.lock().unwrap(), expected);
        expected.pop();
    }
}

#[tokio::test]
async fn a_damaged_blob_and_an_invalid_hash_are_errors() {
    let synapse = Synapse { damages: true, ..Synapse::default() };
    let sync = synapse.client().sync();
    let empty = soon(sync.put_blob("@garden").from_bytes("")).await.unwrap();
    assert_eq!(empty.size, 0);
    let blob = soon(sync.put_blob("@garden").from_bytes("content")).await.unwrap();
    let error = soon(sync.get_blob("@garden", blob.hash)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conversion, "{error}");
    let error = soon(sync.get_blob("@garden", "hash")).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
}

#[tokio::test]
async fn all_versions_are_listed_page_by_page() {
    let sync = Synapse::default().client().sync();
    let versions = sync.versions("@garden", "plan").await.unwrap();
    let ids: Vec<_> = versions.iter().map(|version| version.version_id.as_str()).collect();
    assert_eq!(ids, ["v0", "v1", "v2", "v3", "v4", "v5", "v6"]);
    let id = sync.create_version("@garden", "plan").label("one").await.unwrap();
    assert_eq!(id, "version one");
}
