//! Keeps a client online at a Volt: the `Connect` call with its pings, its events and the services
//! that the client hosts.
//!
//! A client that only makes calls needs none of this. [`Client::presence`] creates a
//! [`PresenceBuilder`]; awaiting it opens the call and returns the [`Presence`], which reads events. A
//! task keeps the call open, whether or not events are read: it pings the Volt, runs the calls of
//! hosted services, and goes online again after a lost connection.
//!
//! # Hosting a service
//!
//! A hosted service is a resource of the Volt, through which callers find it, and an implementation of a
//! generated server trait in this program. The Volt forwards the calls and cannot read them.
//!
//! ```no_run
//! # async fn example(
//! #     client: volt_api::Client,
//! #     shop: impl volt_api::server::Service,
//! # ) -> volt_api::Result<()> {
//! use volt_api::volt::{Resource, SaveResourceRequest};
//!
//! // let shop = ShopApiServer::new(Shop);
//! // Once: the resource. Its description names the API of the service.
//! let resource = Resource::hosted_service("shop", &shop);
//! let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
//! let saved = client.volt().save_resource(request).await?.resource.unwrap_or_default();
//!
//! // Whenever the program runs: go online with it.
//! let mut presence = client.presence().host(&saved, shop).await?;
//! while presence.event().await?.is_some() {}
//! # Ok(())
//! # }
//! ```

mod event;
pub(crate) mod frames;
mod hosting;
mod run;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};
use volt_runtime::{
    Error, Result,
    intercept::ServerInterceptor,
    server::{Service, ServiceHost},
    transport::BoxFuture,
};

pub use self::event::Event;
use self::{
    hosting::Hosting,
    run::{Events, Online},
};
use crate::{
    Client, ClientConfig,
    volt::{ConnectAcknowledge, ConnectHello, ConnectResourceEvent, Resource},
};

/// The default ping interval: that of the published Node client.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// The number of events that may wait to be read.
const EVENTS: usize = 1024;

/// Goes online at a Volt: set what to receive and host, then await it for the [`Presence`]. Created
/// by [`Client::presence`].
///
/// ```no_run
/// # use volt_api::{Client, Event, Result, volt::ConnectResourceEvent};
/// # async fn example(client: Client) -> Result<()> {
/// let mut presence = client.presence().resource_events([ConnectResourceEvent::Update]).await?;
/// while let Some(event) = presence.event().await? {
///     if let Event::Resource(_, resource) = event {
///         println!("{} has changed", resource.name);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until it is awaited"]
pub struct PresenceBuilder {
    client: Client,
    hello: ConnectHello,
    ping_interval: Duration,
    hosting: Hosting,
    service_host: Option<Arc<ServiceHost>>,
    resume: bool,
}

impl Client {
    /// Goes online at the Volt: to receive events, to host services, or to have the client's
    /// services shown as online. By default nothing is subscribed to and nothing hosted.
    pub fn presence(&self) -> PresenceBuilder {
        PresenceBuilder {
            client: self.clone(),
            hello: ConnectHello::default(),
            ping_interval: self.config().and_then(configured_interval).unwrap_or(PING_INTERVAL),
            hosting: Hosting::default(),
            service_host: None,
            resume: true,
        }
    }
}

/// The interval in a configuration, under either of the names that clients use.
fn configured_interval(config: &ClientConfig) -> Option<Duration> {
    let names = ["pingInterval", "ping_interval"];
    let milliseconds = names.into_iter().find_map(|name| config.other.get(name)?.as_u64())?;
    Some(Duration::from_millis(milliseconds)).filter(|interval| !interval.is_zero())
}

impl PresenceBuilder {
    /// Sets the interval at which the client pings the Volt, which disconnects a client that is
    /// silent for several intervals. Default: `pingInterval` of the client's configuration, in
    /// milliseconds, otherwise 10 seconds.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Subscribes to events of resources: of these kinds, or of all if none are named.
    pub fn resource_events(
        mut self,
        events: impl IntoIterator<Item = ConnectResourceEvent>,
    ) -> Self {
        self.hello.subscribe_resource_events = true;
        self.hello.resource_event_list.extend(events.into_iter().map(i32::from));
        self
    }

    /// Subscribes to clients' requests for access. Only the owner of a Volt receives them.
    pub fn authentication_requests(mut self) -> Self {
        self.hello.subscribe_auth_requests = true;
        self
    }

    /// Subscribes to changes in the DID registries at these addresses.
    pub fn did_registries(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hello.subscribe_did_registry_updates = true;
        self.hello.did_registry.extend(urls.into_iter().map(Into::into));
        self
    }

    /// Shows all services that the client owns as online while it is online.
    pub fn online_services(mut self) -> Self {
        self.hello.online_services = true;
        self
    }

    /// Hosts a service: its calls run here, and callers find it by `resource`. The service is shown
    /// as online, as with [`online_services`](Self::online_services).
    ///
    /// The Volt authorizes each call before it runs. The caller needs `volt:resource-read` for the
    /// service's resource, unless [`access`](Self::access) sets another access.
    pub fn host(mut self, resource: &Resource, service: impl Service) -> Self {
        self.hosting.add(resource, service);
        self.hello.online_services = true;
        self
    }

    /// Sets the access to the service's resource that callers of hosted services need, for all of them.
    /// Default: `volt:resource-read`.
    pub fn access(mut self, access: impl Into<String>) -> Self {
        self.hosting.set_access(access);
        self
    }

    /// Passes the calls of hosted services through an interceptor: see [`intercept`](crate::intercept).
    pub fn intercept(mut self, interceptor: impl ServerInterceptor) -> Self {
        self.hosting.intercept(interceptor);
        self
    }

    /// Serves incoming calls with this host, which authorizes its callers itself, as a Volt behind
    /// a relay does. Replaces [`host`](Self::host).
    pub fn service_host(mut self, service_host: impl Into<Arc<ServiceHost>>) -> Self {
        self.service_host = Some(service_host.into());
        self
    }

    /// Sets whether the client goes online again, with all its services, after the connection was
    /// lost. Default: true. [`Event::Resumed`] reports each time.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Changes the first message of the call, for settings without a method here, such as those of a relay.
    /// The ping interval and `accept_invocation` are set afterwards.
    pub fn hello(mut self, change: impl FnOnce(&mut ConnectHello)) -> Self {
        change(&mut self.hello);
        self
    }

    /// Opens the call, and spawns the task that keeps it open.
    async fn start(mut self) -> Result<Presence> {
        if self.service_host.is_none() && !self.hosting.is_empty() {
            self.service_host = Some(Arc::new(self.hosting.into_service_host(&self.client)?));
        }
        self.hello.accept_invocation |= self.service_host.is_some();
        self.hello.ping_interval =
            u32::try_from(self.ping_interval.as_millis()).unwrap_or(u32::MAX);
        // The first call is opened here, so that its failure is returned to the caller and not retried.
        let opened = run::open(&self.client, self.hello.clone()).await?;
        let acknowledge = opened.acknowledge.clone();
        let (events_sender, events) = mpsc::channel(EVENTS);
        let (goodbye, leaving) = mpsc::channel(1);
        let online = Online {
            client: self.client,
            hello: self.hello,
            ping_interval: self.ping_interval,
            service_host: self.service_host,
            resume: self.resume,
            events: Events::new(events_sender),
            leaving,
        };
        let task = Some(tokio::spawn(online.run(opened)));
        Ok(Presence { acknowledge, events, goodbye, task, end: None })
    }
}

impl IntoFuture for PresenceBuilder {
    type Output = Result<Presence>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Returns the Volt's rejection, a connection error if the Volt does not answer, or a
    /// configuration error if services are to be hosted and the client has no identity for that.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the `Connect` call; the Volt may have shown the services as online for
    /// a moment.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl fmt::Debug for PresenceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceBuilder").field("hello", &self.hello).finish_non_exhaustive()
    }
}

/// A client's presence at a Volt. Dropping it ends the call and the calls of hosted services.
///
/// It is a `Stream` of [events](Event), equivalent to [`event`](Self::event). Pings and hosted
/// calls continue whether or not events are read. Up to 1,024 events wait to be read; further ones are
/// dropped, and [`Event::Missed`] counts them.
#[derive(Debug)]
pub struct Presence {
    acknowledge: ConnectAcknowledge,
    events: mpsc::Receiver<Event>,
    goodbye: mpsc::Sender<()>,
    task: Option<JoinHandle<Result<()>>>,
    /// The outcome of the call, once it has ended.
    end: Option<Result<()>>,
}

impl Presence {
    /// Returns the Volt's first answer: the id of the connection, its time and its ping interval, both in
    /// milliseconds. [`Event::Resumed`] contains later ones.
    pub fn acknowledge(&self) -> &ConnectAcknowledge {
        &self.acknowledge
    }

    /// Reads the next [`Event`]. This method handles the messages of the `Connect` call itself. Returns
    /// `None` after either side has sent goodbye.
    ///
    /// # Errors
    ///
    /// Fails if the Volt rejected the call, or the connection was lost permanently. A connection is
    /// lost if it closes or a ping is not answered in time; without
    /// [`resume`](PresenceBuilder::resume), every loss is permanent. Later calls return the same
    /// error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn event(&mut self) -> Result<Option<Event>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        // The channel closes with the task. Events that arrived before come first.
        if let Some(event) = ready!(self.events.poll_recv(cx)) {
            return Poll::Ready(Ok(Some(event)));
        }
        if let Some(task) = &mut self.task {
            let outcome = ready!(Pin::new(task).poll(cx));
            self.end = Some(outcome.unwrap_or_else(|error| {
                Err(Error::connection("the connect call was lost").with_source(error))
            }));
            self.task = None;
        }
        Poll::Ready(self.end.clone().unwrap_or(Ok(())).map(|()| None))
    }

    /// Sends goodbye and waits until the Volt has received it. Hosted calls whose callers have
    /// half-closed have up to 5 seconds to finish first; the others are dropped.
    ///
    /// # Errors
    ///
    /// Fails if the call has already failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the same effect as dropping the presence: the Volt may not receive
    /// the goodbye, but notices that the client has disconnected.
    pub async fn close(mut self) -> Result<()> {
        // An error means that the call has already ended.
        let _ = self.goodbye.try_send(());
        while self.event().await?.is_some() {}
        Ok(())
    }
}

impl futures_core::Stream for Presence {
    type Item = Result<Event>;

    /// Ends after an error.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = ready!(self.poll_event(cx));
        if event.is_err() {
            self.end = Some(Ok(()));
        }
        Poll::Ready(event.transpose())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ping_interval_is_that_of_the_configuration() {
        let interval = |text: &str| {
            configured_interval(&ClientConfig::from_json(text).expect("a configuration"))
        };
        assert_eq!(interval(r#"{ "pingInterval": 2500 }"#), Some(Duration::from_millis(2500)));
        assert_eq!(interval(r#"{ "ping_interval": 1 }"#), Some(Duration::from_millis(1)));
        for text in ["{}", r#"{ "pingInterval": 0 }"#, r#"{ "pingInterval": "soon" }"#] {
            assert_eq!(interval(text), None, "{text}");
        }
    }
}
