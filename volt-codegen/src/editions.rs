//! Reads sets of descriptors. Files with an edition become equivalent files of proto2 or proto3.
//!
//! An edition replaces the syntax with features, which `prost-types` does not read. They are read separately from
//! the descriptors, and expressed with the means of both syntaxes: presence, labels, groups and packing. Features
//! that are not read do not change the generated code, as in files of proto2 and proto3: unknown numbers of
//! closed enums are kept, and strings must be UTF-8.

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MessageOptions,
    field_descriptor_proto::{Label, Type},
};

use crate::error::{Error, Place, Problems};

/// Reads a set of descriptors in the binary form that protoc and buf write.
///
/// Files may have the syntax proto2 or proto3, or the edition 2023 or 2024.
///
/// ```no_run
/// use volt_codegen::{Options, descriptor_set, generate};
///
/// // protoc --descriptor_set_out=shop.binpb --include_imports --include_source_info shop.proto
/// let set = descriptor_set(&std::fs::read("shop.binpb")?)?;
/// let output = generate(&set, &Options::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Fails if the bytes are not a set of descriptors, or if a file has another edition. Also fails if a file mixes
/// features of proto2 and proto3: fields with implicit presence, and defaults, required fields, fields with
/// delimiters, or enums that do not begin with 0. The error names the file and both elements.
pub fn descriptor_set(bytes: &[u8]) -> Result<FileDescriptorSet, Error> {
    let wrong = |error| Error::new(format!("this is not a set of descriptors: {error}"));
    let mut set = FileDescriptorSet::decode(bytes).map_err(wrong)?;
    let features = FeaturesOfSet::decode(bytes).map_err(wrong)?;
    let mut problems = Problems::default();
    for (file, features) in set.file.iter_mut().zip(&features.file) {
        if file.syntax() == EDITIONS {
            lower(file, features, &mut problems);
        }
    }
    problems.into_result(set)
}

/// The syntax of files with an edition.
const EDITIONS: &str = "editions";

/// The editions whose features are known, with their numbers in descriptors.
const KNOWN: [(i32, &str); 2] = [(1000, "2023"), (1001, "2024")];

// The parts of descriptors that contain features.

#[derive(Clone, PartialEq, Message)]
struct FeaturesOfSet {
    #[prost(message, repeated, tag = "1")]
    file: Vec<FeaturesOfFile>,
}

#[derive(Clone, PartialEq, Message)]
struct FeaturesOfFile {
    #[prost(message, repeated, tag = "4")]
    message: Vec<FeaturesOfMessage>,
    #[prost(message, optional, tag = "8")]
    options: Option<FileOptions>,
    #[prost(int32, tag = "14")]
    edition: i32,
}

#[derive(Clone, PartialEq, Message)]
struct FeaturesOfMessage {
    #[prost(message, repeated, tag = "2")]
    field: Vec<FeaturesOfField>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Self>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct FeaturesOfField {
    #[prost(message, optional, tag = "8")]
    options: Option<FieldOptions>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct FileOptions {
    #[prost(message, optional, tag = "50")]
    features: Option<Features>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct FieldOptions {
    #[prost(message, optional, tag = "21")]
    features: Option<Features>,
}

/// The features that a file or field sets.
#[derive(Clone, Copy, PartialEq, Message)]
struct Features {
    #[prost(int32, optional, tag = "1")]
    presence: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    repeated: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    encoding: Option<i32>,
}

const IMPLICIT: i32 = 2;
const LEGACY_REQUIRED: i32 = 3;
const EXPANDED: i32 = 2;
const DELIMITED: i32 = 2;

impl Features {
    /// The features of a field in this file.
    fn with(self, field: FeaturesOfField) -> Self {
        let own = field.options.and_then(|options| options.features).unwrap_or_default();
        Self {
            presence: own.presence.or(self.presence),
            repeated: own.repeated.or(self.repeated),
            encoding: own.encoding.or(self.encoding),
        }
    }
}

/// The first element with a property that only proto2 has, and the first with one that only proto3
/// has.
#[derive(Default)]
struct Needs {
    proto2: Option<String>,
    proto3: Option<String>,
}

fn lower(file: &mut FileDescriptorProto, features: &FeaturesOfFile, problems: &mut Problems) {
    let place = Place { file: file.name().to_owned(), position: None };
    if !KNOWN.iter().any(|(number, _)| *number == features.edition) {
        let message = format!("the edition with the number {} is not supported", features.edition);
        let known = KNOWN.map(|(_, name)| name).join(" and ");
        problems.add(&place, message, &format!("{known} are"));
        return;
    }
    let of_file = features.options.and_then(|options| options.features).unwrap_or_default();
    let mut needs = Needs::default();
    enums(&file.enum_type, &mut needs);
    for (message, features) in file.message_type.iter_mut().zip(&features.message) {
        lower_message(message, features, of_file, &mut needs);
    }
    if let Needs { proto2: Some(two), proto3: Some(three) } = &needs {
        let message = format!("{three} and {two} are in one file, which is not supported");
        problems.add(&place, message, "move one of them to another file");
    }
    let proto3 = needs.proto2.is_none();
    if !proto3 {
        // Fields of proto2 have presence by default.
        file.message_type.iter_mut().for_each(without_optional);
    }
    file.syntax = Some(if proto3 { "proto3" } else { "proto2" }.to_owned());
}

fn lower_message(
    message: &mut DescriptorProto,
    features: &FeaturesOfMessage,
    of_file: Features,
    needs: &mut Needs,
) {
    if message.options.as_ref().is_some_and(MessageOptions::map_entry) {
        return;
    }
    let nested = &message.nested_type;
    let is_map = |field: &FieldDescriptorProto| {
        let name = field.type_name().rsplit('.').next();
        nested.iter().any(|entry| {
            Some(entry.name()) == name
                && entry.options.as_ref().is_some_and(MessageOptions::map_entry)
        })
    };
    let maps: Vec<bool> = message.field.iter().map(is_map).collect();
    for ((field, own), is_map) in message.field.iter_mut().zip(&features.field).zip(maps) {
        lower_field(field, of_file.with(*own), is_map, message.name.as_deref(), needs);
    }
    enums(&message.enum_type, needs);
    for (nested, features) in message.nested_type.iter_mut().zip(&features.nested) {
        lower_message(nested, features, of_file, needs);
    }
}

fn lower_field(
    field: &mut FieldDescriptorProto,
    features: Features,
    is_map: bool,
    message: Option<&str>,
    needs: &mut Needs,
) {
    let shown = format!("`{}` of `{}`", field.name(), message.unwrap_or_default());
    if field.label() == Label::Repeated {
        // Both syntaxes have both forms, with different defaults.
        let packed = features.repeated != Some(EXPANDED);
        if can_be_packed(field.r#type()) {
            field.options.get_or_insert_default().packed = Some(packed);
        }
    } else if features.presence == Some(LEGACY_REQUIRED) {
        field.set_label(Label::Required);
        needs.proto2.get_or_insert_with(|| format!("the required field {shown}"));
    } else if field.r#type() != Type::Message && field.oneof_index.is_none() {
        if features.presence == Some(IMPLICIT) {
            needs
                .proto3
                .get_or_insert_with(|| format!("the implicit presence of the field {shown}"));
        } else {
            field.proto3_optional = Some(true);
        }
    }
    if field.default_value.is_some() {
        needs.proto2.get_or_insert_with(|| format!("the default of the field {shown}"));
    }
    if field.r#type() == Type::Message && !is_map && features.encoding == Some(DELIMITED) {
        field.set_type(Type::Group);
        needs.proto2.get_or_insert_with(|| format!("the delimiters of the field {shown}"));
    }
}

fn can_be_packed(kind: Type) -> bool {
    !matches!(kind, Type::String | Type::Bytes | Type::Message | Type::Group)
}

fn enums(enums: &[EnumDescriptorProto], needs: &mut Needs) {
    let not_zero =
        |item: &&EnumDescriptorProto| item.value.first().is_some_and(|value| value.number() != 0);
    if let Some(item) = enums.iter().find(not_zero) {
        let shown = || format!("the enum `{}`, which does not begin with 0,", item.name());
        needs.proto2.get_or_insert_with(shown);
    }
}

fn without_optional(message: &mut DescriptorProto) {
    for field in &mut message.field {
        field.proto3_optional = None;
    }
    message.nested_type.iter_mut().for_each(without_optional);
}
