//! Creates the target of a call from the resource of a service.
//!
//! The resource's `service_description` states where the service runs. `DiscoverServices` returns such
//! resources; a program passes one to `service(&resource)` of a call.

/// All versions of the API describe a service in the same way. The generated module of each older version whose
/// `Resource` is another type uses this macro, too.
macro_rules! target_from_resource {
    ($api:path) => {
        const _: () = {
            use $api::{Resource, ServiceHostType};

            impl From<&Resource> for $crate::Target {
                /// Returns the target with which calls reach this service. The resource must come
                /// from `DiscoverServices`: only such a resource names the host. Any other
                /// resource, such as one that `SaveResource` returned, results in a target with
                /// only its id; the Volt answers a call to it with `UNIMPLEMENTED`.
                fn from(service: &Resource) -> Self {
                    let target = Self::new(&service.id);
                    let Some(description) = &service.service_description else { return target };
                    let target =
                        target.hosted_by(&description.host_client_id, &description.host_public_key);
                    match description.host_type() {
                        ServiceHostType::Relayed => target.relayed(&description.host_service_id),
                        ServiceHostType::Server => {
                            target.at(&description.host_address, &description.host_ca_pem)
                        }
                        _ => target,
                    }
                }
            }
        };
    };
}

target_from_resource!(crate::volt);
#[allow(unused_imports, reason = "unused without an older version")]
pub(crate) use target_from_resource;

#[cfg(all(test, feature = "v0_15"))]
mod tests {
    use crate::{Target, v0_15, volt};

    #[test]
    fn services_of_both_api_versions_have_the_same_target() {
        let old = v0_15::volt::ServiceDescription::default()
            .with_host_type(v0_15::volt::ServiceHostType::Relayed)
            .with_host_client_id("did:volt:host")
            .with_host_public_key("key")
            .with_host_service_id("own id");
        let old = v0_15::volt::Resource::default().with_id("id").with_service_description(old);
        let new = volt::ServiceDescription::default()
            .with_host_type(volt::ServiceHostType::Relayed)
            .with_host_client_id("did:volt:host")
            .with_host_public_key("key")
            .with_host_service_id("own id");
        let new = volt::Resource::default().with_id("id").with_service_description(new);
        assert_eq!(Target::from(&old), Target::from(&new));
        assert!(Target::from(&old).relayed);
    }
}
