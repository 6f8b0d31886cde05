//! Folders that are created unless they exist.

use std::future::IntoFuture;

use aws_lc_rs::digest::{self, SHA256};
use uuid::{Builder, Uuid};
use volt_runtime::{Error, Result, transport::BoxFuture};

use super::{
    alias::ensure,
    find::{child, get, of_kind},
};
use crate::{
    operation::{Operation, Settings},
    path::ResourcePath,
    volt::{Resource, SaveResourceRequest, VoltApiClient},
};

const FOLDER: &str = "volt:folder";

/// A folder to be created unless it exists, by [`VoltApiClient::ensure_folder`]. Await it for its
/// [`Resource`].
pub type EnsureFolder = Operation<NewFolder>;

/// The kind of an [`EnsureFolder`].
#[derive(Debug)]
pub struct NewFolder {
    client: VoltApiClient,
    path: ResourcePath,
}

impl VoltApiClient {
    /// Returns the folder at a path, and creates what is missing along the path: an alias where it
    /// begins becomes a folder in the caller's home folder. Callers may do this at once.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let folder = client.volt().ensure_folder("@reports/2026").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "create_folder")]
    #[doc(alias = "mkdir")]
    pub fn ensure_folder(&self, path: impl Into<ResourcePath>) -> EnsureFolder {
        Operation::new(NewFolder { client: self.clone(), path: path.into() })
    }
}

impl IntoFuture for EnsureFolder {
    type Output = Result<Resource>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if something along the path is not a folder, or the Volt refuses the change.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some folders may have been created. Later calls find them.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let NewFolder { client, path } = self.kind;
            let names = path.names()?;
            let mut folder = if path.resource_id().starts_with('@') {
                let kind = names.is_empty().then_some(FOLDER);
                let create = async |alias: String| {
                    let folder = Resource::default()
                        .with_name(&alias)
                        .with_kind([FOLDER])
                        .with_alias([&alias]);
                    let request =
                        SaveResourceRequest::default().with_resource(folder).with_create(true);
                    Ok(settings.apply(client.save_resource(request)).await?.resource)
                };
                ensure(&settings, &client, path.resource_id(), kind, create).await?.resource()
            } else {
                get(&settings, &client, &path, false).await?
            };
            for name in names {
                folder = ensure_child(&settings, &client, &folder.id, name).await?;
            }
            Ok(folder)
        })
    }
}

/// Returns the folder of this name in another, and creates it if it is missing.
///
/// Names need not be unique, but ids are. All callers derive the id of a new folder from its parent
/// and name, so that only one of two at once can create it.
async fn ensure_child(
    settings: &Settings,
    client: &VoltApiClient,
    parent: &str,
    name: &str,
) -> Result<Resource> {
    let find = async || child(settings, client, parent, name, false).await;
    let create = async |id: String| {
        let folder = Resource::default().with_id(id).with_name(name).with_kind([FOLDER]);
        let request = SaveResourceRequest::default()
            .with_resource(folder)
            .with_create(true)
            .with_create_in_parent_id(parent);
        let response = settings.apply(client.save_resource(request)).await?;
        response.resource.ok_or_else(|| Error::protocol("the Volt's answer has no resource"))
    };
    if let Some(found) = find().await? {
        return of_kind(found, name, FOLDER);
    }
    if let Ok(created) = create(folder_id(parent, name).to_string()).await {
        return Ok(created);
    }
    if let Some(found) = find().await? {
        return of_kind(found, name, FOLDER);
    }
    // The id belongs to a folder that was moved or renamed since, or the Volt does not accept it.
    create(String::new()).await?;
    // If several folders were created this way, all callers choose the same one.
    let found = find().await?;
    found.ok_or_else(|| Error::protocol("the Volt does not list the folder that it has created"))
}

fn folder_id(parent: &str, name: &str) -> Uuid {
    let digest = digest::digest(&SHA256, format!("{parent}/{name}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_parent_and_name() {
        assert_eq!(folder_id("p", "n"), folder_id("p", "n"));
        assert_ne!(folder_id("p", "n"), folder_id("p", "m"));
        assert_eq!(folder_id("p", "n").get_version_num(), 8);
    }
}
