//! Checks every method against every right: a guest with one rule, and one with all rights but one, calls
//! each method.

mod table;

use std::sync::Arc;

use volt_api::{
    Channel, Code,
    data::{SqliteDatabaseApiClient, SqliteServerApiClient},
    volt::{
        Access, FileApiClient, GetResourceRequest, GetResourceResponse, PolicyDecision, Resource,
        SaveAccessRequest, SaveResourceRequest, SaveWireRequest, ServiceDescription,
        ServiceHostType, SyncApiClient, VoltApiClient, WireApiClient,
    },
};
use volt_runtime::BidiCall;

use self::table::{METHODS, Method, Targets, fill};
use super::{guest, make, owner, volt};
use crate::{
    actor::Actor,
    api::Handlers,
    error::Fault,
    rights::{
        CONTENT, CREATE, DATABASE_READ, DATABASE_WRITE, READ, WIRE_PUBLISH, WIRE_SUBSCRIBE, WRITE,
    },
    volt::Volt,
};

/// The methods that do not depend on a right to a resource.
const WITHOUT_RIGHTS: [(&str, &str); 12] = [
    ("Authenticate", "open to strangers"),
    ("CheckCompatibility", "open to strangers"),
    ("Connect", "sends events about resources that the caller may see"),
    ("CanAccessResource", "answers about the caller"),
    ("DiscoverServices", "finds services that the caller may see"),
    ("GetAccess", "lists rules of the caller's resources and about the caller"),
    ("GetIdentities", "finds identities that the caller may see"),
    ("GetOneTimeToken", "for the caller's own session"),
    ("GetResources", "finds resources that the caller may see"),
    ("GetSessions", "lists the caller's own sessions"),
    ("RequestAccess", "asks the owner"),
    ("SaveSession", "ends the caller's own sessions"),
];

fn targets(owner: &Actor, guest: &Actor) -> Targets {
    let folder = make(owner, "", "folder", "volt:folder");
    let other = make(owner, "", "other", "volt:folder");
    rule(owner, &other, guest, CREATE);
    let description = ServiceDescription::default().with_host_type(ServiceHostType::Server);
    let service = Resource::default().with_name("service").with_service_description(description);
    let request = SaveResourceRequest::default().with_resource(service).with_create(true);
    let service = owner.save_resource(request).unwrap().id;
    let wire = SaveWireRequest::default()
        .with_resource(Resource::default().with_name("wire"))
        .with_create(true)
        .with_persist(true);
    Targets {
        file: make(owner, &folder, "file", "volt:file"),
        synapse: make(owner, "", "synapse", "volt:synapse"),
        connection: make(owner, "", "connection", "volt:synapse-connection"),
        database: make(owner, "", "database", "volt:sqlite-database"),
        wire: owner.save_wire(wire).unwrap().id,
        home: guest.identity.clone(),
        folder,
        other,
        service,
    }
}

fn rule(owner: &Actor, resource: &str, guest: &Actor, access: &str) {
    decide(owner, resource, guest, (access, PolicyDecision::Permit));
}

fn decide(
    owner: &Actor,
    resource: &str,
    guest: &Actor,
    (access, decision): (&str, PolicyDecision),
) {
    let rule = Access::default()
        .with_resource_id(resource)
        .with_identity_did(&guest.identity)
        .with_access(access)
        .with_decision(decision);
    owner.save_access(SaveAccessRequest::default().with_access(rule)).unwrap();
}

/// The rights that rules permit or deny.
const RIGHTS: [&str; 10] = [
    READ,
    CONTENT,
    WRITE,
    CREATE,
    DATABASE_READ,
    DATABASE_WRITE,
    WIRE_PUBLISH,
    WIRE_SUBSCRIBE,
    "*",
    "my:own",
];

/// Calls a method as a new guest, about whom each target has these rules. Returns whether it was denied.
fn is_denied(
    volt: &Arc<Volt>,
    (name, method): (&str, Method),
    rules: &[(&str, PolicyDecision)],
) -> bool {
    let (owner, guest) = (owner(volt), guest(volt));
    let on = targets(&owner, &guest);
    let files = [&on.folder, &on.file, &on.database, &on.wire, &on.service];
    for id in files.into_iter().chain([&on.synapse, &on.connection]) {
        for rule in rules {
            decide(&owner, id, &guest, *rule);
        }
    }
    if name.contains("Syn") {
        fill(&owner, &on);
    }
    match method(&guest, &on) {
        Ok(()) => false,
        Err(Fault::Refused(status)) if status.code() == Code::PermissionDenied => true,
        Err(other) => panic!("{name} with {rules:?}: {other:?}"),
    }
}

#[test]
fn every_method_requires_its_right() {
    let volt = volt();
    for (name, permitted, method) in METHODS {
        assert!(is_denied(&volt, (name, *method), &[]), "{name} without a rule");
        for right in RIGHTS {
            let denied = is_denied(&volt, (name, *method), &[(right, PolicyDecision::Permit)]);
            assert_eq!(denied, !permitted.contains(&right), "{name} with `{right}`");
        }
    }
}

/// A guest with all rights but one.
#[test]
fn every_method_is_denied_by_a_deny_of_its_right() {
    let volt = volt();
    let mut differences = Vec::new();
    for (name, permitted, method) in METHODS {
        for right in RIGHTS {
            let mut demanded = permitted.get(..1).unwrap_or_default().to_vec();
            match *name {
                "CopyResource, COPY of a database" | "CopyResource, COPY of a persistent wire" => {
                    demanded = vec![CONTENT, DATABASE_READ];
                }
                // The first sends changes, and the second finds the version in the list of versions.
                "SyncDocument" | "RevertSyncDocumentVersion" => demanded.push(DATABASE_READ),
                _ => {}
            }
            // A rule that denies seeing a resource denies its content as well.
            if demanded.contains(&CONTENT) {
                demanded.push(READ);
            }
            let rules = [("*", PolicyDecision::Permit), (right, PolicyDecision::Deny)];
            let denied = is_denied(&volt, (name, *method), &rules);
            let expected = demanded.is_empty() || right == "*" || demanded.contains(&right);
            if denied != expected {
                differences.push(format!("{name} without `{right}`: denied {denied}"));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Calls every method without a session. A method that is refused for this reason is implemented,
/// so it must be in one of the tables above.
#[tokio::test]
async fn every_method_refuses_strangers_and_has_its_test() {
    let volt = volt();
    let channel = Channel::in_process(Handlers::router(&volt));
    let services = [
        VoltApiClient::METHODS,
        FileApiClient::METHODS,
        WireApiClient::METHODS,
        SyncApiClient::METHODS,
        SqliteServerApiClient::METHODS,
        SqliteDatabaseApiClient::METHODS,
    ];
    for method in services.iter().flat_map(|methods| methods.iter()) {
        let name = method.path.rsplit_once('/').unwrap().1;
        let table = METHODS.iter().map(|(name, ..)| *name);
        let names = table.chain(WITHOUT_RIGHTS.iter().map(|(name, _)| *name));
        let is_tested =
            names.map(|name| name.split([',', ' ']).next()).any(|one| one == Some(name));
        // An empty request can be parsed by any method.
        let mut call = BidiCall::<GetResourceRequest, GetResourceResponse>::new(&channel, method)
            .await
            .unwrap();
        let _ = call.send(GetResourceRequest::default()).await;
        call.half_close();
        let code = call.message().await.map_err(|error| error.code()).err();
        match code {
            Some(Code::Unimplemented) => assert!(!is_tested, "{name} is not implemented"),
            Some(Code::Unauthenticated) => assert!(is_tested, "{name} has no test"),
            // An empty request is invalid for a stranger, too.
            Some(Code::InvalidArgument) => assert_eq!(name, "Authenticate"),
            other => assert_eq!((name, other), ("CheckCompatibility", None)),
        }
    }
}
