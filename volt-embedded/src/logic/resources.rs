//! Saving, deleting and moving resources.

use std::collections::HashSet;

use uuid::Uuid;
use volt_api::volt::{
    AttributeDataType, AttributeValue, ConnectResourceEvent as What, DeleteResourceRequest,
    MoveResourceRequest, OnlineStatus, Resource, ResourceAttribute, ResourceStatus,
    SaveDatabaseRequest, SaveResourceRequest, ServiceDescription, ServiceHostType,
    attribute_value::Value,
};

use crate::{
    actor::Actor,
    disk::is_valid_id,
    error::{Result, invalid, not_found, precondition},
    rights::{CREATE, WRITE},
    store::events::Event,
    store::{
        Tx, links, now, resources,
        resources::{DATABASE_KINDS, add_kind},
    },
};

impl Actor {
    /// Creates or updates a resource.
    pub(crate) fn save_resource(&self, request: SaveResourceRequest) -> Result<Resource> {
        self.volt.store.write(|tx| self.save(tx, request))
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
        })
    }

    /// Creates or updates a resource as a part of something larger.
    pub(crate) fn save(&self, tx: &Tx<'_>, request: SaveResourceRequest) -> Result<Resource> {
        let mut given = request.resource.ok_or_else(|| invalid("the resource is missing"))?;
        for alias in &mut given.alias {
            // An alias is written with an `@` where it stands for an id, so people write it here, too.
            *alias = alias.trim_start_matches('@').to_owned();
            if alias.is_empty() {
                return Err(invalid("an alias is empty").into());
            }
        }
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
        if !given.id.is_empty() && !is_valid_id(&given.id) {
            return Err(invalid(format!("`{}` cannot be the id of a resource", given.id)).into());
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

    fn update(&self, tx: &Tx<'_>, given: Resource, purge: bool) -> Result<Resource> {
        if given.id.is_empty() {
            return Err(invalid("`resource.id` is missing; to make a new one set `create`").into());
        }
        let id = self.reach(tx, &given.id, WRITE)?;
        let mut resource = resources::require(tx, &id)?;
        if !given.owner.is_empty() && given.owner != resource.owner {
            self.demand_owner()?;
            resource.owner.clone_from(&given.owner);
        }
        if purge {
            resource.attribute.clear();
        }
        merge(&mut resource, given, now());
        changed(tx, &resource)
    }

    /// Deletes a resource, or takes it out of one of its folders.
    pub(crate) fn delete_resource(&self, request: &DeleteResourceRequest) -> Result<()> {
        let gone = self.volt.store.write(|tx| {
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
                    return Ok(Vec::new());
                }
            }
            if !request.recursive && !links::children(tx, &id)?.is_empty() {
                let message = format!("resource `{id}` has children; set `recursive`");
                return Err(precondition(message).into());
            }
            let doomed = doomed(tx, &id)?;
            if doomed.iter().any(|id| *id == self.volt.id || *id == self.volt.owner) {
                return Err(precondition("the Volt and its owner cannot be deleted").into());
            }
            for parent in links::parents(tx, &id)? {
                tx.emit(Event::resource(What::DeleteChild, &resources::require(tx, &parent)?));
            }
            for id in &doomed {
                tx.emit(Event::resource(What::Delete, &resources::require(tx, id)?));
                resources::delete(tx, id)?;
            }
            Ok(doomed)
        })?;
        for id in gone {
            self.volt.wires.delete(&id);
            self.volt.disk.remove(&id);
        }
        Ok(())
    }

    /// Moves a resource from one folder to another.
    pub(crate) fn move_resource(&self, request: &MoveResourceRequest) -> Result<()> {
        self.volt.store.write(|tx| {
            let id = self.reach(tx, &request.resource_id, WRITE)?;
            let to = self.reach(tx, &request.to_resource_id, CREATE)?;
            let parents = links::parents(tx, &id)?;
            let from = match (request.from_resource_id.as_str(), parents.as_slice()) {
                ("", [only]) => only.clone(),
                ("", _) => {
                    return Err(invalid("say which parent to move from, there are several").into());
                }
                (given, _) => resources::resolve(tx, given)?,
            };
            if !parents.contains(&from) {
                return Err(not_found("child", &id).with_description("of that parent").into());
            }
            refuse_cycle(tx, &id, &to)?;
            links::remove(tx, &from, &id)?;
            links::add(tx, &to, &id)?;
            tx.emit(Event::resource(What::DeleteChild, &resources::require(tx, &from)?));
            tx.emit(Event::resource(What::CreateChild, &resources::require(tx, &to)?));
            Ok(())
        })
    }
}

/// Writes an existing resource and says that it has changed.
pub(crate) fn changed(tx: &Tx<'_>, resource: &Resource) -> Result<Resource> {
    resources::update(tx, resource)?;
    let resource = resources::require(tx, &resource.id)?;
    tx.emit(Event::resource(What::Update, &resource));
    Ok(resource)
}

/// Refuses to put a resource into itself.
pub(crate) fn refuse_cycle(tx: &Tx<'_>, id: &str, into: &str) -> Result<()> {
    if links::is_within(tx, into, id)? {
        return Err(invalid("a resource cannot be put into itself").into());
    }
    Ok(())
}

/// What goes when a resource goes: also all that is in nothing else.
fn doomed(tx: &Tx<'_>, id: &str) -> Result<Vec<String>> {
    let mut doomed = vec![id.to_owned()];
    let mut known: HashSet<String> = doomed.iter().cloned().collect();
    let mut rest = links::descendants(tx, id, 0)?;
    loop {
        let before = doomed.len();
        let mut kept = Vec::new();
        for descendant in rest {
            if links::parents(tx, &descendant)?.iter().all(|parent| known.contains(parent)) {
                known.insert(descendant.clone());
                doomed.push(descendant);
            } else {
                kept.push(descendant);
            }
        }
        rest = kept;
        if doomed.len() == before || rest.is_empty() {
            return Ok(doomed);
        }
    }
}

/// A service is online once its host says so; all else always is.
fn initial_online_status(given: &Resource) -> OnlineStatus {
    match given.service_description.as_ref().map(ServiceDescription::host_type) {
        Some(ServiceHostType::Server | ServiceHostType::Relayed) => OnlineStatus::Offline,
        _ => OnlineStatus::Online,
    }
}

/// Takes over what is given. What is empty is left as it was: proto3 cannot tell it from absent.
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

/// Adds an attribute, or replaces the one of that name.
fn put_attribute(resource: &mut Resource, mut attribute: ResourceAttribute) {
    let same = |old: &&mut ResourceAttribute| old.attribute_id == attribute.attribute_id;
    if let Some(old) = resource.attribute.iter_mut().find(same) {
        attribute.id = old.id;
        *old = attribute;
    } else {
        // Numbers are this Volt's to give.
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
    let value = AttributeValue { value: Some(value) };
    let attribute = ResourceAttribute::default()
        .with_attribute_id(name)
        .with_data_type(data_type)
        .with_value([value]);
    put_attribute(resource, attribute);
}

/// The first value of an attribute.
pub(crate) fn attribute<'a>(resource: &'a Resource, name: &str) -> Option<&'a Value> {
    let attribute = resource.attribute.iter().find(|one| one.attribute_id == name)?;
    attribute.value.first()?.value.as_ref()
}
