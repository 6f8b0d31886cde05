//! Generates the re-exports of messages and enums that exist elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{code::Code, former};
use crate::model::Package;

/// The re-exports of a package, for its module.
pub(super) fn code(package: &Package) -> String {
    let messages = package.messages.iter().map(|message| {
        let module = message.has_module().then(|| message.module());
        (&message.reexport, &message.ident, module, message.former.as_deref())
    });
    let enums = package
        .enums
        .iter()
        .map(|item| (&item.reexport, &item.ident, None, item.former.as_deref()));
    let mut modules: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut formers = Code::default();
    for (path, ident, module, former) in messages.chain(enums) {
        // The path has a module: the model is checked.
        let Some((elsewhere, _)) = path.as_ref().and_then(|path| path.rsplit_once("::")) else {
            continue;
        };
        let names = modules.entry(elsewhere).or_default();
        names.insert(ident.clone());
        names.extend(module);
        formers.add(former::alias(package, ident, former).into_iter().collect());
    }
    let mut code = String::new();
    for (module, names) in modules {
        // Writing to a `String` cannot fail.
        let _ = writeln!(code, "\n#[doc(inline)]\npub use {module}::{{");
        for name in names {
            let _ = writeln!(code, "    {name},");
        }
        code.push_str("};\n");
    }
    code + &formers.into_text()
}
