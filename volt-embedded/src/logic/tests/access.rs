use volt_api::{
    Code,
    key::SigningKey,
    server::Token,
    volt::{
        Access, AuthenticateRequest, CanAccessResourceRequest, CopyResourceMode,
        CopyResourceRequest, DeleteAccessRequest, DeleteResourceRequest, GetAccessRequest,
        GetResourceRequest, PolicyDecision, RequestAccessRequest, Resource, SaveAccessRequest,
        SaveResourceRequest, SetAccessRequestDecisionRequest, ShareMode,
    },
};
use volt_runtime::server::Claims;

use super::{code, guest, make, owner, volt};
use crate::{
    actor::Actor,
    error::Result,
    logic::authenticate::Call,
    rights::{READ, WRITE},
    store::now,
};

fn read(actor: &Actor, id: &str) -> Result<Resource> {
    actor.get_resource(&GetResourceRequest::default().with_resource_id(id))
}

fn rename(actor: &Actor, id: &str) -> Result<Resource> {
    let resource = Resource::default().with_id(id).with_name("renamed");
    actor.save_resource(SaveResourceRequest::default().with_resource(resource))
}

fn rule(id: &str, who: &Actor, access: &str) -> Access {
    Access::default().with_resource_id(id).with_identity_did(&who.identity).with_access(access)
}

fn save(actor: &Actor, rule: Access) -> Result<()> {
    actor.save_access(SaveAccessRequest::default().with_access(rule))
}

#[test]
fn without_a_rule_access_is_denied() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "private", "volt:folder");
    assert_eq!(code(read(&guest, &id)), Code::PermissionDenied);
    assert_eq!(code(rename(&guest, &id)), Code::PermissionDenied);
    let resource = Resource::default().with_name("x");
    let create = SaveResourceRequest::default()
        .with_resource(resource)
        .with_create(true)
        .with_create_in_parent_id(&id);
    assert_eq!(code(guest.save_resource(create)), Code::PermissionDenied);
    let delete = DeleteResourceRequest::default().with_resource_id(&id);
    assert_eq!(code(guest.delete_resource(&delete)), Code::PermissionDenied);
    assert_eq!(code(save(&guest, rule(&id, &guest, READ))), Code::PermissionDenied);
    assert_eq!(code(guest.get_parameters()), Code::PermissionDenied);
}

#[test]
fn a_rule_permits_its_access_and_implied_ones() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "shared", "volt:folder");
    save(&owner, rule(&id, &guest, READ)).unwrap();
    read(&guest, &id).unwrap();
    assert_eq!(code(rename(&guest, &id)), Code::PermissionDenied);
    save(&owner, rule(&id, &guest, WRITE)).unwrap();
    rename(&guest, &id).unwrap();
}

#[test]
fn only_a_recursive_rule_covers_descendants() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let folder = make(&owner, "", "folder", "volt:folder");
    let file = make(&owner, &folder, "file", "volt:file");
    save(&owner, rule(&folder, &guest, READ)).unwrap();
    assert_eq!(code(read(&guest, &file)), Code::PermissionDenied);
    save(&owner, rule(&folder, &guest, READ).with_recursive(true)).unwrap();
    read(&guest, &file).unwrap();
    save(&owner, rule(&file, &guest, READ).with_decision(PolicyDecision::Deny)).unwrap();
    assert_eq!(code(read(&guest, &file)), Code::PermissionDenied);
}

#[test]
fn linking_does_not_bypass_rules() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let file = make(&owner, "", "file", "volt:file");
    save(&owner, rule(&file, &guest, READ)).unwrap();
    // A folder that the guest owns, with a rule that would grant write access to everything in it.
    let folder = make(&guest, "", "trap", "volt:folder");
    save(&guest, rule(&folder, &guest, WRITE).with_recursive(true)).unwrap();
    let link = CopyResourceRequest::default()
        .with_resource_id(&file)
        .with_to_resource_id(&folder)
        .with_mode(CopyResourceMode::Link);
    assert_eq!(code(guest.copy_resource(&link)), Code::PermissionDenied);
}

#[test]
fn public_resources_can_be_read_by_all() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "public", "volt:folder");
    let share = Resource::default().with_id(&id).with_share_mode(ShareMode::PublicRead);
    owner.save_resource(SaveResourceRequest::default().with_resource(share)).unwrap();
    read(&guest, &id).unwrap();
    assert_eq!(code(rename(&guest, &id)), Code::PermissionDenied);
}

#[test]
fn rules_are_listed_replaced_and_deleted() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "shared", "volt:folder");
    let list = |actor: &Actor| {
        actor.get_access(&GetAccessRequest::default().with_resource_id(&id)).unwrap()
    };
    save(&owner, rule(&id, &guest, READ)).unwrap();
    save(&owner, rule(&id, &guest, READ).with_decision(PolicyDecision::Deny)).unwrap();
    let [one] = list(&owner).try_into().unwrap();
    assert_eq!(one.decision(), PolicyDecision::Deny);
    assert_eq!((one.resource_name.as_str(), one.identity_name.as_str()), ("shared", "guest"));
    assert_eq!(list(&guest), std::slice::from_ref(&one));
    let delete = DeleteAccessRequest::default().with_id(&one.id);
    assert_eq!(code(guest.delete_access(&delete)), Code::PermissionDenied);
    owner.delete_access(&delete).unwrap();
    assert_eq!(code(owner.delete_access(&delete)), Code::NotFound);
    assert!(list(&owner).is_empty());
}

#[test]
fn a_request_for_access_waits_for_the_owners_decision() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "wanted", "volt:folder");
    let request = RequestAccessRequest::default().with_resource_id(&id).with_access(READ);
    let ask = || guest.request_access(&request).unwrap();
    assert_eq!(ask().decision(), PolicyDecision::Prompt);
    assert_eq!(ask().decision(), PolicyDecision::Pending);
    assert_eq!(code(read(&guest, &id)), Code::PermissionDenied);
    let open = GetAccessRequest::default().with_decision(PolicyDecision::Prompt);
    let [waiting] = owner.get_access(&open).unwrap().try_into().unwrap();
    assert_eq!(waiting.request_count, 2);
    let decide = SetAccessRequestDecisionRequest::default()
        .with_id(&waiting.id)
        .with_decision(PolicyDecision::Permit);
    assert_eq!(code(guest.set_access_request_decision(&decide)), Code::PermissionDenied);
    owner.set_access_request_decision(&decide).unwrap();
    assert_eq!(ask().decision(), PolicyDecision::Permit);
    read(&guest, &id).unwrap();
}

#[test]
fn services_can_check_their_callers() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "thing", "volt:folder");
    let request = CanAccessResourceRequest::default().with_resource_id(&id).with_access(READ);
    let decision = |actor: &Actor| actor.can_access_resource(&request).unwrap().decision();
    assert_eq!(decision(&owner), PolicyDecision::Permit);
    assert_eq!(decision(&guest), PolicyDecision::Deny);
    for token in ["", "a.b", "a.b.c.d", "e30.e30.e30"] {
        let by_token = request.clone().with_token(token);
        assert_eq!(code(owner.can_access_resource(&by_token)), Code::InvalidArgument, "{token}");
    }
}

#[test]
fn tokens_for_other_services_are_refused() {
    let volt = volt();
    let (host, key) = (guest(&volt), SigningKey::generate().unwrap());
    let token = |audience: &str, session: Option<&str>| {
        let claims = Claims::new(audience, session, &[], now() / 1000);
        let (claims, signature) = claims.sign(&key).unwrap();
        Token::parse(&claims, signature.into()).unwrap()
    };
    let request = AuthenticateRequest::default().with_public_key(key.verifying_key().to_pem());
    let answer = volt
        .authenticate(Call { token: Some(&token("any", None)), ..Call::default() }, &request)
        .unwrap();
    let ask = |audience: &str| {
        let request = CanAccessResourceRequest::default()
            .with_resource_id(&host.identity)
            .with_access(READ)
            .with_token(token(audience, Some(&answer.session_id)).to_jwt());
        host.can_access_resource(&request)
    };
    assert_eq!(ask(&host.identity).unwrap().identity_did, answer.identity_did);
    assert_eq!(code(ask("did:volt:another")), Code::Unauthenticated);
}

#[test]
fn a_rule_that_denies_under_a_condition_is_refused() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "shared", "volt:folder");
    let deny = rule(&id, &guest, READ).with_decision(PolicyDecision::Deny);
    assert_eq!(code(save(&owner, deny.clone().with_extra("condition"))), Code::InvalidArgument);
    let by_credential = deny.clone().with_credential_lookup("lookup");
    assert_eq!(code(save(&owner, by_credential)), Code::InvalidArgument);
    save(&owner, rule(&id, &guest, READ).with_extra("condition").with_id("conditional")).unwrap();
    save(&owner, deny).unwrap();
    // A rule that permits under a condition cannot become one that denies.
    let decide = SetAccessRequestDecisionRequest::default()
        .with_id("conditional")
        .with_decision(PolicyDecision::Deny);
    assert_eq!(code(owner.set_access_request_decision(&decide)), Code::InvalidArgument);
}

#[test]
fn deleting_a_folder_needs_the_right_to_delete_its_content() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let folder = make(&owner, "", "folder", "volt:folder");
    let file = make(&owner, &folder, "file", "volt:file");
    save(&owner, rule(&folder, &guest, WRITE)).unwrap();
    let delete = DeleteResourceRequest::default().with_resource_id(&folder).with_recursive(true);
    assert_eq!(code(guest.delete_resource(&delete)), Code::PermissionDenied);
    read(&owner, &file).unwrap();
    save(&owner, rule(&folder, &guest, WRITE).with_recursive(true)).unwrap();
    guest.delete_resource(&delete).unwrap();
}

#[test]
fn requests_for_access_are_limited() {
    let volt = volt();
    let (owner, guest) = (owner(&volt), guest(&volt));
    let id = make(&owner, "", "wanted", "volt:folder");
    let ask = |access: String| {
        let request = RequestAccessRequest::default().with_resource_id(&id).with_access(access);
        guest.request_access(&request)
    };
    for number in 0..200 {
        ask(format!("my:{number}")).unwrap();
    }
    assert_eq!(code(ask("my:more".to_owned())), Code::ResourceExhausted);
    // A pending request can be repeated.
    assert_eq!(ask("my:0".to_owned()).unwrap().decision(), PolicyDecision::Pending);
}
