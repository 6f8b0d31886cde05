//! Interceptors and spans of calls, on both ends.

mod client;
mod ends;
mod server;
mod spans;

use tokio::sync::mpsc;
use volt_runtime::{
    Channel, Code,
    intercept::{After, Outcome, OutgoingCall},
    server::{Context, Router},
};
use volt_test_support::soon;

use crate::support::NotesClient;

/// The outcomes that interceptors have seen, with the last part of the method's name.
pub(crate) struct Ends(mpsc::UnboundedReceiver<(&'static str, Outcome)>);

/// The sending end of the same.
#[derive(Clone)]
pub(crate) struct Report(mpsc::UnboundedSender<(&'static str, Outcome)>);

impl Ends {
    pub(crate) fn new() -> (Report, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Report(sender), Self(receiver))
    }

    /// Waits for the next outcome of this method.
    pub(crate) async fn next(&mut self, method: &str) -> Outcome {
        let (ended, outcome) = soon(self.0.recv()).await.expect("an outcome");
        assert_eq!(ended, method, "{outcome:?}");
        outcome
    }

    /// Waits for the next outcome of this method, whose code must be this one.
    pub(crate) async fn code(&mut self, method: &str, code: Code) -> Outcome {
        let outcome = self.next(method).await;
        assert_eq!(outcome.code(), code, "{method}: {outcome:?}");
        outcome
    }

    /// Waits until every reporter is dropped. There must be no further outcome.
    pub(crate) async fn none(mut self) {
        let further = soon(self.0.recv()).await;
        assert!(further.is_none(), "{further:?}");
    }
}

impl Report {
    fn after(&self, path: &'static str) -> After {
        let (sender, method) = (self.0.clone(), path.rsplit('/').next().unwrap());
        After::new(move |outcome| sender.send((method, outcome.clone())).unwrap())
    }

    /// Reports the calls of a channel.
    pub(crate) fn client(self, channel: Channel) -> Channel {
        channel.intercept(move |call: &mut OutgoingCall| Ok(self.after(call.method.path)))
    }

    /// Reports the calls of a server.
    pub(crate) fn server(self, router: Router) -> Router {
        router.intercept(move |context: &Context| Ok(self.after(context.method().path)))
    }
}

/// A client whose calls are reported.
pub(crate) fn watched(client: NotesClient) -> (NotesClient, Ends) {
    let (report, ends) = Ends::new();
    (NotesClient(report.client(client.0)), ends)
}

/// Checks the numbers of messages that were sent and received.
#[track_caller]
fn carried(outcome: &Outcome, sent: u64, received: u64) {
    let messages = (outcome.sent.messages, outcome.received.messages);
    assert_eq!(messages, (sent, received), "{outcome:?}");
}
