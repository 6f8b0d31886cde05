//! What is tried with a client on a Volt that misbehaves, and how the client is judged: the same for
//! every client, so that `cargo xtask hostile` can compare them.
//!
//! ```sh
//! PROGRAM CONFIG TRIAL SECONDS
//! ```
//!
//! A program connects, does what the trial says, and then makes one more call with the same client,
//! which the Volt answers as it should. It prints what came of it as `result: {…}`.

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

/// Whatever goes wrong, in words.
pub type Result<T, E = String> = std::result::Result<T, E>;

/// The id that is asked for, and that a Volt answers with when it does not misbehave.
pub const ANSWER: &str = "did:volt:answer";
/// The id of which a Volt says nothing.
pub const NEVER: &str = "did:volt:never";
/// How many messages the Volt sends on the stream that nobody reads.
pub const UNREAD: usize = 1000;
/// How many calls are given up, or answered, one after the other.
pub const MANY: u64 = 1000;
/// After which a call is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(10);
/// For how long nobody reads.
const UNREAD_FOR: Duration = Duration::from_secs(8);
/// How long connecting, and the call that comes last, may take.
const SOON: Duration = Duration::from_secs(15);

/// What a client can do.
pub trait Client: Sized + Send + 'static {
    /// Connects with a configuration, given as its text.
    fn connect(config: &str) -> impl Future<Output = Result<Self>> + Send;

    /// Calls `VoltAPI/GetResource` for this id, and gives the id in the answer; `None` if there is none.
    fn get(&mut self, id: &'static str) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Calls `FileAPI/DownloadFile`, reads nothing for so long if there is a way to do that, then all
    /// there is. Gives the number of messages.
    fn unread(&mut self, span: Duration) -> impl Future<Output = Result<usize>> + Send;
}

/// Runs the trial that the command line names, prints its result, and ends the process.
pub async fn main<C: Client>() {
    finish(run::<C>().await)
}

/// Prints a result as `cargo xtask` reads it, and ends the process. Not every client can be closed:
/// what it keeps running goes with it.
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
        // The call that a program would have made fails with it.
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

/// Does what the trial says.
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

/// Whether that is the answer.
fn right(id: Option<&str>) -> Result<()> {
    match id {
        Some(ANSWER) => Ok(()),
        Some(id) => Err(id.to_owned()),
        None => Err("nothing".to_owned()),
    }
}

/// How something ended.
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
    /// What is printed of it.
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

/// How a call ends within a limit, and whether its answer is the right one.
async fn judged<T: Send + 'static>(
    limit: Duration,
    call: impl Future<Output = Result<T>> + Send + 'static,
    right: impl FnOnce(T) -> Result<()>,
) -> Value {
    let started = Instant::now();
    let ended = limited(limit, call).await;
    ended.map(|answer| right(answer).err().map_or(Value::Null, Value::from)).outcome(started)
}

/// Runs it as a task, which may panic, and ends it when it takes too long.
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
