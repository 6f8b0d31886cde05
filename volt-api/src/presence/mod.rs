//! Being online at a Volt: the `Connect` call, kept alive, with its events and the services that the
//! client hosts.

mod event;
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

/// How often the client pings, unless it is told otherwise.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How many events may wait to be taken.
const EVENTS: usize = 1024;

/// Goes online at a Volt: choose what for, then await it for the [`Presence`]. Made by
/// [`Client::presence`].
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
    /// Goes online at the Volt: to hear of events, to host services, or to have one's own services
    /// shown as online.
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

/// The interval that a configuration asks for, by either name that clients know.
fn configured_interval(config: &ClientConfig) -> Option<Duration> {
    let names = ["pingInterval", "ping_interval"];
    let milliseconds = names.into_iter().find_map(|name| config.other.get(name)?.as_u64())?;
    Some(Duration::from_millis(milliseconds)).filter(|interval| !interval.is_zero())
}

impl PresenceBuilder {
    /// How often the client pings the Volt, which drops a client that it hears nothing of for
    /// several of these intervals. By default `pingInterval` of the client's configuration, in
    /// milliseconds, or else 10 seconds.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Tells what happens to resources: these things, or all where none are named.
    pub fn resource_events(
        mut self,
        events: impl IntoIterator<Item = ConnectResourceEvent>,
    ) -> Self {
        self.hello.subscribe_resource_events = true;
        self.hello.resource_event_list.extend(events.into_iter().map(i32::from));
        self
    }

    /// Tells which clients ask to be let in. Only the owner of a Volt hears that.
    pub fn authentication_requests(mut self) -> Self {
        self.hello.subscribe_auth_requests = true;
        self
    }

    /// Tells what changes in these DID registries.
    pub fn did_registries(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hello.subscribe_did_registry_updates = true;
        self.hello.did_registry.extend(urls.into_iter().map(Into::into));
        self
    }

    /// Shows all services that the client owns as online for as long as it is.
    pub fn online_services(mut self) -> Self {
        self.hello.online_services = true;
        self
    }

    /// Hosts a service: its calls run here, and `resource` is what callers find it by. Sets it
    /// online as [`online_services`](Self::online_services) does.
    ///
    /// The Volt is asked about each call before it runs: whether the caller may
    /// `volt:resource-read` the service's resource, unless [`access`](Self::access) says something
    /// else.
    pub fn host(mut self, resource: &Resource, service: impl Service) -> Self {
        self.hosting.add(resource, service);
        self.hello.online_services = true;
        self
    }

    /// What callers of hosted services must be allowed to do with the service's resource.
    pub fn access(mut self, access: impl Into<String>) -> Self {
        self.hosting.set_access(access);
        self
    }

    /// Serves incoming calls with this host, which authorizes its callers itself. A Volt behind a relay
    /// does that. Replaces [`host`](Self::host).
    pub fn service_host(mut self, service_host: impl Into<Arc<ServiceHost>>) -> Self {
        self.service_host = Some(service_host.into());
        self
    }

    /// Whether the client goes online again when the connection was lost, with all that it hosts. The
    /// default is yes; [`Event::Resumed`] says when that has happened.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Changes the first message of the call, for what has no method here.
    pub fn hello(mut self, change: impl FnOnce(&mut ConnectHello)) -> Self {
        change(&mut self.hello);
        self
    }

    async fn start(mut self) -> Result<Presence> {
        if self.service_host.is_none() && !self.hosting.is_empty() {
            self.service_host = Some(Arc::new(self.hosting.into_service_host(&self.client)?));
        }
        self.hello.accept_invocation |= self.service_host.is_some();
        self.hello.ping_interval =
            u32::try_from(self.ping_interval.as_millis()).unwrap_or(u32::MAX);
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
    /// What the Volt says when it refuses, a connection error when it does not answer, and a
    /// configuration error when services are to be hosted and the client has no identity for that.
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

/// Being online at a Volt. Dropping it ends the call, and the calls of hosted services with it.
///
/// It is a `Stream` of [events](Event); [`event`](Self::event) does the same. Pings and hosted calls
/// go on whether events are taken or not.
#[derive(Debug)]
pub struct Presence {
    acknowledge: ConnectAcknowledge,
    events: mpsc::Receiver<Event>,
    goodbye: mpsc::Sender<()>,
    task: Option<JoinHandle<Result<()>>>,
    /// How the call ended, once it has.
    end: Option<Result<()>>,
}

impl Presence {
    /// What the Volt answered first: the id of the connection, its time and its ping interval.
    /// [`Event::Resumed`] has what it answered later.
    pub fn acknowledge(&self) -> &ConnectAcknowledge {
        &self.acknowledge
    }

    /// Reads the next [`Event`]. Named after what it returns: the messages of the `Connect` call itself
    /// are handled here. Returns `None` after either side said goodbye.
    ///
    /// # Errors
    ///
    /// When the Volt refused, or the connection was lost for good or, without
    /// [`resume`](PresenceBuilder::resume), at all: it may have closed, or no ping came back in time. The error
    /// stays.
    ///
    /// # Cancel safety
    ///
    /// No event is lost when the future is dropped.
    pub async fn event(&mut self) -> Result<Option<Event>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
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

    /// Says goodbye and waits until the Volt has heard it. Calls of hosted services may end before, for
    /// up to 5 seconds, if their callers have said all that they had to say; the others are dropped.
    ///
    /// # Errors
    ///
    /// When the call had failed already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call as dropping the presence does: the Volt may not have heard the
    /// goodbye, and notices that the client is gone all the same.
    pub async fn close(mut self) -> Result<()> {
        // An error means that the call has ended by itself.
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
