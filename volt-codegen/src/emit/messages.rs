//! Everything about the messages and enums of a package, each with its gate.

use syn::Item;

use super::{debug, finish, items, json, prost::Structs, setters, status};
use crate::{
    Error,
    model::{Gate, Package},
};

/// The items of one message or enum.
pub(super) struct Group {
    pub(super) gate: Gate,
    pub(super) items: Vec<Item>,
}

/// All messages and enums of a package, in their order.
pub(super) fn groups(package: &Package, structs: &mut Structs) -> Result<Vec<Group>, Error> {
    let scope = &package.module;
    let mut groups = Vec::new();
    for message in &package.messages {
        let mut group = structs.take_message(scope, message);
        finish::message(&mut group, message);
        for message in message.with_nested() {
            group.extend(items(setters::message(message, scope))?);
            group.extend(items(debug::message(message, scope))?);
            group.extend(items(status::message(message, scope))?);
            group.extend(items(json::message(message, scope))?);
        }
        for nested in message.nested_enums() {
            group.extend(items(json::enumeration(nested, scope))?);
        }
        groups.push(Group { gate: message.gate.clone(), items: group });
    }
    for item in &package.enums {
        let mut group = structs.take(scope, &item.ident);
        finish::enumeration(&mut group, item);
        group.extend(items(json::enumeration(item, scope))?);
        groups.push(Group { gate: item.gate.clone(), items: group });
    }
    Ok(groups)
}
