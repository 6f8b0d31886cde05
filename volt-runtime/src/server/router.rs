//! Routes calls to services by method name.
//!
//! One method may have several routes: services with the same API, distinguished by the ids with which callers
//! name them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use tracing::{Instrument as _, Span};

use super::{Authenticator, Context, IncomingCall, context::Peer};
#[cfg(all(feature = "server", feature = "grpc"))]
use crate::MethodKind;
use crate::{
    Code, Method, Status,
    intercept::{Chain, ServerInterceptor, Watch},
    transport::{BoxFuture, RawCall},
};

/// A service that calls can be dispatched to. Generated code implements it; the
/// [module](crate::server) has an example by hand.
pub trait Service: Send + Sync + 'static {
    /// The full name, `package.Service`.
    fn name(&self) -> &'static str;

    /// Its methods. Their paths begin with `/` and the service's name.
    fn methods(&self) -> &'static [Method];

    /// Runs the method at `index` of [`methods`](Self::methods). The future ends when the call has ended;
    /// dropping it ends the call with `INTERNAL`.
    fn call(&self, index: usize, call: IncomingCall) -> BoxFuture<()>;
}

/// The services of a server.
///
/// A call that no service fits ends with a status: `UNIMPLEMENTED` if no service has the method,
/// `NOT_FOUND` if the service that it names is not here, and `INVALID_ARGUMENT` if it names none and
/// several services have the method.
#[derive(Clone, Default)]
pub struct Router {
    /// By method path; the services added last are last.
    routes: HashMap<&'static str, Vec<Route>>,
    services: Vec<Arc<dyn Service>>,
    interceptors: Chain<dyn ServerInterceptor>,
}

/// One method of one service.
#[derive(Clone)]
struct Route {
    /// The ids by which callers name the service; empty if it answers all calls.
    names: Vec<String>,
    service: Arc<dyn Service>,
    index: usize,
    method: &'static Method,
}

impl Router {
    /// Creates a router without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service that answers calls regardless of the service they name. If two such services
    /// have the same method, the one added last answers.
    pub fn with(self, service: impl Service) -> Self {
        self.add(&[], service)
    }

    /// Adds a service that answers calls that name one of these ids and, while no other service has
    /// the method, calls that name none. A router can thus have several services of one API.
    pub fn with_named(
        self,
        names: impl IntoIterator<Item = impl Into<String>>,
        service: impl Service,
    ) -> Self {
        let names: Vec<_> = names.into_iter().map(Into::into).collect();
        self.add(&names, service)
    }

    /// Passes the calls of all services through an interceptor, which sees each call before its handler runs
    /// and after it has ended: see [`intercept`](crate::intercept). It runs after the
    /// [`Authenticator`] has authorized the caller.
    ///
    /// Interceptors that were added first are the outer ones: they see a call first, and its end last.
    pub fn intercept(mut self, interceptor: impl ServerInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    fn add(mut self, names: &[String], service: impl Service) -> Self {
        let service: Arc<dyn Service> = Arc::new(service);
        for (index, method) in service.methods().iter().enumerate() {
            let routes = self.routes.entry(method.path).or_default();
            // A service with the same ids replaces the one added before.
            routes.retain(|other| other.names != names);
            let (names, service) = (names.to_vec(), Arc::clone(&service));
            routes.push(Route { names, service, index, method });
        }
        self.services.push(service);
        self
    }

    /// Finds the route of a call.
    fn find(&self, path: &str, service_id: Option<&str>) -> Result<&Route, Status> {
        let routes = self.routes.get(path).ok_or_else(|| {
            Status::new(Code::Unimplemented, format!("there is no method `{path}` here"))
        })?;
        let general = || routes.iter().find(|route| route.names.is_empty());
        // Published clients do not always name the service, so a single candidate is accepted.
        let Some(id) = service_id else {
            return general().or_else(|| routes.first().filter(|_| routes.len() == 1)).ok_or_else(
                || {
                    Status::new(
                        Code::InvalidArgument,
                        "several services here have this method: name one",
                    )
                },
            );
        };
        // The service added last wins.
        let named = routes.iter().rev().find(|route| route.names.iter().any(|name| name == id));
        named
            .or_else(general)
            .ok_or_else(|| Status::new(Code::NotFound, "this service is not hosted here"))
    }

    /// Returns whether a call to `path` has only the one request that invokes it.
    #[cfg(feature = "socket")]
    pub(super) fn takes_one_request(&self, path: &str) -> bool {
        let route = self.routes.get(path).and_then(|routes| routes.first());
        route.is_none_or(|route| !route.method.kind.client_streams())
    }

    /// Returns the kind of the method called `path`, if there is one.
    #[cfg(all(feature = "server", feature = "grpc"))]
    pub(super) fn kind(&self, path: &str) -> Option<MethodKind> {
        let routes = self.routes.get(path)?;
        Some(routes.first()?.method.kind)
    }

    /// Returns the names of the services, in the order in which they were added.
    pub fn services(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|service| service.name())
    }

    /// Runs the method called `path`, after the authenticator has authorized the caller for it, and the
    /// interceptors have let it pass. Every outcome ends the call.
    ///
    /// If this is dropped before the end, `cut` may hold the reason.
    pub(crate) async fn dispatch(
        &self,
        path: &str,
        service_id: Option<String>,
        peer: Peer,
        authenticator: Option<&dyn Authenticator>,
        mut raw: RawCall,
        cut: Option<&OnceLock<Status>>,
    ) {
        let route = match self.find(path, service_id.as_deref()) {
            Ok(route) => route,
            Err(status) => return raw.sender.end(Some(&status)),
        };
        let mut context = Context { method: route.method, service_id, peer };
        let intercepted = !self.interceptors.is_empty();
        let watch = Watch::server(route.method, intercepted, context.peer.over_grpc);
        let mut served = Served { watch, cut };
        let span = served.watch.span().cloned();
        if let Err(status) =
            self.admit(authenticator, &mut context, &mut served.watch, span.as_ref()).await
        {
            served.watch.end_with(&status);
            return raw.sender.end(Some(&status));
        }
        let raw = served.watch.count(raw);
        let call = IncomingCall::new(context, raw, served.watch.recorder());
        within(span.as_ref(), || route.service.call(route.index, call)).await;
        served.watch.end_handled();
    }

    /// Authorizes the caller, and passes the call through the interceptors.
    async fn admit(
        &self,
        authenticator: Option<&dyn Authenticator>,
        context: &mut Context,
        watch: &mut Watch,
        span: Option<&Span>,
    ) -> Result<(), Status> {
        // After routing, because the required right depends on the service.
        if let Some(asked) =
            authenticator.and_then(|authenticator| authenticator.authorize(context))
        {
            context.peer.caller = within(span, || asked).await?;
        }
        for interceptor in self.interceptors.iter() {
            watch.push(interceptor.before(context)?);
        }
        Ok(())
    }
}

/// Runs work in a span, if there is one.
fn within<T: 'static>(span: Option<&Span>, work: impl FnOnce() -> BoxFuture<T>) -> BoxFuture<T> {
    match span {
        None => work(),
        Some(span) => Box::pin(span.in_scope(work).instrument(span.clone())),
    }
}

/// Watches a call that may be cut from outside.
struct Served<'a> {
    watch: Watch,
    cut: Option<&'a OnceLock<Status>>,
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        if let Some(reason) = self.cut.and_then(OnceLock::get) {
            self.watch.end_with(reason);
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.services()).finish()
    }
}
