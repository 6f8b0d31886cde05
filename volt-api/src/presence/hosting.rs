//! The services that a client hosts, and their authorization.
//!
//! Only the Volt knows the keys and rights of callers. Each call is therefore authorized by asking the Volt
//! whether the caller's token has the required access to the resource of the called service.

use std::collections::HashMap;

use volt_runtime::{
    Code, Error, Result, Status,
    intercept::ServerInterceptor,
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

/// The access that callers need by default.
const ACCESS: &str = "volt:resource-read";

impl Resource {
    /// Creates the resource of a service that a client hosts. Save it once with `SaveResource`, and
    /// pass the saved resource to [`PresenceBuilder::host`](super::PresenceBuilder::host) whenever
    /// hosting the service.
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

/// The hosted services, their router and the access that callers need.
pub(super) struct Hosting {
    router: Router,
    access: String,
    services: Services,
}

/// The resource that grants access, by the id that callers use for it and the name of the called API.
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

    /// Passes the calls of all services through an interceptor.
    pub(super) fn intercept(&mut self, interceptor: impl ServerInterceptor) {
        self.router = std::mem::take(&mut self.router).intercept(interceptor);
    }

    /// Adds a service under the ids by which callers may name it.
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

    /// Creates the host that answers under the client's identity and authorizes callers with the Volt.
    pub(super) fn into_service_host(self, client: &Client) -> Result<ServiceHost> {
        let config = client.config().ok_or_else(|| {
            Error::configuration(
                "hosting services needs a client with a configuration, whose identity hosts them: \
                 create it with `Client::connect` or `Client::authenticate`",
            )
        })?;
        let did = config.credential.as_ref().and_then(|own| own.identity_did.clone());
        let did = did.ok_or_else(|| {
            Error::configuration(
                "`credential.identity_did` is missing: authenticate before hosting services",
            )
        })?;
        let ask = AskVolt { client: client.clone(), access: self.access, services: self.services };
        Ok(ServiceHost::new(did, config.signing_key()?, self.router, ask))
    }
}

/// Admits the callers that the Volt authorizes.
struct AskVolt {
    client: Client,
    access: String,
    services: Services,
}

impl AskVolt {
    /// The resource of the called service. The method must belong to that service, so that a caller cannot
    /// pick the resource that it is authorized against.
    fn resource(&self, context: &Context) -> Option<&String> {
        let api = context.method().service();
        if let Some(id) = context.service_id() {
            return self.services.get(&(id.to_owned(), api));
        }
        // Some callers do not name a service; then exactly one must match.
        let mut fitting = self.services.iter().filter(|((_, name), _)| *name == api);
        let (_, first) = fitting.next()?;
        fitting.all(|(_, other)| other == first).then_some(first)
    }
}

impl Authenticator for AskVolt {
    /// Accepts every token for now: only the Volt knows the keys. It checks the token once the method is
    /// known.
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
            // If the Volt cannot be asked, the call is rejected. The caller does not learn the reason.
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
