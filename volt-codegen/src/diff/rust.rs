//! The generated code of an API as its users see it: paths, names, types, derived traits and Cargo features.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::FileDescriptorSet;

use crate::{
    Error, Options, emit,
    model::{
        Enum, Field, FieldKind, Label, Message, MethodKind, Model, Package, Scalar, Service,
        TypeRef,
    },
    names,
};

/// The code of an API.
pub(super) struct Rust {
    /// Messages, oneofs, enums and services by their full names, and by their former ones.
    pub(super) items: BTreeMap<String, Item>,
    /// The full names of types by their former ones.
    pub(super) former: BTreeMap<String, String>,
}

/// A struct, an enum, or the client of a service.
pub(super) struct Item {
    pub(super) path: String,
    /// The method of the user's client that creates the service's client.
    pub(super) accessor: Option<String>,
    pub(super) traits: BTreeSet<String>,
    /// The Cargo features of which one must be enabled; empty if it is always compiled.
    pub(super) features: BTreeSet<String>,
    /// Fields, oneofs, values and methods by their names in the `.proto`.
    pub(super) parts: BTreeMap<String, Part>,
}

/// A field, a variant or a method.
pub(super) struct Part {
    /// Its own name, and that of its setter.
    pub(super) names: Vec<String>,
    pub(super) ty: Type,
    /// Set if another value of the enum has the same variant.
    pub(super) alias: bool,
}

/// A Rust type. Generated types in it are compared by their names in the `.proto`, because they may have moved.
pub(super) struct Type {
    /// The type, with a `{}` for each generated type.
    pub(super) form: String,
    pub(super) of: Vec<Named>,
}

/// A generated type.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) path: String,
}

impl Rust {
    /// # Errors
    ///
    /// Same as [`generate`](crate::generate).
    pub(super) fn new(set: &FileDescriptorSet, options: &Options) -> Result<Self, Error> {
        let model = Model::new(set, options)?;
        let mut derives = emit::derives(&model, set)?;
        let mut items = BTreeMap::new();
        let mut formers = Vec::new();
        for package in &model.packages {
            for message in package.messages.iter().flat_map(Message::with_nested) {
                items.extend(message_items(&model, message));
            }
            for message in &package.messages {
                // Code may still use the former name.
                let item = message_items(&model, message).into_iter().next();
                if let (Some(former), Some((_, item))) = (&message.former, item) {
                    formers.push((
                        sibling(&message.name, former),
                        item.under(former),
                        message.name.clone(),
                    ));
                }
            }
            for item in &package.enums {
                if let Some(former) = &item.former {
                    let aliased = Item::of_enum(&model, item).under(former);
                    formers.push((sibling(&item.name, former), aliased, item.name.clone()));
                }
            }
            let nested = package.messages.iter().flat_map(Message::nested_enums);
            for item in package.enums.iter().chain(nested) {
                items.insert(item.name.clone(), Item::of_enum(&model, item));
            }
            for service in &package.services {
                let accessor = options.accessors.is_some() || options.client;
                items.insert(service.name.clone(), Item::of_service(package, service, accessor));
            }
        }
        let mut former_names = BTreeMap::new();
        for (former, item, name) in formers {
            if !items.contains_key(&former) {
                derives.insert(former.clone(), derives.get(&name).cloned().unwrap_or_default());
                items.insert(former.clone(), item);
                former_names.insert(former, name);
            }
        }
        for (name, item) in &mut items {
            item.traits = derives.remove(name).unwrap_or_default();
        }
        // The other comparisons leave protobuf's own files out.
        items.retain(|name, _| !name.starts_with("google.protobuf."));
        Ok(Self { items, former: former_names })
    }
}

/// A message and its oneofs.
fn message_items(model: &Model, message: &Message) -> Vec<(String, Item)> {
    let features = model.features(&message.gate);
    let fields = message.fields.iter().map(|field| (field.name.clone(), Part::of(field, message)));
    let oneofs = message.oneofs.iter().map(|oneof| {
        let part = Part {
            names: vec![oneof.ident.clone()],
            ty: Type { form: "Option<{}>".to_owned(), of: vec![Named::of(&oneof.ty)] },
            alias: false,
        };
        (oneof.name.clone(), part)
    });
    let item = |ty: &TypeRef, parts| Item {
        path: path(ty),
        accessor: None,
        traits: BTreeSet::new(),
        features: features.clone(),
        parts,
    };
    let parts = fields.chain(oneofs).collect();
    let enums = message
        .oneofs
        .iter()
        .map(|oneof| (oneof.ty.name.clone(), item(&oneof.ty, BTreeMap::new())));
    [(message.name.clone(), item(&message.ty, parts))].into_iter().chain(enums).collect()
}

impl Item {
    /// The item under its former name.
    fn under(mut self, former: &str) -> Self {
        let module = self.path.rsplit_once("::").map_or("", |(module, _)| module);
        let ident = names::upper_camel(former);
        self.path = if module.is_empty() { ident } else { format!("{module}::{ident}") };
        self
    }

    fn of_enum(model: &Model, item: &Enum) -> Self {
        let values = item.values.iter().map(|value| {
            let part =
                Part { names: vec![value.ident.clone()], ty: Type::plain(""), alias: value.alias };
            (value.name.clone(), part)
        });
        Self {
            path: path(&item.ty),
            accessor: None,
            traits: BTreeSet::new(),
            features: model.features(&item.gate),
            parts: values.collect(),
        }
    }

    fn of_service(package: &Package, service: &Service, has_accessor: bool) -> Self {
        let methods = service.methods.iter().map(|method| {
            let form = match method.kind {
                MethodKind::Unary => "unary call: {} to {}",
                MethodKind::ServerStreaming => "server streaming call: {} to {}",
                MethodKind::ClientStreaming => "client streaming call: {} to {}",
                MethodKind::Bidi => "bidirectional call: {} to {}",
            };
            let of = vec![Named::of(&method.request), Named::of(&method.response)];
            let part = Part {
                names: vec![method.ident.clone()],
                ty: Type { form: form.to_owned(), of },
                alias: false,
            };
            (method.name.clone(), part)
        });
        let parts = methods.collect::<BTreeMap<_, _>>();
        let formers = emit::former::methods(service).into_iter().filter_map(|(ident, method)| {
            let method = service.methods.iter().find(|known| known.ident == method)?;
            let part = parts.get(&method.name)?;
            let ty = Type { form: part.ty.form.clone(), of: part.ty.of.clone() };
            Some((method.former.clone()?, Part { names: vec![ident], ty, alias: false }))
        });
        let formers: Vec<_> = formers.collect();
        let module = package.module.0.iter().cloned();
        Self {
            path: module.chain([service.client()]).collect::<Vec<_>>().join("::"),
            accessor: has_accessor.then(|| service.nickname.clone()),
            traits: BTreeSet::new(),
            features: service.feature.iter().cloned().collect(),
            parts: formers.into_iter().chain(parts).collect(),
        }
    }
}

impl Part {
    fn of(field: &Field, message: &Message) -> Self {
        let ty = Type::of(&field.kind);
        let ty = if field.boxed { ty.within("Box<", ">") } else { ty };
        let is_message = matches!(field.kind, FieldKind::Message(_) | FieldKind::WellKnown(_));
        let (name, ty) = match &field.label {
            Label::Oneof { index, variant } => {
                let mut ty = ty.within("variant of {}: ", "");
                let oneof = message.oneofs.get(*index);
                ty.of.splice(0..0, oneof.map(|oneof| Named::of(&oneof.ty)));
                (variant, ty)
            }
            Label::Repeated if matches!(field.kind, FieldKind::Map(..)) => (&field.ident, ty),
            Label::Repeated => (&field.ident, ty.within("Vec<", ">")),
            Label::Optional => (&field.ident, ty.within("Option<", ">")),
            Label::Singular if is_message => (&field.ident, ty.within("Option<", ">")),
            Label::Singular | Label::Required => (&field.ident, ty),
        };
        Self { names: vec![name.clone(), field.setter.clone()], ty, alias: false }
    }
}

impl Type {
    fn plain(form: &str) -> Self {
        Self { form: form.to_owned(), of: Vec::new() }
    }

    fn of(kind: &FieldKind) -> Self {
        match kind {
            FieldKind::Scalar(scalar) => Self::plain(rust(*scalar)),
            FieldKind::Message(ty) | FieldKind::WellKnown(ty) => {
                Self { form: "{}".to_owned(), of: vec![Named::of(ty)] }
            }
            // A number in the struct, but its accessors use the enum.
            FieldKind::Enum(ty) => Self { form: "i32 for {}".to_owned(), of: vec![Named::of(ty)] },
            FieldKind::Map(key, value) => {
                Self::of(value).within(&format!("BTreeMap<{}, ", rust(*key)), ">")
            }
        }
    }

    fn within(self, before: &str, after: &str) -> Self {
        Self { form: format!("{before}{}{after}", self.form), ..self }
    }

    /// The type for reports.
    pub(super) fn shown(&self) -> String {
        let names = self.of.iter();
        names.fold(self.form.clone(), |form, named| form.replacen("{}", &named.name, 1))
    }
}

impl Named {
    fn of(ty: &TypeRef) -> Self {
        Self { name: ty.name.clone(), path: path(ty) }
    }
}

/// The full name of an element beside another one.
fn sibling(name: &str, own: &str) -> String {
    name.rsplit_once('.').map_or_else(|| own.to_owned(), |(scope, _)| format!("{scope}.{own}"))
}

fn path(ty: &TypeRef) -> String {
    match ty.local() {
        Some((module, ident)) => {
            let parts = module.0.iter().map(String::as_str).chain([ident]);
            parts.collect::<Vec<_>>().join("::")
        }
        None => ty.external().to_owned(),
    }
}

fn rust(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Double => "f64",
        Scalar::Float => "f32",
        Scalar::Int32 => "i32",
        Scalar::Int64 => "i64",
        Scalar::Uint32 => "u32",
        Scalar::Uint64 => "u64",
        Scalar::Bool => "bool",
        Scalar::String => "String",
        Scalar::Bytes => "Vec<u8>",
    }
}
