//! Services, and the Volt's parameters.

use tokio::runtime::Handle;
use volt_api::{
    Status,
    volt::{
        CheckCompatibilityRequest, DiscoverServicesRequest, OnlineStatus, Resource,
        ServiceDescription, ServiceHostType, SetServiceStatusRequest, Version, VoltParameters,
    },
};

use super::{query::Detail, resources::changed};
use crate::{
    actor::Actor,
    error::{Result, invalid, precondition},
    rights::WRITE,
    store::{now, resources, resources::platform_version, search, sessions},
};

/// Checks whether a client of this version can use the Volt. Minor versions are incompatible before
/// version 1.
pub(crate) fn check_compatibility(request: &CheckCompatibilityRequest) -> Result<Version, Status> {
    let own = platform_version();
    match &request.version {
        Some(theirs)
            if (theirs.version_major, theirs.version_minor)
                != (own.version_major, own.version_minor) =>
        {
            Err(precondition(format!(
                "API version {}.{}.{} is not compatible with this Volt's {}.{}.{}",
                theirs.version_major,
                theirs.version_minor,
                theirs.version_patch,
                own.version_major,
                own.version_minor,
                own.version_patch
            )))
        }
        _ => Ok(own),
    }
}

impl Actor {
    /// Returns the services with any of the requested APIs: saved services, and the root resource,
    /// which describes the built-in ones.
    pub(crate) fn discover_services(
        &self,
        request: &DiscoverServicesRequest,
    ) -> Result<Vec<Resource>> {
        let detail =
            Detail { attributes: request.include_attributes, protobuf: request.include_protobuf };
        let wanted = |service: &Resource| {
            request.include_offline || service.online_status() == OnlineStatus::Online
        };
        self.read(|store| {
            let ids = search::services(store, &request.service_api)?;
            self.visible(store, ids, detail, usize::MAX, wanted)
        })
    }

    /// Takes a service online or offline.
    pub(crate) fn set_service_status(&self, request: &SetServiceStatusRequest) -> Result<Resource> {
        let given = request.service.as_ref().ok_or_else(|| invalid("the service is missing"))?;
        self.write(|tx| {
            let id = self.reach(tx, &given.id, WRITE)?;
            let mut service = resources::require(tx, &id)?;
            match service.service_description.as_ref().map(ServiceDescription::host_type) {
                None => return Err(precondition(format!("`{id}` is not a service")).into()),
                Some(ServiceHostType::Builtin) => {
                    return Err(precondition("built-in services are always online").into());
                }
                Some(_) => {}
            }
            if let (Some(description), Some(given)) =
                (&mut service.service_description, &given.service_description)
            {
                description.clone_from(given);
            }
            service.online_status = given.online_status;
            service.modified = now().max(service.modified);
            service.version += 1;
            changed(tx, &service)
        })
    }

    /// Returns the settings of the Volt, without secrets.
    pub(crate) fn get_parameters(&self) -> Result<VoltParameters> {
        self.demand_owner()?;
        let options = &self.volt.options;
        Ok(VoltParameters::default()
            .with_id(&self.volt.id)
            .with_name(self.volt.name()?)
            .with_version(platform_version())
            .with_address(self.volt.address.to_string())
            .with_http_port(i32::from(self.volt.address.port()))
            .with_enable_websocket_api(true)
            .with_approve_on_challenge(options.challenge.is_some())
            .with_catch_all_auth_decision(options.decision))
    }

    /// Asks the Volt to stop.
    pub(crate) fn shutdown(&self) -> Result<()> {
        self.demand_owner()?;
        self.volt.stop.send_replace(true);
        Ok(())
    }
}

/// Keeps an identity's services online while any of its connections is open. If an identity
/// reconnects before its old connection ends, its services stay online.
pub(crate) struct Online(Option<Actor>);

impl Online {
    pub(crate) fn new(actor: &Actor) -> Result<Self> {
        let mut counts = actor.volt.online.lock();
        actor.set_own_services(true)?;
        counts.join(&actor.identity);
        drop(counts);
        Ok(Self(Some(actor.clone())))
    }

    fn leave(actor: &Actor) -> Result<()> {
        let mut counts = actor.volt.online.lock();
        if counts.leave(&actor.identity) {
            actor.set_own_services(false)?;
        }
        Ok(())
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        let Some(actor) = self.0.take() else { return };
        let leave = move || {
            if let Err(fault) = Self::leave(&actor) {
                tracing::warn!(?fault, "taking a disconnected host's services offline failed");
            }
        };
        // Writing to the store may block, and this drop may run on a runtime thread.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(leave)),
            Err(_) => leave(),
        }
    }
}

impl Actor {
    /// Takes all of the actor's services online or offline. A relayed service is updated with the
    /// identity and key of its connected host, which callers use to reach it.
    fn set_own_services(&self, online: bool) -> Result<()> {
        let status = if online { OnlineStatus::Online } else { OnlineStatus::Offline };
        // Do not use the actor's scope: it has ended if this was its last connection.
        self.volt.store.write(|tx| {
            let session = sessions::get(tx, &self.session)?;
            for id in search::services(tx, &[])? {
                let mut service = resources::require(tx, &id)?;
                let Some(description) = &mut service.service_description else { continue };
                let host_type = description.host_type();
                if host_type == ServiceHostType::Builtin || service.owner != self.identity {
                    continue;
                }
                let before = description.clone();
                if let (true, ServiceHostType::Relayed, Some(session)) =
                    (online, host_type, &session)
                {
                    description.host_client_id.clone_from(&self.identity);
                    description.host_public_key.clone_from(&session.public_key);
                    if let Some(address) = self.volt.grpc_address {
                        // A published client for gRPC needs an address, which it does not call.
                        description.host_address = address.to_string();
                    }
                    if description.host_service_id.is_empty() {
                        description.host_service_id.clone_from(&id);
                    }
                }
                let moved = *description != before;
                if moved || service.online_status() != status {
                    service.online_status = status.into();
                    changed(tx, &service)?;
                }
            }
            Ok(())
        })
    }
}
