//! Looks resources up by path.

use std::future::IntoFuture;

use futures_core::stream::BoxStream;
use volt_runtime::{Code, Error, ErrorKind, Result, Status, transport::BoxFuture};

use super::search::one_by_one;
use crate::{
    operation::{Operation, Settings},
    path::ResourcePath,
    volt::{GetResourceDescendantsRequest, GetResourceRequest, Resource, VoltApiClient},
};

/// A lookup that has not been started yet, created by [`VoltApiClient::resource`]. Await it for the
/// [`Resource`].
pub type FindResource = Operation<ResourceAt>;

/// The kind of a [`FindResource`].
#[derive(Debug)]
pub struct ResourceAt {
    client: VoltApiClient,
    path: ResourcePath,
    attributes: bool,
}

/// A lookup that has not been started yet, created by [`VoltApiClient::exists`]. Await it for a
/// `bool`.
pub type Exists = Operation<ResourceExists>;

/// The kind of an [`Exists`].
#[derive(Debug)]
pub struct ResourceExists(ResourceAt);

/// A list that has not been requested yet, created by [`VoltApiClient::children`]. Await it for the
/// children.
pub type ListChildren = Operation<FindChildren>;

/// The kind of a [`ListChildren`].
#[derive(Debug)]
pub struct FindChildren {
    at: ResourceAt,
    kind: Vec<String>,
}

impl VoltApiClient {
    /// Returns the resource at a path: `@alias`, an id, or one of these and names from there.
    ///
    /// Names need not be unique. Of several resources with one name, it returns the oldest.
    pub fn resource(&self, path: impl Into<ResourcePath>) -> FindResource {
        Operation::new(self.at(path))
    }

    /// Returns whether there is a resource at a path. If the Volt refuses access to the first part
    /// of the path, an error is returned.
    pub fn exists(&self, path: impl Into<ResourcePath>) -> Exists {
        Operation::new(ResourceExists(self.at(path)))
    }

    /// Returns the resources directly in the one at a path, in the Volt's order. The API has no pages: the
    /// Volt sends all in one answer.
    #[doc(alias = "list")]
    #[doc(alias = "ls")]
    pub fn children(&self, path: impl Into<ResourcePath>) -> ListChildren {
        Operation::new(FindChildren { at: self.at(path), kind: Vec::new() })
    }

    fn at(&self, path: impl Into<ResourcePath>) -> ResourceAt {
        ResourceAt { client: self.clone(), path: path.into(), attributes: false }
    }
}

impl FindResource {
    /// Includes the attributes of the resource.
    pub fn attributes(mut self) -> Self {
        self.kind.attributes = true;
        self
    }

    /// Returns the resource, or `None` if there is none. A Volt that refuses the caller the first part of the
    /// path returns an error.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses the lookup for another reason, or the path is invalid.
    ///
    /// # Cancel safety
    ///
    /// A lookup changes nothing.
    pub async fn optional(self) -> Result<Option<Resource>> {
        let settings = self.settings.start();
        self.kind.find(&settings).await
    }
}

impl ListChildren {
    /// Returns only resources of this kind, such as `volt:file`. Repeat it to allow several kinds.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind.kind.push(kind.into());
        self
    }

    /// Includes the attributes of the resources.
    pub fn attributes(mut self) -> Self {
        self.kind.at.attributes = true;
        self
    }
}

impl ListChildren {
    /// Requests the list when it is first polled, and returns one child after another.
    pub fn stream(self) -> BoxStream<'static, Result<Resource>> {
        one_by_one(self)
    }
}

impl IntoFuture for FindResource {
    type Output = Result<Resource>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails with the code [`Code::NotFound`] if the resource does not exist. Also fails if the Volt
    /// refuses the lookup.
    ///
    /// # Cancel safety
    ///
    /// A lookup changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            self.kind.require(&settings).await
        })
    }
}

impl IntoFuture for Exists {
    type Output = Result<bool>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses the lookup, or the path is invalid.
    ///
    /// # Cancel safety
    ///
    /// A lookup changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            Ok(self.kind.0.find(&settings).await?.is_some())
        })
    }
}

impl IntoFuture for ListChildren {
    type Output = Result<Vec<Resource>>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails with the code [`Code::NotFound`] if the resource does not exist. Also fails if the Volt
    /// refuses the list.
    ///
    /// # Cancel safety
    ///
    /// A lookup changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let FindChildren { at, kind } = self.kind;
            let parent = if at.path.path().is_empty() {
                at.path.resource_id().to_owned()
            } else {
                at.require(&settings).await?.id
            };
            let request = GetResourceDescendantsRequest::default()
                .with_resource_id(parent)
                .with_depth(1)
                .with_descendant_kind(kind)
                .with_include_attributes(at.attributes);
            let call = settings.apply(at.client.get_resource_descendants(request)).idempotent();
            Ok(call.await?.descendant)
        })
    }
}

impl ResourceAt {
    async fn require(&self, settings: &Settings) -> Result<Resource> {
        self.find(settings).await?.ok_or_else(|| {
            Error::refused(Status::new(Code::NotFound, format!("no resource at `{}`", self.path)))
        })
    }

    async fn find(&self, settings: &Settings) -> Result<Option<Resource>> {
        let names = self.path.names()?;
        let mut found = match get(settings, &self.client, &self.path, self.attributes).await {
            Err(error) if error.code() == Code::NotFound => return Ok(None),
            outcome => outcome?,
        };
        for name in names {
            let child = child(settings, &self.client, &found.id, name, self.attributes).await?;
            let Some(child) = child else { return Ok(None) };
            found = child;
        }
        Ok(Some(found))
    }
}

/// Returns the resource where a path begins.
pub(super) async fn get(
    settings: &Settings,
    client: &VoltApiClient,
    path: &ResourcePath,
    attributes: bool,
) -> Result<Resource> {
    let request = GetResourceRequest::default()
        .with_resource_id(path.resource_id())
        .with_include_attributes(attributes);
    let response = settings.apply(client.get_resource(request)).idempotent().await?;
    response.resource.ok_or_else(|| Error::protocol("the Volt's answer has no resource"))
}

/// Returns the oldest child of this name. The order is the same for all callers.
pub(super) async fn child(
    settings: &Settings,
    client: &VoltApiClient,
    parent: &str,
    name: &str,
    attributes: bool,
) -> Result<Option<Resource>> {
    let request = GetResourceDescendantsRequest::default()
        .with_resource_id(parent)
        .with_depth(1)
        .with_name(name)
        .with_include_attributes(attributes);
    let call = settings.apply(client.get_resource_descendants(request)).idempotent();
    let named = call.await?.descendant.into_iter().filter(|one| one.name == name);
    Ok(named.min_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id))))
}

/// Refuses a resource of another kind.
pub(super) fn of_kind(found: Resource, reference: &str, kind: &str) -> Result<Resource> {
    if found.kind.iter().any(|one| one == kind) {
        return Ok(found);
    }
    let kinds = found.kind.join("`, `");
    Err(Error::new(
        ErrorKind::Conversion,
        format!("`{reference}` exists and is not a `{kind}`: its kinds are `{kinds}`"),
    ))
}
