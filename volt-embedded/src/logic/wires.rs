//! Wires: resources that messages are published to. Some keep what was published, in a table.

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

/// Where a wire keeps what is published.
pub(crate) struct Archive {
    database: Database,
    insert: String,
}

impl Actor {
    /// Creates or updates a wire.
    pub(crate) fn save_wire(&self, request: SaveWireRequest) -> Result<Resource> {
        let mut wire = request.resource.unwrap_or_default();
        // Without kinds given, an existing wire keeps its own.
        if request.create || !wire.kind.is_empty() || request.persist {
            add_kind(&mut wire, KIND);
        }
        if request.persist {
            // History is read with SQL, so the wire is a database as well.
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
        self.save_resource(SaveResourceRequest {
            resource: Some(wire),
            create: request.create,
            create_in_parent_id: request.create_in_parent_id,
            purge_attributes: request.purge_attributes,
        })
    }

    /// The id of a wire that the actor may use in this way.
    pub(crate) fn reach_wire(&self, reference: &str, access: &str) -> Result<Resource> {
        self.volt.store.read(|store| {
            let id = self.reach(store, reference, access)?;
            let wire = resources::require(store, &id)?;
            if !has_kind(&wire, KIND) {
                return Err(precondition(format!("`{id}` is no wire")).into());
            }
            Ok(wire)
        })
    }

    /// Opens a wire's archive, if it has one. Publishing is enough to write to it.
    pub(crate) fn open_archive(&self, wire: &Resource) -> Result<Option<Archive>> {
        if !matches!(attribute(wire, PERSIST), Some(Value::Boolean(true))) {
            return Ok(None);
        }
        let table = match attribute(wire, TABLE) {
            Some(Value::String(table)) if !table.is_empty() => table,
            _ => DEFAULT_TABLE,
        };
        let path = self.volt.disk.database(&wire.id);
        let database = Database::open(&path, wire.id.clone(), true)?;
        let table = quoted(table);
        database.run(&format!(
            "CREATE TABLE IF NOT EXISTS {table}
                 (id INTEGER PRIMARY KEY, created INTEGER, identity_did TEXT, payload)"
        ))?;
        let insert =
            format!("INSERT INTO {table} (created, identity_did, payload) VALUES (?1, ?2, ?3)");
        Ok(Some(Archive { database, insert }))
    }
}

impl Archive {
    /// Keeps a message: as text if it is that, so that SQL can work with it.
    pub(crate) fn keep(&self, identity: &str, chunk: &[u8]) -> Result<()> {
        let created = signed(now());
        match std::str::from_utf8(chunk) {
            Ok(text) => self.database.insert(&self.insert, (created, identity, text)),
            Err(_) => self.database.insert(&self.insert, (created, identity, chunk)),
        }
    }
}
