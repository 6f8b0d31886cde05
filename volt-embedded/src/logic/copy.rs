//! Copying and linking resources.

use std::collections::HashMap;

use uuid::Uuid;
use volt_api::volt::{
    ConnectResourceEvent as What, CopyResourceMode, CopyResourceRequest, Resource,
};

use super::resources::refuse_cycle;
use crate::{
    actor::Actor,
    error::{Result, invalid, not_found},
    rights::{CREATE, READ, WRITE},
    store::events::Event,
    store::{Tx, links, now, resources},
};

impl Actor {
    /// Copies a resource, or puts it into one more folder.
    pub(crate) fn copy_resource(&self, request: &CopyResourceRequest) -> Result<()> {
        match request.mode() {
            CopyResourceMode::Copy => self.copy(request),
            CopyResourceMode::Link => self.link(request),
            _ => Err(invalid("`mode` must be COPY or LINK").into()),
        }
    }

    fn link(&self, request: &CopyResourceRequest) -> Result<()> {
        self.volt.store.write(|tx| {
            // Rules of the new folder will be about the resource as well, so only who may change
            // it may put it there.
            let id = self.reach(tx, &request.resource_id, WRITE)?;
            let to = self.reach(tx, &request.to_resource_id, CREATE)?;
            if !request.from_resource_id.is_empty() {
                let from = resources::resolve(tx, &request.from_resource_id)?;
                if !links::parents(tx, &id)?.contains(&from) {
                    return Err(not_found("child", &id).with_description("of that parent").into());
                }
            }
            refuse_cycle(tx, &id, &to)?;
            links::add(tx, &to, &id)?;
            tx.emit(Event::resource(What::CreateChild, &resources::require(tx, &to)?));
            Ok(())
        })
    }

    fn copy(&self, request: &CopyResourceRequest) -> Result<()> {
        let mut made = Vec::new();
        let outcome = self.volt.store.write(|tx| {
            let id = self.reach(tx, &request.resource_id, READ)?;
            let to = self.reach(tx, &request.to_resource_id, CREATE)?;
            let mut sources = vec![id.clone()];
            if request.recursive {
                sources.extend(links::descendants(tx, &id, 0)?);
            }
            let mut copies = HashMap::new();
            for source in &sources {
                self.demand(tx, source, READ)?;
                let copy = self.copy_one(tx, source)?;
                made.push(copy.id.clone());
                self.volt.disk.copy(source, &copy.id, &copy.content_hash)?;
                copies.insert(source.as_str(), copy);
            }
            for (source, copy) in &copies {
                for parent in links::parents(tx, source)? {
                    if let Some(parent) = copies.get(parent.as_str()) {
                        links::add(tx, &parent.id, &copy.id)?;
                    }
                }
            }
            for copy in sources.iter().filter_map(|source| copies.get(source.as_str())) {
                tx.emit(Event::resource(What::Create, copy));
            }
            if let Some(top) = copies.get(id.as_str()) {
                links::add(tx, &to, &top.id)?;
            }
            tx.emit(Event::resource(What::CreateChild, &resources::require(tx, &to)?));
            Ok(())
        });
        if outcome.is_err() {
            for id in &made {
                self.volt.disk.remove(id);
            }
        }
        outcome
    }

    /// A copy belongs to whoever makes it. Aliases are unique, so it has none.
    fn copy_one(&self, tx: &Tx<'_>, source: &str) -> Result<Resource> {
        let created = now();
        let mut copy = resources::require(tx, source)?;
        copy.id = Uuid::new_v4().to_string();
        copy.owner.clone_from(&self.identity);
        copy.alias.clear();
        copy.created = created;
        copy.modified = created;
        copy.version = 1;
        for attribute in &mut copy.attribute {
            attribute.id = 0;
        }
        resources::insert(tx, &copy)?;
        resources::require(tx, &copy.id)
    }
}
