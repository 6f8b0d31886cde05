//! Resources by path, and resources that are created unless they exist.
//!
//! ```no_run
//! # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
//! let reports = client.volt().ensure_folder("@reports/2026").await?;
//! let report = client.volt().resource("@reports/2026/may.pdf").await?;
//! for child in client.volt().children(&reports).await? {
//!     println!("{}", child.name);
//! }
//! if client.volt().exists("@news").await? {
//!     println!("there are news");
//! }
//! let everywhere = client.volt().find().kind("volt:file").name("*.pdf").await?;
//! # Ok(())
//! # }
//! ```

mod alias;
#[cfg(any(feature = "sqlite-server", feature = "sync", feature = "wire"))]
mod ensure;
mod find;
mod folder;
mod search;

#[cfg(all(feature = "sqlite-database", feature = "wire"))]
pub(crate) use self::alias::lookup;
#[cfg(feature = "sqlite-server")]
pub use self::ensure::{EnsureDatabase, NewDatabase};
#[cfg(feature = "sync")]
pub use self::ensure::{EnsureSyncDatabase, NewSyncDatabase};
#[cfg(feature = "wire")]
pub use self::ensure::{EnsureWire, NewWire};
#[cfg(all(feature = "sqlite-database", feature = "wire"))]
pub(crate) use self::ensure::{persists, table_of};
pub use self::{
    find::{Exists, FindChildren, FindResource, ListChildren, ResourceAt, ResourceExists},
    folder::{EnsureFolder, NewFolder},
    search::{FindResources, ResourceSearch},
};
