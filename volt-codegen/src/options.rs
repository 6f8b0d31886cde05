//! Options of the generator.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundled;

/// The default module in which generated code finds its dependencies.
pub(crate) const RUNTIME: &str = "::volt_runtime::__private";

/// The module of `volt-api` with the types of the Volt API.
pub(crate) const VOLT_API_TYPES: &str = "::volt_api::api";

/// The package of the Volt API.
const VOLT_API: &str = "tdx.volt_api";

/// The methods of the Volt API whose messages may fill a connection for as long as the file is large.
pub const BULK: &[&str] =
    &["/tdx.volt_api.volt.v1.FileAPI/DownloadFile", "/tdx.volt_api.volt.v1.FileAPI/UploadFile"];

/// The options of the generator. [`Options::default`] suits custom services.
///
/// ```
/// use volt_codegen::{Layout, Options};
///
/// let options = Options::default()
///     .layout(Layout::Single)
///     .extern_path("tdx.volt_api", "::volt_api::api");
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent options; no two exclude each other")]
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
    pub(crate) examples: Option<String>,
    pub(crate) client: bool,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) open: BTreeSet<String>,
    pub(crate) bulk: BTreeSet<String>,
    pub(crate) renames: BTreeMap<String, String>,
    pub(crate) since: BTreeMap<String, String>,
    pub(crate) former: BTreeMap<String, String>,
    pub(crate) reexports: BTreeMap<String, String>,
    pub(crate) also: BTreeMap<String, BTreeSet<String>>,
    pub(crate) shares_volt_api: bool,
    pub(crate) taken: BTreeMap<String, BTreeSet<String>>,
    pub(crate) any_types: bool,
    pub(crate) parallel: bool,
}

/// The division of the output into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// A directory for each package, with a file for each service in it, and a `mod.rs`.
    Files,
    /// A single file `mod.rs`, for `include!` inside a module.
    Single,
}

/// When server traits are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Server {
    /// Always.
    Always,
    /// If this Cargo feature is enabled.
    Feature(String),
    /// Never: they are not generated.
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
            examples: None,
            client: false,
            secrets: BTreeSet::new(),
            open: BTreeSet::new(),
            bulk: BTreeSet::new(),
            renames: BTreeMap::new(),
            since: BTreeMap::new(),
            former: BTreeMap::new(),
            reexports: BTreeMap::new(),
            also: BTreeMap::new(),
            shares_volt_api: false,
            taken: BTreeMap::new(),
            any_types: true,
            parallel: true,
        }
    }
}

impl Options {
    /// Options for a program that depends only on the crate `volt-api`: a single file, which uses
    /// the runtime and the types of the Volt API there.
    pub fn volt_api() -> Self {
        Self::default()
            .layout(Layout::Single)
            .runtime("::volt_api::__private")
            .extern_path(VOLT_API, VOLT_API_TYPES)
    }

    /// Options for a program whose files are its own version of the Volt API, such as a private fork, and
    /// that depends only on the crate `volt-api`: a single file with all messages and services, and a
    /// [`client`](Self::client) for them. Package `tdx.volt_api.volt.v1` becomes the module `volt::v1`.
    ///
    /// The fields that `volt-api` hides in `Debug` are hidden, too.
    pub fn own_volt_api() -> Self {
        let options = Self::default()
            .layout(Layout::Single)
            .runtime("::volt_api::__private")
            .root(VOLT_API)
            .client(true);
        let options = bundled::SECRETS.iter().fold(options, |options, name| options.secret(*name));
        let options = bundled::OPEN.iter().fold(options, |options, name| options.open(*name));
        BULK.iter().fold(options, |options, path| options.bulk(*path))
    }

    /// Returns whether types of the Volt API are those of `volt-api`.
    pub(crate) fn uses_volt_api(&self) -> bool {
        self.extern_paths.get(VOLT_API).is_some_and(|path| path == VOLT_API_TYPES)
    }

    /// Sets the module in which generated code finds its dependencies. Default:
    /// `::volt_runtime::__private`; another module must have the same items.
    pub fn runtime(mut self, path: impl Into<String>) -> Self {
        self.runtime = path.into();
        self
    }

    /// Sets the command that the header of each file names. Default: `volt-codegen`.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// Sets the layout. Default: [`Layout::Files`].
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets whether each service gets a Cargo feature, which also gates the messages that only it
    /// needs. Default: false.
    pub fn features(mut self, features: bool) -> Self {
        self.features = features;
        self
    }

    /// Sets when server traits are compiled. Default: always.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// Sets the protobuf package whose modules are at the root of the generated code: with
    /// `acme.api`, the package `acme.api.shop.v1` becomes the module `shop::v1`. Other packages
    /// keep all parts of their names. Default: none.
    pub fn root(mut self, package: impl Into<String>) -> Self {
        self.root = package.into();
        self
    }

    /// Maps a protobuf package, with those below it, or a single type to existing Rust code:
    /// `tdx.volt_api` → `::volt_api::api`. It is used and not generated.
    pub fn extern_path(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.extern_paths.insert(name.into(), path.into());
        self
    }

    /// Sets the full name of the message that carries the status of a response. Default: that of
    /// the Volt API, `tdx.volt_api.volt.v1.Status`.
    pub fn status(mut self, name: impl Into<String>) -> Self {
        self.status = name.into();
        self
    }

    /// Sets a type that gets a method for each service, which creates the service's client, such as
    /// `crate::Client`. It must have a method `channel(&self) -> &Channel`. Default: none.
    pub fn accessors(mut self, path: impl Into<String>) -> Self {
        self.accessors = Some(path.into());
        self
    }

    /// Sets the path of a module, such as `volt_api`, whose `Client` has the accessors and whose module `api` has the
    /// packages. The documentation of each accessor then has an example, a doctest that is compiled: it calls a
    /// method of the service. Default: none.
    pub fn examples(mut self, path: impl Into<String>) -> Self {
        self.examples = Some(path.into());
        self
    }

    /// Sets whether a struct `Client` is generated at the root: it connects to a Volt and has a method for
    /// each service, as that of `volt-api`. Default: false.
    pub fn client(mut self, client: bool) -> Self {
        self.client = client;
        self
    }

    /// Sets the name from which the Rust name of an element is derived, in place of its own:
    /// `acme.v1.Shop.new_` → `fresh`. The element is a message, field, oneof, enum, service or method by
    /// its full name, the value of an enum by the enum's full name and its own, or a package. The binary
    /// form, JSON and the paths of methods keep the name in the `.proto`.
    ///
    /// Default: the element's own name. If several elements of a scope would have the same Rust name,
    /// all but the first are numbered `2`, `3` and so on.
    pub fn rename(mut self, element: impl Into<String>, name: impl Into<String>) -> Self {
        self.renames.insert(element.into(), name.into());
        self
    }

    /// Declares a name that hand-written code uses beside the generated code, so that nothing generated has it. The scope
    /// is the full name of a service, for a method of its client; or empty, for the accessor or the Cargo feature of a
    /// service. A method whose name is taken is numbered, and a service gets the suffix `_service`. Default: none.
    pub fn taken_name(mut self, scope: impl Into<String>, name: impl Into<String>) -> Self {
        self.taken.entry(scope.into()).or_default().insert(name.into());
        self
    }

    /// Declares the version of the API in which an element was added, by its full name: its documentation names the
    /// version. Default: none.
    pub fn since(mut self, element: impl Into<String>, version: impl Into<String>) -> Self {
        self.since.insert(element.into(), version.into());
        self
    }

    /// Declares the former name of a top-level message or enum, or of a method, by its full name: code that uses it
    /// still compiles, with a warning. The name has the same package or service. Default: none.
    ///
    /// It is ignored if there is no element with the new name, or another one with the former name.
    pub fn former_name(mut self, element: impl Into<String>, former: impl Into<String>) -> Self {
        self.former.insert(element.into(), former.into());
        self
    }

    /// Declares that a top-level message or enum, by its full name, is the same as an existing Rust type:
    /// `shop.v1.Item` → `crate::current::shop::v1::Item`. Its module re-exports that type, and what is declared
    /// inside the message. [`same_types`](crate::same_types) finds such types. Default: none.
    ///
    /// The path names a type that this generator wrote, with the module of its nested items beside it.
    pub fn reexport(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.reexports.insert(name.into(), path.into());
        self
    }

    /// Declares another Cargo feature with which a top-level message or enum, by its full name, is compiled,
    /// beside those of the services that need it. Default: none. Without [`features`](Self::features) it has no
    /// effect.
    pub fn also_with(mut self, name: impl Into<String>, feature: impl Into<String>) -> Self {
        self.also.entry(name.into()).or_default().insert(feature.into());
        self
    }

    /// Sets whether the messages and enums that are the same as in `volt-api` are those of `volt-api`, for files that
    /// are a program's [own version](Self::own_volt_api) of the Volt API. One value then suits the clients of both.
    /// Default: false.
    ///
    /// The features of the services that use the types must be enabled in `volt-api`. The code works with one version
    /// of the API in `volt-api`, and does not compile with another: regenerate it after an update. A type that the
    /// update changes is then a separate one.
    pub fn share_volt_api(mut self, share: bool) -> Self {
        self.shares_volt_api = share;
        self
    }

    /// Sets whether fields of the type `google.protobuf.Any` know all generated messages in JSON, where
    /// the message inside must be known. The list of messages is generated only if there is such a field.
    /// The list makes the compiler generate the code of every message, whether the program uses it or
    /// not.
    ///
    /// Without it, such a field can contain protobuf's own types, and those that the program has
    /// registered. [`Output::warnings`](crate::Output::warnings) then names the field. Default: true.
    pub fn any_types(mut self, any_types: bool) -> Self {
        self.any_types = any_types;
        self
    }

    /// Sets whether the packages of a long input are generated by several threads. The output is the same.
    /// A procedural macro must turn this off, because the compiler's tokens belong to its thread. Default:
    /// true.
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parallel = parallel;
        self
    }

    /// Declares string and bytes fields as secrets: `Debug` shows whether a value is set, but not the
    /// value. The name is that of a field in any message, or a full one, `package.Message.field`.
    /// Default: the fields whose names [look secret](crate::looks_secret).
    pub fn secret(mut self, field: impl Into<String>) -> Self {
        let field = field.into();
        self.open.remove(&field);
        self.secrets.insert(field);
        self
    }

    /// Declares that string and bytes fields are not secret, although their names look so. The name is one as for
    /// [`secret`](Self::secret); a full name takes precedence. Default: none.
    pub fn open(mut self, field: impl Into<String>) -> Self {
        let field = field.into();
        self.secrets.remove(&field);
        self.open.insert(field);
        self
    }

    /// Declares a method, `/package.Service/Method`, as a stream of bulk data: by default, each of its
    /// calls runs on its own connection, so that it does not delay others. Default: none.
    pub fn bulk(mut self, path: impl Into<String>) -> Self {
        self.bulk.insert(path.into());
        self
    }
}
