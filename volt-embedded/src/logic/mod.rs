//! The Volt's operations as blocking functions, without sockets or streams. Most are methods of an
//! [`Actor`](crate::actor::Actor); the async handlers in [`api`](crate::api) call them on threads where
//! blocking is allowed.

pub(crate) mod access;
pub(crate) mod authenticate;
pub(crate) mod blobs;
pub(crate) mod copy;
pub(crate) mod databases;
pub(crate) mod documents;
pub(crate) mod files;
pub(crate) mod identities;
mod limits;
pub(crate) mod query;
pub(crate) mod resources;
pub(crate) mod services;
pub(crate) mod sessions;
pub(crate) mod signing;
pub(crate) mod synapses;
pub(crate) mod versions;
pub(crate) mod wires;

#[cfg(test)]
pub(crate) mod tests;
