//! Extracts the `.proto` files of a service from the JSON of a Volt's answer.

use anyhow::{Context as _, bail};
use serde_json::Value;
use volt_codegen::{Sources, VOLT_API};

/// The files of the only service in `json`, or of the one with the id, name or API `wanted`.
pub(crate) fn sources(json: &Value, wanted: Option<&str>) -> anyhow::Result<Sources> {
    let mut services = services(json);
    if let Some(wanted) = wanted {
        services.retain(|service| service.is(wanted));
    }
    match services.as_slice() {
        [service] => service.sources(),
        [] => match wanted {
            Some(wanted) => bail!("there is no service {wanted:?}"),
            None => bail!("there is no service with a service_description in the JSON"),
        },
        several => {
            let list: Vec<_> = several.iter().map(Service::shown).collect();
            bail!("there are {} services; choose one:\n  {}", list.len(), list.join("\n  "))
        }
    }
}

/// A service in the JSON.
struct Service<'a> {
    resource: Option<&'a Value>,
    description: &'a Value,
}

/// All services in an answer, a resource or a description.
fn services(json: &Value) -> Vec<Service<'_>> {
    if let Some(inner) = json.get("resource") {
        return services(inner);
    }
    match json {
        Value::Array(resources) => resources.iter().flat_map(services).collect(),
        _ => match field(json, "service_description", "serviceDescription") {
            Some(description) => vec![Service { resource: Some(json), description }],
            None if field(json, "proto_file", "protoFile").is_some() => {
                vec![Service { resource: None, description: json }]
            }
            None => Vec::new(),
        },
    }
}

impl Service<'_> {
    fn is(&self, wanted: &str) -> bool {
        self.text("id") == wanted
            || self.text("name") == wanted
            || self.apis().any(|api| api == wanted)
    }

    fn text(&self, name: &str) -> &str {
        self.resource.and_then(|resource| text(resource, name)).unwrap_or_default()
    }

    fn apis(&self) -> impl Iterator<Item = &str> {
        let apis = field(self.description, "service_api", "serviceApi").and_then(Value::as_array);
        apis.into_iter().flatten().filter_map(Value::as_str)
    }

    fn shown(&self) -> String {
        let apis: Vec<_> = self.apis().collect();
        format!("{} {:?} ({})", self.text("id"), self.text("name"), apis.join(", "))
    }

    fn sources(&self) -> anyhow::Result<Sources> {
        let files = field(self.description, "proto_file", "protoFile").and_then(Value::as_array);
        let files = files.filter(|files| !files.is_empty());
        let files = files.with_context(|| {
            format!("the service {} does not publish its .proto files", self.shown())
        })?;
        let mut sources = Sources::default().with_volt_api();
        for file in files {
            let name = text(file, "file_path").or_else(|| text(file, "filePath"));
            let name = name.context("a file of the service has no file_path")?;
            // Some services name files by their path on disk.
            let name = name.trim_start_matches("./").trim_start_matches('/');
            let is_volts = VOLT_API.iter().any(|(volts, _)| *volts == name);
            if is_volts || name.starts_with("google/protobuf/") {
                continue;
            }
            let text = text(file, "protobuf").filter(|text| !text.is_empty());
            let text = text.with_context(|| {
                format!("{name} lacks its text: request it with include_protobuf")
            })?;
            sources.files.insert(name.to_owned(), text.to_owned());
        }
        Ok(sources)
    }
}

/// A field, under either of the names that protobuf's JSON allows.
fn field<'a>(json: &'a Value, name: &str, camel: &str) -> Option<&'a Value> {
    json.get(name).or_else(|| json.get(camel)).filter(|value| !value.is_null())
}

fn text<'a>(json: &'a Value, name: &str) -> Option<&'a str> {
    json.get(name)?.as_str()
}
