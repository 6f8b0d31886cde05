//! Synapses: values at paths of their documents, blobs by hash, and versions of sync documents.
//!
//! ```no_run
//! # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
//! let sync = client.sync();
//! sync.write_path("@garden", "plan", "$.beds.north", &["beans", "maize"]).await?;
//!
//! let mut beds = sync.watch_path::<Vec<String>>("@garden", "plan", ["$.beds.*"]).await?;
//! while let Some(change) = beds.change().await? {
//!     println!("{} is {:?}", change.path, change.value);
//! }
//!
//! let photo = sync.put_blob("@garden").from_path("bed.jpg").await?;
//! let bytes = sync.get_blob("@garden", &photo.hash).await?;
//!
//! let version = sync.create_version("@garden", "plan").label("before frost").await?;
//! sync.revert_version("@garden", "plan", version).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The feature `sync-documents` keeps whole documents equal: see the module `documents`.

mod blobs;
mod paths;
mod versions;

pub use self::{
    blobs::{
        Blob, BlobContent, GetBlob, HasBlob, LookForBlob, PutBlob, PutBlobTo, ReadBlob, blob_hash,
    },
    paths::{PathChange, PathEvent, PathWatch, WatchPath, WatchedPaths, WritePath, WrittenPath},
    versions::{
        CreateVersion, DocumentVersion, GetVersion, ListVersions, NewVersion, OneVersion,
        RevertVersion, VersionRevert, Versions,
    },
};
