use volt_api::volt::{
    DiscoverServicesRequest, Resource, SaveResourceRequest, ServiceDescription, ServiceHostType,
};

use super::{guest, volt};
use crate::{actor::Actor, logic::services::Online, store::resources};

fn make_service(actor: &Actor, host_type: ServiceHostType) {
    let description =
        ServiceDescription::default().with_host_type(host_type).with_service_api(["my.EchoAPI"]);
    let service = Resource::default().with_name("echo").with_service_description(description);
    let request = SaveResourceRequest::default().with_resource(service).with_create(true);
    actor.save_resource(request).unwrap();
}

fn online(actor: &Actor) -> usize {
    let request = DiscoverServicesRequest::default().with_service_api(["my.*"]);
    actor.discover_services(&request).unwrap().len()
}

#[test]
fn services_stay_online_until_their_hosts_last_connection_ends() {
    let actor = guest(&volt());
    make_service(&actor, ServiceHostType::Relayed);
    let old = Online::new(&actor).unwrap();
    let new = Online::new(&actor).unwrap();
    drop(old);
    assert_eq!(online(&actor), 1);
    drop(new);
    assert_eq!(online(&actor), 0);
}

#[test]
fn starting_takes_relayed_services_offline() {
    let volt = volt();
    let actor = guest(&volt);
    make_service(&actor, ServiceHostType::Relayed);
    make_service(&actor, ServiceHostType::Server);
    // Simulate a kill: the guard never runs.
    std::mem::forget(Online::new(&actor).unwrap());
    assert_eq!(online(&actor), 2);
    volt.store.write(resources::take_relayed_offline).unwrap();
    // Only the owner of a server service changes its status.
    assert_eq!(online(&actor), 1);
}
