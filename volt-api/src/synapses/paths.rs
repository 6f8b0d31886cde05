//! Values at paths of a synapse's document.

use std::{future::IntoFuture, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use volt_runtime::{
    Error, ErrorKind, Executed, Result, Subscription, Update, transport::BoxFuture,
};

use crate::{
    operation::Operation,
    volt::{
        SynapsePathUpdateType, SyncApiClient, WatchSynapsePathRequest, WatchSynapsePathResponse,
        WatchSynapsePathStart, WatchSynapsePathUpdate, WriteSynapsePathRequest,
        watch_synapse_path_response::Result as Watched,
    },
};

/// A value that has not been written yet, created by [`SyncApiClient::write_path`].
pub type WritePath = Operation<WrittenPath>;

/// The kind of a [`WritePath`].
#[derive(Debug)]
pub struct WrittenPath {
    client: SyncApiClient,
    request: Result<WriteSynapsePathRequest>,
}

/// A watch that has not been started yet, created by [`SyncApiClient::watch_path`]. Await it for the
/// [`PathWatch`].
pub type WatchPath<T> = Operation<WatchedPaths<T>>;

/// The kind of a [`WatchPath`].
#[derive(Debug)]
pub struct WatchedPaths<T> {
    client: SyncApiClient,
    start: WatchSynapsePathStart,
    value: PhantomData<fn() -> T>,
}

impl SyncApiClient {
    /// Writes a value at a JSON path of a document in a synapse, such as `$.beds.north`. The path has no
    /// wildcards.
    pub fn write_path(
        &self,
        synapse: impl Into<String>,
        document: impl Into<String>,
        path: impl Into<String>,
        value: &(impl Serialize + ?Sized),
    ) -> WritePath {
        let path = path.into();
        let json = serde_json::to_string(value).map_err(|error| {
            Error::new(ErrorKind::Conversion, format!("the value for `{path}` cannot be JSON"))
                .with_source(error)
                .with_executed(Executed::No)
        });
        let request = json.map(|json| {
            WriteSynapsePathRequest::default()
                .with_synapse_id(synapse)
                .with_document_id(document)
                .with_path(path)
                .with_json(json)
        });
        Operation::new(WrittenPath { client: self.clone(), request })
    }

    /// Watches JSON paths of a document in a synapse. Only changes are reported, not the existing values.
    pub fn watch_path<T: DeserializeOwned>(
        &self,
        synapse: impl Into<String>,
        document: impl Into<String>,
        paths: impl IntoIterator<Item = impl Into<String>>,
    ) -> WatchPath<T> {
        let start = WatchSynapsePathStart::default()
            .with_synapse_id(synapse)
            .with_document_id(document)
            .with_path(paths);
        Operation::new(WatchedPaths { client: self.clone(), start, value: PhantomData })
    }
}

impl IntoFuture for WritePath {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the value cannot be JSON ([`ErrorKind::Conversion`]), or the Volt refuses it, for example
    /// because it does not fit the schema of the document.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the value may or may not have been written.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let WrittenPath { client, request } = self.kind;
            settings.apply(client.write_synapse_path(request?)).await.map(drop)
        })
    }
}

impl<T: DeserializeOwned> IntoFuture for WatchPath<T> {
    type Output = Result<PathWatch<T>>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if there is no connection. A refusal is reported when the watch is read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no watch.
    fn into_future(self) -> Self::IntoFuture {
        let settings = self.settings.start();
        let WatchedPaths { client, start, .. } = self.kind;
        let request = WatchSynapsePathRequest::default().with_start(start);
        Box::pin(async move {
            let call = settings.apply(client.watch_synapse_path());
            Ok(PathWatch { changes: call.subscribe(request).await?, value: PhantomData })
        })
    }
}

/// A change at a watched path.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathChange<T> {
    /// The requested path that matches.
    pub watched: String,
    /// The path of the change.
    pub path: String,
    /// The kind of the change.
    pub kind: SynapsePathUpdateType,
    /// The new value. `None` if the value was removed.
    pub value: Option<T>,
    /// The old value. `None` if the value was added.
    pub previous: Option<T>,
    /// The position among the parts of one change, from 0, and the number of parts.
    pub part: (u32, u32),
}

/// An event of a [`PathWatch`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PathEvent<T> {
    /// A change.
    Changed(PathChange<T>),
    /// The connection was lost and the watch was restarted: changes may be missing here.
    Gap,
}

/// The changes at some paths of a document. The watch starts again after a lost connection.
/// Dropping it ends the watch.
#[derive(Debug)]
pub struct PathWatch<T> {
    changes: Subscription<WatchSynapsePathResponse>,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> PathWatch<T> {
    /// Waits for the next change. Returns `None` after the Volt has ended the watch. Gaps are skipped:
    /// [`event`](Self::event) reports them.
    ///
    /// # Errors
    ///
    /// Same as [`event`](Self::event).
    ///
    /// # Cancel safety
    ///
    /// No change is lost when the future is dropped.
    pub async fn change(&mut self) -> Result<Option<PathChange<T>>> {
        loop {
            match self.event().await? {
                Some(PathEvent::Changed(change)) => return Ok(Some(change)),
                Some(PathEvent::Gap) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits for the next event. Returns `None` after the Volt has ended the watch.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses the watch, and with [`ErrorKind::Conversion`] if a value does not
    /// fit the type. After a conversion error, the next changes can be read.
    ///
    /// # Cancel safety
    ///
    /// No event is lost when the future is dropped.
    pub async fn event(&mut self) -> Result<Option<PathEvent<T>>> {
        loop {
            match self.changes.update().await? {
                Some(Update::Message(response)) => {
                    if let Some(Watched::Update(update)) = response.result {
                        return read(update).map(|change| Some(PathEvent::Changed(change)));
                    }
                }
                Some(_) => return Ok(Some(PathEvent::Gap)),
                None => return Ok(None),
            }
        }
    }
}

fn read<T: DeserializeOwned>(update: WatchSynapsePathUpdate) -> Result<PathChange<T>> {
    let value = |json: &str| {
        if json.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(json).map(Some).map_err(|error| {
            let problem = format!("the value at `{}` does not fit: {error}", update.event_path);
            Error::new(ErrorKind::Conversion, problem).with_source(error)
        })
    };
    Ok(PathChange {
        value: value(&update.value)?,
        previous: value(&update.previous_value)?,
        kind: update.update_type(),
        part: (update.index, update.total),
        watched: update.watch_path,
        path: update.event_path,
    })
}
