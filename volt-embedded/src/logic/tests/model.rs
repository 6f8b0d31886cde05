//! Checks the access rules against a model, with random trees, rules, links and identities, every
//! access, and methods.
//!
//! `VOLT_ACCESS_CASES` sets the number of decisions to check, and with it the number of worlds in which
//! methods are called: one for each thousand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use volt_api::{
    Code, Status,
    key::SigningKey,
    volt::{
        Access, GetFileContentRequest, GetFileRequest, GetResourceAncestorsRequest,
        GetResourceRequest, PolicyDecision, Resource, SaveResourceRequest, SetFileContentRequest,
        ShareMode,
    },
};
use volt_test_support::Random;

use super::volt;
use crate::{
    actor::Actor,
    error::{Fault, Result},
    rights::{
        self, CONTENT, CREATE, DATABASE_READ, DATABASE_WRITE, READ, WIRE_PUBLISH, WIRE_SUBSCRIBE,
        WRITE,
    },
    scope::Scope,
    store::{Tx, access, identities, links, resources},
    volt::Volt,
};

const ACCESSES: [&str; 9] = [
    READ,
    CONTENT,
    WRITE,
    CREATE,
    DATABASE_READ,
    DATABASE_WRITE,
    WIRE_PUBLISH,
    WIRE_SUBSCRIBE,
    "my:own",
];
const RESOURCES: usize = 7;
const IDENTITIES: usize = 3;
/// The default number of decisions.
const CASES: u64 = 20_000;
/// The number of decisions for each world in which methods are called.
const CASES_OF_A_WORLD: u64 = 1000;

type Method = fn(&Actor, &str) -> Result<()>;

/// Methods that need one access to one resource, and the access.
const METHODS: &[(&str, &str, Method)] = &[
    ("GetResource", READ, |actor, id| {
        actor.get_resource(&GetResourceRequest::default().with_resource_id(id)).map(drop)
    }),
    ("GetResourceAncestors", READ, |actor, id| {
        let request = GetResourceAncestorsRequest::default().with_resource_id(id);
        actor.get_resource_ancestors(&request).map(drop)
    }),
    ("GetFile", READ, |actor, id| {
        actor.get_file(&GetFileRequest::default().with_resource_id(id)).map(drop)
    }),
    ("GetFileContent", CONTENT, |actor, id| {
        actor.get_file_content(&GetFileContentRequest::default().with_resource_id(id)).map(drop)
    }),
    ("SetFileContent", WRITE, |actor, id| {
        let request = SetFileContentRequest::default().with_resource_id(id);
        actor.set_file_content(&request.with_content("text"))
    }),
    ("SaveResource", WRITE, |actor, id| {
        let resource = Resource::default().with_id(id).with_description("changed");
        actor.save_resource(SaveResourceRequest::default().with_resource(resource)).map(drop)
    }),
    ("SaveResource, create", CREATE, |actor, id| {
        let request = SaveResourceRequest::default()
            .with_resource(Resource::default().with_name("new"))
            .with_create(true)
            .with_create_in_parent_id(id);
        actor.save_resource(request).map(drop)
    }),
    ("a statement that writes", DATABASE_WRITE, |actor, id| actor.demand_database_write(id)),
    ("PublishWire", WIRE_PUBLISH, |actor, id| actor.reach_wire(id, WIRE_PUBLISH).map(drop)),
    ("SubscribeWire", WIRE_SUBSCRIBE, |actor, id| actor.reach_wire(id, WIRE_SUBSCRIBE).map(drop)),
];

/// A random state of the store, as the model represents it.
#[derive(Debug, Default)]
struct World {
    owner: BTreeMap<String, String>,
    public: BTreeSet<String>,
    parents: BTreeMap<String, BTreeSet<String>>,
    /// The fingerprints of the identities' keys.
    keys: BTreeMap<String, String>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    resource: String,
    subject: String,
    access: String,
    denies: bool,
    recursive: bool,
    conditional: bool,
}

impl World {
    fn random(random: &mut Random, keys: &BTreeMap<String, String>) -> Self {
        let mut world = Self { keys: keys.clone(), ..Self::default() };
        let identities: Vec<_> = keys.keys().map(String::as_str).collect();
        for index in 0..RESOURCES {
            let id = format!("r{index}");
            world.owner.insert(id.clone(), random.one(&identities).to_owned());
            if random.below(4) == 0 {
                world.public.insert(id.clone());
            }
            // Parents have smaller numbers, so there are no cycles.
            let parents = (0..index).filter(|_| random.below(3) == 0).map(|p| format!("r{p}"));
            world.parents.insert(id, parents.collect());
        }
        for _ in 0..random.below(8) {
            let identity = random.one(&identities);
            let subject = match random.below(6) {
                0 => "*",
                1 => &keys[identity],
                _ => identity,
            };
            let denies = random.below(4) == 0;
            world.rules.push(Rule {
                resource: format!("r{}", random.below(RESOURCES)),
                subject: subject.to_owned(),
                access: if random.below(8) == 0 { "*" } else { random.one(&ACCESSES) }.to_owned(),
                denies,
                recursive: random.below(2) == 0,
                conditional: random.below(8) == 0,
            });
        }
        world
    }

    /// Returns a resource and all its ancestors.
    fn above(&self, resource: &str) -> BTreeSet<&str> {
        let mut above = BTreeSet::new();
        let mut open = vec![resource];
        while let Some(next) = open.pop() {
            if let Some((id, parents)) = self.parents.get_key_value(next)
                && above.insert(id.as_str())
            {
                open.extend(parents.iter().map(String::as_str));
            }
        }
        above
    }

    /// The model, as documented: returns whether the identity has the access.
    fn may(&self, identity: &str, resource: &str, access: &str) -> bool {
        if self.owner[resource] == identity {
            return true;
        }
        let above = self.above(resource);
        let rules: Vec<_> = self
            .rules
            .iter()
            .filter(|rule| {
                let about = rule.resource == resource
                    || (rule.recursive && above.contains(rule.resource.as_str()));
                let to = rule.subject == "*"
                    || rule.subject == identity
                    || rule.subject == self.keys[identity];
                about && to
            })
            .collect();
        let denied = rules.iter().any(|rule| rule.denies && covers_denied(&rule.access, access));
        let by_all = self.public.contains(resource)
            && [READ, CONTENT, DATABASE_READ, WIRE_SUBSCRIBE].contains(&access);
        let permitted = rules
            .iter()
            .any(|rule| !rule.denies && !rule.conditional && granted(&rule.access, access));
        !denied && (by_all || permitted)
    }

    fn store(&self, tx: &Tx<'_>) {
        for (id, owner) in &self.owner {
            let mode =
                if self.public.contains(id) { ShareMode::PublicRead } else { ShareMode::Unknown };
            let resource = Resource::default()
                .with_id(id)
                .with_name(id)
                .with_owner(owner)
                .with_share_mode(mode);
            resources::insert(tx, &resource).unwrap();
        }
        for (id, parents) in &self.parents {
            for parent in parents {
                links::add(tx, parent, id).unwrap();
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let decision = if rule.denies { PolicyDecision::Deny } else { PolicyDecision::Permit };
            let rule = Access::default()
                .with_id(index.to_string())
                .with_resource_id(&rule.resource)
                .with_identity_did(&rule.subject)
                .with_access(&rule.access)
                .with_extra(if rule.conditional { "condition" } else { "" })
                .with_recursive(rule.recursive)
                .with_decision(decision);
            access::save(tx, &rule).unwrap();
        }
    }
}

/// Returns whether a rule that permits `rule` grants the access.
fn granted(rule: &str, access: &str) -> bool {
    let grants: &[&str] = match rule {
        "*" => return true,
        READ => &[READ, CONTENT, WIRE_SUBSCRIBE],
        WRITE => &[
            READ,
            CONTENT,
            WRITE,
            CREATE,
            DATABASE_READ,
            DATABASE_WRITE,
            WIRE_PUBLISH,
            WIRE_SUBSCRIBE,
        ],
        DATABASE_READ => &[DATABASE_READ, READ],
        DATABASE_WRITE => &[DATABASE_WRITE, DATABASE_READ, READ],
        WIRE_PUBLISH => &[WIRE_PUBLISH, READ],
        WIRE_SUBSCRIBE => &[WIRE_SUBSCRIBE, READ],
        other => return other == access,
    };
    grants.contains(&access)
}

/// Returns whether a rule that denies `rule` denies the access.
fn covers_denied(rule: &str, access: &str) -> bool {
    match rule {
        "*" => true,
        READ => access == READ || access == CONTENT,
        other => other == access,
    }
}

/// Creates identities, and returns the fingerprints of their keys.
fn identities(volt: &Volt) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    volt.store
        .write(|tx| {
            for index in 0..IDENTITIES {
                let key = SigningKey::generate().unwrap().verifying_key();
                let id = identities::create(tx, &volt.id, &format!("did:volt:i{index}"), "")?;
                identities::add_key(tx, &id, &key)?;
                keys.insert(id, key.fingerprint());
            }
            Ok(())
        })
        .unwrap();
    keys
}

fn cases() -> u64 {
    std::env::var("VOLT_ACCESS_CASES").map_or(CASES, |text| text.parse().unwrap())
}

#[test]
fn methods_are_denied_exactly_when_the_model_denies() {
    let mut denials = 0;
    let mut calls = 0;
    for seed in 0..cases().div_ceil(CASES_OF_A_WORLD) {
        let volt = volt();
        let world = World::random(&mut Random::new(seed), &identities(&volt));
        let stored = volt.store.write(|tx| {
            world.store(tx);
            // Wires, because methods of wires refuse other kinds.
            for id in world.owner.keys() {
                let mut resource = resources::require(tx, id)?;
                resources::add_kind(&mut resource, "volt:wire");
                resources::update(tx, &resource)?;
            }
            Ok(())
        });
        stored.unwrap();
        for identity in world.keys.keys() {
            let (volt, identity) = (Arc::clone(&volt), identity.clone());
            let actor = Actor { volt, identity, session: String::new(), scope: Scope::default() };
            for id in world.owner.keys() {
                for (name, access, method) in METHODS {
                    let outcome = method(&actor, id);
                    let denied = matches!(
                        &outcome,
                        Err(Fault::Refused(status)) if status.code() == Code::PermissionDenied
                    );
                    let what = || format!("seed {seed}: {} {name} {id}", actor.identity);
                    assert!(denied || outcome.is_ok(), "{}: {outcome:?}", what());
                    let expected = !world.may(&actor.identity, id, access);
                    assert_eq!(denied, expected, "{}: {outcome:?}\n{world:#?}", what());
                    calls += 1;
                    denials += u64::from(denied);
                }
            }
        }
    }
    assert!(denials * 10 > calls && denials * 10 < calls * 9, "{denials}/{calls}");
}

#[test]
fn every_decision_agrees_with_the_model() {
    let cases = cases();
    let volt = volt();
    let keys = identities(&volt);
    let mut decisions = 0;
    let mut permitted = 0;
    for seed in 0.. {
        let world = World::random(&mut Random::new(seed), &keys);
        // Roll the change back, which is faster than creating a new store.
        let outcome = volt.store.write(|tx| {
            world.store(tx);
            for identity in keys.keys() {
                for resource in world.owner.keys() {
                    for access in ACCESSES {
                        let real = rights::may(tx, &volt.owner, identity, resource, access)?;
                        let expected = world.may(identity, resource, access);
                        let what =
                            || format!("seed {seed}: {identity} {access} {resource}\n{world:#?}");
                        assert_eq!(real, expected, "{}", what());
                        decisions += 1;
                        permitted += u64::from(real);
                    }
                }
            }
            Err::<(), _>(Status::new(Code::Aborted, "rolled back").into())
        });
        assert!(outcome.is_err());
        if decisions >= cases {
            break;
        }
    }
    // Neither decision is rare.
    assert!(
        permitted * 10 > decisions && permitted * 10 < decisions * 9,
        "{permitted}/{decisions}"
    );
}
