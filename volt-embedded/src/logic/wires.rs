//! Wires: resources to which messages are published. Persistent wires keep their messages in a
//! table.

use volt_api::volt::{
    AttributeDataType, Resource, SaveResourceRequest, SaveWireRequest, attribute_value::Value,
};

use super::resources::{attribute, set_attribute};
use crate::{
    actor::Actor,
    error::{Result, precondition},
    sql::{Database, quoted},
    store::{
        now, resources,
        resources::{DATABASE_KINDS, add_kind, has_kind},
        rows::signed,
    },
};

const KIND: &str = "volt:wire";
const PERSIST: &str = "volt:wire-persist";
const TABLE: &str = "volt:wire-persist-table";
const DEFAULT_TABLE: &str = "wire_data";

/// The table of a persistent wire.
pub(crate) struct Archive {
    database: Database,
    insert: String,
}

impl Actor {
    /// Creates or updates a wire.
    pub(crate) fn save_wire(&self, request: SaveWireRequest) -> Result<Resource> {
        let mut wire = request.resource.unwrap_or_default();
        // An existing wire keeps its kinds if none are given.
        if request.create || !wire.kind.is_empty() || request.persist {
            add_kind(&mut wire, KIND);
        }
        if request.persist {
            // Messages are queried with SQL, so the wire is also a database.
            for kind in DATABASE_KINDS {
                add_kind(&mut wire, kind);
            }
            let table = match request.persist_table.as_str() {
                "" => DEFAULT_TABLE.to_owned(),
                table => table.to_owned(),
            };
            set_attribute(&mut wire, TABLE, AttributeDataType::String, Value::String(table));
        }
        let persist = Value::Boolean(request.persist);
        set_attribute(&mut wire, PERSIST, AttributeDataType::Boolean, persist);
        let wire = self.save_resource(SaveResourceRequest {
            resource: Some(wire),
            create: request.create,
            create_in_parent_id: request.create_in_parent_id,
            purge_attributes: request.purge_attributes,
            ..SaveResourceRequest::default()
        })?;
        // Create the table before the first message, so that it can be queried.
        self.open_archive(&wire)?;
        Ok(wire)
    }

    /// Returns a wire, if the actor has this access to it.
    pub(crate) fn reach_wire(&self, reference: &str, access: &str) -> Result<Resource> {
        self.read(|store| {
            let id = self.reach(store, reference, access)?;
            let wire = resources::require(store, &id)?;
            if !has_kind(&wire, KIND) {
                return Err(precondition(format!("`{id}` is not a wire")).into());
            }
            Ok(wire)
        })
    }

    /// Opens the table of a persistent wire. The right to publish is enough to add messages.
    pub(crate) fn open_archive(&self, wire: &Resource) -> Result<Option<Archive>> {
        if !matches!(attribute(wire, PERSIST), Some(Value::Boolean(true))) {
            return Ok(None);
        }
        let table = match attribute(wire, TABLE) {
            Some(Value::String(table)) if !table.is_empty() => table,
            _ => DEFAULT_TABLE,
        };
        let database = self.open_file_of(wire.id.clone(), true)?;
        let table = quoted(table);
        database.restart_timer();
        database.run(&format!(
            "CREATE TABLE IF NOT EXISTS {table}
                 (id INTEGER PRIMARY KEY AUTOINCREMENT, created INTEGER, identity_did TEXT, payload)"
        ))?;
        let insert =
            format!("INSERT INTO {table} (created, identity_did, payload) VALUES (?1, ?2, ?3)");
        Ok(Some(Archive { database, insert }))
    }
}

impl Archive {
    /// Stores a message. Valid UTF-8 is stored as text, which SQL can search.
    pub(crate) fn keep(&self, identity: &str, chunk: &[u8]) -> Result<()> {
        let created = signed(now());
        match std::str::from_utf8(chunk) {
            Ok(text) => self.database.insert(&self.insert, (created, identity, text)),
            Err(_) => self.database.insert(&self.insert, (created, identity, chunk)),
        }
    }
}
