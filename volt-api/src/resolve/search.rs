//! One search: the servers to ask, and their order.
//!
//! Failed attempts are collected and reported together, because each may be the one that the user
//! expected to work. Only an answer that contradicts the configuration ends the search.

use std::pin::Pin;

use serde_json::Value;
use volt_runtime::{
    Error, Executed, Result,
    config::{RelayConfig, VoltConfig},
};

use super::{
    answer::{Service, lacks, merge, services},
    distance::Distance,
    http::{Answer, Http, Trust, host, same_server, shown},
};

/// The maximum length of a chain of relays. Documents could name relays in a cycle.
const MAX_DEPTH: usize = 4;

/// The state of a search.
pub(super) struct Search<'a> {
    registries: &'a [String],
    http: Http,
    /// The failed attempts, with the reasons.
    tried: Vec<String>,
}

/// A Volt to find.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    known: &'a VoltConfig,
    /// 0 for the Volt itself, 1 for its relay, 2 for the relay's relay.
    depth: usize,
    /// The distance of the server that named its address; this machine for the caller's own
    /// configuration.
    from: Distance,
}

impl<'a> Wanted<'a> {
    /// The name in errors.
    fn name(self) -> String {
        format!("volt{}", ".relay".repeat(self.depth))
    }

    fn id(self) -> Option<&'a str> {
        self.known.id.as_deref().filter(|id| !id.is_empty())
    }

    /// The relay of this Volt, named by a server at this distance.
    fn relay(self, known: &'a VoltConfig, from: Distance) -> Self {
        Self { known, depth: self.depth + 1, from }
    }
}

/// The Volt that an attempt found, if any, and the distance of the server that named its address. An
/// error ends the search: an answer contradicts the configuration.
type Outcome = Result<Option<(VoltConfig, Distance)>>;

impl<'a> Search<'a> {
    pub(super) fn new(registries: &'a [String], http: Http) -> Self {
        Self { registries, http, tried: Vec::new() }
    }

    pub(super) async fn run(mut self, known: &VoltConfig) -> Result<VoltConfig> {
        let found = self.find(Wanted { known, depth: 0, from: Distance::Machine }).await?;
        found.map(|(volt, _)| volt).ok_or_else(|| self.not_found())
    }

    /// Tries all ways to find a Volt. Boxed, because it calls itself for relays.
    fn find<'f>(
        &'f mut self,
        wanted: Wanted<'f>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'f>> {
        Box::pin(async move {
            if wanted.depth > MAX_DEPTH {
                self.fail(&wanted.name(), "too many relays in one chain");
                return Ok(None);
            }
            let mut found = match &wanted.known.relay {
                Some(relay) => self.by_relay(wanted, relay).await?,
                None => self.by_registries(wanted).await?,
            };
            if let (None, None, Some(address)) =
                (&found, &wanted.known.relay, &wanted.known.http_address)
            {
                found = self.discover(wanted, &below(address, "discover"), wanted.from).await?;
            }
            // A configuration that is complete works without any server that knows the Volt.
            let usable = lacks(wanted.known).is_none();
            Ok(found.or_else(|| usable.then(|| (wanted.known.clone(), wanted.from))))
        })
    }

    /// Asks the relay that the configuration names.
    async fn by_relay(&mut self, wanted: Wanted<'_>, relay: &RelayConfig) -> Outcome {
        let relay = match relay {
            RelayConfig::Address(address) => VoltConfig::from(address.as_str()),
            RelayConfig::Volt(relay) => (**relay).clone(),
            _ => return Ok(None),
        };
        let Some(id) = wanted.id() else {
            let missing = format!("`{}.id` is missing: a relay needs it", wanted.name());
            self.tried.push(missing);
            return Ok(None);
        };
        match self.find(wanted.relay(&relay, wanted.from)).await? {
            Some((relay, from)) => self.listed(wanted, id, relay, from).await,
            None => Ok(None),
        }
    }

    /// Searches the Volts that are connected to a relay.
    async fn listed(
        &mut self,
        wanted: Wanted<'_>,
        id: &str,
        relay: VoltConfig,
        from: Distance,
    ) -> Outcome {
        let Some(address) = &relay.http_address else {
            self.fail(&wanted.relay(&relay, from).name(), "it has no `http_address` to query");
            return Ok(None);
        };
        let url = below(address, "relay");
        let Some(answer) = self.get(&url, trust(&relay, &url), from).await else {
            return Ok(None);
        };
        let Answer { mut value, from } = answer;
        let clients = value.get_mut("clients").and_then(Value::as_array_mut);
        let mut clients = clients.into_iter().flatten();
        let Some(entry) = clients.find(|client| client.get("id").is_some_and(|is| is == id)) else {
            self.fail(&url, &format!("`{id}` is not connected there"));
            return Ok(None);
        };
        let value = entry.take();
        // Use the resolved relay, not the configured one.
        let relay = Some(RelayConfig::Volt(Box::new(relay)));
        self.accept(wanted, &url, Answer { value, from }, relay)
    }

    /// Queries the registries in their order. The first that leads to the Volt wins.
    async fn by_registries(&mut self, wanted: Wanted<'_>) -> Outcome {
        let Some(id) = wanted.id() else { return Ok(None) };
        if self.registries.is_empty() {
            self.tried.push(format!("no registry was named to look up `{id}`"));
        } else if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":.-_%".contains(&byte)) {
            self.fail(&wanted.name(), &format!("no registry can look up `{id}`"));
            return Ok(None);
        }
        for registry in self.registries {
            if let Some(found) = self.by_registry(wanted, id, registry).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads the DID document of one registry and follows its services: discovery first, then relays.
    async fn by_registry(&mut self, wanted: Wanted<'_>, id: &str, registry: &str) -> Outcome {
        let url = below(registry, &format!("did/{id}"));
        let Some(answer) = self.get(&url, Trust::System, Distance::Machine).await else {
            return Ok(None);
        };
        let Answer { value: document, from } = answer;
        if document.get("id").is_some_and(|is| is != id) {
            self.fail(&url, "the document describes another DID");
            return Ok(None);
        }
        let mut empty = true;
        for service in services(&document, "volt-discovery") {
            empty = false;
            let url = match service {
                Service::Url(url) => url,
                Service::Volt(address) => below(&address, "discover"),
            };
            if let Some(found) = self.discover(wanted, &url, from).await? {
                return Ok(Some(found));
            }
        }
        for service in services(&document, "volt-relay") {
            empty = false;
            let (Service::Url(address) | Service::Volt(address)) = service;
            let relay = VoltConfig::from(address.as_str());
            match self.find(wanted.relay(&relay, from)).await {
                Ok(Some((relay, from))) => {
                    if let Some(found) = self.listed(wanted, id, relay, from).await? {
                        return Ok(Some(found));
                    }
                }
                Ok(None) => {}
                // It contradicts the document, but not the caller's configuration.
                Err(error) => self.tried.push(error.to_string()),
            }
        }
        if empty {
            self.fail(&url, "it names no `volt-discovery` and no `volt-relay`");
        }
        Ok(None)
    }

    /// Asks the Volt itself, or the server that answers for it.
    async fn discover(&mut self, wanted: Wanted<'_>, url: &str, from: Distance) -> Outcome {
        match self.get(url, trust(wanted.known, url), from).await {
            Some(answer) => self.accept(wanted, url, answer, None),
            None => Ok(None),
        }
    }

    /// Merges an answer, if the result is enough to connect.
    fn accept(
        &mut self,
        wanted: Wanted<'_>,
        url: &str,
        answer: Answer,
        relay: Option<RelayConfig>,
    ) -> Outcome {
        let from = answer.from;
        let mut answer: VoltConfig = match serde_json::from_value(answer.value) {
            Ok(answer) => answer,
            Err(error) => {
                self.fail(url, &format!("it does not describe a Volt: {error}"));
                return Ok(None);
            }
        };
        // Check this before the merge: an address that may not be named must not replace a known
        // one.
        let near = self.drop_near_addresses(&mut answer, from);
        let mut found = merge(wanted.known, answer).map_err(|field| {
            let (name, url) = (wanted.name(), shown(url));
            let message = format!("`{name}.{field}` differs from what {url} states about the Volt");
            Error::configuration(message)
        })?;
        found.relay = relay.or(found.relay);
        match if found.id.is_none() { Some("id") } else { lacks(&found) } {
            Some("http_address") if near => self.fail(
                url,
                "the address in the answer is on this machine or a private network, unlike the \
                 server (`Resolver::allow_near_targets` allows this)",
            ),
            Some(field) => self.fail(url, &format!("the answer has no `{field}`")),
            None => {
                let own = found.http_address == wanted.known.http_address;
                return Ok(Some((found, if own { wanted.from } else { from })));
            }
        }
        Ok(None)
    }

    /// Removes the addresses from an answer that its server may not name. Returns whether any were
    /// removed.
    fn drop_near_addresses(&self, answer: &mut VoltConfig, from: Distance) -> bool {
        let may_name = |address: &String| {
            let with_scheme = host(address).or_else(|| host(&format!("http://{address}")));
            with_scheme.is_none_or(|host| self.http.may_name(&host, from))
        };
        let mut near = false;
        for field in [&mut answer.http_address, &mut answer.address] {
            let before = field.is_some();
            *field = field.take().filter(may_name);
            near |= before && field.is_none();
        }
        near
    }

    /// Returns the answer at an address. A failure is recorded for the final error.
    async fn get(&mut self, url: &str, trust: Trust<'_>, from: Distance) -> Option<Answer> {
        match self.http.get(url, trust, from).await {
            Ok(answer) => Some(answer),
            Err(why) => {
                self.fail(url, &why);
                None
            }
        }
    }

    fn fail(&mut self, what: &str, why: &str) {
        self.tried.push(format!("{}: {why}", shown(what)));
    }

    /// Returns the error of a search without a result: a configuration error if there was no server
    /// to ask, else a connection error with all attempts.
    fn not_found(&self) -> Error {
        if self.http.is_unused() {
            let hint = "set `volt.http_address`, `volt.relay`, or `volt.id` and name a registry";
            let known = [&self.tried[..], &[hint.to_owned()]].concat().join("; ");
            let message =
                format!("the configuration has no source for the address of the Volt: {known}");
            return Error::configuration(message);
        }
        let message = format!("the Volt was not found: {}", self.tried.join("; "));
        Error::connection(message).with_executed(Executed::No)
    }
}

/// The authorities to trust when querying a server about a Volt. The Volt itself must use its own
/// authority, if that is known. Other servers may use that authority or one of the system's.
fn trust<'a>(volt: &'a VoltConfig, url: &str) -> Trust<'a> {
    let own = |address: &String| same_server(address, url);
    match volt.ca_pem.as_deref().filter(|pem| !pem.trim().is_empty()) {
        None => Trust::System,
        Some(pem) if volt.http_address.as_ref().is_some_and(own) => Trust::Only(pem),
        Some(pem) => Trust::Also(pem),
    }
}

/// An address below another one.
fn below(address: &str, path: &str) -> String {
    format!("{}/{path}", address.trim_end_matches('/'))
}
