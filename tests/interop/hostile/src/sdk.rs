//! This SDK on a Volt that breaks the protocol, for `cargo xtask hostile`. All options are the defaults.

use std::time::Duration;

use tokio::time::sleep;
use volt_api::{
    Client, ClientConfig,
    volt::{DownloadFileRequest, GetResourceRequest},
};
use volt_interop_trial::{self as trial, Result};

struct Sdk(Client);

#[tokio::main]
async fn main() {
    trial::main::<Sdk>().await;
}

impl trial::Client for Sdk {
    async fn connect(config: &str) -> Result<Self> {
        let config = ClientConfig::from_json(config).map_err(|error| error.to_string())?;
        Client::connect(config).await.map(Self).map_err(|error| error.to_string())
    }

    async fn get(&mut self, id: &'static str) -> Result<Option<String>> {
        let request = GetResourceRequest::default().with_resource_id(id);
        let answer = self.0.volt().get_resource(request).await;
        Ok(answer.map_err(|error| error.to_string())?.resource.map(|resource| resource.id))
    }

    async fn unread(&mut self, span: Duration) -> Result<usize> {
        let request = DownloadFileRequest::default().with_resource_id(trial::ANSWER);
        let stream = self.0.file().download_file(request).await;
        let mut stream = stream.map_err(|error| error.to_string())?;
        sleep(span).await;
        let mut count = 0;
        while stream.message().await.map_err(|error| error.to_string())?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}
