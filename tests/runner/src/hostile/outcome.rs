//! What came of a trial.

use std::fmt;

use serde::Deserialize;

/// What came of a trial.
pub(super) enum Outcome {
    /// It was seen through.
    Seen(Seen),
    /// The process did not get to the end.
    Died(String),
}

/// What the process of a trial says in the end.
#[derive(Deserialize)]
pub(super) struct Seen {
    /// The call to which the Volt did what the input says.
    first: Call,
    /// The next one, with the same client.
    second: Call,
    /// Where the first panic was, if there was one in any task.
    panic: Option<String>,
    /// By how much the most that was resident has grown, in KiB.
    memory: u64,
}

/// How a call ended.
#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
enum Call {
    /// With the right answer.
    Answered {
        ms: u64,
    },
    /// As the caller wanted it, who gave it up.
    Done {
        ms: u64,
    },
    /// With something that is no answer.
    Wrong {
        what: String,
        ms: u64,
    },
    Error {
        what: String,
        ms: u64,
    },
    /// By a panic in the task that made it.
    Panic {
        ms: u64,
    },
    /// Not at all.
    Hang {
        ms: u64,
    },
    /// There was no connection to make it on.
    Unconnected,
}

impl Outcome {
    pub(super) fn from_result(result: anyhow::Result<Seen>) -> Self {
        result.map_or_else(|error| Self::Died(format!("{error:#}")), Self::Seen)
    }

    /// Whether the client withstood the input; `waits` says that the call has every right to wait.
    pub(super) fn is_well(&self, waits: bool) -> bool {
        let Self::Seen(Seen { first, second, panic: None, .. }) = self else { return false };
        let first = match first {
            Call::Answered { .. } | Call::Done { .. } | Call::Error { .. } => true,
            Call::Hang { .. } => waits,
            Call::Wrong { .. } | Call::Panic { .. } | Call::Unconnected => false,
        };
        first && matches!(second, Call::Answered { .. } | Call::Unconnected)
    }

    /// How the call ended to which the Volt did something.
    pub(super) fn first(&self) -> String {
        match self {
            Self::Died(error) => format!("**the process fails**: {}", short(error)),
            Self::Seen(Seen { first, panic: None, .. }) => first.to_string(),
            Self::Seen(Seen { first, panic: Some(place), .. }) => {
                format!("**panics** at {place}; {first}")
            }
        }
    }

    /// Whether the client is of use afterwards.
    pub(super) fn second(&self) -> String {
        match self {
            Self::Seen(Seen { second: Call::Answered { .. }, .. }) => "works".to_owned(),
            Self::Died(_) | Self::Seen(Seen { second: Call::Unconnected, .. }) => "–".to_owned(),
            Self::Seen(Seen { second, .. }) => second.to_string(),
        }
    }

    /// How much more memory was needed, in MiB.
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

/// How long something took. Less than two seconds are not worth telling apart: several trials run at once.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1000 {
            0..2 => f.write_str("at once"),
            seconds => write!(f, "after {seconds} s"),
        }
    }
}

/// The beginning of a text, for a cell of a table.
fn short(text: &str) -> String {
    const LONGEST: usize = 100;
    let line = text.lines().next().unwrap_or_default().replace('|', "\\|");
    // This SDK's errors begin with the method.
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
