//! Semantic versioning, as Cargo understands it: the step that a change requires, and the version after it.

use std::collections::HashSet;

/// The part of a version that must increase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Breaking,
    Addition,
    Fix,
}

impl Step {
    /// The lowest version after this step. Cargo treats the first number that is not 0 as the major one.
    pub(crate) fn after(self, [major, minor, patch]: [u64; 3]) -> [u64; 3] {
        match (self, major, minor) {
            (Self::Breaking, 0, 0) => [0, 0, patch + 1],
            (Self::Breaking, 0, _) => [0, minor + 1, 0],
            (Self::Breaking, ..) => [major + 1, 0, 0],
            (Self::Addition, 1.., _) => [major, minor + 1, 0],
            (Self::Addition, 0, _) | (Self::Fix, ..) => [major, minor, patch + 1],
        }
    }

    /// Compares two snapshots of a crate's public API. Returns the step from the released one to the current
    /// one, and the lines that require it.
    ///
    /// A removed or changed line breaks callers. A new field or variant of a type that callers may construct
    /// or match completely breaks them too. All other new lines are additions, including methods of traits:
    /// a snapshot does not show whether they have a default.
    pub(crate) fn between(released: &str, current: &str) -> (Self, Vec<String>) {
        let before: HashSet<_> = released.lines().collect();
        let after: HashSet<_> = current.lines().collect();
        let complete = complete_types(released);
        let removed = released.lines().filter(|line| !after.contains(line));
        let (extending, added): (Vec<_>, Vec<_>) = current
            .lines()
            .filter(|line| !before.contains(line))
            .partition(|line| extends(line, &complete));
        let breaking = removed.map(|line| format!("- {line}"));
        let breaking: Vec<_> =
            breaking.chain(extending.iter().map(|line| format!("+ {line}"))).collect();
        if breaking.is_empty() && added.is_empty() {
            (Self::Fix, Vec::new())
        } else if breaking.is_empty() {
            (Self::Addition, added.iter().map(|line| format!("+ {line}")).collect())
        } else {
            (Self::Breaking, breaking)
        }
    }
}

/// The enums that callers may match completely, and the structs that they may construct: those without
/// `#[non_exhaustive]` that have public members. Messages are not among them: literals of messages end with
/// `..Default::default()`.
fn complete_types(api: &str) -> HashSet<&str> {
    let messages: HashSet<_> = api
        .lines()
        .filter(|line| line.starts_with("impl ") && line.contains("::Message for "))
        .filter_map(|line| line.rsplit_once(" for ").map(|(_, name)| name))
        .collect();
    let with_members: HashSet<_> = api.lines().filter_map(member_of).collect();
    api.lines()
        .filter_map(|line| line.strip_prefix("pub struct ").or(line.strip_prefix("pub enum ")))
        .map(|declaration| declaration.split(['<', '(', ' ']).next().unwrap_or_default())
        .filter(|name| with_members.contains(name) && !messages.contains(name))
        .collect()
}

/// Returns whether a line is a member of one of these types, or a field of one of their variants.
fn extends(line: &str, complete: &HashSet<&str>) -> bool {
    member_of(line).is_some_and(|name| {
        let outer = name.rsplit_once("::").map(|(outer, _)| outer);
        complete.contains(name) || outer.is_some_and(|outer| complete.contains(outer))
    })
}

/// The type, or the variant, whose public member a line is.
fn member_of(line: &str) -> Option<&str> {
    let item = line.strip_prefix("pub ")?;
    // Fields have a type, and variants may have fields.
    let path = item.split(": ").next()?.split(['(', '=']).next()?.trim_end();
    let (owner, _) = path.rsplit_once("::")?;
    // Other items start with a keyword.
    (!path.contains(' ')).then(|| owner.split('<').next().unwrap_or(owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASED: &str = "\
        #[non_exhaustive] pub enum Code\n\
        impl a::Message for Request\n\
        pub Code::Ok\n\
        pub Form::Binary\n\
        pub server::Event::Call::id: u64\n\
        pub server::Event::Call\n\
        pub Options<T>::size: usize\n\
        pub Request::id: String\n\
        pub enum Form\n\
        pub enum server::Event\n\
        pub fn Client::close(&self)\n\
        pub struct Client\n\
        pub struct Options<T>\n\
        pub struct Request\n";

    fn step(change: impl Fn(&str) -> String) -> (Step, Vec<String>) {
        Step::between(RELEASED, &change(RELEASED))
    }

    #[test]
    fn an_unchanged_api_needs_no_step() {
        assert_eq!(step(str::to_owned), (Step::Fix, Vec::new()));
    }

    #[test]
    fn a_removed_or_changed_item_breaks_callers() {
        let line = "pub fn Client::close(&self)\n";
        let removed = step(|api| api.replace(line, ""));
        assert_eq!(removed, (Step::Breaking, vec!["- pub fn Client::close(&self)".to_owned()]));
        let (step, lines) = step(|api| api.replace(line, "pub fn Client::close(self)\n"));
        assert_eq!((step, lines.len()), (Step::Breaking, 1));
    }

    #[test]
    fn a_new_item_is_an_addition() {
        for line in [
            "pub fn Client::open(&self)",
            "pub Code::NotFound",
            "pub Request::name: String",
            "pub Client::inner: String",
            "pub struct Other",
            "pub const Form::DEFAULT: Form",
            "impl Clone for Form",
        ] {
            let (step, lines) = step(|api| format!("{api}{line}\n"));
            assert_eq!((step, lines), (Step::Addition, vec![format!("+ {line}")]));
        }
    }

    #[test]
    fn a_new_member_of_a_complete_type_breaks_callers() {
        for line in [
            "pub Form::Json",
            "pub Form::Other(String)",
            "pub Options<T>::name: String",
            "pub server::Event::Call::method: String",
            "pub server::Event::End",
        ] {
            let (step, lines) = step(|api| format!("{api}{line}\n"));
            assert_eq!((step, lines), (Step::Breaking, vec![format!("+ {line}")]));
        }
    }

    #[test]
    fn the_next_version_is_that_of_cargo() {
        for (step, version, next) in [
            (Step::Breaking, [1, 2, 3], [2, 0, 0]),
            (Step::Addition, [1, 2, 3], [1, 3, 0]),
            (Step::Fix, [1, 2, 3], [1, 2, 4]),
            (Step::Breaking, [0, 2, 3], [0, 3, 0]),
            (Step::Addition, [0, 2, 3], [0, 2, 4]),
            (Step::Breaking, [0, 0, 3], [0, 0, 4]),
        ] {
            assert_eq!(step.after(version), next, "{step:?}");
        }
    }
}
