//! What the output depends on besides the `.proto` files.

use std::collections::{BTreeMap, BTreeSet};

/// Where generated code finds everything, unless the options name another module.
pub(crate) const RUNTIME: &str = "::volt_runtime::__private";

/// How to generate. [`Options::default`] suits a user's own services.
///
/// ```
/// use volt_codegen::{Layout, Options};
///
/// let options = Options::default()
///     .layout(Layout::Single)
///     .extern_path("tdx.volt_api", "::volt_api::api");
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) command: String,
    pub(crate) runtime: String,
    pub(crate) layout: Layout,
    pub(crate) features: bool,
    pub(crate) server: Server,
    pub(crate) root: String,
    pub(crate) extern_paths: BTreeMap<String, String>,
    pub(crate) status: String,
    pub(crate) accessors: Option<String>,
    pub(crate) secrets: BTreeSet<String>,
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
            runtime: RUNTIME.to_owned(),
            layout: Layout::Files,
            features: false,
            server: Server::Always,
            root: String::new(),
            extern_paths: BTreeMap::new(),
            status: "tdx.volt_api.volt.v1.Status".to_owned(),
            accessors: None,
            secrets: BTreeSet::new(),
        }
    }
}

impl Options {
    /// What suits a program that depends on the crate `volt-api` alone: one text, which finds the
    /// runtime and the types of the Volt API there.
    pub fn volt_api() -> Self {
        Self::default()
            .layout(Layout::Single)
            .runtime("::volt_api::__private")
            .extern_path("tdx.volt_api", "::volt_api::api")
    }

    /// The module in which generated code finds everything. The default is
    /// `::volt_runtime::__private`; another one must have the same items.
    pub fn runtime(mut self, path: impl Into<String>) -> Self {
        self.runtime = path.into();
        self
    }

    /// The command that the header of each file names as its maker. The default is `volt-codegen`.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// Files, which is the default, or one text.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Whether each service gets a Cargo feature, and with it the messages that only it needs. Off
    /// by default.
    pub fn features(mut self, features: bool) -> Self {
        self.features = features;
        self
    }

    /// What it takes for server traits to be compiled. The default is nothing.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// The protobuf package whose modules stand at the root of the generated code: with `acme.api`,
    /// the package `acme.api.shop.v1` becomes the module `shop::v1`. Other packages keep all parts of
    /// their names. None by default.
    pub fn root(mut self, package: impl Into<String>) -> Self {
        self.root = package.into();
        self
    }

    /// Says that a protobuf package, with those below it, or a single type exists elsewhere, and
    /// where in Rust: `tdx.volt_api` → `::volt_api::api`. It is named and not generated.
    pub fn extern_path(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.extern_paths.insert(name.into(), path.into());
        self
    }

    /// The full name of the message by which responses carry a refusal. The default is that of the
    /// Volt API, `tdx.volt_api.volt.v1.Status`.
    pub fn status(mut self, name: impl Into<String>) -> Self {
        self.status = name.into();
        self
    }

    /// A type that gets a method for each service which makes its client, such as `crate::Client`.
    /// It must have a method `channel(&self) -> &Channel`. None by default.
    pub fn accessors(mut self, path: impl Into<String>) -> Self {
        self.accessors = Some(path.into());
        self
    }
    /// Says that fields of this name, of any message, are secrets if they are strings or bytes: `Debug`
    /// shows whether there is a value, and not which. None are by default.
    pub fn secret(mut self, field: impl Into<String>) -> Self {
        self.secrets.insert(field.into());
        self
    }
}
