//! What a change does, before it is known which way the data in question flows.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    report::{Clients, Effect, Surface, Verdict},
    usage::Use,
};

/// Whom a change troubles.
#[derive(Clone, Copy)]
enum Whom {
    Clients(Clients),
    /// A new reader of what the old version wrote.
    OldData,
    /// An old reader of what the new version wrote.
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

    /// Nothing, but there is something to say.
    pub(super) fn note(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Fine, why)
    }

    pub(super) fn risky(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Risky, why)
    }

    pub(super) fn breaking(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Breaking, why)
    }

    /// Only for clients of the old version.
    pub(super) fn for_old_clients(self) -> Self {
        Self { whom: Whom::Clients(Clients::Old), ..self }
    }

    /// Only for clients of the new version.
    pub(super) fn for_new_clients(self) -> Self {
        Self { whom: Whom::Clients(Clients::New), ..self }
    }

    /// Only where the new version reads what the old one wrote.
    pub(super) fn in_old_data(self) -> Self {
        Self { whom: Whom::OldData, ..self }
    }

    /// Only where the old version reads what the new one wrote.
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

/// What a change does to all readers.
pub(super) struct Effects {
    pub(super) wire: Trouble,
    pub(super) json: Trouble,
    pub(super) source: Trouble,
}

impl Effects {
    /// Nothing to anybody.
    pub(super) fn none() -> Self {
        Self::source(Trouble::none())
    }

    /// Something to Rust code only.
    pub(super) fn source(source: Trouble) -> Self {
        Self::alike(Trouble::none(), source)
    }

    /// The same to both forms of the data.
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
