//! The result of a comparison.

use std::{cmp::Reverse, collections::BTreeMap};

use super::kind::Kind;

/// A surface that a change can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Surface {
    /// Binary protobuf between peers of the two versions.
    Wire,
    /// JSON between peers of the two versions, which depends on names.
    Json,
    /// Rust code that uses the generated code.
    Source,
}

impl Surface {
    /// All surfaces, in the order in which they are printed.
    pub const ALL: [Self; 3] = [Self::Wire, Self::Json, Self::Source];

    /// The name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Json => "json",
            Self::Source => "source",
        }
    }
}

/// The severity of a change for a surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything that worked still works.
    #[default]
    Fine,
    /// Data may be lost or look different, depending on the values or on how code is written.
    Risky,
    /// Something that worked now fails, or has another meaning.
    Breaking,
}

impl Verdict {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Risky => "risky",
            Self::Breaking => "breaking",
        }
    }
}

/// The clients that a change affects, if a client and a Volt have different versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clients {
    /// Clients of the old version with a new Volt, and clients of the new version with an old Volt.
    #[default]
    Both,
    /// Clients of the old version, with a new Volt.
    Old,
    /// Clients of the new version, with an old Volt.
    New,
}

impl Clients {
    /// The name in reports; empty for both.
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "",
            Self::Old => "old clients",
            Self::New => "new clients",
        }
    }

    /// Returns whether these clients include those.
    pub fn include(self, clients: Self) -> bool {
        self == Self::Both || self == clients
    }
}

/// The verdict on a change for one surface, with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effect {
    /// The severity.
    pub verdict: Verdict,
    /// The affected clients. Meaningless for [`Surface::Source`].
    pub clients: Clients,
    /// The reason, in a few words; may be empty if there is no effect.
    pub why: String,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The full name of the element: the old one, if it had one.
    pub element: String,
    /// The file of the element in the new version, otherwise in the old one.
    pub file: String,
    /// The kind of the change.
    pub kind: Kind,
    /// A description of the change.
    pub what: String,
    /// The effect on each surface.
    pub effects: BTreeMap<Surface, Effect>,
}

impl Change {
    /// Returns the verdict for a surface.
    pub fn verdict(&self, surface: Surface) -> Verdict {
        self.effects.get(&surface).map(|effect| effect.verdict).unwrap_or_default()
    }

    /// Returns the worst verdict of all surfaces.
    pub fn worst(&self) -> Verdict {
        self.effects.values().map(|effect| effect.verdict).max().unwrap_or_default()
    }
}

/// The numbers of elements of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// Elements in the old version.
    pub old: usize,
    /// Elements in the new version.
    pub new: usize,
    /// Elements only in the old version.
    pub removed: usize,
    /// Elements only in the new version.
    pub added: usize,
}

/// All changes between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The changes, worst first, then by file and element.
    pub changes: Vec<Change>,
    /// The counts of each kind of element, by full names.
    pub counts: BTreeMap<&'static str, Count>,
    /// The new full names of elements that were moved or renamed, by the old ones.
    pub renames: BTreeMap<String, String>,
    /// The new full names of messages, enums and methods that were perhaps renamed, by the old ones. They are removed
    /// and added in the changes, until they are [declared](crate::Options::former_name).
    pub proposals: BTreeMap<String, String>,
}

impl Report {
    /// Returns the number of changes that break a surface.
    pub fn breaking(&self, surface: Surface) -> usize {
        self.changes.iter().filter(|change| change.verdict(surface) == Verdict::Breaking).count()
    }

    /// Returns the number of changes that break a surface for clients of one version with Volts of
    /// the other.
    pub fn breaking_for(&self, surface: Surface, clients: Clients) -> usize {
        let breaks = |change: &&Change| {
            change.effects.get(&surface).is_some_and(|effect| {
                effect.verdict == Verdict::Breaking && effect.clients.include(clients)
            })
        };
        self.changes.iter().filter(breaks).count()
    }
}

/// Sorts the worst changes to the start.
pub(super) fn sort(changes: &mut [Change]) {
    let broken = |change: &Change| {
        change.effects.values().filter(|effect| effect.verdict == Verdict::Breaking).count()
    };
    changes.sort_by(|a, b| {
        let order = |change: &Change| Reverse((change.worst(), broken(change)));
        (order(a), &a.file, &a.element, &a.what).cmp(&(order(b), &b.file, &b.element, &b.what))
    });
}
