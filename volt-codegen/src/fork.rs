//! Rejects files of another version of the Volt API, if the API's types are taken from `volt-api`.
//!
//! Code generated from such files would mix two versions: some of its types would be those of the built-in files.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::Type,
};
use protox::file::File;

use crate::{
    Error, Options,
    bundled::VOLT_API,
    error::{Place, Problem, Problems},
};

const HELP: &str = "if these files are your version of the Volt API, say so: `--own-volt-api` of the program, \
                    `own_volt_api = true` of the macro, `Builder::own_volt_api` in a build script";

pub(crate) fn check(set: &FileDescriptorSet, options: &Options) -> Result<(), Error> {
    if !options.uses_volt_api() {
        return Ok(());
    }
    if options.shares_volt_api {
        let message = "`share_volt_api` is for files that are your version of the Volt API: other files use the types \
                       of `volt-api` anyway";
        return Err(Problem {
            place: None,
            message: message.to_owned(),
            help: Some(HELP.to_owned()),
        }
        .into());
    }
    let mut problems = Problems::default();
    let mut others = 0;
    for file in &set.file {
        let place = Place { file: file.name().to_owned(), position: None };
        match ELEMENTS.get(file.name()) {
            Some(bundled) => {
                if let Some(element) = difference(bundled, &elements(file)) {
                    let message = format!(
                        "the file has the name of a file of the Volt API, but other definitions: `{element}`"
                    );
                    problems.add(&place, message, HELP);
                }
            }
            None => others += 1,
        }
    }
    problems.into_result(())?;
    if others == 0 && !set.file.is_empty() {
        let message =
            "nothing to generate: all files are those of the Volt API, whose code is in `volt-api`";
        let help = Some(HELP.to_owned());
        return Err(Problem { place: None, message: message.to_owned(), help }.into());
    }
    Ok(())
}

/// A text for each element of a file, by full names. Type names have no package here, because texts
/// may omit it.
type Elements = BTreeMap<String, String>;

/// The texts of the built-in files.
static ELEMENTS: LazyLock<HashMap<&str, Elements>> = LazyLock::new(|| {
    let parsed = VOLT_API.iter().filter_map(|(name, text)| {
        let file = File::from_source(name, text).ok()?;
        Some((*name, elements(file.file_descriptor_proto())))
    });
    parsed.collect()
});

/// The first element that is not the same.
fn difference<'a>(old: &'a Elements, new: &'a Elements) -> Option<&'a str> {
    let changed = new.iter().find(|(name, text)| old.get(*name) != Some(*text));
    let removed = || old.keys().find(|name| !new.contains_key(*name));
    changed.map(|(name, _)| name).or_else(removed).map(String::as_str)
}

fn elements(file: &FileDescriptorProto) -> Elements {
    let mut elements = Elements::new();
    collect(&mut elements, file.package(), &file.message_type, &file.enum_type);
    for service in &file.service {
        let name = format!("{}.{}", file.package(), service.name());
        for method in &service.method {
            let text = format!(
                "{} {} {} {}",
                last(method.input_type()),
                method.client_streaming(),
                last(method.output_type()),
                method.server_streaming(),
            );
            elements.insert(format!("{name}.{}", method.name()), text);
        }
        elements.insert(name, String::new());
    }
    elements
}

fn collect(
    elements: &mut Elements,
    prefix: &str,
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
) {
    for item in enums {
        let name = format!("{prefix}.{}", item.name());
        for value in &item.value {
            elements.insert(format!("{name}.{}", value.name()), value.number().to_string());
        }
        elements.insert(name, String::new());
    }
    for message in messages {
        let name = format!("{prefix}.{}", message.name());
        for field in &message.field {
            // The kind of a named type is known after linking only.
            let ty = match field.type_name() {
                "" => Type::as_str_name(&field.r#type()),
                name => last(name),
            };
            let text = format!(
                "{} {ty} {:?} {:?} {}",
                field.number(),
                field.label(),
                field.oneof_index,
                field.proto3_optional()
            );
            elements.insert(format!("{name}.{}", field.name()), text);
        }
        collect(elements, &name, &message.nested_type, &message.enum_type);
        elements.insert(name, String::new());
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
