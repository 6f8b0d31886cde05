//! The descriptors of services: those of the Volt API, and those that a service publishes.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use prost_reflect::{DescriptorPool, MethodDescriptor};
use volt_codegen::{Sources, VOLT_API};
use volt_runtime::{Error, Executed, Method, MethodKind, Result};

use super::suggest::did_you_mean;

/// The services of one set of `.proto` files.
#[derive(Clone, Debug)]
pub(super) struct Schema(DescriptorPool);

/// A method and its descriptor.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) descriptor: MethodDescriptor,
    pub(super) method: &'static Method,
}

/// The descriptors of the API, which are parsed when they are first needed.
static API: LazyLock<std::result::Result<Schema, String>> = LazyLock::new(|| {
    let files = VOLT_API.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let mut sources = Sources::default();
    sources.files.extend(files);
    Schema::new(&sources)
});

impl Schema {
    /// The Volt API.
    pub(super) fn api() -> Result<&'static Self> {
        API.as_ref().map_err(|error| Error::configuration(error.clone()))
    }

    /// Returns the reason if the files cannot be compiled.
    pub(super) fn new(sources: &Sources) -> std::result::Result<Self, String> {
        let set = sources.compile().map_err(|error| error.to_string())?;
        let pool = DescriptorPool::from_file_descriptor_set(set);
        Ok(Self(pool.map_err(|error| error.to_string())?))
    }

    /// Returns the method called `Service/Method`. The service may have its package before it.
    ///
    /// # Errors
    ///
    /// Returns a configuration error that suggests the nearest name.
    pub(super) fn find(&self, name: &str) -> Result<Named> {
        let unknown = |why: String| Err(Error::configuration(why).with_executed(Executed::No));
        let path = name.strip_prefix('/').unwrap_or(name);
        let Some((service, method)) = path.split_once('/') else {
            return unknown(format!(
                "`{name}` is not the name of a method: expected `Service/Method`, such as \
                 `VoltAPI/GetResource`"
            ));
        };
        let services: Vec<_> = self.0.services().collect();
        let found: Vec<_> = services
            .iter()
            .filter(|known| known.full_name() == service || known.name() == service)
            .collect();
        let service = match found.as_slice() {
            [one] => one,
            [] => {
                let names = services.iter().map(prost_reflect::ServiceDescriptor::name);
                let near = did_you_mean(service, names);
                return unknown(format!("there is no service `{service}`{near}"));
            }
            several => {
                let names: Vec<_> = several.iter().map(|known| known.full_name()).collect();
                return unknown(format!("`{service}` is ambiguous: use {}", names.join(" or ")));
            }
        };
        let methods: Vec<_> = service.methods().collect();
        if let Some(descriptor) = methods.iter().find(|known| known.name() == method) {
            return Ok(Named { method: intern(descriptor), descriptor: descriptor.clone() });
        }
        let near = did_you_mean(method, methods.iter().map(MethodDescriptor::name));
        unknown(format!("`{}` has no method `{method}`{near}", service.full_name()))
    }

    /// The full names of the services.
    pub(super) fn services(&self) -> impl Iterator<Item = String> {
        self.0.services().map(|service| service.full_name().to_owned())
    }
}

/// Returns the method with a static lifetime, which calls require. Each distinct method is allocated once.
fn intern(descriptor: &MethodDescriptor) -> &'static Method {
    static METHODS: LazyLock<Mutex<HashMap<(String, MethodKind), &'static Method>>> =
        LazyLock::new(Mutex::default);
    let kind = match (descriptor.is_client_streaming(), descriptor.is_server_streaming()) {
        (false, false) => MethodKind::Unary,
        (false, true) => MethodKind::ServerStreaming,
        (true, false) => MethodKind::ClientStreaming,
        (true, true) => MethodKind::Bidi,
    };
    let path = format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name());
    let mut methods = METHODS.lock().unwrap_or_else(PoisonError::into_inner);
    methods.entry((path, kind)).or_insert_with_key(|(path, kind)| {
        Box::leak(Box::new(Method { path: Box::leak(path.clone().into_boxed_str()), kind: *kind }))
    })
}
