//! Compares transferred content with the file's size and digest on the Volt.

#[cfg(feature = "volt")]
use aws_lc_rs::digest;
use volt_runtime::{Error, ErrorKind, Result};

use crate::{
    operation::Settings,
    path::ResourcePath,
    volt::{File, FileApiClient, GetFileRequest},
};

/// Returns the Volt's description of a file or folder.
pub(super) async fn stat(
    client: &FileApiClient,
    settings: &Settings,
    path: &ResourcePath,
) -> Result<File> {
    let request =
        GetFileRequest::default().with_resource_id(path.resource_id()).with_file_path(path.path());
    let response = settings.apply(client.get_file(request)).idempotent().await?;
    response.file.ok_or_else(|| Error::protocol("the Volt's answer has no file"))
}

/// The size and digest of content that was transferred.
pub(super) struct Summary {
    #[cfg(feature = "volt")]
    hash: digest::Context,
    size: u64,
}

impl Summary {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(feature = "volt")]
            hash: digest::Context::new(&digest::SHA256),
            size: 0,
        }
    }

    pub(super) fn add(&mut self, block: &[u8]) {
        #[cfg(feature = "volt")]
        self.hash.update(block);
        self.size += block.len() as u64;
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Compares the content with the Volt's description of the file.
    pub(super) async fn verify(
        self,
        client: &FileApiClient,
        settings: &Settings,
        id: &str,
    ) -> Result<()> {
        let file = stat(client, settings, &ResourcePath::new(id, "")).await?;
        if file.size != self.size {
            return Err(differs(&format!(
                "{} bytes were transferred, and the Volt's file has {}",
                self.size, file.size
            )));
        }
        #[cfg(feature = "volt")]
        if let Some(digest) = digest_of(client, settings, id).await?
            && digest != self.hash.finish().as_ref()
        {
            return Err(differs("its SHA-256 digest differs from the Volt's"));
        }
        Ok(())
    }
}

/// Returns the SHA-256 digest of a file, if the Volt has one.
#[cfg(feature = "volt")]
async fn digest_of(
    client: &FileApiClient,
    settings: &Settings,
    id: &str,
) -> Result<Option<Vec<u8>>> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use crate::volt::{GetResourceRequest, VoltApiClient};

    let client = VoltApiClient::new(AsRef::<crate::Channel>::as_ref(client).clone());
    let request = GetResourceRequest::default().with_resource_id(id);
    let resource = match settings.apply(client.get_resource(request)).await {
        Ok(answer) => answer.resource.unwrap_or_default(),
        // A Volt may allow a caller to access its files and nothing else.
        Err(error) if error.status().is_some() => return Ok(None),
        Err(error) => return Err(error),
    };
    // Another form of digest is not compared.
    let digest = URL_SAFE_NO_PAD.decode(resource.content_hash).ok();
    Ok(digest.filter(|digest| digest.len() == 32))
}

/// The error for content that differs from the Volt's file: it was changed meanwhile, or damaged.
pub(super) fn differs(how: &str) -> Error {
    Error::new(ErrorKind::Conversion, format!("the file was changed meanwhile, or damaged: {how}"))
}
