//! The input of the emitters: packages, messages, enums and services with their Rust names.
//!
//! Building it ([`Model::new`]) resolves every name, type and comment of a descriptor set and
//! reports all errors in it. Emitters cannot fail.

mod build;
mod check;
mod needs;
mod recursion;
mod resolve;
mod source_map;

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;

pub(crate) use self::source_map::tag;
use crate::{docs::Docs, error::Place, names};

/// An API: every package to be generated.
#[derive(Clone, Debug)]
pub struct Model {
    /// The packages, sorted by name.
    pub packages: Vec<Package>,
    /// The Rust paths of the types that are defined elsewhere, by full name.
    pub(crate) externs: BTreeMap<String, String>,
}

/// A protobuf package, which becomes a Rust module.
#[derive(Clone, Debug)]
pub struct Package {
    /// The protobuf name, such as `tdx.volt_api.volt.v1`.
    pub name: String,
    /// The Rust module, from the root of the generated code.
    pub module: Module,
    /// The documentation from the `.proto` files.
    pub docs: Docs,
    /// The place where the first of its files names it.
    pub place: Place,
    /// The top-level messages, in the order of their files and declarations.
    pub messages: Vec<Message>,
    /// The top-level enums.
    pub enums: Vec<Enum>,
    /// The services.
    pub services: Vec<Service>,
}

/// A message, which becomes a struct.
#[derive(Clone, Debug)]
pub struct Message {
    /// The full protobuf name.
    pub name: String,
    /// The name of the struct.
    pub ident: String,
    /// The Rust location of the struct.
    pub ty: TypeRef,
    /// The documentation from the `.proto`.
    pub docs: Docs,
    /// The place in the `.proto`.
    pub place: Place,
    /// Whether the `.proto` marks it as deprecated.
    pub deprecated: bool,
    /// All fields in the order of declaration, those of oneofs included.
    pub fields: Vec<Field>,
    /// The oneofs, each of which is one field of the struct. Proto3 `optional` makes none.
    pub oneofs: Vec<Oneof>,
    /// The messages declared inside, without the entries of maps.
    pub messages: Vec<Self>,
    /// The enums declared inside.
    pub enums: Vec<Enum>,
    /// Whether this is the message that carries the status of a response.
    pub is_status: bool,
    /// The index of the field with the status, in an RPC's response.
    pub status_field: Option<usize>,
    /// The condition under which the message is compiled. The same for everything inside.
    pub gate: Gate,
}

/// A field of a message, or a variant of a oneof.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name in the `.proto`, which is how JSON is written.
    pub name: String,
    /// The camelCase name, which JSON input may use as well.
    pub json_name: String,
    /// The number.
    pub number: i32,
    /// The type of the field, or of one element if it is repeated.
    pub kind: FieldKind,
    /// The number of values, and the oneof if it is a variant of one.
    pub label: Label,
    /// The Rust name in snake case: the field of the struct; for a variant of a oneof, the last
    /// part of its setter's name.
    pub ident: String,
    /// Whether prost keeps the message in a `Box`, because it may contain itself.
    pub boxed: bool,
    /// The documentation from the `.proto`.
    pub docs: Docs,
    /// The place in the `.proto`.
    pub place: Place,
    /// Whether the `.proto` marks it as deprecated.
    pub deprecated: bool,
    /// Whether its value is never printed.
    pub secret: bool,
}

/// The number of values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// One value whose default is not distinguished from its absence. A message is an `Option`.
    Singular,
    /// One value that is present or absent, `optional` in the `.proto`. An `Option`.
    Optional,
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
pub struct Oneof {
    /// The name in the `.proto`.
    pub name: String,
    /// The field of the struct.
    pub ident: String,
    /// The enum of its variants.
    pub ty: TypeRef,
    /// The documentation from the `.proto`.
    pub docs: Docs,
    /// The place in the `.proto`.
    pub place: Place,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
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

/// The scalar types, regardless of their binary encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scalar {
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
pub struct Enum {
    /// The full protobuf name.
    pub name: String,
    /// The name of the Rust enum.
    pub ident: String,
    /// The Rust location of the enum.
    pub ty: TypeRef,
    /// The documentation from the `.proto`.
    pub docs: Docs,
    /// The place in the `.proto`.
    pub place: Place,
    /// Whether the `.proto` marks it as deprecated.
    pub deprecated: bool,
    /// Its values in the order of declaration.
    pub values: Vec<EnumValue>,
    /// The condition under which the enum is compiled.
    pub gate: Gate,
}

/// A value of an enum.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// The name in the `.proto`.
    pub name: String,
    /// The number.
    pub number: i32,
    /// The Rust variant. An alias has that of the first value with its number.
    pub ident: String,
    /// Whether an earlier value has the same number (`allow_alias`).
    pub alias: bool,
    /// The documentation from the `.proto`.
    pub docs: Docs,
    /// The place in the `.proto`.
    pub place: Place,
    /// Whether the `.proto` marks it as deprecated.
    pub deprecated: bool,
}

/// A service, which becomes a client, a trait and a server.
#[derive(Clone, Debug)]
pub struct Service {
    /// The full protobuf name, as on the wire.
    pub name: String,
    /// The name of the trait, and the stem of the other names.
    pub ident: String,
    /// The user-facing name: without a final `API`, in snake case.
    pub nickname: String,
    /// The Cargo feature, if services have features.
    pub feature: Option<String>,
    /// The methods in the order of declaration.
    pub methods: Vec<Method>,
    /// The documentation from the `.proto`.
    pub docs: Docs,
    /// The place in the `.proto`.
    pub place: Place,
    /// Whether the `.proto` marks it as deprecated.
    pub deprecated: bool,
}

/// An RPC.
#[derive(Clone, Debug)]
pub struct Method {
    /// The name in the `.proto`.
    pub name: String,
    /// The name on the wire, `/package.Service/Method`.
    pub path: String,
    /// Set if its calls run on their own connection by default.
    pub bulk: bool,
    /// The Rust method.
    pub ident: String,
    /// The constant that describes it.
    pub constant: String,
    /// The kind: which side sends more than one message.
    pub kind: MethodKind,
    /// The request.
    pub request: TypeRef,
    /// The response.
    pub response: TypeRef,
    /// The documentation from the `.proto`.
    pub docs: Docs,
    /// The place in the `.proto`.
    pub place: Place,
    /// Whether the `.proto` marks it as deprecated.
    pub deprecated: bool,
}

/// The four kinds of RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MethodKind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Bidi,
}

/// The services that need an item, by their full names. Empty: it is always compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gate(pub BTreeSet<String>);

/// A Rust module, as its path from the root of the generated code.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Module(pub Vec<String>);

impl Module {
    /// The module `name` inside this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }

    /// The path of the item `ident` of this module, for code in the module `from`.
    pub(crate) fn path_to(&self, ident: &str, from: &Self) -> TokenStream {
        let common = self.0.iter().zip(&from.0).take_while(|(a, b)| a == b).count();
        let up = std::iter::repeat_n("super", from.0.len() - common);
        let down = self.0.iter().skip(common).map(String::as_str);
        let path: Vec<&str> = up.chain(down).chain([ident]).collect();
        names::tokens(&path.join("::"))
    }
}

/// A type in generated code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypeRef {
    /// The full protobuf name, without a leading dot.
    pub name: String,
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
    /// The path of the type, for code in the module `from`.
    pub fn path(&self, from: &Module) -> TokenStream {
        match &self.path {
            RustPath::Extern(path) => names::tokens(path),
            RustPath::Local(module, ident) => module.path_to(ident, from),
        }
    }

    /// The module and the name of a generated type.
    pub(crate) fn local(&self) -> Option<(&Module, &str)> {
        match &self.path {
            RustPath::Extern(_) => None,
            RustPath::Local(module, ident) => Some((module, ident)),
        }
    }

    /// The last part of the path.
    pub(crate) fn ident(&self) -> &str {
        match &self.path {
            RustPath::Local(_, ident) => ident,
            RustPath::Extern(path) => path.rsplit("::").next().unwrap_or(path),
        }
    }

    /// Returns whether the type is generated, and not imported from another crate.
    pub fn is_local(&self) -> bool {
        matches!(self.path, RustPath::Local(..))
    }
}

impl Model {
    /// All services, in the order of their packages and declarations.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.packages.iter().flat_map(|package| &package.services)
    }

    /// The Cargo features of the services in a gate; empty if one of the services has none.
    pub(crate) fn features(&self, gate: &Gate) -> BTreeSet<String> {
        let services = self.services().filter(|service| gate.0.contains(&service.name));
        let features: Option<BTreeSet<String>> =
            services.map(|service| service.feature.clone()).collect();
        features.unwrap_or_default()
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
    /// The name of the client.
    pub(crate) fn client(&self) -> String {
        format!("{}Client", self.ident)
    }

    /// The name of the server.
    pub(crate) fn server(&self) -> String {
        format!("{}Server", self.ident)
    }
}

impl Message {
    /// Returns whether the message has a module for its nested items.
    pub(crate) fn has_module(&self) -> bool {
        !(self.messages.is_empty() && self.enums.is_empty() && self.oneofs.is_empty())
    }

    /// The module of the message's nested items.
    pub(crate) fn module(&self) -> String {
        names::snake(self.name.rsplit('.').next().unwrap_or_default())
    }

    /// The message and all messages nested in it, outermost first.
    pub fn with_nested(&self) -> Vec<&Self> {
        let nested = self.messages.iter().flat_map(Self::with_nested);
        std::iter::once(self).chain(nested).collect()
    }

    /// All enums nested in the message, at any depth.
    pub fn nested_enums(&self) -> impl Iterator<Item = &Enum> {
        self.with_nested().into_iter().flat_map(|message| &message.enums)
    }
}
