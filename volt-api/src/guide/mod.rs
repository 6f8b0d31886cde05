#![doc = include_str!("links.md")]
#![doc = include_str!("../../docs/guide/README.md")]
// The chapters are in `docs/guide`, so that they can be read in the repository too. Their links are
// defined twice: at the end of each chapter for the repository, and in `links.md` for rustdoc, which
// uses the first definition. `diagrams.md` has the diagrams as `data:` addresses; `cargo xtask guide`
// writes it. Rustdoc counts the lines of a module's files as one: a failing example is reported in
// `links.md`, below its end.

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/connecting.md")]
pub mod connecting {}

#[doc = include_str!("links.md")]
#[doc = include_str!("diagrams.md")]
#[doc = include_str!("../../docs/guide/calls.md")]
pub mod calls {}

#[doc = include_str!("links.md")]
#[doc = include_str!("diagrams.md")]
#[doc = include_str!("../../docs/guide/errors.md")]
pub mod errors {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/files.md")]
pub mod files {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/wires.md")]
pub mod wires {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/documents.md")]
pub mod documents {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/sql.md")]
pub mod sql {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/hosting.md")]
pub mod hosting {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/protos.md")]
pub mod protos {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/testing.md")]
pub mod testing {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/observability.md")]
pub mod observability {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/upgrading.md")]
pub mod upgrading {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/migrating.md")]
pub mod migrating {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/guide/performance.md")]
pub mod performance {}

#[doc = include_str!("links.md")]
#[doc = include_str!("diagrams.md")]
#[doc = include_str!("../../docs/guide/security.md")]
pub mod security {}
