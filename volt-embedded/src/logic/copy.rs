//! Copying and linking resources.

use std::collections::HashMap;

use rusqlite::Connection;
use uuid::Uuid;
use volt_api::volt::{
    ConnectResourceEvent as What, CopyResourceMode, CopyResourceRequest, Resource,
};

use super::resources::refuse_cycle;
use crate::{
    actor::Actor,
    disk::Copied,
    error::{Result, invalid, not_found},
    rights::{CONTENT, CREATE, DATABASE_READ, WRITE},
    store::{
        Tx,
        events::Event,
        links, now, resources,
        resources::{DATABASE_KINDS, IDENTITY, has_kind},
    },
};

/// A copy of one resource that is not in the store yet.
struct Draft {
    source: String,
    resource: Resource,
    parents: Vec<String>,
    data: Copied,
}

impl Actor {
    /// Copies a resource, or links it into another folder.
    pub(crate) fn copy_resource(&self, request: &CopyResourceRequest) -> Result<()> {
        match request.mode() {
            CopyResourceMode::Copy => self.copy(request),
            CopyResourceMode::Link => self.link(request),
            _ => Err(invalid("`mode` must be COPY or LINK").into()),
        }
    }

    fn link(&self, request: &CopyResourceRequest) -> Result<()> {
        self.write(|tx| {
            // The folder's rules will apply to the resource, so read access is not enough.
            let id = self.reach(tx, &request.resource_id, WRITE)?;
            let to = self.reach(tx, &request.to_resource_id, CREATE)?;
            if !request.from_resource_id.is_empty() {
                let from = resources::resolve(tx, &request.from_resource_id)?;
                if !links::parents(tx, &id)?.contains(&from) {
                    return Err(not_found("child", &id).with_description("of that parent").into());
                }
            }
            refuse_cycle(tx, &id, &to)?;
            self.refuse_foreign_folder(tx, &id, &to)?;
            links::add(tx, &to, &id)?;
            tx.emit(Event::resource(What::CreateChild, &resources::require(tx, &to)?));
            Ok(())
        })
    }

    fn copy(&self, request: &CopyResourceRequest) -> Result<()> {
        // Copy the data before the change, so that other changes do not wait for it.
        let sources = self.read(|store| {
            self.reach(store, &request.to_resource_id, CREATE)?;
            self.sources(store, request)
        })?;
        let mut drafts = Vec::new();
        for (resource, parents) in sources {
            self.scope.check()?;
            let data = self.volt.disk.copy(&resource.id, &resource.content_hash, &self.scope)?;
            let source = resource.id.clone();
            drafts.push(Draft { source, resource: self.draft(resource), parents, data });
        }
        let mut made = Vec::new();
        let outcome = self.write(|tx| {
            let to = self.reach(tx, &request.to_resource_id, CREATE)?;
            // The rights may have changed while the data was copied.
            for draft in &drafts {
                self.demand_content(tx, &draft.source, &draft.resource)?;
            }
            self.insert_copies(tx, drafts, &to, &mut made)
        });
        if outcome.is_err() {
            for id in &made {
                self.volt.disk.remove(id);
            }
        }
        outcome
    }

    /// Returns the resources to copy, each with its parents, topmost first.
    fn sources(
        &self,
        store: &Connection,
        request: &CopyResourceRequest,
    ) -> Result<Vec<(Resource, Vec<String>)>> {
        let top = resources::resolve(store, &request.resource_id)?;
        let mut ids = vec![top.clone()];
        if request.recursive {
            ids.extend(links::descendants(store, &top, 0)?);
        }
        let mut sources = Vec::new();
        for id in ids {
            self.scope.check()?;
            let resource = resources::require(store, &id)?;
            self.demand_content(store, &id, &resource)?;
            sources.push((resource, links::parents(store, &id)?));
        }
        Ok(sources)
    }

    /// Fails unless the actor may read everything that a copy of this resource would contain.
    fn demand_content(&self, store: &Connection, id: &str, resource: &Resource) -> Result<()> {
        self.demand(store, id, CONTENT)?;
        if DATABASE_KINDS.iter().any(|kind| has_kind(resource, kind))
            || self.volt.disk.has_database(id)
        {
            self.demand(store, id, DATABASE_READ)?;
        }
        Ok(())
    }

    /// Turns a resource into the actor's own copy. The copy has no aliases, because they are
    /// unique, and a copy of an identity becomes a folder.
    fn draft(&self, mut copy: Resource) -> Resource {
        let created = now();
        copy.id = Uuid::new_v4().to_string();
        copy.owner.clone_from(&self.identity);
        copy.alias.clear();
        copy.kind.retain(|kind| kind != IDENTITY);
        copy.created = created;
        copy.modified = created;
        copy.version = 1;
        for attribute in &mut copy.attribute {
            attribute.id = 0;
        }
        copy
    }

    fn insert_copies(
        &self,
        tx: &Tx<'_>,
        drafts: Vec<Draft>,
        to: &str,
        made: &mut Vec<String>,
    ) -> Result<()> {
        let copies: HashMap<String, String> =
            drafts.iter().map(|draft| (draft.source.clone(), draft.resource.id.clone())).collect();
        for draft in &drafts {
            resources::insert(tx, &draft.resource)?;
            tx.emit(Event::resource(What::Create, &resources::require(tx, &draft.resource.id)?));
        }
        for (index, draft) in drafts.into_iter().enumerate() {
            let id = draft.resource.id;
            if index == 0 {
                links::add(tx, to, &id)?;
            }
            for parent in draft.parents.iter().filter_map(|parent| copies.get(parent)) {
                links::add(tx, parent, &id)?;
            }
            made.push(id.clone());
            self.volt.disk.place_copy(draft.data, &id)?;
        }
        tx.emit(Event::resource(What::CreateChild, &resources::require(tx, to)?));
        Ok(())
    }
}
