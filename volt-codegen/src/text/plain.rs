//! Removes definitions that the canonical text cannot represent, and reports them.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueOptions, FieldDescriptorProto,
    FieldOptions, FileDescriptorProto, FileDescriptorSet, MessageOptions, MethodOptions,
    OneofOptions, ServiceDescriptorProto, ServiceOptions, UninterpretedOption,
    uninterpreted_option::NamePart,
};

use super::comments::full;
use crate::{
    Error, Place, Problem, Sources,
    error::Problems,
    model::{SourceMap, tag},
    scopes,
    source::is_builtin,
};

/// The definitions of an API that the canonical text has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plain {
    /// The descriptors.
    pub set: FileDescriptorSet,
    /// The omitted options, extensions, imports and files, each with its place.
    pub left_out: Vec<Problem>,
}

/// Compiles files, and omits the parts that [`write`](super::write) cannot print and clients do not need.
///
/// These are options other than `allow_alias`, `deprecated`, `idempotency_level`, `json_name`, `jstype` and
/// `packed`; extensions; imports of files that are missing, if no type needs them; and files that define
/// nothing, or only what options need.
///
/// # Errors
///
/// Same as [`Sources::compile`]; also fails if a file that the API needs is not proto3.
pub fn plain(sources: &Sources) -> Result<Plain, Error> {
    let mut parsed = Vec::new();
    for (name, text) in &sources.files {
        let Ok(file) = sources.parse_one(name, text) else {
            // Compile this file alone, so that its error is reported first, with its place.
            let mut alone = Sources::default();
            alone.files.insert(name.clone(), text.clone());
            return alone.compile().map(|set| Plain { set, left_out: Vec::new() });
        };
        parsed.push(file);
    }
    let mut roots = Sources { imports: sources.imports.clone(), ..Sources::default() };
    for file in &parsed {
        let text = sources.files.get(file.name()).cloned().unwrap_or_default();
        let list = if is_root(file) { &mut roots.files } else { &mut roots.imports };
        list.insert(file.name().to_owned(), text);
    }
    if roots.files.is_empty() {
        return Err(Error::new("the files define no message and no service"));
    }
    let mut set = roots.compile_available()?;
    let mut left_out = Vec::new();
    let mut problems = Problems::default();
    let names: Vec<String> = set.file.iter().map(|file| file.name().to_owned()).collect();
    let is_kept = |import: &str| {
        let only_for_options = import == "google/protobuf/descriptor.proto";
        names.iter().any(|name| name == import) || (is_builtin(import) && !only_for_options)
    };
    for raw in &parsed {
        let Some(file) = set.file.iter_mut().find(|file| file.name() == raw.name()) else {
            let why =
                if is_empty(raw) { "it defines nothing" } else { "only options need its types" };
            let place = Some(Place { file: raw.name().to_owned(), position: None });
            left_out.push(Problem {
                place,
                message: format!("the file is left out: {why}"),
                help: None,
            });
            continue;
        };
        let mut walk = Walk { source: SourceMap::new(raw), left_out: &mut left_out };
        if raw.syntax() != "proto3" {
            let place = walk.source.place(&[tag::SYNTAX]);
            problems.add(
                &place,
                "the file is proto2, and the API needs its types",
                "only proto3 can be kept: convert the file",
            );
            continue;
        }
        walk.file(raw, file, &is_kept);
    }
    left_out.sort();
    problems.into_result(Plain { set, left_out })
}

fn is_empty(file: &FileDescriptorProto) -> bool {
    file.message_type.is_empty()
        && file.enum_type.is_empty()
        && file.service.is_empty()
        && file.extension.is_empty()
}

/// Returns whether a file belongs to the API even if no other file refers to it.
fn is_root(file: &FileDescriptorProto) -> bool {
    // Such a file re-exports its public imports under its own name.
    let forwards = !file.public_dependency.is_empty();
    let defines = !file.message_type.is_empty() || !file.enum_type.is_empty();
    // Messages beside an extension are usually those of an option.
    let is_proto3 = file.syntax() == "proto3" && file.extension.is_empty();
    forwards || !file.service.is_empty() || (defines && is_proto3)
}

/// A walk through a file as it was parsed, and the same file with resolved names.
struct Walk<'a> {
    source: SourceMap<'a>,
    left_out: &'a mut Vec<Problem>,
}

/// The numbers of options in descriptors.
const FILE_OPTIONS: i32 = 8;
const MESSAGE_OPTIONS: i32 = 7;
const FIELD_OPTIONS: i32 = 8;
const ONEOF_OPTIONS: i32 = 2;
const ENUM_OPTIONS: i32 = 3;
const VALUE_OPTIONS: i32 = 3;
const SERVICE_OPTIONS: i32 = 3;
const METHOD_OPTIONS: i32 = 4;
const UNINTERPRETED: i32 = 999;
const FILE_IMPORT: i32 = 3;
const FILE_EXTENSION: i32 = 7;
const MESSAGE_EXTENSION: i32 = 6;

/// The options of a kind of element.
trait Options: Default + PartialEq {
    fn uninterpreted(&self) -> &[UninterpretedOption];
}

macro_rules! options {
    ($($kind:ident)*) => {$(
        impl Options for $kind {
            fn uninterpreted(&self) -> &[UninterpretedOption] {
                &self.uninterpreted_option
            }
        }
    )*};
}

options! {
    MessageOptions FieldOptions OneofOptions EnumOptions EnumValueOptions ServiceOptions MethodOptions
}

impl Walk<'_> {
    fn leave_out(&mut self, path: &[i32], what: String) {
        let place = Some(self.source.place(path));
        self.left_out.push(Problem { place, message: what, help: None });
    }

    /// Reports the options of an element that are not kept.
    fn options<O: Options>(
        &mut self,
        element: &str,
        path: &[i32],
        parsed: Option<&O>,
        kept: &mut Option<O>,
    ) {
        for (option, index) in parsed.into_iter().flat_map(O::uninterpreted).zip(0..) {
            if !scopes::is_kept(option) {
                let path = [path, &[UNINTERPRETED, index]].concat();
                let name = shown(&option.name);
                self.leave_out(&path, format!("the option `{name}` of `{element}` is left out"));
            }
        }
        if kept.as_ref() == Some(&O::default()) {
            *kept = None;
        }
    }

    fn file(
        &mut self,
        parsed: &FileDescriptorProto,
        file: &mut FileDescriptorProto,
        is_kept: &dyn Fn(&str) -> bool,
    ) {
        for (import, index) in parsed.dependency.iter().zip(0..) {
            if !is_kept(import) {
                let what = format!("the import `{import}` is left out");
                self.leave_out(&[FILE_IMPORT, index], what);
            }
        }
        scopes::retain_imports(file, is_kept);
        let options = parsed.options.as_ref().map(|options| &options.uninterpreted_option);
        // None of them is printed, so `deprecated` is not kept either.
        file.options = None;
        for (option, index) in options.into_iter().flatten().zip(0..) {
            let what = format!("the option `{}` of the file is left out", shown(&option.name));
            self.leave_out(&[FILE_OPTIONS, UNINTERPRETED, index], what);
        }
        self.extensions(&parsed.extension, &[FILE_EXTENSION], &mut file.extension);
        let package = parsed.package();
        for ((from, to), index) in parsed.message_type.iter().zip(&mut file.message_type).zip(0..) {
            self.message(package, &[tag::FILE_MESSAGE, index], from, to);
        }
        for ((from, to), index) in parsed.enum_type.iter().zip(&mut file.enum_type).zip(0..) {
            self.enumeration(package, &[tag::FILE_ENUM, index], from, to);
        }
        for ((from, to), index) in parsed.service.iter().zip(&mut file.service).zip(0..) {
            self.service(package, &[tag::FILE_SERVICE, index], from, to);
        }
    }

    fn extensions(
        &mut self,
        parsed: &[FieldDescriptorProto],
        path: &[i32],
        kept: &mut Vec<FieldDescriptorProto>,
    ) {
        for (extension, index) in parsed.iter().zip(0..) {
            let what = format!("the extension `{}` is left out", extension.name());
            self.leave_out(&[path, &[index]].concat(), what);
        }
        kept.clear();
    }

    fn message(
        &mut self,
        scope: &str,
        path: &[i32],
        parsed: &DescriptorProto,
        message: &mut DescriptorProto,
    ) {
        let name = full(scope, parsed.name());
        let at = |tail: &[i32]| [path, tail].concat();
        self.options(&name, &at(&[MESSAGE_OPTIONS]), parsed.options.as_ref(), &mut message.options);
        self.extensions(&parsed.extension, &at(&[MESSAGE_EXTENSION]), &mut message.extension);
        for ((from, to), index) in parsed.field.iter().zip(&mut message.field).zip(0..) {
            let name = full(&name, from.name());
            let path = at(&[tag::MESSAGE_FIELD, index, FIELD_OPTIONS]);
            self.options(&name, &path, from.options.as_ref(), &mut to.options);
        }
        for ((from, to), index) in parsed.oneof_decl.iter().zip(&mut message.oneof_decl).zip(0..) {
            let name = full(&name, from.name());
            let path = at(&[tag::MESSAGE_ONEOF, index, ONEOF_OPTIONS]);
            self.options(&name, &path, from.options.as_ref(), &mut to.options);
        }
        for ((from, to), index) in parsed.nested_type.iter().zip(&mut message.nested_type).zip(0..)
        {
            self.message(&name, &at(&[tag::MESSAGE_MESSAGE, index]), from, to);
        }
        for ((from, to), index) in parsed.enum_type.iter().zip(&mut message.enum_type).zip(0..) {
            self.enumeration(&name, &at(&[tag::MESSAGE_ENUM, index]), from, to);
        }
    }

    fn enumeration(
        &mut self,
        scope: &str,
        path: &[i32],
        parsed: &EnumDescriptorProto,
        item: &mut EnumDescriptorProto,
    ) {
        let name = full(scope, parsed.name());
        let at = |tail: &[i32]| [path, tail].concat();
        self.options(&name, &at(&[ENUM_OPTIONS]), parsed.options.as_ref(), &mut item.options);
        for ((from, to), index) in parsed.value.iter().zip(&mut item.value).zip(0..) {
            let name = full(&name, from.name());
            let path = at(&[tag::ENUM_VALUE, index, VALUE_OPTIONS]);
            self.options(&name, &path, from.options.as_ref(), &mut to.options);
        }
    }

    fn service(
        &mut self,
        scope: &str,
        path: &[i32],
        parsed: &ServiceDescriptorProto,
        service: &mut ServiceDescriptorProto,
    ) {
        let name = full(scope, parsed.name());
        let at = |tail: &[i32]| [path, tail].concat();
        self.options(&name, &at(&[SERVICE_OPTIONS]), parsed.options.as_ref(), &mut service.options);
        for ((from, to), index) in parsed.method.iter().zip(&mut service.method).zip(0..) {
            let name = full(&name, from.name());
            let path = at(&[tag::SERVICE_METHOD, index, METHOD_OPTIONS]);
            self.options(&name, &path, from.options.as_ref(), &mut to.options);
        }
    }
}

/// The name of an option as it is written: `(validate.rules).string.min_len`.
fn shown(name: &[NamePart]) -> String {
    let parts = name.iter().map(|part| {
        if part.is_extension { format!("({})", part.name_part) } else { part.name_part.clone() }
    });
    parts.collect::<Vec<_>>().join(".")
}
