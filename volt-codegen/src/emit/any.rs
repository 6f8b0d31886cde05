//! Generates the list of types that `google.protobuf.Any` may contain in JSON.

use std::fmt::Write as _;

use super::code::RT;
use crate::{
    Options,
    model::{Message, Model},
};

/// The module of the list. Names from a `.proto` never have leading underscores.
pub(super) const MODULE: &str = "__any_types";

/// The code of the module, at the root: all generated messages, sorted by name.
pub(super) fn code(model: &Model, options: &Options) -> String {
    let messages = model.packages.iter().flat_map(|package| &package.messages);
    let mut messages: Vec<&Message> = messages.flat_map(Message::with_nested).collect();
    messages.sort_by_key(|message| &message.name);
    let mut code = format!("use {} as {RT};\n\n{RT}::any_types! {{\n", options.runtime);
    for message in messages {
        let Some((module, ident)) = message.ty.local() else { continue };
        let features = model.features(&message.gate);
        let features: Vec<_> =
            features.iter().map(|feature| format!("feature = {feature:?}")).collect();
        // Writing to a `String` cannot fail.
        let _ = match features.as_slice() {
            [] => Ok(()),
            [feature] => writeln!(code, "    #[cfg({feature})]"),
            _ => writeln!(code, "    #[cfg(any({}))]", features.join(", ")),
        };
        let path = module.0.iter().map(String::as_str).chain([ident]);
        let _ = writeln!(code, "    super::{};", path.collect::<Vec<_>>().join("::"));
    }
    code.push_str("}\n");
    code
}
