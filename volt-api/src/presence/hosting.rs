//! The services that a client hosts, and who may call them.

use std::collections::HashMap;

use volt_runtime::{
    Code, Error, ErrorKind, Result, Status,
    server::{Authenticator, Caller, Context, Router, Service, ServiceHost, Token},
    transport::BoxFuture,
};

use crate::{
    Client,
    volt::{
        CanAccessResourceRequest, DiscoveryMode, PolicyDecision, Resource, ServiceDescription,
        ServiceHostType,
    },
};

/// What callers must be allowed, unless the host says something else.
const ACCESS: &str = "volt:resource-read";

impl Resource {
    /// The resource of a service that a client hosts, to be saved once with `SaveResource`. What the
    /// answer has is given to [`PresenceBuilder::host`](super::PresenceBuilder::host) each time that it is hosted.
    pub fn hosted_service(name: impl Into<String>, service: &impl Service) -> Self {
        let description = ServiceDescription::default()
            .with_host_type(ServiceHostType::Relayed)
            .with_discoverable(DiscoveryMode::Trusted)
            .with_service_api([service.name()]);
        Self::default()
            .with_name(name)
            .with_kind(["volt:service"])
            .with_service_description(description)
    }
}

/// What a client hosts.
pub(super) struct Hosting {
    router: Router,
    access: String,
    services: Services,
}

/// The resource that access is granted on, by an id that callers name it by and the name of the API
/// that is called.
type Services = HashMap<(String, &'static str), String>;

impl Default for Hosting {
    fn default() -> Self {
        Self { router: Router::new(), access: ACCESS.to_owned(), services: HashMap::new() }
    }
}

impl Hosting {
    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    pub(super) fn set_access(&mut self, access: impl Into<String>) {
        self.access = access.into();
    }

    pub(super) fn add(&mut self, resource: &Resource, service: impl Service) {
        // Clients disagree on which of the two ids they send.
        let description = resource.service_description.as_ref();
        let other = description.map(|description| description.host_service_id.clone());
        let ids: Vec<_> =
            other.into_iter().filter(|id| !id.is_empty()).chain([resource.id.clone()]).collect();
        for id in &ids {
            self.services.insert((id.clone(), service.name()), resource.id.clone());
        }
        self.router = std::mem::take(&mut self.router).with_named(ids, service);
    }

    /// The service host that answers for the client's identity and asks the Volt about callers.
    pub(super) fn into_service_host(self, client: &Client) -> Result<ServiceHost> {
        let unusable = |message| Error::new(ErrorKind::Configuration, message);
        let config = client.config().ok_or_else(|| {
            unusable(
                "to host services, connect with a configuration: they are hosted by its identity",
            )
        })?;
        let did = config.credential.as_ref().and_then(|own| own.identity_did.clone());
        let did = did.ok_or_else(|| {
            unusable("`credential.identity_did` is missing: authenticate before hosting services")
        })?;
        let ask = AskVolt { client: client.clone(), access: self.access, services: self.services };
        Ok(ServiceHost::new(did, config.signing_key()?, self.router, ask))
    }
}

/// Lets those call whom the Volt vouches for.
struct AskVolt {
    client: Client,
    access: String,
    services: Services,
}

impl AskVolt {
    /// The resource of the service that a call is for. A caller cannot choose by the id that it names
    /// what it is judged by: the method must belong to that service.
    fn resource(&self, context: &Context) -> Option<&String> {
        let api = context.method().service();
        if let Some(id) = context.service_id() {
            return self.services.get(&(id.to_owned(), api));
        }
        // Some callers name none; then there must be no doubt.
        let mut fitting = self.services.iter().filter(|((_, name), _)| *name == api);
        let (_, first) = fitting.next()?;
        fitting.all(|(_, other)| other == first).then_some(first)
    }
}

impl Authenticator for AskVolt {
    /// Whose key signed the token is known to the Volt alone, which is asked when the method is known.
    fn authenticate(&self, _: &Token) -> Result<Caller, Status> {
        Ok(Caller::default())
    }

    fn authorize(&self, context: &Context) -> Option<BoxFuture<Result<Caller, Status>>> {
        let resource = self.resource(context).cloned();
        let token = context.token().map(Token::to_jwt).unwrap_or_default();
        let (client, access) = (self.client.clone(), self.access.clone());
        let method = context.method().path;
        Some(Box::pin(async move {
            let resource = resource
                .ok_or_else(|| Status::new(Code::NotFound, "this service is not hosted here"))?;
            let request = CanAccessResourceRequest::default()
                .with_token(token)
                .with_resource_id(resource)
                .with_access(access)
                .with_extra(method);
            let answer = client.volt().can_access_resource(request).await.map_err(|error| {
                tracing::debug!(%error, "the Volt does not vouch for a caller");
                Status::new(Code::PermissionDenied, "the Volt does not vouch for the caller")
            })?;
            if answer.decision() != PolicyDecision::Permit {
                return Err(Status::new(Code::PermissionDenied, "the Volt does not permit this"));
            }
            Ok(Caller::new(answer.session_id, answer.identity_did))
        }))
    }
}
