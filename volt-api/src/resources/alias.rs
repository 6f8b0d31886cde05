//! Resources identified by an alias, which are created unless they exist.

use volt_runtime::{Error, Result};

use super::find::of_kind;

use crate::{
    operation::Settings,
    volt::{GetResourcesRequest, Resource, VoltApiClient},
};

/// Returns the resource with an alias, of a kind if one is given, and creates it if it is missing.
///
/// Two callers at once are safe because aliases are unique: one of them creates the resource, and the
/// other finds it after its own attempt has failed. No text or code of an error is interpreted,
/// because Volts differ in them.
pub(super) async fn ensure<F: Future<Output = Result<Option<Resource>>>>(
    settings: &Settings,
    client: &VoltApiClient,
    reference: &str,
    kind: Option<&str>,
    create: impl FnOnce(String) -> F,
) -> Result<Ensured> {
    let alias = reference.strip_prefix('@').unwrap_or(reference);
    if alias.is_empty() || alias.contains('*') {
        return Err(Error::configuration(format!("`{reference}` is not a valid alias")));
    }
    if let Some(found) = find(settings, client, alias).await? {
        return accept(found, reference, kind);
    }
    let refused = match create(alias.to_owned()).await {
        Ok(Some(created)) => return Ok(Ensured::Created(created)),
        Ok(None) => Error::protocol("the Volt's answer has no resource"),
        Err(error) => error,
    };
    match find(settings, client, alias).await {
        Ok(Some(found)) => accept(found, reference, kind),
        // The first error is more informative.
        _ => Err(refused),
    }
}

/// Returns the resource that a reference names, an id or `@alias`, or `None` if there is none that the
/// caller may read. Volts differ in how they report that, but not in an empty list.
#[cfg(all(feature = "sqlite-database", feature = "wire"))]
pub(crate) async fn lookup(
    settings: &Settings,
    client: &VoltApiClient,
    reference: &str,
) -> Result<Option<Resource>> {
    if let Some(alias) = reference.strip_prefix('@') {
        return find(settings, client, alias).await;
    }
    let request = GetResourcesRequest::default().with_id([reference]).with_include_attributes(true);
    let found = settings.apply(client.get_resources(request)).idempotent().await?.resource;
    Ok(found.into_iter().find(|one| one.id == reference))
}

/// A resource that existed, or a new one.
pub(super) enum Ensured {
    Found(Resource),
    Created(Resource),
}

impl Ensured {
    pub(super) fn resource(self) -> Resource {
        match self {
            Self::Found(resource) | Self::Created(resource) => resource,
        }
    }
}

fn accept(found: Resource, reference: &str, kind: Option<&str>) -> Result<Ensured> {
    match kind {
        Some(kind) => of_kind(found, reference, kind).map(Ensured::Found),
        None => Ok(Ensured::Found(found)),
    }
}

async fn find(
    settings: &Settings,
    client: &VoltApiClient,
    alias: &str,
) -> Result<Option<Resource>> {
    let request = GetResourcesRequest::default().with_alias([alias]).with_include_attributes(true);
    let found = settings.apply(client.get_resources(request)).idempotent().await?.resource;
    Ok(found.into_iter().find(|one| one.alias.iter().any(|one| one == alias)))
}
