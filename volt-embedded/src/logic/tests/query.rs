use volt_api::{
    Code,
    volt::{
        AttributeDataType, AttributeValue, DiscoverServicesRequest, GetIdentitiesRequest,
        GetResourceAncestorsRequest, GetResourceDescendantsRequest, GetResourcesRequest, Resource,
        ResourceAttribute, ResourceAttributeQuery, SaveResourceRequest, ServiceDescription,
        ServiceHostType, SetServiceStatusRequest,
    },
};

use super::{code, guest, make, names, owner, volt};
use crate::actor::Actor;

fn search(actor: &Actor, request: &GetResourcesRequest) -> Vec<String> {
    let found = actor.get_resources(request).unwrap();
    names(&found).into_iter().map(str::to_owned).collect()
}

fn by() -> GetResourcesRequest {
    GetResourcesRequest::default()
}

#[test]
fn a_field_matches_any_value_and_all_fields_must_match() {
    let actor = owner(&volt());
    for (name, kind) in [("apple", "x:fruit"), ("apricot", "x:fruit"), ("ape", "x:animal")] {
        make(&actor, "", name, kind);
    }
    assert_eq!(search(&actor, &by().with_name(["ap*"])), ["ape", "apple", "apricot"]);
    assert_eq!(search(&actor, &by().with_name(["ape", "apple"])), ["ape", "apple"]);
    let both = by().with_name(["ap*"]).with_kind(["x:f*t"]);
    assert_eq!(search(&actor, &both), ["apple", "apricot"]);
    assert_eq!(search(&actor, &both.with_limit(1)), ["apple"]);
    let either = by().with_name(["apple"]).with_kind(["x:animal"]);
    assert_eq!(search(&actor, &either.with_combine_terms_exclusive(true)), ["ape", "apple"]);
}

#[test]
fn only_the_star_is_a_wildcard_and_case_matters() {
    let actor = owner(&volt());
    for name in ["a_b", "axb", "A_B", "100%"] {
        make(&actor, "", name, "x:y");
    }
    let found = |name: &str| search(&actor, &by().with_name([name]).with_kind(["x:y"]));
    assert_eq!(found("a_b"), ["a_b"]);
    assert_eq!(found("*_*"), ["A_B", "a_b"]);
    assert_eq!(found("100%"), ["100%"]);
    assert_eq!(found("%"), [""; 0]);
    assert_eq!(found("*"), ["100%", "A_B", "a_b", "axb"]);
}

#[test]
fn attributes_are_searched_by_name_and_value() {
    let actor = owner(&volt());
    for (name, size) in [("small", 1), ("big", 1 << 40)] {
        let attribute = ResourceAttribute::default()
            .with_attribute_id("size")
            .with_data_type(AttributeDataType::Integer)
            .with_value([AttributeValue::default().with_integer(size)]);
        let resource = Resource::default().with_name(name).with_attribute([attribute]);
        let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
        actor.save_resource(request).unwrap();
    }
    let query = ResourceAttributeQuery::default().with_attribute_id("size");
    let big = query.clone().with_value(AttributeValue::default().with_integer(1i64 << 40));
    let other = ResourceAttributeQuery::default().with_attribute_id("colour");
    assert_eq!(search(&actor, &by().with_attribute([query])), ["big", "small"]);
    assert_eq!(search(&actor, &by().with_attribute([big.clone()])), ["big"]);
    let two = by().with_attribute([big, other]);
    assert_eq!(search(&actor, &two), [""; 0]);
    assert_eq!(search(&actor, &two.with_any_of(true)), ["big"]);
}

#[test]
fn descendants_are_filtered_by_depth_kind_and_name() {
    let actor = owner(&volt());
    let a = make(&actor, "", "a", "volt:folder");
    let b = make(&actor, &a, "b", "volt:folder");
    make(&actor, &b, "c", "volt:file");
    let of = || GetResourceDescendantsRequest::default().with_resource_id(&a);
    let get = |request| actor.get_resource_descendants(&request).unwrap();
    assert_eq!(names(&get(of())), ["b", "c"]);
    assert_eq!(names(&get(of().with_depth(1))), ["b"]);
    assert_eq!(names(&get(of().with_include_resource_id(true))), ["a", "b", "c"]);
    assert_eq!(names(&get(of().with_descendant_kind(["volt:file", "x"]))), ["c"]);
    assert_eq!(names(&get(of().with_name("b"))), ["b"]);
    assert_eq!(names(&get(of().with_parent_id(&b))), ["c"]);
    assert_eq!(names(&get(of().with_descendant_id(&b))), ["b"]);
    assert_eq!(code(actor.get_resource_descendants(&of().with_depth(-1))), Code::InvalidArgument);
}

#[test]
fn ancestors_are_nearest_first() {
    let actor = owner(&volt());
    let a = make(&actor, "", "a", "volt:folder");
    let b = make(&actor, &a, "b", "volt:file");
    let of = || GetResourceAncestorsRequest::default().with_resource_id(&b);
    let get = |request| actor.get_resource_ancestors(&request).unwrap();
    assert_eq!(names(&get(of())), ["a", "owner", "test"]);
    assert_eq!(names(&get(of().with_depth(2))), ["a", "owner"]);
    assert_eq!(names(&get(of().with_ancestor_kind("volt:identity"))), ["owner"]);
    assert_eq!(names(&get(of().with_include_resource_id(true).with_depth(1))), ["b", "a"]);
}

#[test]
fn searches_return_only_readable_resources() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    make(&owner, "", "private", "x:y");
    make(&guest, "", "mine", "x:y");
    assert_eq!(search(&guest, &by().with_kind(["x:y"])), ["mine"]);
    assert_eq!(search(&owner, &by().with_kind(["x:y"])), ["mine", "private"]);
    let everyone = GetResourceDescendantsRequest::default().with_resource_id(&volt.id);
    assert_eq!(names(&guest.get_resource_descendants(&everyone).unwrap()), ["guest", "mine"]);
    let identities = guest.get_identities(&GetIdentitiesRequest::default()).unwrap();
    assert_eq!(identities.len(), 1);
}

#[test]
fn services_are_found_by_their_apis_while_they_are_online() {
    let volt = volt();
    let actor = owner(&volt);
    let description = ServiceDescription::default()
        .with_host_type(ServiceHostType::Relayed)
        .with_service_api(["my.EchoAPI"]);
    let service = Resource::default()
        .with_name("echo")
        .with_kind(["volt:service"])
        .with_service_description(description);
    let request = SaveResourceRequest::default().with_resource(service).with_create(true);
    let service = actor.save_resource(request).unwrap();
    let discover = |api: &str, offline| {
        let request = DiscoverServicesRequest::default()
            .with_service_api([api])
            .with_include_offline(offline);
        let found = actor.discover_services(&request).unwrap();
        found.into_iter().map(|service| service.name).collect::<Vec<_>>()
    };
    assert_eq!(discover("pkg.API", false), ["test"]);
    assert_eq!(discover("my.*", false), [""; 0]);
    assert_eq!(discover("*", true), ["test", "echo"]);
    let online = service.with_online_status(volt_api::volt::OnlineStatus::Online);
    let request = SetServiceStatusRequest::default().with_service(online);
    actor.set_service_status(&request).unwrap();
    assert_eq!(discover("my.EchoAPI", false), ["echo"]);
    assert_eq!(discover("my.Echo", true), [""; 0]);
}
