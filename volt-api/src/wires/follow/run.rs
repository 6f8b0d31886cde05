//! Produces the events of a follower.
//!
//! Messages of a subscription carry no id. If the wire persists, they are therefore only a signal:
//! the rows after the last id are what is delivered. Nothing confirms a subscription, so a message
//! that is published while it begins may cause no signal; the rows are then also read without one, soon
//! after each beginning and each signal, and after that at long intervals.

use std::{collections::VecDeque, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until};
use volt_runtime::{
    Backoff, Channel, Code, Error, Overflow, Reconnect, Result, Subscription, Update,
};

use super::{
    event::{Start, WireEvent, WireMessage},
    table::Table,
};
use crate::{
    operation::Settings,
    resources::lookup,
    volt::{
        SubscribeWireRequest, SubscribeWireResponse, VoltApiClient, WireApiClient,
        subscribe_wire_response::Payload,
    },
};

/// The delays after which rows are read without a signal. The last one repeats.
const CHECKS: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(30),
];
/// The number of bytes of unread signals after which a subscription is dropped and opened again.
const SIGNALS: usize = 1 << 20;
/// The longest delay between two lookups of a wire that does not exist yet.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The state of a follower.
pub(super) struct Run {
    client: WireApiClient,
    settings: Settings,
    wire: String,
    start: Start,
    /// Set if the wire did not exist at first.
    waited: bool,
    backoff: Backoff,
    phase: Phase,
}

enum Phase {
    /// The wire has not been found yet.
    Absent,
    /// The messages of a wire that does not persist.
    Live(Box<Live>),
    /// The rows of a wire that persists.
    Stored(Box<Stored>),
}

#[derive(Default)]
struct Live {
    subscription: Option<Subscription<SubscribeWireResponse>>,
    /// Set if [`WireEvent::CaughtUp`] was reported.
    announced: bool,
}

struct Stored {
    table: Table,
    subscription: Option<Subscription<SubscribeWireResponse>>,
    /// Messages that were read and not delivered yet.
    messages: VecDeque<WireMessage>,
    /// The id of the last message that was read; `None` until the start is known.
    last: Option<i64>,
    /// Set if the rows have to be read now.
    due: bool,
    /// The next of the [checks](CHECKS), and when it is due.
    check: usize,
    check_at: Instant,
    /// Set if [`WireEvent::CaughtUp`] was reported since the subscription began.
    announced: bool,
}

impl Run {
    pub(super) fn new(
        client: WireApiClient,
        settings: Settings,
        wire: String,
        start: Start,
    ) -> Result<Self> {
        if wire.trim_start_matches('@').is_empty() {
            return Err(Error::configuration("the wire to follow has no name"));
        }
        let backoff = backoff();
        Ok(Self { client, settings, wire, start, waited: false, backoff, phase: Phase::Absent })
    }

    /// Looks the wire up and fixes the place where the messages begin.
    pub(super) async fn begin(&mut self) -> Result<()> {
        self.find().await?;
        match &mut self.phase {
            Phase::Absent => {}
            Phase::Live(live) => {
                live.subscription =
                    Some(subscribe(&self.client, &self.settings, &self.wire).await?);
            }
            Phase::Stored(stored) => stored.find_start(&self.settings).await?,
        }
        Ok(())
    }

    /// Returns the next event. It can be called again after a temporary error.
    pub(super) async fn next(&mut self) -> Result<Option<WireEvent>> {
        loop {
            let outcome = match &mut self.phase {
                Phase::Absent => self.find_later().await.map(|()| Step::Again),
                Phase::Live(_) => self.live().await,
                Phase::Stored(_) => self.stored().await,
            };
            match outcome {
                Ok(Step::Event(event)) => {
                    self.backoff.reset();
                    return Ok(Some(event));
                }
                Ok(Step::Again) => {}
                Ok(Step::Later) => self.wait().await?,
                Ok(Step::End) => return Ok(None),
                Err(error) if self.may_pass(&error) => self.wait().await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn find_later(&mut self) -> Result<()> {
        self.wait().await?;
        self.find().await
    }

    /// Looks the wire up once, and finds out whether it persists.
    async fn find(&mut self) -> Result<()> {
        let channel: Channel = AsRef::<Channel>::as_ref(&self.client).clone();
        let volt = VoltApiClient::new(channel.clone());
        let Some(wire) = lookup(&self.settings, &volt, &self.wire).await? else {
            self.waited = true;
            return Ok(());
        };
        self.phase = match (Table::of(channel, &wire), self.start) {
            (Some(table), start) => Phase::Stored(Box::new(Stored {
                table,
                subscription: None,
                messages: VecDeque::new(),
                last: match start {
                    Start::After(id) => Some(id),
                    // Everything on a new wire was published after the start.
                    Start::Now if self.waited => Some(i64::MIN),
                    Start::Now => None,
                },
                due: true,
                check: 0,
                check_at: Instant::now(),
                announced: false,
            })),
            (None, Start::Now) => Phase::Live(Box::default()),
            (None, Start::After(_)) => {
                return Err(Error::configuration(format!(
                    "`{}` has no history, because it does not persist: follow it without \
                     `from_start` and `after`",
                    self.wire
                )));
            }
        };
        Ok(())
    }

    async fn live(&mut self) -> Result<Step> {
        let Phase::Live(live) = &mut self.phase else { return Ok(Step::Again) };
        let announced = live.announced;
        let Some(open) = live.subscription.as_mut().filter(|_| announced) else {
            if live.subscription.is_none() {
                let open = subscribe(&self.client, &self.settings, &self.wire).await?;
                live.subscription = Some(open);
            }
            let event = if announced { WireEvent::Gap } else { WireEvent::CaughtUp };
            live.announced = true;
            return Ok(Step::Event(event));
        };
        match open.update().await {
            Ok(Some(Update::Message(response))) => Ok(match response.payload {
                Some(Payload::Chunk(payload)) => Step::Event(WireEvent::Message(WireMessage {
                    id: None,
                    publisher: None,
                    time: None,
                    payload,
                })),
                _ => Step::Again,
            }),
            Ok(Some(_)) => Ok(Step::Event(WireEvent::Gap)),
            Ok(None) => Ok(Step::End),
            Err(error) => {
                live.subscription = None;
                lost(error)
            }
        }
    }

    async fn stored(&mut self) -> Result<Step> {
        let Phase::Stored(stored) = &mut self.phase else { return Ok(Step::Again) };
        if let Some(message) = stored.messages.pop_front() {
            return Ok(Step::Event(WireEvent::Message(message)));
        }
        stored.find_start(&self.settings).await?;
        if stored.subscription.is_none() {
            // Signals that are not read must not delay other calls. Losing signals is harmless.
            let call = self.settings.apply(self.client.subscribe_wire());
            let call = call.receive_buffer(SIGNALS, Overflow::Fail);
            let request = SubscribeWireRequest::default().with_wire_id(&self.wire);
            stored.subscription = Some(call.subscribe(request).await?);
            stored.start_checks();
        }
        if stored.due {
            let read = stored.table.read(&self.settings, stored.last.unwrap_or(i64::MIN)).await;
            let (messages, more) = read?;
            stored.due = more;
            if let Some(message) = messages.last() {
                stored.last = message.id;
            }
            stored.messages.extend(messages);
            if stored.messages.is_empty()
                && let Some(last) = stored.last
                && let Some(highest) = stored.table.last(&self.settings).await?
                && highest < last
            {
                // Rows were deleted, and newer ones have ids that were delivered before.
                stored.last = Some(highest);
                return Ok(Step::Event(WireEvent::Gap));
            }
            if stored.messages.is_empty() && !stored.announced {
                stored.announced = true;
                return Ok(Step::Event(WireEvent::CaughtUp));
            }
            // A short page is the end of the history as well, but its messages come first.
            stored.due |= !stored.announced;
            return Ok(Step::Again);
        }
        let stored = &mut **stored;
        let Some(open) = &mut stored.subscription else { return Ok(Step::Again) };
        let mut update = tokio::select! {
            update = open.update() => Some(update),
            () = sleep_until(stored.check_at) => None,
        };
        if update.is_none() {
            stored.due = true;
            stored.check = (stored.check + 1).min(CHECKS.len() - 1);
            stored.check_at = Instant::now() + CHECKS[stored.check];
            return Ok(Step::Again);
        }
        // One reading of the rows is enough for all pending signals.
        while let Some(received) = update {
            match received {
                Ok(Some(Update::Message(_))) => {}
                Ok(Some(_)) => stored.announced = false,
                Ok(None) => return Ok(Step::End),
                Err(error) => {
                    stored.subscription = None;
                    stored.announced = false;
                    return lost(error);
                }
            }
            update = open.update().now_or_never();
        }
        stored.start_checks();
        Ok(Step::Again)
    }

    /// Returns whether to continue after an error.
    fn may_pass(&self, error: &Error) -> bool {
        let closed = AsRef::<Channel>::as_ref(&self.client).watch_state().current().is_closed();
        error.is_retryable() && !closed
    }

    async fn wait(&mut self) -> Result<()> {
        let delay = self.backoff.next_delay();
        self.settings.sleep(delay).await
    }
}

impl Stored {
    /// Finds the last message that is not delivered.
    async fn find_start(&mut self, settings: &Settings) -> Result<()> {
        if self.last.is_none() {
            self.last = Some(self.table.last(settings).await?.unwrap_or(i64::MIN));
        }
        Ok(())
    }

    /// Reads the rows now, and again in a moment.
    fn start_checks(&mut self) {
        self.due = true;
        self.check = 0;
        self.check_at = Instant::now() + CHECKS[0];
    }
}

/// The outcome of a step.
enum Step {
    Event(WireEvent),
    Again,
    /// Repeat the step after the backoff.
    Later,
    End,
}

/// The step after the end of a subscription. A subscription that was read too slowly is reopened.
fn lost(error: Error) -> Result<Step> {
    if error.code() == Code::ResourceExhausted { Ok(Step::Later) } else { Err(error) }
}

async fn subscribe(
    client: &WireApiClient,
    settings: &Settings,
    wire: &str,
) -> Result<Subscription<SubscribeWireResponse>> {
    let call = settings.apply(client.subscribe_wire());
    call.subscribe(SubscribeWireRequest::default().with_wire_id(wire)).await
}

fn backoff() -> Backoff {
    let mut policy = Reconnect::default();
    policy.longest_delay = LONGEST_WAIT;
    Backoff::new(policy)
}
