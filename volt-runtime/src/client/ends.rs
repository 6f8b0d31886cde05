//! Who is at the two ends of a connection, and how calls are routed between them.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::passes::Passes;
use crate::{
    CallOptions, ClientConfig, ConnectOptions, Error, Result,
    key::{SigningKey, VerifyingKey},
    proto::{
        ProtocolError,
        crypto::CallKey,
        handshake::{Pass, Route, Via},
        legacy::{self, Opening},
    },
};

/// Who is at the two ends of a connection.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) key: SigningKey,
    pub(super) session: Option<String>,
    pub(super) volt_id: String,
    pub(super) volt_key: VerifyingKey,
    volt_fingerprint: String,
    /// Whether the Volt is behind a relay.
    pub(super) relayed: bool,
    pub(super) passes: Passes,
}

impl Ends {
    /// # Errors
    ///
    /// A configuration error names the field that is missing or wrong.
    pub(super) fn new(
        config: &ClientConfig,
        relayed: bool,
        options: &ConnectOptions,
    ) -> Result<Self> {
        let (key, volt_key) = (config.signing_key()?, config.volt_key()?);
        let (ours, theirs) = (key.algorithm(), volt_key.algorithm());
        if ours != theirs {
            return Err(Error::configuration(format!(
                "`credential.key` is an {ours} key and the Volt's is an {theirs} key: \
                 both must be of one kind, which decides the protocol"
            )));
        }
        Ok(Self {
            key,
            session: config.session_id().map(str::to_owned),
            volt_id: config.volt_id()?.to_owned(),
            volt_key,
            volt_fingerprint: config.volt_fingerprint()?,
            relayed,
            passes: Passes::new(options.token_lifetime),
        })
    }

    pub(super) fn route(&self, options: &CallOptions) -> Result<Route> {
        let mut destinations = Vec::new();
        if self.relayed {
            destinations.push(self.volt_id.clone());
        }
        let mut route = Route {
            audience: self.volt_id.clone(),
            signer: self.volt_key.clone(),
            via: Via { destinations, service: None },
        };
        let Some(target) = &options.target else {
            return Ok(route);
        };
        if let Some(host) = target.host_client_id.as_ref().filter(|host| **host != self.volt_id) {
            route.audience.clone_from(host);
        }
        if let Some(pem) = &target.host_public_key {
            route.signer = VerifyingKey::from_pem(pem).map_err(|error| {
                Error::configuration(format!("the service's `host_public_key` is no use: {error}"))
            })?;
        }
        if target.relayed
            && target.host_client_id.as_ref().is_some_and(|host| *host != self.volt_id)
        {
            route.via.destinations.extend(target.host_client_id.clone());
            route.via.service.clone_from(&target.host_service_id);
        }
        Ok(route)
    }

    pub(super) fn pass(&self, route: &Route, fresh: bool) -> Result<Arc<Pass>, ProtocolError> {
        self.passes.get(self, route, fresh, unix_now())
    }

    /// What opens a legacy call: its key, and what goes with its first message.
    pub(super) fn open_legacy(&self, route: &Route) -> Result<(CallKey, Opening), ProtocolError> {
        // Whom it is routed through: their keys' fingerprints.
        let volt = self.relayed.then(|| self.volt_fingerprint.clone());
        let host = route.via.service.as_ref().map(|_| route.signer.fingerprint());
        let targets = volt.into_iter().chain(host).collect();
        legacy::open(route, targets, &self.key, unix_now())
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
