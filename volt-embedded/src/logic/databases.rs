//! Databases: resources with an SQLite file.

use rusqlite::Connection;
use volt_api::{
    Status,
    data::{CreateDatabaseRequest, SqlBulkUpdateRequest},
    volt::{ConnectResourceEvent, Resource, SaveDatabaseRequest},
};

use crate::{
    actor::Actor,
    disk::Purpose,
    error::{Result, precondition},
    rights::{DATABASE_READ, DATABASE_WRITE},
    sql::{Database, OpenOptions, memory::Memory, policy},
    store::{
        events::Event,
        resources,
        resources::{DATABASE_KINDS, has_kind},
    },
};

impl Actor {
    pub(crate) fn create_database(&self, request: CreateDatabaseRequest) -> Result<Resource> {
        let resource = Resource::default()
            .with_name(request.name)
            .with_description(request.description)
            .with_alias(request.alias);
        self.save_database(SaveDatabaseRequest {
            resource: Some(resource),
            create: true,
            create_in_parent_id: request.create_in_parent_id,
            encrypted: request.encrypted,
            read_audit: request.read_audit,
            write_audit: request.write_audit,
            ..SaveDatabaseRequest::default()
        })
    }

    /// Opens a database for writing if the actor has that right, otherwise for reading.
    pub(crate) fn open_database(&self, reference: &str) -> Result<Database> {
        let (id, writable) = self.read(|store| {
            // The right to write implies it, unless a rule denies it.
            let id = self.reach_database(store, reference, DATABASE_READ)?;
            let writable = self.may(store, &id, DATABASE_WRITE)?;
            Ok((id, writable))
        })?;
        self.open_file_of(id, writable)
    }

    /// Returns the id of a database to which the actor has this access.
    fn reach_database(&self, store: &Connection, reference: &str, access: &str) -> Result<String> {
        let id = self.reach(store, reference, access)?;
        let resource = resources::require(store, &id)?;
        if !DATABASE_KINDS.iter().any(|kind| has_kind(&resource, kind)) {
            return Err(precondition(format!("`{id}` is not a database")).into());
        }
        Ok(id)
    }

    /// Opens the database file of a resource.
    pub(crate) fn open_file_of(&self, id: String, writable: bool) -> Result<Database> {
        let exists = || self.read(|store| resources::owner(store, &id)).map(drop);
        let path = self.volt.disk.open_database(&id, Purpose::Sql, exists)?;
        let scope = self.scope.clone();
        let time_limit = self.volt.options.query_timeout;
        let longest_value = policy::MAX_VALUE;
        let memory = Memory::new(&self.volt.query_memory, &self.identity);
        let options = OpenOptions { id, writable, scope, time_limit, longest_value, memory };
        Database::open(&path, options)
    }

    /// Opens a database for writing.
    pub(crate) fn open_database_to_write(&self, reference: &str) -> Result<Database> {
        let id = self.read(|store| self.reach_database(store, reference, DATABASE_WRITE))?;
        self.open_file_of(id, true)
    }

    /// Checks the rights again before a long change is committed.
    pub(crate) fn demand_database_write(&self, id: &str) -> Result<()> {
        self.read(|store| {
            let id = resources::resolve(store, id)?;
            self.demand(store, &id, DATABASE_WRITE)
        })
    }

    /// Runs the statements in one transaction.
    pub(crate) fn bulk_update(&self, request: &SqlBulkUpdateRequest) -> Result<()> {
        let database = self.open_database_to_write(&request.database_id)?;
        // All statements share one time limit, because their transaction blocks other writers.
        database.restart_timer();
        database.begin()?;
        for (index, sql) in request.statement.iter().enumerate() {
            database.run(sql).map_err(|fault| {
                // The message does not show which statement failed.
                Status::from(fault).with_description(format!("statement {}", index + 1))
            })?;
        }
        self.demand_database_write(database.id())?;
        database.commit()?;
        self.database_written(database.id())
    }

    /// Emits the event of a changed database.
    pub(crate) fn database_written(&self, id: &str) -> Result<()> {
        let resource = self.read(|store| resources::get(store, id))?;
        if let Some(resource) = resource {
            self.volt.store.emit(Event::resource(ConnectResourceEvent::DatabaseWrite, &resource));
        }
        Ok(())
    }
}
