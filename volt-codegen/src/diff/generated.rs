//! Compares the generated code: it corrects the effects on Rust code that the descriptors suggest, and adds
//! those that they do not show.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    effects::{Effects, Trouble},
    kind::Kind,
    report::{Change, Effect, Surface, Verdict},
    rust::{Item, Named, Part, Rust, Type},
    usage::Use,
};

/// Corrects and completes the changes. `renames` maps former full names to new ones; `file` returns the file of
/// an item.
pub(super) fn complete(
    changes: &mut Vec<Change>,
    renames: &BTreeMap<String, String>,
    [old, new]: [&Rust; 2],
    file: impl Fn(&str) -> String,
) {
    let both = Both { old, new, renames };
    for change in &mut *changes {
        if both.is_unseen(change) {
            let effect = match change.kind {
                // The former name is that of a method of the client, and not of the trait for servers.
                Kind::MethodRenamed => Effect {
                    verdict: Verdict::Risky,
                    why: "servers implement it under another name".to_owned(),
                    ..Effect::default()
                },
                _ => Effect::default(),
            };
            change.effects.insert(Surface::Source, effect);
        }
    }
    let told: BTreeSet<String> = changes
        .iter()
        .filter(|change| change.verdict(Surface::Source) == Verdict::Breaking)
        .map(|change| change.element.clone())
        .collect();
    for found in both.differences() {
        if found.always || !told.contains(&found.element) {
            changes.push(Change {
                file: file(&found.item),
                element: found.element,
                kind: found.kind,
                what: found.what,
                effects: Effects::source(Trouble::breaking(found.why)).resolve(Use::default()),
            });
        }
    }
}

struct Both<'a> {
    old: &'a Rust,
    new: &'a Rust,
    renames: &'a BTreeMap<String, String>,
}

/// A difference that breaks code.
struct Found {
    /// The old name of the message, enum or service.
    item: String,
    /// The old name of the item or its part.
    element: String,
    kind: Kind,
    what: String,
    why: &'static str,
    /// Set if the break is not one that the descriptors show.
    always: bool,
}

impl Both<'_> {
    /// Returns whether a change that might affect code is invisible in it.
    fn is_unseen(&self, change: &Change) -> bool {
        let is_new = change.kind.is_addition();
        match change.verdict(Surface::Source) {
            Verdict::Breaking => {}
            Verdict::Risky if is_new => {}
            _ => return false,
        }
        match (self.item(&change.element), self.part(&change.element, is_new)) {
            (None, None) => false,
            (items, parts) => items.unwrap_or(true) && parts.unwrap_or(true),
        }
    }

    /// Returns whether an item has the same path in both versions. Returns `None` without such an item.
    fn item(&self, name: &str) -> Option<bool> {
        let was = self.old.items.get(name)?;
        Some(match self.counterpart(name) {
            Some(is) => was.path == is.path && was.accessor == is.accessor,
            // Another name in the .proto may be the same in Rust.
            None => self.new.items.values().any(|is| was.path == is.path && self.is_like(was, is)),
        })
    }

    /// Returns whether a part of an item is the same in both versions; `None` if it is not a part.
    fn part(&self, name: &str, is_new: bool) -> Option<bool> {
        let (holder, own) = name.rsplit_once('.')?;
        let (was, is) = (self.old.items.get(holder)?, self.counterpart(holder)?);
        if is_new {
            let added = is.parts.get(own)?;
            return Some(was.parts.values().any(|part| self.same(part, added)));
        }
        let part = was.parts.get(own)?;
        Some(match is.parts.get(self.renamed_part(holder, own)) {
            Some(now) => self.same(part, now),
            None => is.parts.values().any(|now| self.same(part, now)),
        })
    }

    /// The item in the new code, under its former name if it still has that.
    fn counterpart(&self, name: &str) -> Option<&Item> {
        if self.new.former.contains_key(name) {
            return self.new.items.get(name);
        }
        self.new.items.get(&self.renamed(name))
    }

    /// The new full name of an element. The parts of a moved element have moved with it.
    fn renamed(&self, name: &str) -> String {
        match (self.renames.get(name), name.rsplit_once('.')) {
            (Some(now), _) => now.clone(),
            (None, Some((scope, own))) => format!("{}.{own}", self.renamed(scope)),
            (None, None) => name.to_owned(),
        }
    }

    fn renamed_part<'n>(&'n self, holder: &str, own: &'n str) -> &'n str {
        let now = self.renames.get(&format!("{holder}.{own}"));
        now.map_or(own, |now| now.rsplit('.').next().unwrap_or(now))
    }

    fn is_like(&self, was: &Item, is: &Item) -> bool {
        let names = |item: &Item| -> BTreeSet<Vec<String>> {
            item.parts.values().map(|part| part.names.clone()).collect()
        };
        was.accessor == is.accessor
            && was.traits == is.traits
            && names(was) == names(is)
            && was.parts.values().all(|was| is.parts.values().any(|is| self.same(was, is)))
    }

    fn same(&self, was: &Part, is: &Part) -> bool {
        was.names == is.names && self.same_type(&was.ty, &is.ty)
    }

    fn same_type(&self, was: &Type, is: &Type) -> bool {
        let same = |(was, is): (&Named, &Named)| {
            was.path == is.path
                || self.renamed(&was.name) == is.name
                || self.new.former.get(&was.name) == Some(&is.name)
        };
        was.form == is.form && was.of.len() == is.of.len() && was.of.iter().zip(&is.of).all(same)
    }

    /// Reports the breaks of code in items that exist in both versions.
    fn differences(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for (name, was) in &self.old.items {
            if let Some(is) = self.counterpart(name) {
                self.items(name, was, is, &mut found);
                self.parts(name, was, is, &mut found);
            }
        }
        found
    }

    fn items(&self, name: &str, was: &Item, is: &Item, found: &mut Vec<Found>) {
        let mut add = |kind, what: String, why, always| {
            let item = name.to_owned();
            found.push(Found { element: item.clone(), item, kind, what, why, always });
        };
        if was.path != is.path {
            let what = format!("Rust path was {}, is {}", was.path, is.path);
            add(Kind::RustPath, what, "another name", false);
        }
        if let (Some(was), Some(is)) = (&was.accessor, &is.accessor)
            && was != is
        {
            let what = format!("accessor was {was}, is {is}");
            add(Kind::RustAccessor, what, "another name", true);
        }
        let lost: Vec<_> = was.traits.difference(&is.traits).map(String::as_str).collect();
        if !lost.is_empty() {
            let what = format!("no longer implements {}", lost.join(", "));
            add(Kind::RustTraits, what, "code that relies on it does not compile", true);
        }
        if !is.features.is_empty() && !self.has_kept_features(&was.features, &is.features) {
            let what =
                format!("Cargo feature was {}, is {}", any(&was.features), any(&is.features));
            add(Kind::RustFeature, what, "programs that enable single features lack it", true);
        }
    }

    /// Returns whether all programs that had an item still have it. Without features, it is always
    /// compiled; a removed feature belonged to a removed service.
    fn has_kept_features(&self, was: &BTreeSet<String>, is: &BTreeSet<String>) -> bool {
        let exists = |feature: &&String| {
            self.new.items.values().any(|item| item.features.contains(*feature))
        };
        !was.is_empty() && was.iter().filter(exists).all(|feature| is.contains(feature))
    }

    fn parts(&self, holder: &str, was: &Item, is: &Item, found: &mut Vec<Found>) {
        for (own, part) in was.parts.iter().filter(|(_, part)| !part.alias) {
            let Some(now) = is.parts.get(self.renamed_part(holder, own)) else { continue };
            let name = part.names.iter().zip(&now.names).find(|(was, is)| was != is);
            let what = match name {
                Some((was, is)) => format!("Rust name was {was}, is {is}"),
                None if !self.same_type(&part.ty, &now.ty) => {
                    format!("Rust type was {}, is {}", part.ty.shown(), now.ty.shown())
                }
                None => continue,
            };
            let (kind, why) = match name {
                Some(_) => (Kind::RustName, "another name"),
                None => (Kind::RustType, "another type"),
            };
            let (item, element) = (holder.to_owned(), format!("{holder}.{own}"));
            found.push(Found { item, element, kind, what, why, always: false });
        }
    }
}

fn any(features: &BTreeSet<String>) -> String {
    match features.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "none".to_owned(),
        ref features => features.join(" or "),
    }
}
