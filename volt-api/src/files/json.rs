//! Files that hold one JSON value.

use std::future::IntoFuture;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;
use volt_runtime::{Error, ErrorKind, Executed, Result, transport::BoxFuture};

use crate::{
    operation::Operation,
    path::ResourcePath,
    volt::{FileApiClient, GetFileContentRequest, SetFileContentRequest},
};

/// A JSON file that has not been written yet, created by [`FileApiClient::put_json`].
pub type PutJson = Operation<WriteJson>;

/// The kind of a [`PutJson`].
#[derive(Debug)]
pub struct WriteJson {
    client: FileApiClient,
    path: ResourcePath,
    content: Result<Vec<u8>>,
}

/// A JSON file that has not been read yet, created by [`FileApiClient::get_json`].
pub type GetJson<T> = Operation<ReadJson<T>>;

/// The kind of a [`GetJson`].
#[derive(Debug)]
pub struct ReadJson<T> {
    client: FileApiClient,
    path: ResourcePath,
    value: std::marker::PhantomData<fn() -> T>,
}

impl FileApiClient {
    /// Replaces the content of a file with a value as JSON, up to 64 MB. Files and folders that are
    /// missing along the path are created; a path that is only a resource must exist.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let settings = vec!["dark".to_owned(), "large".to_owned()];
    /// client.file().put_json("@home/settings.json", &settings).await?;
    /// let settings: Vec<String> = client.file().get_json("@home/settings.json").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_json(
        &self,
        path: impl Into<ResourcePath>,
        value: &(impl Serialize + ?Sized),
    ) -> PutJson {
        let path = path.into();
        let content = serde_json::to_vec_pretty(value).map_err(|error| {
            Error::new(ErrorKind::Conversion, format!("the value for `{path}` cannot be JSON"))
                .with_source(error)
                .with_executed(Executed::No)
        });
        Operation::new(WriteJson { client: self.clone(), path, content })
    }

    /// Returns the value in a JSON file of up to 64 MB.
    pub fn get_json<T: DeserializeOwned>(&self, path: impl Into<ResourcePath>) -> GetJson<T> {
        let (client, path) = (self.clone(), path.into());
        Operation::new(ReadJson { client, path, value: std::marker::PhantomData })
    }
}

impl IntoFuture for PutJson {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the value cannot be JSON ([`ErrorKind::Conversion`]), or the Volt refuses the
    /// content.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file has its old content or the new one.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let WriteJson { client, path, content } = self.kind;
            path.check()?;
            let request = SetFileContentRequest::default()
                .with_resource_id(path.resource_id())
                .with_file_path(path.path())
                .with_content(content?);
            settings.apply(client.set_file_content(request)).idempotent().await.map(drop)
        })
    }
}

impl<T: DeserializeOwned> IntoFuture for GetJson<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails with the code [`Code::NotFound`](crate::Code) if there is no such file, with
    /// [`ErrorKind::Conversion`] if its content is not JSON or does not fit the type, and if the
    /// Volt refuses the call.
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        let settings = self.settings.start();
        let ReadJson { client, path, .. } = self.kind;
        Box::pin(async move {
            path.check()?;
            let request = GetFileContentRequest::default()
                .with_resource_id(path.resource_id())
                .with_file_path(path.path());
            let call = settings.apply(client.get_file_content(request)).idempotent();
            let content = call.await?.content;
            serde_json::from_slice(&content).map_err(|error| unfit(&path, &error))
        })
    }
}

/// The error for content that is not the expected JSON. serde's own text may quote the content, which errors
/// and logs must not show.
fn unfit(path: &ResourcePath, error: &serde_json::Error) -> Error {
    let problem = match error.classify() {
        Category::Data => "does not fit the expected type",
        Category::Eof => "is truncated JSON",
        Category::Syntax | Category::Io => "is not JSON",
    };
    let (line, column) = (error.line(), error.column());
    Error::new(
        ErrorKind::Conversion,
        format!("the content of `{path}` {problem}: line {line}, column {column}"),
    )
}
