//! The API 0.15.1, for Volts of that generation, which speak the legacy protocol with RSA keys.
//!
//! Only the messages and methods differ from the rest of this crate; configurations, options, streams
//! and errors are the same.
//!
//! The client's key selects the protocol: an RSA key in `credential.key` and an RSA key of the Volt. A
//! program can use both versions of the API, with a client for each. Methods and fields were renamed in
//! between, so a Volt of one generation does not understand the other's messages.
//!
//! ```no_run
//! use volt_api::{ClientConfig, v0_15::{Client, volt::GetResourceRequest}};
//!
//! # async fn example() -> volt_api::Result<()> {
//! let config = ClientConfig::from_file("volt.config.json")?.with_passphrase("secret");
//! let client = Client::connect(config).await?;
//! let request = GetResourceRequest::default().with_resource_id("@home");
//! let home = client.volt().get_resource(request).await?.resource.unwrap_or_default();
//! println!("{}", home.name);
//! # Ok(())
//! # }
//! ```

mod client;
#[rustfmt::skip]
mod generated;
mod version;

/// The whole API, with one module for each package: `tdx.volt_api.relay.v1` is `api::relay::v1`.
pub mod api {
    pub use super::generated::{data, relay, ssi, sync, volt};
}

pub use self::{
    client::Client,
    generated::{data::v1 as data, volt::v1 as volt},
    version::API_VERSION,
};
