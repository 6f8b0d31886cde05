use volt_api::{
    Code,
    key::SigningKey,
    volt::{
        Access, DeleteResourceRequest, GetIdentityRequest, Identity, IdentityAlias, PolicyDecision,
        Resource, SaveAccessRequest, SaveIdentityRequest, SaveResourceRequest,
    },
};

use super::{code, guest, owner, volt};
use crate::actor::Actor;

fn with_another_key(identity: &str) -> SaveIdentityRequest {
    let key = SigningKey::generate().unwrap().verifying_key().to_pem();
    let resource = Resource::default().with_id(identity);
    let identity = Identity::default()
        .with_resource(resource)
        .with_alias([IdentityAlias::default().with_public_key(key)]);
    SaveIdentityRequest::default().with_identity(identity)
}

fn keys(actor: &Actor, request: SaveIdentityRequest) -> usize {
    actor.save_identity(request).unwrap().alias.len()
}

/// Lets an identity write to another's home folder.
fn let_write(victim: &Actor, thief: &Actor) {
    let rule = Access::default()
        .with_resource_id(&victim.identity)
        .with_identity_did(&thief.identity)
        .with_access("volt:resource-write")
        .with_recursive(true)
        .with_decision(PolicyDecision::Permit);
    victim.save_access(SaveAccessRequest::default().with_access(rule)).unwrap();
}

/// A client that can add a key to an identity can authenticate as that identity.
#[test]
fn writing_a_home_folder_does_not_permit_taking_ownership() {
    let volt = volt();
    let (victim, thief) = (guest(&volt), guest(&volt));
    let_write(&victim, &thief);
    let request = with_another_key(&victim.identity);
    assert_eq!(code(thief.save_identity(request)), Code::PermissionDenied);
    let purge = with_another_key(&victim.identity).with_purge_aliases(true);
    assert_eq!(code(thief.save_identity(purge)), Code::PermissionDenied);
    assert_eq!(keys(&victim, with_another_key(&victim.identity)), 2);
    assert_eq!(keys(&owner(&volt), with_another_key(&victim.identity)), 3);
}

#[test]
fn writing_a_home_folder_does_not_permit_deleting_its_identity() {
    let volt = volt();
    let (victim, thief) = (guest(&volt), guest(&volt));
    let_write(&victim, &thief);
    let delete = DeleteResourceRequest::default().with_resource_id(&victim.identity);
    assert_eq!(code(thief.delete_resource(&delete)), Code::PermissionDenied);
    assert_eq!(
        code(thief.delete_resource(&delete.clone().with_recursive(true))),
        Code::PermissionDenied
    );
    // A resource that no longer is an identity could not authenticate.
    let other_kind = Resource::default().with_id(&victim.identity).with_kind(["volt:folder"]);
    thief.save_resource(SaveResourceRequest::default().with_resource(other_kind)).unwrap();
    let own = GetIdentityRequest::default().with_identity_did(&victim.identity);
    victim.get_identity(&own).unwrap();
    victim.delete_resource(&delete).unwrap();
}
