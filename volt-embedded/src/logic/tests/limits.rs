//! Requests that would use more memory, time or stack than one caller is allowed.

use volt_api::{
    Code,
    key::SigningKey,
    server::Token,
    volt::{
        AuthenticateRequest, CopyResourceMode, CopyResourceRequest, DiscoverServicesRequest,
        GetFileDescendantsRequest, GetIdentitiesRequest, GetResourceDescendantsRequest,
        GetResourcesRequest, GetSessionsRequest, PolicyDecision, Resource, SaveResourceRequest,
    },
};
use volt_runtime::server::Claims;

use super::{code, guest, make, owner, volt, volt_with};
use crate::{actor::Actor, logic::authenticate::Call, store::now};

#[test]
fn patterns_are_limited_in_length_and_wildcards() {
    let actor = owner(&volt());
    for pattern in ["*".repeat(20_000), "*".repeat(17), "x".repeat(501)] {
        let by = GetResourcesRequest::default;
        let one = || [pattern.as_str()];
        for request in [
            by().with_name(one()),
            by().with_description(one()),
            by().with_kind(one()),
            by().with_alias(one()),
            by().with_service_api(one()),
        ] {
            assert_eq!(code(actor.get_resources(&request)), Code::InvalidArgument);
        }
        let sessions = GetSessionsRequest::default().with_identity_name(&pattern);
        assert_eq!(code(actor.get_sessions(&sessions)), Code::InvalidArgument);
        let identities = GetIdentitiesRequest::default().with_name(&pattern);
        assert_eq!(code(actor.get_identities(&identities)), Code::InvalidArgument);
        let services = DiscoverServicesRequest::default().with_service_api(one());
        assert_eq!(code(actor.discover_services(&services)), Code::InvalidArgument);
    }
    let longest = ["*".repeat(16)];
    assert!(
        !actor
            .get_resources(&GetResourcesRequest::default().with_name(longest))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_search_accepts_thousands_of_ids() {
    let actor = owner(&volt());
    let id = make(&actor, "", "wanted", "volt:folder");
    let mut ids: Vec<_> = (0..5000).map(|number| format!("missing-{number}")).collect();
    ids.push(id);
    let found = actor.get_resources(&GetResourcesRequest::default().with_id(ids.clone())).unwrap();
    assert_eq!(found.len(), 1);
    let found =
        actor.get_resources(&GetResourcesRequest::default().with_owner(ids.clone())).unwrap();
    assert!(found.is_empty());
    ids.extend(ids.clone());
    let many = GetResourcesRequest::default().with_id(ids);
    assert_eq!(code(actor.get_resources(&many)), Code::InvalidArgument);
}

/// Links folders in diamonds: each layer has two folders, both of which contain both folders of the
/// next layer.
fn diamonds(actor: &Actor, layers: usize) -> String {
    let top = make(actor, "", "top", "volt:folder");
    let mut above = vec![top.clone()];
    for layer in 0..layers {
        let below: Vec<_> = (0..2)
            .map(|side| make(actor, &above[0], &format!("{layer}-{side}"), "volt:folder"))
            .collect();
        for (parent, child) in above.iter().skip(1).flat_map(|p| below.iter().map(move |c| (p, c)))
        {
            let link = CopyResourceRequest::default()
                .with_resource_id(child)
                .with_to_resource_id(parent)
                .with_mode(CopyResourceMode::Link);
            actor.copy_resource(&link).unwrap();
        }
        above = below;
    }
    top
}

#[test]
fn diamonds_are_walked_once() {
    let actor = owner(&volt());
    // There are 2^28 paths.
    let top = diamonds(&actor, 28);
    let request = GetFileDescendantsRequest::default().with_resource_id(&top);
    assert_eq!(actor.get_file_descendants(&request).unwrap().len(), 56);
    for depth in [0, 20] {
        let request =
            GetResourceDescendantsRequest::default().with_resource_id(&top).with_depth(depth);
        let levels = if depth == 0 { 28 } else { 20 };
        assert_eq!(actor.get_resource_descendants(&request).unwrap().len(), levels * 2);
    }
}

#[test]
fn long_texts_are_refused() {
    let volt = volt();
    let actor = guest(&volt);
    let long = "x".repeat(1025);
    for resource in [
        Resource::default().with_name(&long),
        Resource::default().with_name("n").with_kind([long.as_str()]),
        Resource::default().with_name("n").with_alias([long.as_str()]),
        Resource::default().with_name("n").with_description("x".repeat(1 << 20)),
        Resource::default().with_name("n").with_kind(vec!["k"; 1001]),
    ] {
        let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
        assert_eq!(code(actor.save_resource(request)), Code::InvalidArgument);
    }
}

#[test]
fn names_with_parent_components_are_refused() {
    let actor = guest(&volt());
    for name in ["..", ".", "a/../../etc", "..\\x", "a\0b", "../x"] {
        let resource = Resource::default().with_name(name);
        let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
        assert_eq!(code(actor.save_resource(request)), Code::InvalidArgument, "{name:?}");
    }
    for name in ["..a", "a..b", "...", ".hidden"] {
        make(&actor, "", name, "volt:file");
    }
}

#[test]
fn strangers_cannot_fill_the_store() {
    let volt = volt_with(|options| options.decision = PolicyDecision::Prompt);
    let ask = |name: &str| {
        let key = SigningKey::generate().unwrap();
        let (claims, signature) =
            Claims::new("did:volt:any", None, &[], now() / 1000).sign(&key).unwrap();
        let token = Token::parse(&claims, signature.into()).unwrap();
        let request = AuthenticateRequest::default()
            .with_public_key(key.verifying_key().to_pem())
            .with_client_name(name);
        volt.authenticate(Call { token: Some(&token), ..Call::default() }, &request)
    };
    assert_eq!(code(ask(&"x".repeat(30 << 20))), Code::InvalidArgument);
    for _ in 0..200 {
        assert_eq!(ask("waiting").unwrap().decision(), PolicyDecision::Prompt);
    }
    assert_eq!(code(ask("one too many")), Code::ResourceExhausted);
    let sessions = owner(&volt).get_sessions(&GetSessionsRequest::default()).unwrap();
    assert_eq!(sessions.len(), 200);
}

fn nested(actor: &Actor, id: &str, depth: usize) {
    actor
        .read(|_| {
            match depth {
                0 => {
                    let volt = &actor.volt;
                    volt.store.read_for_authentication(|_| Ok(())).unwrap();
                    make(actor, id, "written meanwhile", "volt:file");
                }
                depth => nested(actor, id, depth - 1),
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn authentication_does_not_wait_for_readers() {
    let volt = volt();
    let actor = owner(&volt);
    let id = make(&actor, "", "folder", "volt:folder");
    // Nest more long reads than there are idle readers.
    nested(&actor, &id, 20);
}

#[test]
fn a_read_stops_when_its_caller_leaves() {
    let volt = volt();
    let actor = owner(&volt);
    let endless = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)
                   SELECT max(n) FROM n";
    let outcome = actor.read(|store| {
        drop(actor.scope.cancel_on_drop());
        Ok(store.query_row(endless, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(code(outcome), Code::Cancelled);
    let mut next = owner(&volt);
    next.scope = volt.scope.for_call();
    let outcome = next.read(|store| {
        volt.scope.stop();
        Ok(store.query_row(endless, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(code(outcome), Code::Unavailable);
}
