//! Services on the Volt, called with their published `.proto` files.

use std::fmt;

use serde_json::Value;
use volt_codegen::{Sources, VOLT_API};
use volt_runtime::{Channel, Error, Result, Target};

use super::{call::NamedCall, schema::Schema, suggest::did_you_mean};
use crate::{
    Client,
    volt::{DiscoverServicesRequest, Resource},
};

/// A service that another client hosts, with the descriptors that it publishes. [`Client::named_service`] finds
/// it.
///
/// ```no_run
/// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
/// use serde_json::json;
///
/// let shop = client.named_service("shop.v1.ShopAPI").await?;
/// let price = shop.call("ShopAPI/GetPrice", json!({ "article": "apple" })).await?;
/// println!("{price}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NamedService {
    channel: Channel,
    schema: Schema,
    target: Target,
}

impl Client {
    /// Finds a service on the Volt by its resource id, its name, one of its aliases or the full name of its
    /// API, and reads its `.proto` files.
    ///
    /// # Errors
    ///
    /// Returns a configuration error if there is no such service or there are several, or if its files are
    /// missing or cannot be compiled. Other errors are those of any call.
    ///
    /// # Cancel safety
    ///
    /// The call only reads.
    pub async fn named_service(&self, wanted: &str) -> Result<NamedService> {
        let request = DiscoverServicesRequest::default()
            .with_include_protobuf(true)
            .with_include_offline(true);
        let answer = self.volt().discover_services(request).idempotent().await?;
        let service = choose(&answer.resource, wanted)?;
        let schema = Schema::new(&sources(service)?).map_err(|error| {
            Error::configuration(format!("the .proto files of the service `{wanted}`: {error}"))
        })?;
        Ok(NamedService { channel: self.channel().clone(), schema, target: Target::from(service) })
    }
}

impl NamedService {
    /// Calls a method of the service, `Service/Method`, with a request in JSON.
    pub fn call(&self, method: &str, request: impl Into<Value>) -> NamedCall {
        let target = Some(self.target.clone());
        NamedCall::new(&self.channel, self.schema.find(method), request.into(), target)
    }

    /// Returns the full names of its APIs.
    pub fn services(&self) -> Vec<String> {
        self.schema.services().collect()
    }
}

impl fmt::Debug for NamedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedService")
            .field("services", &self.services())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Returns the service with this id, name, alias or API.
fn choose<'a>(services: &'a [Resource], wanted: &str) -> Result<&'a Resource> {
    let alias = wanted.strip_prefix('@').unwrap_or(wanted);
    let is = |service: &&Resource| {
        service.id == wanted
            || service.name == wanted
            || service.alias.iter().any(|known| known.trim_start_matches('@') == alias)
            || apis(service).any(|api| api == wanted)
    };
    let found: Vec<_> = services.iter().filter(is).collect();
    match found.as_slice() {
        [service] => Ok(service),
        [] => {
            let names = services
                .iter()
                .flat_map(|service| [service.name.as_str()].into_iter().chain(apis(service)));
            let near = did_you_mean(wanted, names);
            Err(Error::configuration(format!("there is no service `{wanted}` on the Volt{near}")))
        }
        several => {
            let ids: Vec<_> = several.iter().map(|service| format!("`{}`", service.id)).collect();
            let ids = ids.join(", ");
            Err(Error::configuration(format!(
                "several services match `{wanted}`: use one of {ids}"
            )))
        }
    }
}

fn apis(service: &Resource) -> impl Iterator<Item = &str> {
    let description = service.service_description.iter();
    description.flat_map(|description| description.service_api.iter().map(String::as_str))
}

/// The `.proto` files of a service.
fn sources(service: &Resource) -> Result<Sources> {
    let mut sources = Sources::default().with_volt_api();
    let files = service.service_description.iter().flat_map(|description| &description.proto_file);
    for file in files {
        // Some services name files by their path on disk.
        let name = file.file_path.trim_start_matches("./").trim_start_matches('/');
        let known = VOLT_API.iter().any(|(known, _)| *known == name);
        if !known && !name.starts_with("google/protobuf/") {
            sources.files.insert(name.to_owned(), file.protobuf.clone());
        }
    }
    if sources.files.is_empty() {
        return Err(Error::configuration(format!(
            "the service `{}` does not publish its .proto files",
            service.name
        )));
    }
    Ok(sources)
}
