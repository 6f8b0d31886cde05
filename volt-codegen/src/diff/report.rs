//! The outcome of a comparison.

use std::collections::BTreeMap;

/// Where a change can break something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Surface {
    /// Binary protobuf between peers of the two versions.
    Wire,
    /// JSON between peers of the two versions, where names count.
    Json,
    /// Rust code that uses the generated code.
    Source,
}

impl Surface {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Wire, Self::Json, Self::Source];

    /// As it is shown and typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Json => "json",
            Self::Source => "source",
        }
    }
}

/// How badly a change breaks a surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Whatever worked goes on working.
    #[default]
    Fine,
    /// Something may be lost or look different; it depends on the values, or on how code is written.
    Risky,
    /// What worked does not work any more, or means something else.
    Breaking,
}

impl Verdict {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Risky => "risky",
            Self::Breaking => "breaking",
        }
    }
}

/// Which clients a change troubles, where a client and a Volt are of different versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clients {
    /// Those of the old version with a new Volt, and those of the new version with an old Volt.
    #[default]
    Both,
    /// Those of the old version, with a new Volt.
    Old,
    /// Those of the new version, with an old Volt.
    New,
}

impl Clients {
    /// As it is shown; nothing for both.
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "",
            Self::Old => "old clients",
            Self::New => "new clients",
        }
    }

    /// Whether these clients are among those.
    pub fn include(self, clients: Self) -> bool {
        self == Self::Both || self == clients
    }
}

/// The verdict on a change for one surface, with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effect {
    /// How much it troubles.
    pub verdict: Verdict,
    /// Which clients that is about. Of no matter for [`Surface::Source`].
    pub clients: Clients,
    /// Why, in a few words; may be empty for what is fine.
    pub why: String,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The full name of the element: its old one, if it had one.
    pub element: String,
    /// The file that it is in now, or was.
    pub file: String,
    /// What happened to it.
    pub what: String,
    /// The effect on each surface.
    pub effects: BTreeMap<Surface, Effect>,
}

impl Change {
    /// The verdict for a surface.
    pub fn verdict(&self, surface: Surface) -> Verdict {
        self.effects.get(&surface).map(|effect| effect.verdict).unwrap_or_default()
    }

    /// The worst that it means to anybody.
    pub fn worst(&self) -> Verdict {
        self.effects.values().map(|effect| effect.verdict).max().unwrap_or_default()
    }
}

/// How many of a kind of element there were, are, went and came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// In the old version.
    pub old: usize,
    /// In the new one.
    pub new: usize,
    /// In the old one only.
    pub removed: usize,
    /// In the new one only.
    pub added: usize,
}

/// Everything that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The changes: the worst first, then by file and element.
    pub changes: Vec<Change>,
    /// How many there are of each kind of element, by full names.
    pub counts: BTreeMap<&'static str, Count>,
}

impl Report {
    /// The number of changes that break a surface.
    pub fn breaking(&self, surface: Surface) -> usize {
        self.changes.iter().filter(|change| change.verdict(surface) == Verdict::Breaking).count()
    }

    /// How many changes break something for a surface that is, or serves, clients of one version with
    /// Volts of the other.
    pub fn breaking_for(&self, surface: Surface, clients: Clients) -> usize {
        let breaks = |change: &&Change| {
            change.effects.get(&surface).is_some_and(|effect| {
                effect.verdict == Verdict::Breaking && effect.clients.include(clients)
            })
        };
        self.changes.iter().filter(breaks).count()
    }
}
