//! From the resource of a service to the target of a call.

use crate::{
    Target,
    volt::{Resource, ServiceHostType},
};

impl From<&Resource> for Target {
    /// The target that calls reach this service by, for a resource that `DiscoverServices` returned.
    fn from(service: &Resource) -> Self {
        let target = Self::new(&service.id);
        let Some(description) = &service.service_description else { return target };
        let target = target.hosted_by(&description.host_client_id, &description.host_public_key);
        match description.host_type() {
            ServiceHostType::Relayed => target.relayed(&description.host_service_id),
            _ => target,
        }
    }
}
