//! What the Volt answers by plain HTTP: how it is found.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::json;
use volt_runtime::server::{HttpAnswer, HttpHandler};

use crate::volt::Volt;

/// The Volt, as those see it who ask by HTTP.
pub(crate) struct Web(pub(crate) Arc<Volt>);

impl HttpHandler for Web {
    fn get(&self, path: &str) -> Option<HttpAnswer> {
        match path {
            "/discover" => {
                let volt = self.0.discovery();
                answer(&volt.inspect_err(|fault| tracing::error!(?fault, "nothing to tell")).ok()?)
            }
            "/relay" => answer(&json!({ "clients": self.0.listing.list() })),
            _ => {
                let did = percent_decode_str(path.strip_prefix("/did/")?).decode_utf8().ok()?;
                let document = self.0.did_document(&did).unwrap_or_else(|fault| {
                    tracing::error!(?fault, "a DID cannot be looked up");
                    None
                });
                answer(&document?)
            }
        }
    }
}

fn answer(value: &impl Serialize) -> Option<HttpAnswer> {
    serde_json::to_vec(value).ok().map(HttpAnswer::json)
}
