//! Documents that several callers edit concurrently: the Volt's end of `SyncDocument`.
//!
//! This is a sans-IO core: it turns messages into events and messages, without sockets, tasks,
//! clocks or the store. Callers' updates are checked before the Yjs library reads them: see
//! `updates` of the crate `volt-api`.

pub(crate) mod document;
pub(crate) mod incoming;
mod json_schema;
pub(crate) mod outbox;
pub(crate) mod path;
pub(crate) mod presence;
pub(crate) mod schema;
pub(crate) mod value;
pub(crate) mod versions;

/// The largest piece of an update in one message, in bytes.
const CHUNK: usize = 1 << 20;

/// The largest update, in bytes.
pub(crate) const MAX_UPDATE: usize = 32 << 20;
/// The largest presence message, in bytes.
pub(crate) const MAX_PRESENCE: usize = 256 << 10;
/// The largest state vector, in bytes.
pub(crate) const MAX_STATE_VECTOR: usize = 1 << 20;

#[cfg(test)]
mod tests;
