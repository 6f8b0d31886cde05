//! The effects of a change, before the direction in which the data flows is known.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    report::{Clients, Effect, Surface, Verdict},
    usage::Use,
};

/// The peers that a change affects.
#[derive(Clone, Copy)]
enum Whom {
    Clients(Clients),
    /// New readers of data that the old version wrote.
    OldData,
    /// Old readers of data that the new version wrote.
    NewData,
}

/// The effect of a change on one surface.
#[derive(Clone)]
pub(super) struct Trouble {
    verdict: Verdict,
    why: Cow<'static, str>,
    whom: Whom,
}

impl Trouble {
    fn new(verdict: Verdict, why: impl Into<Cow<'static, str>>) -> Self {
        Self { verdict, why: why.into(), whom: Whom::Clients(Clients::Both) }
    }

    pub(super) fn none() -> Self {
        Self::note("")
    }

    /// No effect, but with a remark.
    pub(super) fn note(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Fine, why)
    }

    pub(super) fn risky(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Risky, why)
    }

    pub(super) fn breaking(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Breaking, why)
    }

    /// Only affects clients of the old version.
    pub(super) fn for_old_clients(self) -> Self {
        Self { whom: Whom::Clients(Clients::Old), ..self }
    }

    /// Only affects clients of the new version.
    pub(super) fn for_new_clients(self) -> Self {
        Self { whom: Whom::Clients(Clients::New), ..self }
    }

    /// Only affects the new version reading data that the old one wrote.
    pub(super) fn in_old_data(self) -> Self {
        Self { whom: Whom::OldData, ..self }
    }

    /// Only affects the old version reading data that the new one wrote.
    pub(super) fn in_new_data(self) -> Self {
        Self { whom: Whom::NewData, ..self }
    }

    fn effect(self, used: Use) -> Effect {
        let clients = match (self.whom, used.requests, used.responses) {
            (Whom::Clients(clients), ..) => clients,
            // Clients write requests and read responses.
            (Whom::OldData, true, false) | (Whom::NewData, false, true) => Clients::Old,
            (Whom::OldData, false, true) | (Whom::NewData, true, false) => Clients::New,
            _ => Clients::Both,
        };
        Effect { verdict: self.verdict, clients, why: self.why.into_owned() }
    }
}

/// The effects of a change on all readers.
pub(super) struct Effects {
    pub(super) wire: Trouble,
    pub(super) json: Trouble,
    pub(super) source: Trouble,
}

impl Effects {
    /// No effects.
    pub(super) fn none() -> Self {
        Self::source(Trouble::none())
    }

    /// Affects Rust code only.
    pub(super) fn source(source: Trouble) -> Self {
        Self::alike(Trouble::none(), source)
    }

    /// Affects both forms of the data alike.
    pub(super) fn alike(data: Trouble, source: Trouble) -> Self {
        Self { wire: data.clone(), json: data, source }
    }

    pub(super) fn resolve(self, used: Use) -> BTreeMap<Surface, Effect> {
        BTreeMap::from([
            (Surface::Wire, self.wire.effect(used)),
            (Surface::Json, self.json.effect(used)),
            (Surface::Source, self.source.effect(used)),
        ])
    }
}
