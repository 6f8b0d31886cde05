//! The `.proto` files of the Volt API, which are part of this crate.

use std::{collections::HashSet, sync::LazyLock};

use prost_types::{DescriptorProto, EnumDescriptorProto};
use protox::file::File;

/// The files of a version, by the names under which they are imported.
type Files = &'static [(&'static str, &'static str)];

/// The API files of this crate's version, by the names under which they are imported.
pub const VOLT_API: Files = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The version of these files.
pub(crate) const VERSION: &str = include!(concat!(env!("OUT_DIR"), "/version.rs"));

/// The versions of the Volt API that are part of this crate, oldest first, with their files.
pub const VERSIONS: &[(&str, Files)] = include!(concat!(env!("OUT_DIR"), "/versions.rs"));

/// The fields whose values `volt-api` hides in `Debug`.
pub(crate) const SECRETS: &[&str] = include!(concat!(env!("OUT_DIR"), "/secrets.rs"));

/// The fields that look secret, and are shown.
pub(crate) const OPEN: &[&str] = include!(concat!(env!("OUT_DIR"), "/open.rs"));

/// The full names of the messages and enums in these files.
static TYPES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut types = HashSet::new();
    for (name, text) in VOLT_API {
        let Ok(file) = File::from_source(name, text) else { continue };
        let file = file.file_descriptor_proto();
        collect(&mut types, file.package(), &file.message_type, &file.enum_type);
    }
    types
});

fn collect(
    types: &mut HashSet<String>,
    prefix: &str,
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
) {
    types.extend(enums.iter().map(|item| format!("{prefix}.{}", item.name())));
    for message in messages {
        let name = format!("{prefix}.{}", message.name());
        collect(types, &name, &message.nested_type, &message.enum_type);
        types.insert(name);
    }
}

/// Returns whether this is the name of such a file.
pub(crate) fn contains(name: &str) -> bool {
    VOLT_API.iter().any(|(bundled, _)| *bundled == name)
}

/// Returns whether this is the full name of a type in such a file.
pub(crate) fn has_type(name: &str) -> bool {
    TYPES.contains(name)
}
