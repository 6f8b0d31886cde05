//! The direction in which the data of a type flows: with requests, with responses, or both.

use std::{collections::BTreeMap, ops::BitOr};

use super::inventory::Inventory;

/// The uses of a message or enum.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) requests: bool,
    pub(super) responses: bool,
}

impl BitOr for Use {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            requests: self.requests || other.requests,
            responses: self.responses || other.responses,
        }
    }
}

/// The uses of types by their full names.
#[derive(Default)]
pub(super) struct Usage(BTreeMap<String, Use>);

impl Usage {
    pub(super) fn of(inventories: [&Inventory; 2]) -> Self {
        let mut usage = Self::default();
        for inventory in inventories {
            for method in inventory.services.values().flat_map(|service| service.methods.values()) {
                let request = Use { requests: true, responses: false };
                let response = Use { requests: false, responses: true };
                usage.mark(inventory, &method.request, request);
                usage.mark(inventory, &method.response, response);
            }
        }
        usage
    }

    pub(super) fn get(&self, name: &str) -> Use {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Records the use of a type and of all types in it.
    fn mark(&mut self, inventory: &Inventory, name: &str, used: Use) {
        let known = self.get(name);
        if known | used == known {
            return;
        }
        self.0.insert(name.to_owned(), known | used);
        if let Some(message) = inventory.messages.get(name) {
            for field in message.fields.values().filter(|field| !field.value.of.is_empty()) {
                self.mark(inventory, &field.value.of, used);
            }
        }
    }
}
