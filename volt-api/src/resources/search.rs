//! Searches for resources.

use std::{future::IntoFuture, time::SystemTime};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use volt_runtime::{Result, transport::BoxFuture};

use crate::{
    operation::Operation,
    volt::{GetResourcesRequest, Resource, VoltApiClient},
};

/// A search that has not been made yet, created by [`VoltApiClient::find`]. Await it for all matches, sorted by
/// name, or read it as a [`stream`](Self::stream).
pub type FindResources = Operation<ResourceSearch>;

/// The kind of a [`FindResources`].
#[derive(Debug)]
pub struct ResourceSearch {
    client: VoltApiClient,
    request: GetResourcesRequest,
}

impl VoltApiClient {
    /// Searches the whole Volt for resources that the caller may read. Each condition narrows the search;
    /// several values of one condition are alternatives. In names, aliases and kinds, `*` stands for any
    /// characters. Without a condition, everything is found.
    ///
    /// The API has no pages and no cursor: the Volt sends everything in one answer, of at most 64 MiB. Narrow a
    /// search that may find more than some ten thousand resources, for example with
    /// [`parent`](FindResources::parent) or [`modified_since`](FindResources::modified_since).
    /// [`limit`](FindResources::limit) returns the first by name, and does not report whether there are more.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let reports = client.volt().find().kind("volt:file").name("report-*").await?;
    /// for report in reports {
    ///     println!("{} {}", report.id, report.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "search")]
    #[doc(alias = "query")]
    pub fn find(&self) -> FindResources {
        self.find_with(GetResourcesRequest::default())
    }

    /// Like [`find`](Self::find), with all conditions of the API.
    pub fn find_with(&self, request: GetResourcesRequest) -> FindResources {
        Operation::new(ResourceSearch { client: self.clone(), request })
    }
}

impl FindResources {
    /// Finds resources with this name. `*` stands for any characters.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.kind.request.name.push(name.into());
        self
    }

    /// Finds resources with this alias, with or without its `@`. `*` stands for any characters.
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        let alias = alias.into();
        let alias = alias.strip_prefix('@').map(str::to_owned).unwrap_or(alias);
        self.kind.request.alias.push(alias);
        self
    }

    /// Finds resources of this kind, such as `volt:folder`. `*` stands for any characters.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind.request.kind.push(kind.into());
        self
    }

    /// Finds the direct children of the resource with this id.
    pub fn parent(mut self, id: impl Into<String>) -> Self {
        self.kind.request.parent_id.push(id.into());
        self
    }

    /// Finds resources of the owner with this DID.
    pub fn owner(mut self, did: impl Into<String>) -> Self {
        self.kind.request.owner.push(did.into());
        self
    }

    /// Finds resources that were modified after this time, to the millisecond.
    pub fn modified_since(mut self, time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.kind.request.modified_since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Includes the attributes of the resources.
    pub fn attributes(mut self) -> Self {
        self.kind.request.include_attributes = true;
        self
    }

    /// Returns this many resources at most: the first by name. 0 means no limit.
    pub fn limit(mut self, resources: u32) -> Self {
        self.kind.request.limit = resources;
        self
    }

    /// Makes the search when it is first polled, and returns one resource after another.
    pub fn stream(self) -> BoxStream<'static, Result<Resource>> {
        one_by_one(self)
    }
}

/// Reads a list as a stream.
pub(super) fn one_by_one(
    list: impl IntoFuture<Output = Result<Vec<Resource>>, IntoFuture: Send + 'static>,
) -> BoxStream<'static, Result<Resource>> {
    let found = stream::once(list.into_future());
    found.map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
}

impl IntoFuture for FindResources {
    type Output = Result<Vec<Resource>>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses the search.
    ///
    /// # Cancel safety
    ///
    /// A search changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let ResourceSearch { client, request } = self.kind;
            Ok(settings.apply(client.get_resources(request)).idempotent().await?.resource)
        })
    }
}
