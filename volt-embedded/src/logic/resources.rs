//! Saving, deleting and moving resources.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use uuid::Uuid;
use volt_api::volt::{
    AttributeDataType, AttributeValue, ConnectResourceEvent as What, DeleteResourceRequest,
    MoveResourceRequest, OnlineStatus, Resource, ResourceAttribute, ResourceStatus,
    SaveDatabaseRequest, SaveResourceRequest, ServiceDescription, ServiceHostType,
    attribute_value::Value,
};

use super::limits;
use crate::{
    actor::Actor,
    disk::is_valid_id,
    error::{Result, denied, invalid, not_found, precondition},
    rights::{CREATE, WRITE},
    store::{
        Tx,
        events::Event,
        links, now, resources,
        resources::{DATABASE_KINDS, IDENTITY, add_kind, has_kind},
        sessions, tombstones,
    },
};

impl Actor {
    /// Creates or updates a resource.
    pub(crate) fn save_resource(&self, request: SaveResourceRequest) -> Result<Resource> {
        self.write(|tx| self.save(tx, request))
    }

    /// Creates or updates a resource that is a database.
    pub(crate) fn save_database(&self, request: SaveDatabaseRequest) -> Result<Resource> {
        let mut resource = request.resource.unwrap_or_default();
        for kind in DATABASE_KINDS {
            add_kind(&mut resource, kind);
        }
        for (name, value) in [
            ("volt:db-encrypted", request.encrypted),
            ("volt:db-read-audit", request.read_audit),
            ("volt:db-write-audit", request.write_audit),
        ] {
            set_attribute(&mut resource, name, AttributeDataType::Boolean, Value::Boolean(value));
        }
        self.save_resource(SaveResourceRequest {
            resource: Some(resource),
            create: request.create,
            create_in_parent_id: request.create_in_parent_id,
            purge_attributes: request.purge_attributes,
            ..SaveResourceRequest::default()
        })
    }

    /// Creates or updates a resource within a larger change.
    pub(crate) fn save(&self, tx: &Tx<'_>, request: SaveResourceRequest) -> Result<Resource> {
        let mut given = request.resource.ok_or_else(|| invalid("the resource is missing"))?;
        for alias in &mut given.alias {
            // References to aliases start with an `@`, so users tend to write it here, too.
            *alias = alias.trim_start_matches('@').to_owned();
            if alias.is_empty() {
                return Err(invalid("an alias is empty").into());
            }
        }
        limits::resource(&given)?;
        if given.attribute.iter().any(|attribute| attribute.attribute_id.is_empty()) {
            return Err(invalid("an attribute has no `attribute_id`").into());
        }
        if request.create {
            self.create(tx, given, &request.create_in_parent_id)
        } else {
            self.update(tx, given, request.purge_attributes)
        }
    }

    fn create(&self, tx: &Tx<'_>, given: Resource, parent: &str) -> Result<Resource> {
        if given.name.is_empty() {
            return Err(invalid("a new resource needs a name").into());
        }
        if !given.id.is_empty() {
            self.demand_id(tx, &given.id)?;
        }
        if has_kind(&given, IDENTITY) {
            // Only the owner of the Volt may create identities.
            self.demand_owner()?;
        }
        let parent = match parent {
            "" => self.identity.clone(),
            given => resources::resolve(tx, given)?,
        };
        self.demand(tx, &parent, CREATE)?;
        let created = now();
        let mut resource = Resource {
            id: if given.id.is_empty() { Uuid::new_v4().to_string() } else { given.id.clone() },
            owner: match given.owner.as_str() {
                "" => self.identity.clone(),
                owner if owner == self.identity => owner.to_owned(),
                owner => {
                    self.demand_owner()?;
                    owner.to_owned()
                }
            },
            status: ResourceStatus::Live.into(),
            online_status: initial_online_status(&given).into(),
            created,
            ..Resource::default()
        };
        merge(&mut resource, given, created);
        resources::insert(tx, &resource)?;
        links::add(tx, &parent, &resource.id)?;
        let resource = resources::require(tx, &resource.id)?;
        tx.emit(Event::resource(What::Create, &resource));
        tx.emit(Event::resource(What::CreateChild, &resources::require(tx, &parent)?));
        Ok(resource)
    }

    /// Rejects an id that the actor may not choose. This is an id that looks like an identity's,
    /// because a client could later be mistaken for it, or the id of a deleted resource that
    /// belonged to another identity.
    fn demand_id(&self, tx: &Tx<'_>, id: &str) -> Result<()> {
        if !is_valid_id(id) {
            return Err(invalid(format!("`{id}` is not a valid id for a resource")).into());
        }
        if self.is_owner() {
            return Ok(());
        }
        if looks_like_identity(id) {
            let message = format!("`{id}` looks like the id of an identity; choose another");
            return Err(denied(message).into());
        }
        match tombstones::get(tx, id)? {
            Some(deleted) if deleted.identity || deleted.owner != self.identity => {
                let message =
                    format!("resource `{id}` was deleted, and only its owner may reuse the id");
                Err(denied(message).into())
            }
            _ => Ok(()),
        }
    }

    fn update(&self, tx: &Tx<'_>, given: Resource, purge: bool) -> Result<Resource> {
        if given.id.is_empty() {
            return Err(
                invalid("`resource.id` is missing; to create a resource, set `create`").into()
            );
        }
        let id = self.reach(tx, &given.id, WRITE)?;
        let mut resource = resources::require(tx, &id)?;
        if !given.owner.is_empty() && given.owner != resource.owner {
            self.demand_owner()?;
            resource.owner.clone_from(&given.owner);
        }
        if given.share_mode != 0 && given.share_mode != resource.share_mode {
            // Otherwise identities with write access could make the resource public.
            self.demand_ownership(tx, &id)?;
        }
        let is_identity = has_kind(&resource, IDENTITY);
        if has_kind(&given, IDENTITY) && !is_identity {
            self.demand_owner()?;
        }
        if purge {
            resource.attribute.clear();
        }
        merge(&mut resource, given, now());
        if is_identity {
            // Otherwise identities with write access to a home folder could lock out its identity.
            add_kind(&mut resource, IDENTITY);
        }
        changed(tx, &resource)
    }

    /// Deletes a resource, or removes it from one of its folders.
    pub(crate) fn delete_resource(&self, request: &DeleteResourceRequest) -> Result<()> {
        self.write(|tx| {
            let id = self.reach(tx, &request.resource_id, WRITE)?;
            if !request.parent_id.is_empty() {
                let parent = resources::resolve(tx, &request.parent_id)?;
                let parents = links::parents(tx, &id)?;
                if !parents.contains(&parent) {
                    return Err(not_found("child", &id).with_description("of that parent").into());
                }
                if parents.len() > 1 {
                    links::remove(tx, &parent, &id)?;
                    tx.emit(Event::resource(What::DeleteChild, &resources::require(tx, &parent)?));
                    return Ok(());
                }
            }
            if !request.recursive && !links::children(tx, &id)?.is_empty() {
                let message = format!("resource `{id}` has children; set `recursive`");
                return Err(precondition(message).into());
            }
            let doomed = doomed(tx, &id)?;
            let mut ended = Vec::new();
            for id in &doomed {
                if *id == self.volt.id || *id == self.volt.owner {
                    return Err(precondition("the Volt and its owner cannot be deleted").into());
                }
                // Write access to a folder covers its contents only if the rule is recursive.
                self.demand(tx, id, WRITE)?;
                if has_kind(&resources::require(tx, id)?, IDENTITY) {
                    // The right to write to a home folder is not the right to end its identity.
                    self.demand_self(id)?;
                }
                ended.extend(sessions::of_identity(tx, id)?);
            }
            for parent in links::parents(tx, &id)? {
                tx.emit(Event::resource(What::DeleteChild, &resources::require(tx, &parent)?));
            }
            for id in &doomed {
                tx.emit(Event::resource(What::Delete, &resources::require(tx, id)?));
                resources::delete(tx, id)?;
            }
            let volt = Arc::clone(&self.volt);
            // Remove the data before the next change, which may create a resource with the same id.
            tx.afterwards(move || {
                volt.end_sessions(&ended);
                for id in doomed {
                    volt.wires.delete(&id);
                    volt.documents.delete(&id);
                    volt.disk.remove(&id);
                }
            });
            Ok(())
        })
    }

    /// Moves a resource from one folder to another.
    pub(crate) fn move_resource(&self, request: &MoveResourceRequest) -> Result<()> {
        self.write(|tx| {
            let id = self.reach(tx, &request.resource_id, WRITE)?;
            let to = self.reach(tx, &request.to_resource_id, CREATE)?;
            let parents = links::parents(tx, &id)?;
            let from = match (request.from_resource_id.as_str(), parents.as_slice()) {
                ("", [only]) => only.clone(),
                ("", _) => {
                    return Err(invalid(
                        "`from_resource_id` is missing: the resource has several parents",
                    )
                    .into());
                }
                (given, _) => resources::resolve(tx, given)?,
            };
            if !parents.contains(&from) {
                return Err(not_found("child", &id).with_description("of that parent").into());
            }
            refuse_cycle(tx, &id, &to)?;
            self.refuse_foreign_folder(tx, &id, &to)?;
            links::remove(tx, &from, &id)?;
            links::add(tx, &to, &id)?;
            tx.emit(Event::resource(What::DeleteChild, &resources::require(tx, &from)?));
            tx.emit(Event::resource(What::CreateChild, &resources::require(tx, &to)?));
            Ok(())
        })
    }
}

impl Actor {
    /// Refuses to place another identity's resource in a folder of a third party, whose recursive
    /// rules would apply to it. Folders of the resource's owner and of the Volt's owner are
    /// permitted.
    pub(crate) fn refuse_foreign_folder(&self, tx: &Tx<'_>, id: &str, folder: &str) -> Result<()> {
        let owner = resources::owner(tx, id)?;
        if self.is_owner() || owner == self.identity {
            return Ok(());
        }
        let mut folders = links::ancestors(tx, folder, 0)?;
        folders.push(folder.to_owned());
        for folder in folders {
            let theirs = resources::owner(tx, &folder)?;
            if theirs != owner && theirs != self.volt.owner {
                return Err(denied(format!(
                    "only the owner of resource `{id}` may put it into a folder of another owner"
                ))
                .into());
            }
        }
        Ok(())
    }
}

/// Stores a changed resource and emits the event.
pub(crate) fn changed(tx: &Tx<'_>, resource: &Resource) -> Result<Resource> {
    resources::update(tx, resource)?;
    let resource = resources::require(tx, &resource.id)?;
    tx.emit(Event::resource(What::Update, &resource));
    Ok(resource)
}

/// Refuses to place a resource inside itself.
pub(crate) fn refuse_cycle(tx: &Tx<'_>, id: &str, into: &str) -> Result<()> {
    if links::is_within(tx, into, id)? {
        return Err(invalid("a resource cannot be put into itself").into());
    }
    Ok(())
}

/// Returns the resources that are deleted with a resource: itself and everything that is only in
/// it.
///
/// A resource is deleted if all its parents are. Each resource is visited once per parent.
fn doomed(tx: &Tx<'_>, id: &str) -> Result<Vec<String>> {
    let mut doomed = vec![id.to_owned()];
    // The number of parents of each resource that are not doomed.
    let mut others: HashMap<String, usize> = HashMap::new();
    let mut next = 0;
    while let Some(parent) = doomed.get(next).cloned() {
        next += 1;
        for child in links::children(tx, &parent)? {
            let left = match others.entry(child.clone()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(links::parents(tx, &child)?.len()),
            };
            *left -= 1;
            if *left == 0 {
                doomed.push(child);
            }
        }
    }
    Ok(doomed)
}

/// Returns whether an id could belong to an identity: a DID, or a key fingerprint, which is a
/// base58-encoded SHA-256 hash.
fn looks_like_identity(id: &str) -> bool {
    let base58 = |byte: u8| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte);
    id.starts_with("did:") || ((40..=44).contains(&id.len()) && id.bytes().all(base58))
}

/// Returns the status of a new resource. A service is offline until its host reports it online;
/// everything else is always online.
fn initial_online_status(given: &Resource) -> OnlineStatus {
    match given.service_description.as_ref().map(ServiceDescription::host_type) {
        Some(ServiceHostType::Server | ServiceHostType::Relayed) => OnlineStatus::Offline,
        _ => OnlineStatus::Online,
    }
}

/// Applies the given fields. Empty fields change nothing: proto3 cannot distinguish them from absent
/// ones.
fn merge(resource: &mut Resource, given: Resource, modified: u64) {
    let take = |old: &mut String, new: String| {
        if !new.is_empty() {
            *old = new;
        }
    };
    take(&mut resource.name, given.name);
    take(&mut resource.description, given.description);
    take(&mut resource.store, given.store);
    if given.share_mode != 0 {
        resource.share_mode = given.share_mode;
    }
    if !given.kind.is_empty() {
        resource.kind = given.kind;
    }
    if !given.alias.is_empty() {
        resource.alias = given.alias;
    }
    if given.service_description.is_some() {
        resource.service_description = given.service_description;
    }
    for attribute in given.attribute {
        put_attribute(resource, attribute);
    }
    resource.modified = modified.max(resource.modified);
    resource.version += 1;
}

/// Adds an attribute, or replaces the one with the same name.
fn put_attribute(resource: &mut Resource, mut attribute: ResourceAttribute) {
    let same = |old: &&mut ResourceAttribute| old.attribute_id == attribute.attribute_id;
    if let Some(old) = resource.attribute.iter_mut().find(same) {
        attribute.id = old.id;
        *old = attribute;
    } else {
        // The Volt assigns the numbers.
        attribute.id = 0;
        resource.attribute.push(attribute);
    }
}

/// Sets an attribute to one value.
pub(crate) fn set_attribute(
    resource: &mut Resource,
    name: &str,
    data_type: AttributeDataType,
    value: Value,
) {
    let value = AttributeValue { value: Some(value), ..AttributeValue::default() };
    let attribute = ResourceAttribute::default()
        .with_attribute_id(name)
        .with_data_type(data_type)
        .with_value([value]);
    put_attribute(resource, attribute);
}

/// Returns the first value of an attribute.
pub(crate) fn attribute<'a>(resource: &'a Resource, name: &str) -> Option<&'a Value> {
    let attribute = resource.attribute.iter().find(|one| one.attribute_id == name)?;
    attribute.value.first()?.value.as_ref()
}
