//! What the output depends on besides the `.proto` files.

use std::collections::BTreeMap;

/// How to generate. Start from [`Options::default`], which suits a user's own services.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The command that the header of each file tells people to run.
    pub command: String,
    /// Files or one text.
    pub layout: Layout,
    /// Whether each service gets a Cargo feature, and with it the messages that only it needs.
    pub features: bool,
    /// What it takes for server traits to be compiled.
    pub server: Server,
    /// Protobuf packages (or single types) that exist elsewhere, and their Rust paths:
    /// `tdx` → `::volt_api::tdx`. They are named and not generated.
    pub extern_paths: BTreeMap<String, String>,
    /// The full name of the message by which responses carry a refusal.
    pub status: String,
    /// The type that gets a method for each service which makes its client, such as
    /// `crate::Client`. The type must have a method `channel(&self) -> &Channel`.
    pub accessors: Option<String>,
}

/// How the output is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// A `mod.rs`, and a file for each service below a directory for each package.
    Files,
    /// One text named `mod.rs`, to be included where a module may stand.
    Single,
}

/// When server traits are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Server {
    /// In any case.
    Always,
    /// If this Cargo feature is on.
    Feature(String),
    /// They are not generated.
    Never,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command: "volt-codegen".to_owned(),
            layout: Layout::Files,
            features: false,
            server: Server::Always,
            extern_paths: BTreeMap::new(),
            status: "tdx.volt_api.volt.v1.Status".to_owned(),
            accessors: None,
        }
    }
}
