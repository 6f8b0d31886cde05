//! Looking up resources.

use std::collections::HashSet;

use rusqlite::Connection;
use volt_api::volt::{
    GetResourceAncestorsRequest, GetResourceDescendantsRequest, GetResourceRequest,
    GetResourcesRequest, Resource,
};

use crate::{
    actor::Actor,
    error::{Result, invalid},
    rights::READ,
    store::{links, resources, resources::has_kind, search},
};

/// The parts of a resource to return.
#[derive(Clone, Copy)]
pub(crate) struct Detail {
    pub(crate) attributes: bool,
    pub(crate) protobuf: bool,
}

impl Detail {
    /// Removes the parts that were not requested.
    pub(crate) fn trim(self, mut resource: Resource) -> Resource {
        if !self.attributes {
            resource.attribute.clear();
        }
        if let (Some(service), false) = (&mut resource.service_description, self.protobuf) {
            service.proto_file.iter_mut().for_each(|file| file.protobuf.clear());
        }
        resource
    }
}

impl Actor {
    pub(crate) fn get_resource(&self, request: &GetResourceRequest) -> Result<Resource> {
        let detail =
            Detail { attributes: request.include_attributes, protobuf: request.include_protobuf };
        self.read(|store| {
            let id = self.reach(store, &request.resource_id, READ)?;
            Ok(detail.trim(resources::require(store, &id)?))
        })
    }

    pub(crate) fn get_resources(&self, request: &GetResourcesRequest) -> Result<Vec<Resource>> {
        let detail =
            Detail { attributes: request.include_attributes, protobuf: request.include_protobuf };
        let limit = match request.limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        self.read(|store| {
            let ids = search::find(store, request)?;
            self.visible(store, ids, detail, limit, |_| true)
        })
    }

    pub(crate) fn get_resource_ancestors(
        &self,
        request: &GetResourceAncestorsRequest,
    ) -> Result<Vec<Resource>> {
        let detail =
            Detail { attributes: request.include_attributes, protobuf: request.include_protobuf };
        let depth = depth(request.depth)?;
        self.read(|store| {
            let id = self.reach(store, &request.resource_id, READ)?;
            let ids = links::ancestors(store, &id, depth)?;
            let kind = &request.ancestor_kind;
            let wanted = |one: &Resource| {
                (kind.is_empty() || has_kind(one, kind)) && is_named(one, &request.ancestor_id)
            };
            let mut found = self.visible(store, ids, detail, usize::MAX, wanted)?;
            if request.include_resource_id {
                found.insert(0, detail.trim(resources::require(store, &id)?));
            }
            Ok(found)
        })
    }

    pub(crate) fn get_resource_descendants(
        &self,
        request: &GetResourceDescendantsRequest,
    ) -> Result<Vec<Resource>> {
        let detail =
            Detail { attributes: request.include_attributes, protobuf: request.include_protobuf };
        let depth = depth(request.depth)?;
        self.read(|store| {
            let id = self.reach(store, &request.resource_id, READ)?;
            let mut ids = links::descendants(store, &id, depth)?;
            if !request.parent_id.is_empty() {
                let parent = resources::resolve(store, &request.parent_id)?;
                let siblings: HashSet<_> = links::children(store, &parent)?.into_iter().collect();
                ids.retain(|id| siblings.contains(id));
            }
            let kinds = &request.descendant_kind;
            let wanted = |one: &Resource| {
                (kinds.is_empty() || kinds.iter().any(|kind| has_kind(one, kind)))
                    && (request.name.is_empty() || one.name == request.name)
                    && is_named(one, &request.descendant_id)
                    && (request.modified_since == 0 || one.modified > request.modified_since)
            };
            let mut found = self.visible(store, ids, detail, usize::MAX, wanted)?;
            if request.include_resource_id {
                found.insert(0, detail.trim(resources::require(store, &id)?));
            }
            Ok(found)
        })
    }

    /// Returns the requested resources that the actor may see.
    pub(crate) fn visible(
        &self,
        store: &Connection,
        ids: Vec<String>,
        detail: Detail,
        limit: usize,
        wanted: impl Fn(&Resource) -> bool,
    ) -> Result<Vec<Resource>> {
        let mut found = Vec::new();
        for id in ids {
            if found.len() >= limit {
                break;
            }
            self.scope.check()?;
            let Some(resource) = resources::get(store, &id)? else { continue };
            if wanted(&resource) && self.may(store, &id, READ)? {
                found.push(detail.trim(resource));
            }
        }
        Ok(found)
    }
}

/// Returns whether a reference is empty or names this resource.
fn is_named(resource: &Resource, reference: &str) -> bool {
    match reference.strip_prefix('@') {
        Some(alias) => resource.alias.iter().any(|one| one == alias),
        None => reference.is_empty() || reference == resource.id,
    }
}

fn depth(depth: i32) -> Result<u32> {
    u32::try_from(depth).map_err(|_| invalid("`depth` is negative").into())
}
