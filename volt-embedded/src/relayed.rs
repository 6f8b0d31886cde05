//! Being reached through a relay, which is another Volt.

use std::{sync::Arc, time::Duration};

use volt_api::{
    Client, ClientConfig, Presence, authenticate::Identity, config::RelayConfig,
    server::ServiceHost,
};

use crate::{
    embedded::{StartError, failed},
    volt::Volt,
};

/// How long the relay may take to let the Volt in.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Volt's place at a relay, until it is dropped.
pub(crate) struct Relayed {
    /// The relay, for configurations.
    pub(crate) relay: RelayConfig,
    _presence: Presence,
}

impl Relayed {
    /// Goes online at the relay, as the Volt itself, and serves what it passes on.
    pub(crate) async fn new(
        volt: &Volt,
        relay: ClientConfig,
        endpoint: Arc<ServiceHost>,
    ) -> Result<Self, StartError> {
        let refused = |error: volt_api::Error| failed("connecting to the relay".to_owned(), error);
        let place = match (&relay.volt.relay, &relay.volt.http_address, &relay.volt.ca_pem) {
            (Some(relay), ..) => relay.clone(),
            (None, Some(address), None) => RelayConfig::Address(address.clone()),
            // Its authority has to be known to reach it.
            _ => RelayConfig::Volt(Box::new(relay.volt.clone())),
        };
        let unreadable =
            |fault| failed("reading the store".to_owned(), volt_api::Status::from(fault));
        let key = volt.key_pem().map_err(unreadable)?;
        let name = volt.name().map_err(unreadable)?;
        let mut config = ClientConfig::default().with_client_name(name).with_credential(key, None);
        config.volt = relay.volt;
        let client = Client::authenticate(config)
            .identity(Identity::OwnDid(Some(volt.id.clone())))
            .fail_if_pending()
            .deadline(PATIENCE)
            .await
            .map_err(refused)?;
        let own_address = volt.address.to_string();
        let presence = client
            .presence()
            .service_host(endpoint)
            .hello(|hello| hello.address = own_address)
            .await
            .map_err(refused)?;
        Ok(Self { relay: place, _presence: presence })
    }
}
