//! Limits on the texts that clients store.

use volt_api::{
    Status,
    volt::{
        Access, AuthenticateRequest, IdentityAlias, Resource, SetSynapseDocumentMetadataRequest,
        access::Subject, authenticate_request::ClientIdentifier as Id,
    },
};

use crate::error::invalid;

/// The longest name, in bytes.
const NAME: usize = 1024;
/// The longest key, document or signature, in bytes.
const DOCUMENT: usize = 64 << 10;
/// The longest description, in bytes.
const DESCRIPTION: usize = 256 << 10;
/// The total size of the schemas of a document, in bytes.
const SCHEMAS: usize = 1 << 20;
/// The maximum number of kinds, aliases or attributes of a resource.
const LIST: usize = 1000;

/// Rejects a text longer than `limit`. `field` names it in the error.
fn text(field: &str, text: &str, limit: usize) -> Result<(), Status> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(invalid(format!("`{field}` has {} bytes; the limit is {limit}", text.len())))
}

fn list<T>(field: &str, list: &[T]) -> Result<(), Status> {
    if list.len() <= LIST {
        return Ok(());
    }
    Err(invalid(format!("`{field}` has {} entries; the limit is {LIST}", list.len())))
}

/// Checks an `Authenticate` request, whose client may be unknown.
pub(super) fn authenticate(request: &AuthenticateRequest) -> Result<(), Status> {
    text("client_name", &request.client_name, NAME)?;
    text("session_name", &request.session_name, NAME)?;
    text("challenge", &request.challenge, NAME)?;
    text("exchange_token", &request.exchange_token, NAME)?;
    text("did_document_signature", &request.did_document_signature, DOCUMENT)?;
    match &request.client_identifier {
        Some(Id::PublicKey(key) | Id::DidPublicKey(key)) => text("public_key", key, DOCUMENT),
        Some(Id::Did(did)) => text("did", did, NAME),
        Some(Id::DidDocument(document)) => text("did_document", document, DOCUMENT),
        _ => Ok(()),
    }
}

/// Checks a resource before it is saved.
pub(super) fn resource(resource: &Resource) -> Result<(), Status> {
    let name = &resource.name;
    text("name", name, NAME)?;
    // Clients save resources to disk under these names.
    let climbs = name.split(['/', '\\']).any(|part| part == "..") || name == ".";
    if climbs || name.contains('\0') {
        return Err(invalid(format!(
            "`{}` is not a valid name for a resource",
            name.escape_debug()
        )));
    }
    text("description", &resource.description, DESCRIPTION)?;
    text("store", &resource.store, NAME)?;
    text("owner", &resource.owner, NAME)?;
    list("kind", &resource.kind)?;
    list("alias", &resource.alias)?;
    list("attribute", &resource.attribute)?;
    for kind in &resource.kind {
        text("kind", kind, NAME)?;
    }
    for alias in &resource.alias {
        text("alias", alias, NAME)?;
    }
    for attribute in &resource.attribute {
        text("attribute_id", &attribute.attribute_id, NAME)?;
    }
    Ok(())
}

/// Checks the name of a document.
pub(super) fn document(id: &str) -> Result<(), Status> {
    if id.is_empty() {
        return Err(invalid("`document_id` is missing"));
    }
    text("document_id", id, NAME)
}

/// Checks the label of a version.
pub(super) fn label(label: &str) -> Result<(), Status> {
    text("label", label, NAME)
}

/// Checks a text of a synapse's connection.
pub(super) fn connection(field: &str, value: &str) -> Result<(), Status> {
    text(field, value, DOCUMENT)
}

/// Checks the description of a document. The limits of changes apply to the document itself.
pub(super) fn metadata(request: &SetSynapseDocumentMetadataRequest) -> Result<(), Status> {
    list("metadata", &request.metadata)?;
    let mut size = 0;
    for root in &request.metadata {
        text("name", &root.name, NAME)?;
        text("type", &root.r#type, NAME)?;
        text("json_schema", &root.json_schema, DESCRIPTION)?;
        size += root.json_schema.len();
    }
    if size > SCHEMAS {
        return Err(invalid(format!("the schemas have {size} bytes; the limit is {SCHEMAS}")));
    }
    Ok(())
}

/// Checks an alias of an identity before it is saved.
pub(super) fn identity_alias(alias: &IdentityAlias) -> Result<(), Status> {
    text("alias", &alias.alias, NAME)?;
    text("alias_type", &alias.alias_type, NAME)?;
    text("public_key", &alias.public_key, DOCUMENT)?;
    text("issuer_id", &alias.issuer_id, NAME)?;
    text("description", &alias.description, DESCRIPTION)
}

/// Checks an access rule before it is saved.
pub(super) fn rule(rule: &Access) -> Result<(), Status> {
    text("access", &rule.access, NAME)?;
    text("extra", &rule.extra, DOCUMENT)?;
    match &rule.subject {
        Some(Subject::IdentityDid(did)) => text("identity_did", did, NAME),
        Some(Subject::CredentialLookup(lookup)) => text("credential_lookup", lookup, DOCUMENT),
        _ => Ok(()),
    }
}
