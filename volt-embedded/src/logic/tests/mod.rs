//! Tests of the logic, without a network.

// Requests are built at the call site, as callers of the API do.
#![allow(clippy::needless_pass_by_value)]

mod access;
mod authenticate;
mod claims;
mod documents;
mod durability;
mod files;
mod identities;
mod limits;
mod methods;
mod model;
mod query;
mod resources;
mod services;

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use volt_api::{
    Code,
    volt::{PolicyDecision, Resource, SaveResourceRequest},
};

use crate::{
    actor::Actor,
    error::{Fault, Result},
    scope::Scope,
    volt::{Options, Place, Volt},
};

/// Creates a Volt with its own folder.
pub(crate) fn volt() -> Arc<Volt> {
    volt_with(|_| {})
}

fn options(decision: PolicyDecision) -> Options {
    Options {
        name: "test".to_owned(),
        decision,
        challenge: None,
        session_lifetime: Duration::from_hours(1),
        tls: false,
        max_queries: 1,
        max_queries_of_one: 1,
        query_timeout: Duration::from_mins(1),
        idle_query_timeout: Duration::from_mins(10),
        durable: false,
    }
}

fn volt_with(change: impl FnOnce(&mut Options)) -> Arc<Volt> {
    let mut options = options(PolicyDecision::Permit);
    change(&mut options);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let address = ([127, 0, 0, 1], 1).into();
    let place = Place {
        folder: &path,
        temporary: Some(folder),
        address,
        grpc_address: None,
        services: &["pkg.API"],
        closed: mpsc::channel(1).0,
    };
    Arc::new(Volt::open(place, options).unwrap())
}

pub(crate) fn owner(volt: &Arc<Volt>) -> Actor {
    let identity = volt.owner.clone();
    Actor { volt: Arc::clone(volt), identity, session: String::new(), scope: Scope::default() }
}

/// Creates a client that owns only its home folder.
fn guest(volt: &Arc<Volt>) -> Actor {
    let config = volt.client("guest", None).unwrap();
    let identity = config.credential.as_ref().unwrap().identity_did.clone().unwrap();
    Actor { volt: Arc::clone(volt), identity, session: String::new(), scope: Scope::default() }
}

/// Creates a resource, in the actor's home folder if `parent` is empty.
pub(crate) fn make(actor: &Actor, parent: &str, name: &str, kind: &str) -> String {
    let resource = Resource::default().with_name(name).with_kind([kind]);
    let request = SaveResourceRequest::default()
        .with_resource(resource)
        .with_create(true)
        .with_create_in_parent_id(parent);
    actor.save_resource(request).unwrap().id
}

#[track_caller]
fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    match outcome {
        Err(Fault::Refused(status)) => status.code(),
        other => panic!("not refused: {other:?}"),
    }
}

/// Returns the names of resources.
fn names(resources: &[Resource]) -> Vec<&str> {
    resources.iter().map(|resource| resource.name.as_str()).collect()
}
