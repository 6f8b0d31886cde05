//! Databases: resources with an SQLite file.

use volt_api::{
    Status,
    data::{CreateDatabaseRequest, SqlBulkUpdateRequest},
    volt::{ConnectResourceEvent, Resource, SaveDatabaseRequest},
};

use crate::{
    actor::Actor,
    error::{Result, denied, precondition},
    rights::{DATABASE_READ, DATABASE_WRITE},
    sql::Database,
    store::events::Event,
    store::{
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

    /// Opens a database: to change it where the actor may, else only to read.
    pub(crate) fn open_database(&self, reference: &str) -> Result<Database> {
        let (id, writable) = self.volt.store.read(|store| {
            let id = resources::resolve(store, reference)?;
            let writable = self.may(store, &id, DATABASE_WRITE)?;
            if !writable {
                self.demand(store, &id, DATABASE_READ)?;
            }
            let resource = resources::require(store, &id)?;
            if !DATABASE_KINDS.iter().any(|kind| has_kind(&resource, kind)) {
                return Err(precondition(format!("`{id}` is no database")).into());
            }
            Ok((id, writable))
        })?;
        Database::open(&self.volt.disk.database(&id), id, writable)
    }

    /// Opens a database to change it.
    pub(crate) fn open_database_to_write(&self, reference: &str) -> Result<Database> {
        let database = self.open_database(reference)?;
        if !database.is_writable() {
            let id = database.id();
            return Err(denied(format!("`{DATABASE_WRITE}` to `{id}` is not permitted")).into());
        }
        Ok(database)
    }

    /// Runs statements, all of them or none.
    pub(crate) fn bulk_update(&self, request: &SqlBulkUpdateRequest) -> Result<()> {
        let database = self.open_database_to_write(&request.database_id)?;
        database.begin()?;
        for (index, sql) in request.statement.iter().enumerate() {
            database.run(sql).map_err(|fault| {
                // Which of them it was cannot be seen from the message.
                Status::from(fault).with_description(format!("statement {}", index + 1))
            })?;
        }
        database.commit()?;
        self.database_written(database.id())
    }

    /// Tells subscribers that a database has changed.
    pub(crate) fn database_written(&self, id: &str) -> Result<()> {
        let resource = self.volt.store.read(|store| resources::get(store, id))?;
        if let Some(resource) = resource {
            self.volt.store.emit(Event::resource(ConnectResourceEvent::DatabaseWrite, &resource));
        }
        Ok(())
    }
}
