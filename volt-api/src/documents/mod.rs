//! Documents that several clients edit concurrently, kept equal on all of them.
//!
//! A sync document is a Yjs document: every client has a copy, edits it at any time, and merges the edits of the
//! others. A Volt keeps one too, and passes edits on. [`attach`](crate::volt::SyncApiClient::attach) keeps a
//! document of [`yrs`] equal to the Volt's in the background.
//!
//! ```no_run
//! # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
//! use volt_api::documents::yrs::{Doc, Map as _, Transact as _};
//!
//! let doc = Doc::new();
//! let settings = doc.get_or_insert_map("settings");
//! let document = client.sync().attach(&doc, "@team", "settings").await?;
//! settings.insert(&mut doc.transact_mut(), "colour", "blue");
//! document.flush().await?; // The Volt has it.
//! # Ok(())
//! # }
//! ```
//!
//! - **No edit is lost.** Edits are kept in the document while there is no connection, and also between the
//!   client's and the Volt's part of the handshake. They are sent as soon as possible.
//! - **The document is the caller's.** The SDK never clears or destroys it, even if the call fails. A Volt can
//!   damage it, though, with an invalid update that the Yjs library accepts: attach documents only if you trust
//!   the Volt and everyone who may edit them.
//! - **A lost call is opened again**, with a backoff from half a second to 30 seconds. Both sides then
//!   exchange exactly the missing updates.
//! - **Memory is bounded.** While the Volt is slow, the updates that wait are merged.
//!
//! The document's own lock protects it: hold no transaction while awaiting something of this module.

mod attach;
// Four modules are public for tests, fuzz targets and the embedded Volt. They are not part of the public API.
#[doc(hidden)]
pub mod awareness;
mod call;
#[doc(hidden)]
pub mod exchange;
mod handle;
mod presence;
#[doc(hidden)]
pub mod replica;
mod run;
mod shared;
mod state;
mod subdocuments;
#[doc(hidden)]
pub mod updates;

pub use yrs;

pub use self::{
    attach::AttachDocument,
    handle::SyncedDocument,
    state::{DocumentState, DocumentStateWatch},
};

/// Creates a document with a GUID, whose positions in texts count UTF-16 as those of clients in
/// JavaScript do. The other options are the defaults.
pub fn doc_with_guid(guid: impl Into<String>) -> yrs::Doc {
    let guid: String = guid.into();
    yrs::Doc::with_options(yrs::Options {
        guid: guid.into(),
        offset_kind: yrs::OffsetKind::Utf16,
        ..yrs::Options::default()
    })
}
