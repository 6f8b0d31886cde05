//! From a method's name to the service that has it.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{Authority, Context, IncomingCall, context::Peer};
use crate::{
    Code, Method, Status,
    transport::{BoxFuture, RawCall},
};

/// A service that calls can be dispatched to. Generated code implements it.
pub trait Service: Send + Sync + 'static {
    /// The full name, `package.Service`.
    fn name(&self) -> &'static str;

    /// Its methods.
    fn methods(&self) -> &'static [Method];

    /// Runs the method at `index` of [`methods`](Self::methods).
    fn call(&self, index: usize, call: IncomingCall) -> BoxFuture<()>;
}

/// The services of a server.
#[derive(Clone, Default)]
pub struct Router {
    routes: HashMap<&'static str, Route>,
    services: Vec<Arc<dyn Service>>,
}

#[derive(Clone)]
struct Route {
    service: Arc<dyn Service>,
    index: usize,
    method: &'static Method,
}

impl Router {
    /// A router without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service. Where two have the same method, the one added last answers.
    pub fn with(mut self, service: impl Service) -> Self {
        let service: Arc<dyn Service> = Arc::new(service);
        for (index, method) in service.methods().iter().enumerate() {
            self.routes.insert(method.path, Route { service: Arc::clone(&service), index, method });
        }
        self.services.push(service);
        self
    }

    /// The names of the services, in the order in which they were added.
    pub fn services(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|service| service.name())
    }

    /// Runs the method called `path`.
    pub(crate) async fn dispatch(
        &self,
        path: &str,
        service_id: Option<String>,
        peer: Peer,
        authority: Option<&dyn Authority>,
        mut raw: RawCall,
    ) {
        let Some(route) = self.routes.get(path) else {
            let message = format!("there is no method `{path}` here");
            raw.sender.finish(Some(&Status::new(Code::Unimplemented, message)));
            return;
        };
        let mut context = Context { method: route.method, service_id, peer };
        if let Some(asked) = authority.and_then(|authority| authority.authorize(&context)) {
            match asked.await {
                Ok(caller) => context.peer.caller = caller,
                Err(status) => return raw.sender.finish(Some(&status)),
            }
        }
        route.service.call(route.index, IncomingCall::new(context, raw)).await;
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.services()).finish()
    }
}
