//! Wires, databases and sync databases that are created unless they exist.

use std::future::IntoFuture;

use volt_runtime::{Result, transport::BoxFuture};

use super::alias::{Ensured, ensure};
#[cfg(feature = "sqlite-server")]
use crate::data::{CreateDatabaseRequest, SqliteServerApiClient};
#[cfg(feature = "sync")]
use crate::volt::{SaveSyncDatabaseRequest, SyncApiClient};
#[cfg(feature = "wire")]
use crate::volt::{SaveWireRequest, WireApiClient, attribute_value::Value};
use crate::{
    operation::Operation,
    volt::{Resource, VoltApiClient},
};

/// A wire to be created unless it exists, by [`WireApiClient::ensure_wire`]. Await it for its
/// [`Resource`].
#[cfg(feature = "wire")]
pub type EnsureWire = Operation<NewWire>;

/// The kind of an [`EnsureWire`].
#[cfg(feature = "wire")]
#[derive(Debug)]
pub struct NewWire {
    client: WireApiClient,
    alias: String,
    name: Option<String>,
    folder: String,
    persist: Option<bool>,
}

#[cfg(feature = "wire")]
impl WireApiClient {
    /// Returns the wire with an alias such as `@news`, and creates it if it is missing. Callers may
    /// do this at once.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let news = client.wire().ensure_wire("@news").persist(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ensure_wire(&self, alias: impl Into<String>) -> EnsureWire {
        Operation::new(NewWire {
            client: self.clone(),
            alias: alias.into(),
            name: None,
            folder: String::new(),
            persist: None,
        })
    }
}

#[cfg(feature = "wire")]
impl EnsureWire {
    /// Sets whether the wire stores its messages. A wire that exists is changed accordingly. Without
    /// this, a new wire stores nothing, and one that exists stays as it is.
    pub fn persist(mut self, persist: bool) -> Self {
        self.kind.persist = Some(persist);
        self
    }

    /// Sets the name of a new wire. Default: its alias.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.kind.name = Some(name.into());
        self
    }

    /// Sets the folder of a new wire: a resource id or `@alias`. Default: the caller's home folder.
    pub fn in_folder(mut self, folder: impl Into<String>) -> Self {
        self.kind.folder = folder.into();
        self
    }
}

#[cfg(feature = "wire")]
impl IntoFuture for EnsureWire {
    type Output = Result<Resource>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if another kind of resource has the alias, or the Volt refuses the change.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the wire may have been created. Repeating the operation finds it.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let NewWire { client, alias, name, folder, persist } = self.kind;
            let volt = VoltApiClient::new(AsRef::<crate::Channel>::as_ref(&client).clone());
            let save = |request| settings.apply(client.save_wire(request));
            let create = async |alias: String| {
                let name = name.unwrap_or_else(|| alias.clone());
                let wire = Resource::default().with_name(name).with_alias([alias]);
                let request = SaveWireRequest::default()
                    .with_resource(wire)
                    .with_create(true)
                    .with_create_in_parent_id(folder)
                    .with_persist(persist.unwrap_or_default());
                Ok(save(request).await?.resource)
            };
            match (ensure(&settings, &volt, &alias, Some("volt:wire"), create).await?, persist) {
                (Ensured::Found(wire), Some(persist)) if persists(&wire) != persist => {
                    let request = SaveWireRequest::default()
                        .with_resource(Resource::default().with_id(&wire.id))
                        .with_persist(persist)
                        .with_persist_table(table_of(&wire));
                    Ok(save(request).idempotent().await?.resource.unwrap_or(wire))
                }
                (Ensured::Found(wire) | Ensured::Created(wire), _) => Ok(wire),
            }
        })
    }
}

/// Returns whether a wire stores its messages.
#[cfg(feature = "wire")]
pub(crate) fn persists(wire: &Resource) -> bool {
    matches!(attribute(wire, "volt:wire-persist"), Some(Value::Boolean(true)))
}

/// Returns the table of a wire's messages, or `None` for the default table.
#[cfg(feature = "wire")]
pub(crate) fn table_of(wire: &Resource) -> &str {
    match attribute(wire, "volt:wire-persist-table") {
        Some(Value::String(table)) => table,
        _ => "",
    }
}

#[cfg(feature = "wire")]
fn attribute<'r>(resource: &'r Resource, name: &str) -> Option<&'r Value> {
    let attribute = resource.attribute.iter().find(|one| one.attribute_id == name)?;
    attribute.value.first()?.value.as_ref()
}

/// A database to be created unless it exists, by [`SqliteServerApiClient::ensure_database`]. Await it
/// for its [`Resource`].
#[cfg(feature = "sqlite-server")]
pub type EnsureDatabase = Operation<NewDatabase>;

/// The kind of an [`EnsureDatabase`].
#[cfg(feature = "sqlite-server")]
#[derive(Debug)]
pub struct NewDatabase {
    client: SqliteServerApiClient,
    alias: String,
    name: Option<String>,
    folder: String,
}

#[cfg(feature = "sqlite-server")]
impl SqliteServerApiClient {
    /// Returns the database with an alias such as `@shop`, and creates it if it is missing. Callers
    /// may do this at once.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// client.sqlite_server().ensure_database("@shop").await?;
    /// let table = "CREATE TABLE IF NOT EXISTS article (id INTEGER PRIMARY KEY, name TEXT)";
    /// client.database("@shop").query(table).execute().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ensure_database(&self, alias: impl Into<String>) -> EnsureDatabase {
        let (alias, folder) = (alias.into(), String::new());
        Operation::new(NewDatabase { client: self.clone(), alias, name: None, folder })
    }
}

#[cfg(feature = "sqlite-server")]
impl EnsureDatabase {
    /// Sets the name of a new database. Default: its alias.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.kind.name = Some(name.into());
        self
    }

    /// Sets the folder of a new database: a resource id or `@alias`. Default: the caller's home
    /// folder.
    pub fn in_folder(mut self, folder: impl Into<String>) -> Self {
        self.kind.folder = folder.into();
        self
    }
}

#[cfg(feature = "sqlite-server")]
impl IntoFuture for EnsureDatabase {
    type Output = Result<Resource>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if another kind of resource has the alias, or the Volt refuses the change.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the database may have been created. Repeating the operation finds
    /// it.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let NewDatabase { client, alias, name, folder } = self.kind;
            let volt = VoltApiClient::new(AsRef::<crate::Channel>::as_ref(&client).clone());
            let create = async |alias: String| {
                let request = CreateDatabaseRequest::default()
                    .with_name(name.unwrap_or_else(|| alias.clone()))
                    .with_alias([alias])
                    .with_create_in_parent_id(folder);
                Ok(settings.apply(client.create_database(request)).await?.resource)
            };
            match ensure(&settings, &volt, &alias, Some("volt:sqlite-database"), create).await? {
                Ensured::Found(database) | Ensured::Created(database) => Ok(database),
            }
        })
    }
}

/// A sync database to be created unless it exists, by [`SyncApiClient::ensure_sync_database`]. Await it
/// for its [`Resource`].
#[cfg(feature = "sync")]
pub type EnsureSyncDatabase = Operation<NewSyncDatabase>;

/// The kind of an [`EnsureSyncDatabase`].
#[cfg(feature = "sync")]
#[derive(Debug)]
pub struct NewSyncDatabase {
    client: SyncApiClient,
    alias: String,
    name: Option<String>,
    folder: String,
}

#[cfg(feature = "sync")]
impl SyncApiClient {
    /// Returns the sync database with an alias such as `@notes`, and creates it if it is missing. Callers
    /// may do this at once.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let notes = client.sync().ensure_sync_database("@notes").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ensure_sync_database(&self, alias: impl Into<String>) -> EnsureSyncDatabase {
        let (alias, folder) = (alias.into(), String::new());
        Operation::new(NewSyncDatabase { client: self.clone(), alias, name: None, folder })
    }
}

#[cfg(feature = "sync")]
impl EnsureSyncDatabase {
    /// Sets the name of a new database. Default: its alias.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.kind.name = Some(name.into());
        self
    }

    /// Sets the folder of a new database: a resource id or `@alias`. Default: the caller's home
    /// folder.
    pub fn in_folder(mut self, folder: impl Into<String>) -> Self {
        self.kind.folder = folder.into();
        self
    }
}

#[cfg(feature = "sync")]
impl IntoFuture for EnsureSyncDatabase {
    type Output = Result<Resource>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses the change.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the database may have been created. Repeating the operation finds
    /// it.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let NewSyncDatabase { client, alias, name, folder } = self.kind;
            let volt = VoltApiClient::new(AsRef::<crate::Channel>::as_ref(&client).clone());
            let create = async |alias: String| {
                let name = name.unwrap_or_else(|| alias.clone());
                let database = Resource::default().with_name(name).with_alias([alias]);
                let request = SaveSyncDatabaseRequest::default()
                    .with_resource(database)
                    .with_create(true)
                    .with_create_in_parent_id(folder);
                Ok(settings.apply(client.save_sync_database(request)).await?.resource)
            };
            // A synapse contains documents too, so the kind is not checked.
            Ok(ensure(&settings, &volt, &alias, None, create).await?.resource())
        })
    }
}
