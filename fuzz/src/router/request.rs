//! Requests of a stranger.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use serde_json::{Value, json};
use volt_api::key::SigningKey;

use super::FIXED;

/// A request, as JSON.
#[derive(Arbitrary, Debug)]
pub enum Request {
    Empty,
    Text(String),
    /// A request with an id of something that exists.
    Id {
        field: u8,
        id: u8,
    },
    /// A request of `Authenticate`.
    Authenticate {
        identifier: u8,
        name: String,
        challenge: u8,
        token: String,
    },
}

static STRANGER: LazyLock<String> =
    LazyLock::new(|| SigningKey::generate().unwrap().verifying_key().to_pem());

/// The ids of the Volt and its owner, and an unknown one.
fn id(choice: u8) -> String {
    let owner = &FIXED.core.owner;
    let identity = owner.credential.as_ref().and_then(|one| one.identity_did.clone());
    match choice % 3 {
        0 => owner.volt.id.clone().unwrap_or_default(),
        1 => identity.unwrap_or_default(),
        _ => "did:volt:unknown".to_owned(),
    }
}

/// A service that a call names, if any.
pub(super) fn service(choice: u8) -> Option<String> {
    (choice >= 0xe0).then(|| id(choice))
}

impl Request {
    pub(super) fn json(&self) -> String {
        match self {
            Self::Empty => "{}".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Id { field, id: choice } => {
                let fields = [
                    "resource_id",
                    "wire_id",
                    "database_id",
                    "identity_did",
                    "resource",
                    "session",
                ];
                let field = fields[usize::from(*field) % fields.len()];
                let value = match field {
                    "resource" | "session" => json!({ "id": id(*choice), "name": "new" }),
                    _ => Value::from(id(*choice)),
                };
                json!({ field: value }).to_string()
            }
            Self::Authenticate { identifier, name, challenge, token } => {
                let owner = &FIXED.core.owner;
                let challenge = ["", "wrong", name][usize::from(*challenge) % 3];
                let identifier = match identifier % 5 {
                    0 => json!({ "public_key": *STRANGER }),
                    1 => json!({ "did_public_key": *STRANGER }),
                    2 => json!({ "did": id(*identifier) }),
                    3 => json!({ "public_key": owner.volt.public_key }),
                    _ => json!({ "did_document": name, "did_document_signature": token }),
                };
                let mut request = json!({
                    "client_name": name, "session_name": name, "challenge": challenge,
                    "exchange_token": token,
                });
                for (field, value) in identifier.as_object().into_iter().flatten() {
                    request[field] = value.clone();
                }
                request.to_string()
            }
        }
    }
}
