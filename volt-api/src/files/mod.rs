//! Uploads and downloads of files and folders, and JSON files.
//!
//! ```no_run
//! # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
//! let files = client.file();
//! files.upload("@home/films/summer.mp4").from_path("summer.mp4").await?;
//! files
//!     .download("@home/films")
//!     .to_path("films")
//!     .on_progress(|done, total| println!("{done} of {total:?} bytes"))
//!     .await?;
//! let notes = files.download("@home/notes.txt").bytes().await?;
//! # Ok(())
//! # }
//! ```
//!
//! - A file is transferred whole or not at all: an upload replaces the content when it is complete, a
//!   download is renamed into place when it is complete.
//! - The size is verified, and the SHA-256 digest if the Volt has one (with the feature `volt`).
//! - After a lost connection the transfer of a file starts again, three times by default, if its
//!   source or target can be read or written again: that is the case for paths and bytes.
//! - Folders are transferred recursively, several files at once. Each of their files is transferred
//!   whole or not at all; an error leaves those that were complete.
//! - A name from a Volt that would leave the target folder is an error. Two names that differ only by
//!   case are an error too, if the disk of the target ignores case. In both cases nothing is
//!   downloaded.
//! - A timeout covers the work on local files, too. The system may still complete a started
//!   operation: opening or renaming a file. A temporary file is removed in any case.

mod check;
mod download;
mod json;
mod local;
mod retry;
mod stream;
mod upload;

pub use self::{
    download::{DownloadFile, DownloadFrom, FileDownload, ToBytes, ToPath, ToStream, ToWriter},
    json::{GetJson, PutJson, ReadJson, WriteJson},
    stream::FileStream,
    upload::{FileUpload, UploadFile, UploadTo},
};
