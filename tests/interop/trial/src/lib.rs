//! Fault-injection trials: a client on a Volt that breaks the protocol. They are the same for every
//! client, so that `cargo xtask hostile` can compare them.
//!
//! ```sh
//! PROGRAM CONFIG TRIAL SECONDS
//! ```
//!
//! A program connects, runs the trial, and makes one more call with the same client, which the Volt
//! answers correctly. It prints the outcome as `result: {…}`.

mod memory;
mod panics;

use std::{
    env, fs,
    future::Future,
    process,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{error::Elapsed, timeout},
};

/// A result whose error is a text.
pub type Result<T, E = String> = std::result::Result<T, E>;

/// The id in requests and in correct answers.
pub const ANSWER: &str = "did:volt:answer";
/// The id in requests that the Volt never answers.
pub const NEVER: &str = "did:volt:never";
/// The number of messages on the stream that the client does not read.
pub const UNREAD: usize = 1000;
/// The number of calls that are cancelled, or answered, one after the other.
pub const MANY: u64 = 1000;
/// The time after which a call is cancelled.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(10);
/// The time for which the client does not read.
const UNREAD_FOR: Duration = Duration::from_secs(8);
/// The time limit of the second call.
const SOON: Duration = Duration::from_secs(15);

/// The operations of a client.
pub trait Client: Sized + Send + 'static {
    /// Connects with the text of a configuration.
    fn connect(config: &str) -> impl Future<Output = Result<Self>> + Send;

    /// Calls `VoltAPI/GetResource` with an id. Returns the id in the answer, or `None` without one.
    fn get(&mut self, id: &'static str) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Calls `FileAPI/DownloadFile`, waits for `span` before it reads, if the client can, and returns the
    /// number of messages.
    fn unread(&mut self, span: Duration) -> impl Future<Output = Result<usize>> + Send;
}

/// Runs the trial of the command line, prints the outcome, and ends the process.
pub async fn main<C: Client>() {
    finish(run::<C>().await)
}

/// Prints a result in the form that `cargo xtask` reads, and ends the process. Some clients cannot
/// be closed; their tasks end with the process.
pub fn finish(result: Result<Value>) -> ! {
    match result {
        Ok(result) => {
            println!("result: {result}");
            process::exit(0);
        }
        Err(error) => {
            eprintln!("{error}");
            process::exit(1);
        }
    }
}

async fn run<C: Client>() -> Result<Value> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [path, trial, seconds] = &arguments[..] else {
        return Err("usage: PROGRAM CONFIG TRIAL SECONDS".to_owned());
    };
    let config = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let seconds = seconds.parse().map_err(|error| format!("{seconds}: {error}"))?;
    let patience = Duration::from_secs(seconds);
    panics::note();
    let before = memory::peak()?;

    let connecting = Instant::now();
    let connected = limited(patience, async move { C::connect(&config).await }).await;
    let (first, second) = match connected {
        Ended::Answer(client) => {
            let client = Arc::new(Mutex::new(client));
            let first = tried(&client, trial, patience).await?;
            let second = judged(SOON, get(&client, ANSWER), |id| right(id.as_deref())).await;
            (first, second)
        }
        // Without a connection the first call fails.
        other => {
            let first = other.map(|_| json!(null)).outcome(connecting);
            (first, json!({ "is": "unconnected" }))
        }
    };
    Ok(json!({
        "first": first,
        "second": second,
        "panic": panics::first(),
        "memory": memory::peak()?.saturating_sub(before),
    }))
}

/// Runs a trial.
async fn tried<C: Client>(
    client: &Arc<Mutex<C>>,
    trial: &str,
    patience: Duration,
) -> Result<Value> {
    match trial {
        "call" => Ok(judged(patience, get(client, ANSWER), |id| right(id.as_deref())).await),
        "unread" => {
            let client = Arc::clone(client);
            let call = async move { client.lock().await.unread(UNREAD_FOR).await };
            let all =
                |count| if count == UNREAD { Ok(()) } else { Err(format!("{count} of them")) };
            Ok(judged(patience + UNREAD_FOR, call, all).await)
        }
        "given-up" => {
            let started = Instant::now();
            for _ in 0..MANY {
                if let Ok(answer) = timeout(GIVEN_UP_AFTER, get(client, NEVER)).await {
                    return Ok(json!({ "is": "error", "what": format!("{answer:?}") }));
                }
            }
            Ok(json!({ "is": "done", "ms": ms(started) }))
        }
        "answered" => {
            let client = Arc::clone(client);
            let calls = async move {
                for _ in 0..MANY {
                    right(get(&client, ANSWER).await?.as_deref())?;
                }
                Ok(())
            };
            Ok(judged(patience, calls, Ok).await)
        }
        other => Err(format!("no trial is called {other:?}")),
    }
}

fn get<C: Client>(
    client: &Arc<Mutex<C>>,
    id: &'static str,
) -> impl Future<Output = Result<Option<String>>> + Send + use<C> {
    let client = Arc::clone(client);
    async move { client.lock().await.get(id).await }
}

/// Checks the id in an answer.
fn right(id: Option<&str>) -> Result<()> {
    match id {
        Some(ANSWER) => Ok(()),
        Some(id) => Err(id.to_owned()),
        None => Err("nothing".to_owned()),
    }
}

/// The outcome of an operation.
enum Ended<T> {
    Answer(T),
    Error(String),
    Panic,
    Hang,
}

impl<T> Ended<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Ended<U> {
        match self {
            Self::Answer(answer) => Ended::Answer(change(answer)),
            Self::Error(error) => Ended::Error(error),
            Self::Panic => Ended::Panic,
            Self::Hang => Ended::Hang,
        }
    }
}

impl Ended<Value> {
    /// The outcome for the report.
    fn outcome(self, started: Instant) -> Value {
        match self {
            Self::Answer(Value::Null) => json!({ "is": "answered", "ms": ms(started) }),
            Self::Answer(wrong) => json!({ "is": "wrong", "what": wrong, "ms": ms(started) }),
            Self::Error(error) => json!({ "is": "error", "what": error, "ms": ms(started) }),
            Self::Panic => json!({ "is": "panic", "ms": ms(started) }),
            Self::Hang => json!({ "is": "hang", "ms": ms(started) }),
        }
    }
}

fn ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Runs a call with a time limit and checks its answer.
async fn judged<T: Send + 'static>(
    limit: Duration,
    call: impl Future<Output = Result<T>> + Send + 'static,
    right: impl FnOnce(T) -> Result<()>,
) -> Value {
    let started = Instant::now();
    let ended = limited(limit, call).await;
    ended.map(|answer| right(answer).err().map_or(Value::Null, Value::from)).outcome(started)
}

/// Runs a future as a task, which may panic, with a time limit.
async fn limited<T: Send + 'static>(
    limit: Duration,
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> Ended<T> {
    let mut task = tokio::spawn(call);
    match timeout(limit, &mut task).await {
        Ok(Ok(Ok(answer))) => Ended::Answer(answer),
        Ok(Ok(Err(error))) => Ended::Error(error),
        Ok(Err(_)) => Ended::Panic,
        Err(Elapsed { .. }) => {
            task.abort();
            Ended::Hang
        }
    }
}
