//! What the Volt does, as plain functions: no sockets, no streams, no waiting. Most of it is what an
//! [`Actor`](crate::actor::Actor) does; the async handlers in [`api`](crate::api) only call it.

pub(crate) mod access;
pub(crate) mod authenticate;
pub(crate) mod copy;
pub(crate) mod databases;
pub(crate) mod discovery;
pub(crate) mod files;
pub(crate) mod identities;
pub(crate) mod query;
pub(crate) mod resources;
pub(crate) mod services;
pub(crate) mod sessions;
pub(crate) mod signing;
pub(crate) mod tokens;
pub(crate) mod wires;

#[cfg(test)]
pub(crate) mod tests;
