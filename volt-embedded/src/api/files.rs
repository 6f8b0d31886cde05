//! `FileAPI`.

use tokio::io::AsyncReadExt as _;
use volt_api::{
    Status,
    server::{Context, Requests, Responses},
    volt::{
        DownloadFileRequest, DownloadFileResponse, FileApi, GetFileContentRequest,
        GetFileContentResponse, GetFileDescendantsRequest, GetFileDescendantsResponse,
        GetFileRequest, GetFileResponse, SetFileContentRequest, SetFileContentResponse,
        UploadFileRequest, UploadFileResponse, upload_file_request::Payload,
    },
};

use super::{Handlers, on, recheck};
use crate::{
    actor::Actor,
    error::{Fault, internal, invalid},
    volt::blocking,
};

/// The size of a block of a download, in bytes.
const BLOCK: usize = 64 << 10;

impl FileApi for Handlers {
    async fn download_file(
        &self,
        context: Context,
        request: DownloadFileRequest,
        mut responses: Responses<DownloadFileResponse>,
    ) -> Result<(), Status> {
        let call = async |actor: Actor| {
            let open =
                move |actor: &Actor| actor.open_file(&request.resource_id, &request.file_path);
            let mut checked = actor.volt.store.changes();
            let Some(file) = on(&actor, open).await? else { return Ok(()) };
            let id = file.id;
            let mut bytes = tokio::fs::File::from_std(file.content.into_file());
            loop {
                let mut block = Vec::with_capacity(BLOCK);
                let filled = (&mut bytes).take(BLOCK as u64).read_to_end(&mut block).await;
                if filled.map_err(Fault::from)? == 0 {
                    return Ok(());
                }
                // The right may be revoked while the file is being sent.
                let id = id.clone();
                recheck(&actor, &mut checked, move |actor| actor.recheck_file(&id)).await?;
                responses.send(DownloadFileResponse::default().with_block(block)).await?;
            }
        };
        self.run_long(&context, call).await
    }

    async fn get_file(
        &self,
        context: Context,
        request: GetFileRequest,
    ) -> Result<GetFileResponse, Status> {
        let file = self.run(&context, move |actor| actor.get_file(&request)).await?;
        Ok(GetFileResponse::default().with_file(file))
    }

    async fn get_file_content(
        &self,
        context: Context,
        request: GetFileContentRequest,
    ) -> Result<GetFileContentResponse, Status> {
        let bytes = self.run(&context, move |actor| actor.get_file_content(&request)).await?;
        Ok(GetFileContentResponse::default().with_content(bytes))
    }

    async fn get_file_descendants(
        &self,
        context: Context,
        request: GetFileDescendantsRequest,
    ) -> Result<GetFileDescendantsResponse, Status> {
        let found = self.run(&context, move |actor| actor.get_file_descendants(&request)).await?;
        Ok(GetFileDescendantsResponse::default().with_descendant(found))
    }

    async fn set_file_content(
        &self,
        context: Context,
        request: SetFileContentRequest,
    ) -> Result<SetFileContentResponse, Status> {
        self.run(&context, move |actor| actor.set_file_content(&request)).await?;
        Ok(SetFileContentResponse::default())
    }

    /// Acknowledges each block after it is written. The file is replaced when the caller
    /// half-closes; a caller that disconnects earlier changes nothing.
    async fn upload_file(
        &self,
        context: Context,
        mut requests: Requests<UploadFileRequest>,
        mut responses: Responses<UploadFileResponse>,
    ) -> Result<(), Status> {
        let call = async |actor: Actor| {
            let Some(Payload::Start(start)) =
                requests.message().await?.and_then(|first| first.payload)
            else {
                return Err(invalid("the first message of UploadFile is `start`"));
            };
            let mut upload = on(&actor, move |actor| actor.begin_upload(&start)).await?;
            let mut ack = 0u32;
            while let Some(request) = requests.message().await? {
                let Some(Payload::Block(block)) = request.payload else {
                    return Err(invalid("after `start`, UploadFile takes blocks only"));
                };
                upload = blocking(move || {
                    upload.write(&block)?;
                    Ok(upload)
                })
                .await?;
                ack = ack.checked_add(1).ok_or_else(|| internal("the block counter overflowed"))?;
                responses.send(UploadFileResponse::default().with_ack(ack)).await?;
            }
            on(&actor, move |actor| actor.finish_upload(upload)).await
        };
        self.run_long(&context, call).await
    }
}
