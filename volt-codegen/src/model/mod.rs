//! The input of the emitters: packages, messages, enums and services with their Rust names.
//!
//! Building it ([`Model::new`]) resolves every name, type and comment of a descriptor set and
//! reports all errors in it. Emitters cannot fail.

mod accessors;
mod build;
mod check;
mod link;
mod needs;
mod nicknames;
mod packages;
mod recursion;
mod renamed;
mod renames;
mod resolve;
mod source_map;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::accessors::Accessors;
pub(crate) use self::{
    packages::Module,
    renamed::Renamed,
    renames::Renames,
    source_map::{SourceMap, tag},
};
use crate::{
    docs::Docs,
    error::{Place, Problem},
};

/// An API: every package to be generated.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The packages, sorted by name.
    pub(crate) packages: Vec<Package>,
    /// The Rust paths of the types that are defined elsewhere, by full name.
    pub(crate) externs: BTreeMap<String, String>,
    /// The modules of packages, by prost-build's paths of them.
    pub(crate) modules: HashMap<String, Module>,
    /// The names from which Rust names are derived.
    pub(crate) renames: Renames,
    /// All types by full name, and the clients of services.
    pub(crate) types: HashMap<String, TypeRef>,
    /// Set if a list of all messages is generated, for `google.protobuf.Any` in JSON.
    pub(crate) any_types: bool,
    /// Warnings about features that work only in part.
    pub(crate) warnings: Vec<Problem>,
}

/// A protobuf package, which becomes a Rust module.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// The protobuf name, such as `tdx.volt_api.volt.v1`.
    pub(crate) name: String,
    /// The name that prost-build sees.
    pub(crate) prost: String,
    /// The Rust module, from the root of the generated code.
    pub(crate) module: Module,
    /// The documentation from the `.proto` files.
    pub(crate) docs: Docs,
    /// The place where the first of its files declares it.
    pub(crate) place: Place,
    /// The top-level messages, in the order of their files and declarations.
    pub(crate) messages: Vec<Message>,
    /// The top-level enums.
    pub(crate) enums: Vec<Enum>,
    /// The services.
    pub(crate) services: Vec<Service>,
}

/// A message, which becomes a struct.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The full protobuf name.
    pub(crate) name: String,
    /// The name of the struct.
    pub(crate) ident: String,
    /// Its former name, in the `.proto`.
    pub(crate) former: Option<String>,
    /// The module of its nested items.
    pub(crate) module: String,
    /// The Rust location of the struct.
    pub(crate) ty: TypeRef,
    /// The documentation from the `.proto`.
    pub(crate) docs: Docs,
    /// The place in the `.proto`.
    pub(crate) place: Place,
    /// Set if the `.proto` marks it as deprecated.
    pub(crate) deprecated: bool,
    /// All fields in the order of declaration, those of oneofs included.
    pub(crate) fields: Vec<Field>,
    /// The oneofs, each of which is one field of the struct. The `optional` fields of proto3 are
    /// not oneofs here.
    pub(crate) oneofs: Vec<Oneof>,
    /// The messages declared inside, without the entries of maps.
    pub(crate) messages: Vec<Self>,
    /// The enums declared inside.
    pub(crate) enums: Vec<Enum>,
    /// Set if this is the message that carries the status of a response.
    pub(crate) is_status: bool,
    /// The index of the field with the status, in an RPC's response.
    pub(crate) status_field: Option<usize>,
    /// The condition under which the message is compiled. The same for everything inside.
    pub(crate) gate: Gate,
    /// The path of the existing type that it is, if it is not generated.
    pub(crate) reexport: Option<String>,
}

/// A field of a message, or a variant of a oneof.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The name in the `.proto`, which is how JSON is written.
    pub(crate) name: String,
    /// The camelCase name, which JSON input may use as well.
    pub(crate) json_name: String,
    /// The type of the field, or of one element if it is repeated.
    pub(crate) kind: FieldKind,
    /// The number of values, and the oneof if it is a variant of one.
    pub(crate) label: Label,
    /// The Rust name in snake case: the field of the struct; for a variant of a oneof, the last
    /// part of its setter's name.
    pub(crate) ident: String,
    /// The setter.
    pub(crate) setter: String,
    /// Set if prost keeps the message in a `Box`, because it may contain itself.
    pub(crate) boxed: bool,
    /// The documentation from the `.proto`.
    pub(crate) docs: Docs,
    /// The place in the `.proto`.
    pub(crate) place: Place,
    /// Set if the `.proto` marks it as deprecated.
    pub(crate) deprecated: bool,
    /// Set if its value is never printed.
    pub(crate) secret: bool,
    /// The methods that prost adds.
    accessors: Accessors,
}

/// The number of values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// One value whose default is not distinguished from its absence. A message is an `Option`.
    Singular,
    /// One value that is present or absent, `optional` in the `.proto`. An `Option`.
    Optional,
    /// One value that is always present, `required` in a proto2 file.
    Required,
    /// A list; or a map, when the kind is [`FieldKind::Map`].
    Repeated,
    /// A variant of a oneof.
    Oneof {
        /// The index in [`Message::oneofs`].
        index: usize,
        /// The name of the variant.
        variant: String,
    },
}

/// A oneof, which becomes an enum in the module of its message.
#[derive(Clone, Debug)]
pub(crate) struct Oneof {
    /// The name in the `.proto`.
    pub(crate) name: String,
    /// The field of the struct.
    pub(crate) ident: String,
    /// The enum of its variants.
    pub(crate) ty: TypeRef,
    /// The documentation from the `.proto`.
    pub(crate) docs: Docs,
    /// The place in the `.proto`.
    pub(crate) place: Place,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A number, a bool, a string or bytes.
    Scalar(Scalar),
    /// A message.
    Message(TypeRef),
    /// A message of `google.protobuf`, with prost's Rust type (wrappers are bare values, `Empty` is
    /// `()`) and a special JSON form.
    WellKnown(TypeRef),
    /// An enum, which is an `i32` in Rust.
    Enum(TypeRef),
    /// A map. Its field is a `BTreeMap` with the label [`Label::Repeated`].
    Map(Scalar, Box<Self>),
}

impl FieldKind {
    /// Returns whether the value is a `google.protobuf.Any`.
    pub(crate) fn is_any(&self) -> bool {
        matches!(self, Self::WellKnown(ty) if ty.is_any())
    }
}

/// The scalar types, regardless of their binary encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Bool,
    String,
    Bytes,
}

/// An enum.
#[derive(Clone, Debug)]
pub(crate) struct Enum {
    /// The full protobuf name.
    pub(crate) name: String,
    /// The name of the Rust enum.
    pub(crate) ident: String,
    /// Its former name, in the `.proto`.
    pub(crate) former: Option<String>,
    /// The Rust location of the enum.
    pub(crate) ty: TypeRef,
    /// The documentation from the `.proto`.
    pub(crate) docs: Docs,
    /// The place in the `.proto`.
    pub(crate) place: Place,
    /// Set if the `.proto` marks it as deprecated.
    pub(crate) deprecated: bool,
    /// Its values in the order of declaration.
    pub(crate) values: Vec<EnumValue>,
    /// The condition under which the enum is compiled.
    pub(crate) gate: Gate,
    /// The path of the existing type that it is, if it is not generated.
    pub(crate) reexport: Option<String>,
}

/// A value of an enum.
#[derive(Clone, Debug)]
pub(crate) struct EnumValue {
    /// The name in the `.proto`.
    pub(crate) name: String,
    /// The number.
    pub(crate) number: i32,
    /// The Rust variant. An alias has the variant of the first value with the same number.
    pub(crate) ident: String,
    /// Set if an earlier value has the same number (`allow_alias`).
    pub(crate) alias: bool,
    /// The documentation from the `.proto`.
    pub(crate) docs: Docs,
    /// The place in the `.proto`.
    pub(crate) place: Place,
    /// Set if the `.proto` marks it as deprecated.
    pub(crate) deprecated: bool,
}

/// A service, which becomes a client, a trait and a server.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The full protobuf name, as on the wire.
    pub(crate) name: String,
    /// The name of the trait, and the stem of the other names.
    pub(crate) ident: String,
    /// The user-facing name: without a final `API`, in snake case. Unique among all services.
    pub(crate) nickname: String,
    /// The Cargo feature, if services have features.
    pub(crate) feature: Option<String>,
    /// The methods in the order of declaration.
    pub(crate) methods: Vec<Method>,
    /// The documentation from the `.proto`.
    pub(crate) docs: Docs,
    /// The place in the `.proto`.
    pub(crate) place: Place,
    /// Set if the `.proto` marks it as deprecated.
    pub(crate) deprecated: bool,
}

/// An RPC.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// The name in the `.proto`.
    pub(crate) name: String,
    /// Set if its calls run on their own connection by default.
    pub(crate) bulk: bool,
    /// The Rust method.
    pub(crate) ident: String,
    /// Its former name, in the `.proto`.
    pub(crate) former: Option<String>,
    /// The constant that describes it.
    pub(crate) constant: String,
    /// The kind: which side sends more than one message.
    pub(crate) kind: MethodKind,
    /// The request.
    pub(crate) request: TypeRef,
    /// The response.
    pub(crate) response: TypeRef,
    /// The documentation from the `.proto`.
    pub(crate) docs: Docs,
    /// The place in the `.proto`.
    pub(crate) place: Place,
    /// Set if the `.proto` marks it as deprecated.
    pub(crate) deprecated: bool,
}

/// The four kinds of RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MethodKind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Bidi,
}

/// The condition under which an item is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Gate {
    /// The services that need it, by their full names. Empty: it is always compiled.
    pub(crate) services: BTreeSet<String>,
    /// Other features that need it. Empty if there are no services.
    pub(crate) features: BTreeSet<String>,
}

/// A type in generated code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TypeRef {
    /// The full protobuf name, without a leading dot.
    pub(crate) name: String,
    path: RustPath,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum RustPath {
    /// Generated: its module and its name.
    Local(Module, String),
    /// Defined elsewhere: an absolute path.
    Extern(String),
}

impl TypeRef {
    /// The absolute path of a type that is defined elsewhere.
    pub(crate) fn external(&self) -> &str {
        match &self.path {
            RustPath::Extern(path) | RustPath::Local(_, path) => path,
        }
    }

    /// The module and the name of a generated type.
    pub(crate) fn local(&self) -> Option<(&Module, &str)> {
        match &self.path {
            RustPath::Extern(_) => None,
            RustPath::Local(module, ident) => Some((module, ident)),
        }
    }

    /// A generated type.
    fn local_type(name: String, module: Module, ident: String) -> Self {
        Self { name, path: RustPath::Local(module, ident) }
    }

    /// The last part of the path.
    pub(crate) fn ident(&self) -> &str {
        match &self.path {
            RustPath::Local(_, ident) => ident,
            RustPath::Extern(path) => path.rsplit("::").next().unwrap_or(path),
        }
    }

    /// Returns whether it is one of prost's own types.
    pub(crate) fn is_well_known(&self) -> bool {
        !self.is_local() && packages::is_well_known(&self.name)
    }

    /// Returns whether it is `google.protobuf.Any`.
    pub(crate) fn is_any(&self) -> bool {
        self.is_well_known() && self.name == "google.protobuf.Any"
    }

    /// Returns whether the type is generated, and not imported from another crate.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.path, RustPath::Local(..))
    }
}

impl Model {
    /// All services, in the order of their packages and declarations.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.packages.iter().flat_map(|package| &package.services)
    }

    /// The Cargo features in a gate; empty if one of the services has none.
    pub(crate) fn features(&self, gate: &Gate) -> BTreeSet<String> {
        // Either all services have one, or none.
        if gate.services.is_empty() || self.services().any(|service| service.feature.is_none()) {
            return BTreeSet::new();
        }
        let services = self.services().filter(|service| gate.services.contains(&service.name));
        let features = services.filter_map(|service| service.feature.clone());
        features.chain(gate.features.iter().cloned()).collect()
    }

    /// The modules of packages directly inside a module.
    pub(crate) fn modules_in(&self, module: &Module) -> impl Iterator<Item = String> {
        let depth = module.0.len();
        let inside = self.packages.iter().filter(move |package| {
            package.module.0.len() > depth && package.module.0[..depth] == module.0
        });
        inside.map(move |package| package.module.0[depth].clone())
    }

    /// Returns whether a package, a prefix of its name, or a message with nested items has this
    /// module.
    pub(crate) fn has_module(&self, name: &str) -> bool {
        self.packages.iter().any(|package| {
            let mut messages = package.messages.iter().flat_map(Message::with_nested);
            package.module.0.iter().any(|part| part == name)
                || messages.any(|message| message.has_module() && message.module() == name)
        })
    }
}

impl Service {
    /// The part that the client's and the server's names share: a Rust keyword needs no suffix
    /// there.
    fn stem(&self) -> &str {
        self.ident.trim_end_matches('_')
    }

    /// The name of the client.
    pub(crate) fn client(&self) -> String {
        format!("{}Client", self.stem())
    }

    /// The name of the server.
    pub(crate) fn server(&self) -> String {
        format!("{}Server", self.stem())
    }
}

impl Message {
    /// Returns whether the message has a module for its nested items.
    pub(crate) fn has_module(&self) -> bool {
        !(self.messages.is_empty() && self.enums.is_empty() && self.oneofs.is_empty())
    }

    /// The module of the message's nested items.
    pub(crate) fn module(&self) -> String {
        self.module.clone()
    }

    /// The message and all messages nested in it, outermost first.
    pub(crate) fn with_nested(&self) -> Vec<&Self> {
        let nested = self.messages.iter().flat_map(Self::with_nested);
        std::iter::once(self).chain(nested).collect()
    }

    /// All enums nested in the message, at any depth.
    pub(crate) fn nested_enums(&self) -> impl Iterator<Item = &Enum> {
        self.with_nested().into_iter().flat_map(|message| &message.enums)
    }
}
