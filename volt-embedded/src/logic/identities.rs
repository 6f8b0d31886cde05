//! Looking up and creating identities, and changing their aliases.

use rusqlite::Connection;
use volt_api::{
    key::VerifyingKey,
    volt::{
        GetIdentitiesRequest, GetIdentityRequest, Identity, IdentityAlias, SaveIdentityRequest,
        SaveResourceRequest, get_identity_request::Lookup,
    },
};

use super::limits;
use crate::{
    actor::Actor,
    error::{Result, denied, invalid, not_found, precondition},
    rights::{READ, WRITE},
    store::{
        Tx, identities,
        identities::{KINDS, PUBLIC_KEY},
        new_did, resources,
        resources::{IDENTITY, add_kind, has_kind},
    },
};

impl Actor {
    pub(crate) fn get_identities(&self, request: &GetIdentitiesRequest) -> Result<Vec<Identity>> {
        let (alias, alias_type) = request
            .alias
            .as_ref()
            .map_or(("", ""), |alias| (alias.alias.as_str(), alias.alias_type.as_str()));
        self.read(|store| {
            let mut found = Vec::new();
            for id in identities::find(store, &request.name, alias, alias_type)? {
                if self.may(store, &id, READ)? {
                    found.push(identity(store, &id)?);
                }
            }
            Ok(found)
        })
    }

    pub(crate) fn get_identity(&self, request: &GetIdentityRequest) -> Result<Identity> {
        self.read(|store| {
            let id = match &request.lookup {
                Some(Lookup::IdentityDid(did)) => resources::resolve(store, did)?,
                Some(Lookup::Fingerprint(fingerprint)) => {
                    let alias = identities::by_alias(store, PUBLIC_KEY, fingerprint)?;
                    alias.ok_or_else(|| not_found("identity", fingerprint))?.identity_did
                }
                _ => return Err(invalid("name the identity: `identity_did` or `fingerprint`").into()),
            };
            self.demand(store, &id, READ)?;
            identity(store, &id)
        })
    }

    /// Creates or updates an identity and its aliases.
    pub(crate) fn save_identity(&self, request: SaveIdentityRequest) -> Result<Identity> {
        if !request.did_document.is_empty() {
            return Err(precondition("this Volt does not store DID documents").into());
        }
        let given = request.identity.ok_or_else(|| invalid("the identity is missing"))?;
        let mut resource = given.resource.unwrap_or_default();
        self.write(|tx| {
            let id = if request.create {
                self.demand_owner()?;
                if resource.id.is_empty() {
                    resource.id = new_did();
                }
                resource.owner.clone_from(&resource.id);
                for kind in KINDS {
                    add_kind(&mut resource, kind);
                }
                let parent = match request.create_in_parent_id.as_str() {
                    "" => self.volt.id.clone(),
                    parent => parent.to_owned(),
                };
                let request = SaveResourceRequest::default()
                    .with_resource(resource)
                    .with_create(true)
                    .with_create_in_parent_id(parent);
                self.save(tx, request)?.id
            } else {
                let id = self.reach(tx, &resource.id, WRITE)?;
                self.demand_self(&id)?;
                self.save(tx, SaveResourceRequest::default().with_resource(resource))?;
                id
            };
            if request.purge_aliases {
                identities::purge(tx, &id)?;
            }
            for alias in &request.delete_alias {
                self.demand_undecided(tx, &id, alias)?;
                identities::remove(tx, &id, alias)?;
            }
            for alias in given.alias {
                self.save_alias(tx, &id, alias)?;
            }
            identity(tx, &id)
        })
    }

    /// Fails unless the actor is the identity itself or owns the Volt. The right to write to the
    /// home folder is not enough: a key added to an identity can authenticate as that identity.
    pub(super) fn demand_self(&self, identity: &str) -> Result<()> {
        if self.is_owner() || self.identity == identity {
            return Ok(());
        }
        Err(denied("only the identity itself or the owner of the Volt may do this").into())
    }

    /// If the owner of the Volt has decided how this alias authenticates, fails unless the actor is
    /// that owner.
    fn demand_undecided(&self, tx: &Tx<'_>, identity: &str, alias: &IdentityAlias) -> Result<()> {
        let decided = identities::aliases(tx, identity)?.into_iter().any(|known| {
            let same = known.id == alias.id
                || (known.alias_type == alias.alias_type && known.alias == alias.alias);
            same && known.authenticate != 0
        });
        if decided { self.demand_owner() } else { Ok(()) }
    }

    fn save_alias(&self, tx: &Tx<'_>, identity: &str, mut alias: IdentityAlias) -> Result<()> {
        identity.clone_into(&mut alias.identity_did);
        alias.private_key.clear();
        if !alias.public_key.is_empty() {
            let unusable = |error| invalid(format!("`public_key` is invalid: {error}"));
            let key = VerifyingKey::from_pem(&alias.public_key).map_err(unusable)?;
            alias.alias = key.fingerprint();
            PUBLIC_KEY.clone_into(&mut alias.alias_type);
        }
        if alias.alias.is_empty() || alias.alias_type.is_empty() {
            return Err(invalid("an identity's alias needs `alias` and `alias_type`").into());
        }
        limits::identity_alias(&alias)?;
        if alias.authenticate != 0 {
            // Otherwise every client could admit further keys.
            self.demand_owner()?;
        } else {
            self.demand_undecided(tx, identity, &alias)?;
        }
        // The key has not signed anything yet. Until it does, it must not be mapped to this
        // identity.
        identities::save(tx, &alias, alias.alias_type != PUBLIC_KEY || self.is_owner())
    }
}

fn identity(store: &Connection, id: &str) -> Result<Identity> {
    let resource = resources::require(store, id)?;
    if !has_kind(&resource, IDENTITY) {
        return Err(not_found("identity", id).into());
    }
    let alias = identities::aliases(store, id)?;
    Ok(Identity { resource: Some(resource), alias, ..Identity::default() })
}
