//! The outcome of a trial.

use std::fmt;

use serde::Deserialize;

/// The outcome of a trial.
pub(super) enum Outcome {
    /// The client's process finished and reported both calls.
    Seen(Seen),
    /// The client's process failed.
    Died(String),
}

/// The report of a client's process.
#[derive(Deserialize)]
pub(super) struct Seen {
    /// The call that the Volt applied the input to.
    first: Call,
    /// The next call of the same client.
    second: Call,
    /// The location of the first panic in any task.
    panic: Option<String>,
    /// The growth of the peak resident memory, in KiB.
    memory: u64,
}

/// The outcome of a call.
#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
enum Call {
    /// The call returned the right answer.
    Answered {
        ms: u64,
    },
    /// Cancelled by the caller, as intended.
    Done {
        ms: u64,
    },
    /// The call returned an answer that the Volt never sent.
    Wrong {
        what: String,
        ms: u64,
    },
    Error {
        what: String,
        ms: u64,
    },
    /// The calling task panicked.
    Panic {
        ms: u64,
    },
    /// The call did not end within the time limit.
    Hang {
        ms: u64,
    },
    /// The client had not connected.
    Unconnected,
}

impl Outcome {
    pub(super) fn from_result(result: anyhow::Result<Seen>) -> Self {
        result.map_or_else(|error| Self::Died(format!("{error:#}")), Self::Seen)
    }

    /// Returns whether the client handled the input. With `waits`, the first call may wait
    /// indefinitely.
    pub(super) fn is_well(&self, waits: bool) -> bool {
        let Self::Seen(Seen { first, second, panic: None, .. }) = self else { return false };
        let first = match first {
            Call::Answered { .. } | Call::Done { .. } | Call::Error { .. } => true,
            Call::Hang { .. } => waits,
            Call::Wrong { .. } | Call::Panic { .. } | Call::Unconnected => false,
        };
        first && matches!(second, Call::Answered { .. } | Call::Unconnected)
    }

    /// The outcome of the first call, for the table.
    pub(super) fn first(&self) -> String {
        match self {
            Self::Died(error) => format!("**the process fails**: {}", short(error)),
            Self::Seen(Seen { first, panic: None, .. }) => first.to_string(),
            Self::Seen(Seen { first, panic: Some(place), .. }) => {
                format!("**panics** at {place}; {first}")
            }
        }
    }

    /// The outcome of the second call, for the table.
    pub(super) fn second(&self) -> String {
        match self {
            Self::Seen(Seen { second: Call::Answered { .. }, .. }) => "works".to_owned(),
            Self::Died(_) | Self::Seen(Seen { second: Call::Unconnected, .. }) => "–".to_owned(),
            Self::Seen(Seen { second, .. }) => second.to_string(),
        }
    }

    /// The memory growth in MiB, for the table.
    pub(super) fn memory(&self) -> String {
        match self {
            Self::Died(_) => "–".to_owned(),
            Self::Seen(Seen { memory, .. }) => {
                let tenths = memory * 10 / 1024;
                format!("{}.{}", tenths / 10, tenths % 10)
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; then: {}; {} MiB", self.first(), self.second(), self.memory())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { ms } => write!(f, "answered {}", Time(*ms)),
            Self::Done { ms } => write!(f, "done {}", Time(*ms)),
            Self::Wrong { what, ms } => {
                write!(f, "**takes {} for the answer** {}", short(what), Time(*ms))
            }
            Self::Error { what, ms } => write!(f, "error {}: {}", Time(*ms), short(what)),
            Self::Panic { ms } => write!(f, "**panics** {}", Time(*ms)),
            Self::Hang { ms } => write!(f, "**no end** {}", Time(*ms)),
            Self::Unconnected => f.write_str("no connection"),
        }
    }
}

/// A duration in milliseconds. Durations below two seconds are not significant, because several
/// trials run concurrently.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1000 {
            0..2 => f.write_str("at once"),
            seconds => write!(f, "after {seconds} s"),
        }
    }
}

/// The first line of a text, shortened to fit a table cell.
fn short(text: &str) -> String {
    const LONGEST: usize = 100;
    let line = text.lines().next().unwrap_or_default().replace('|', "\\|");
    // This SDK's errors start with the method.
    let line = match line.split_once(": ") {
        Some((method, rest)) if method.starts_with('/') => rest.to_owned(),
        _ => line,
    };
    if line.chars().count() <= LONGEST {
        return line;
    }
    let beginning: String = line.chars().take(LONGEST).collect();
    format!("{beginning}…")
}
