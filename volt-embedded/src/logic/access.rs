//! Access rules: requesting access, granting it, and checking it.

use rusqlite::Connection;
use uuid::Uuid;
use volt_api::{
    Code, Status,
    server::Token,
    volt::{
        Access, CanAccessResourceRequest, CanAccessResourceResponse, DeleteAccessRequest,
        GetAccessRequest, PolicyDecision, RequestAccessRequest, RequestAccessResponse,
        SaveAccessRequest, SetAccessRequestDecisionRequest, access::Subject,
        can_access_resource_request::Subject as Whose,
    },
};

use super::limits;
use crate::{
    actor::Actor,
    error::{Result, exhausted, invalid, not_found, unauthenticated},
    rights,
    store::{Tx, access, identities, now, resources, rows::signed},
};

/// The maximum number of undecided access requests per identity.
const MAX_REQUESTS: u64 = 200;

impl Actor {
    /// Checks access for the actor, or for a caller whose token the actor has received.
    pub(crate) fn can_access_resource(
        &self,
        request: &CanAccessResourceRequest,
    ) -> Result<CanAccessResourceResponse> {
        let (identity, session) = match &request.subject {
            None => (self.identity.clone(), self.session.clone()),
            Some(Whose::Token(jwt)) => {
                let token = parse_jwt(jwt)?;
                self.demand_audience(&token)?;
                let id = token.claims().sub.as_deref().unwrap_or_default();
                let session = self.volt.session_of(&token, id)?;
                (session.identity_did, session.id)
            }
            Some(_) => {
                let message = "callers cannot be identified by certificates on this Volt";
                return Err(Status::new(Code::Unimplemented, message).into());
            }
        };
        self.read(|store| {
            let id = resources::resolve(store, &request.resource_id)?;
            let owner = &self.volt.owner;
            let permitted = rights::may(store, owner, &identity, &id, &request.access)?;
            Ok(CanAccessResourceResponse::default()
                .with_identity_did(&identity)
                .with_session_id(session)
                .with_resource_id(id)
                .with_access(&request.access)
                .with_decision(decision(permitted)))
        })
    }

    /// Rejects a token that was not issued for the actor: it could have been stolen from another
    /// service.
    fn demand_audience(&self, token: &Token) -> Result<()> {
        let audience = &token.claims().aud;
        let keys = || self.read(|store| identities::keys(store, &self.identity));
        if *audience == self.identity
            || *audience == self.volt.id
            || keys()?.iter().any(|key| key.fingerprint() == *audience)
        {
            return Ok(());
        }
        Err(unauthenticated("the token is for another service").into())
    }

    /// Returns the rules for the actor's resources and about the actor, or all rules for the owner of
    /// the Volt.
    pub(crate) fn get_access(&self, request: &GetAccessRequest) -> Result<Vec<Access>> {
        self.read(|store| {
            let resource = match request.resource_id.as_str() {
                "" => None,
                reference => Some(resources::resolve(store, reference)?),
            };
            let mut found = Vec::new();
            for rule in access::list(store, resource.as_deref())? {
                self.scope.check()?;
                let rule = describe(store, rule)?;
                let subject = subject(&rule);
                let visible = self.is_owner()
                    || rule.resource_owner == self.identity
                    || subject == self.identity;
                let same = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
                if visible
                    && same(&request.identity_did, subject)
                    && same(&request.access, &rule.access)
                    && (request.decision == 0 || request.decision == rule.decision)
                {
                    found.push(rule);
                }
            }
            Ok(found)
        })
    }

    /// Adds rules, or updates the rules with the given ids.
    pub(crate) fn save_access(&self, request: SaveAccessRequest) -> Result<()> {
        if request.access.is_none() && request.access_list.is_empty() {
            return Err(invalid("no rule is given").into());
        }
        self.write(|tx| {
            for rule in request.access.into_iter().chain(request.access_list) {
                self.save_rule(tx, rule)?;
            }
            Ok(())
        })
    }

    fn save_rule(&self, tx: &Tx<'_>, mut rule: Access) -> Result<()> {
        rule.resource_id = resources::resolve(tx, &rule.resource_id)?;
        self.demand_ownership(tx, &rule.resource_id)?;
        if rule.access.is_empty() {
            return Err(invalid("a rule needs `access`").into());
        }
        if subject(&rule).is_empty() {
            return Err(invalid("a rule needs `identity_did` or `credential_lookup`").into());
        }
        limits::rule(&rule)?;
        refuse_undecidable(&rule)?;
        let time = signed(now());
        if rule.id.is_empty() {
            let same = access::find(tx, &rule.resource_id, subject(&rule), &rule.access)?;
            let same = same.filter(|same| same.extra == rule.extra);
            rule.id = same.map_or_else(|| Uuid::new_v4().to_string(), |same| same.id);
        } else if let Some(old) = access::get(tx, &rule.id)? {
            // Otherwise the actor could replace rules of resources that it does not own.
            self.demand_ownership(tx, &old.resource_id)?;
        }
        if rule.decision == 0 {
            rule.decision = PolicyDecision::Permit.into();
        }
        rule.request_time = if rule.request_time == 0 { time } else { rule.request_time };
        rule.decision_time = time;
        access::save(tx, &rule)
    }

    pub(crate) fn delete_access(&self, request: &DeleteAccessRequest) -> Result<()> {
        self.write(|tx| {
            if !request.resource_id.is_empty() {
                let id = resources::resolve(tx, &request.resource_id)?;
                self.demand_ownership(tx, &id)?;
                return access::delete_all(tx, &id);
            }
            let rule = access::get(tx, &request.id)?
                .ok_or_else(|| not_found("access rule", &request.id))?;
            self.demand_ownership(tx, &rule.resource_id)?;
            access::delete(tx, &rule.id)
        })
    }

    /// Requests access. If the actor lacks the right, the request waits for a decision.
    pub(crate) fn request_access(
        &self,
        request: &RequestAccessRequest,
    ) -> Result<RequestAccessResponse> {
        if request.access.is_empty() {
            return Err(invalid("`access` is missing").into());
        }
        limits::rule(&Access::default().with_access(&request.access))?;
        self.write(|tx| {
            let id = resources::resolve(tx, &request.resource_id)?;
            let response = RequestAccessResponse::default()
                .with_resource_id(&id)
                .with_identity_did(&self.identity)
                .with_access(&request.access);
            if self.may(tx, &id, &request.access)? {
                return Ok(response.with_decision(PolicyDecision::Permit));
            }
            let before = access::find(tx, &id, &self.identity, &request.access)?;
            let mut rule = before.clone().unwrap_or_else(|| {
                Access::default()
                    .with_id(Uuid::new_v4().to_string())
                    .with_resource_id(&id)
                    .with_identity_did(&self.identity)
                    .with_access(&request.access)
                    .with_decision(PolicyDecision::Prompt)
                    .with_request_time(signed(now()))
            });
            if before.is_none() && access::count_requests(tx, &self.identity)? >= MAX_REQUESTS {
                let message = "the caller has too many undecided requests for access";
                return Err(exhausted(message).into());
            }
            rule.request_count += 1;
            access::save(tx, &rule)?;
            let decision = match (rule.decision(), before) {
                // The owner has not decided yet.
                (PolicyDecision::Prompt, Some(_)) => PolicyDecision::Pending,
                (decision, _) => decision,
            };
            Ok(response
                .with_decision(decision)
                .with_request_time(rule.request_time)
                .with_decision_time(rule.decision_time)
                .with_request_count(i32::try_from(rule.request_count).unwrap_or(i32::MAX)))
        })
    }

    /// Decides an access request.
    pub(crate) fn set_access_request_decision(
        &self,
        request: &SetAccessRequestDecisionRequest,
    ) -> Result<()> {
        self.write(|tx| {
            let mut rule = access::get(tx, &request.id)?
                .ok_or_else(|| not_found("access request", &request.id))?;
            self.demand_ownership(tx, &rule.resource_id)?;
            rule.decision = request.decision;
            refuse_undecidable(&rule)?;
            rule.decision_time = signed(now());
            access::save(tx, &rule)
        })
    }
}

/// Rejects an unknown decision, and a denying rule with a condition that this Volt cannot evaluate:
/// such a rule would protect nothing.
fn refuse_undecidable(rule: &Access) -> Result<()> {
    let decision = PolicyDecision::try_from(rule.decision)
        .map_err(|_| invalid(format!("`decision` {} is unknown", rule.decision)))?;
    let conditional =
        !rule.extra.is_empty() || matches!(rule.subject, Some(Subject::CredentialLookup(_)));
    if decision == PolicyDecision::Deny && conditional {
        let message = "a rule that denies cannot have `extra` or `credential_lookup` on this Volt";
        return Err(invalid(message).into());
    }
    Ok(())
}

pub(crate) fn decision(permitted: bool) -> PolicyDecision {
    if permitted { PolicyDecision::Permit } else { PolicyDecision::Deny }
}

fn subject(rule: &Access) -> &str {
    match &rule.subject {
        Some(Subject::IdentityDid(text) | Subject::CredentialLookup(text)) => text,
        _ => "",
    }
}

/// Adds the names and kinds of the resource and the identity.
fn describe(store: &Connection, mut rule: Access) -> Result<Access> {
    if let Some(resource) = resources::get(store, &rule.resource_id)? {
        rule.resource_name = resource.name;
        rule.resource_owner = resource.owner;
        rule.resource_kind = resource.kind;
    }
    if let Some(identity) = resources::get(store, subject(&rule))? {
        rule.identity_name = identity.name;
        rule.identity_kind = identity.kind;
    }
    Ok(rule)
}

/// Parses a token and checks its validity period, but not its signature.
fn parse_jwt(jwt: &str) -> Result<Token> {
    let token = Token::parse_jwt(jwt)
        .map_err(|error| invalid(format!("the token cannot be read: {error}")))?;
    token.check_times(now() / 1000).map_err(|error| unauthenticated(error.to_string()))?;
    Ok(token)
}
