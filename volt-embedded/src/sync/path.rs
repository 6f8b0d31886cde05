//! Paths in documents: JSON paths, and the differences at them.

use std::fmt;

use serde_json::Value;
use volt_api::{Status, documents::updates::MAX_NESTING};

use crate::error::{exhausted, invalid};

/// The longest path, in bytes.
const MAX_PATH: usize = 4096;
/// The maximum number of steps: the Yjs library recurses for each object that a write creates.
const MAX_STEPS: usize = MAX_NESTING as usize;
/// The maximum number of parts in which a change is reported. A change with more parts is reported
/// as one.
const MAX_PARTS: usize = 1000;
/// The estimated memory for the differences that one comparison finds, in bytes.
pub(crate) const MAX_REPORTED: usize = 64 << 20;

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// An entry of an object.
    Name(String),
    /// An element of an array.
    Index(u32),
    /// All entries or elements.
    All,
    /// The value at this position, and everything in it.
    Deep,
}

/// A difference at a path.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) path: Vec<Step>,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
}

/// A path as text.
pub(crate) struct Display<'a>(pub(crate) &'a [Step]);

/// Parses a path such as `$.notes[0].title`, `$['a name'].*` or `$..id`.
pub(crate) fn parse(text: &str) -> Result<Vec<Step>, Status> {
    let wrong = || invalid(format!("`{}` is not a JSON path", text.escape_debug()));
    if text.is_empty() || text.len() > MAX_PATH {
        return Err(wrong());
    }
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('$').unwrap_or(text);
    // The first name needs no dot if there is no `$`.
    if rest.len() == text.len() && !rest.starts_with(['.', '[']) {
        rest = name(rest, &mut steps).ok_or_else(wrong)?;
    }
    while !rest.is_empty() {
        rest = step(rest, &mut steps).ok_or_else(wrong)?;
    }
    if steps.iter().filter(|step| **step == Step::Deep).count() > 1 {
        return Err(invalid("a path has at most one `..`"));
    }
    if steps.len() > MAX_STEPS {
        return Err(invalid(format!("a path has at most {MAX_STEPS} steps")));
    }
    Ok(steps)
}

/// Parses a path that leads to a single value.
pub(crate) fn parse_place(text: &str) -> Result<Vec<Step>, Status> {
    let steps = parse(text)?;
    if steps.iter().any(|step| matches!(step, Step::All | Step::Deep)) {
        return Err(invalid("the path of a write has no wildcards"));
    }
    if !matches!(steps.first(), Some(Step::Name(_))) {
        return Err(invalid("the path of a write starts with the name of a root"));
    }
    Ok(steps)
}

/// Parses a step. Returns the rest.
fn step<'a>(text: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix("..") {
        steps.push(Step::Deep);
        return if rest.starts_with('[') { Some(rest) } else { name(rest, steps) };
    }
    if let Some(rest) = text.strip_prefix('.') {
        return name(rest, steps);
    }
    let inner = text.strip_prefix('[')?;
    let quote = inner.chars().next().filter(|first| ['\'', '"'].contains(first));
    let Some(quote) = quote else {
        let (inner, rest) = inner.split_once(']')?;
        steps.push(if inner.trim() == "*" {
            Step::All
        } else {
            Step::Index(inner.trim().parse().ok()?)
        });
        return Some(rest);
    };
    let mut name = String::new();
    let mut chars = inner[1..].char_indices();
    while let Some((at, char)) = chars.next() {
        if char == quote {
            steps.push(Step::Name(name));
            return inner[1 + at + 1..].strip_prefix(']');
        }
        name.push(if char == '\\' { chars.next()?.1 } else { char });
    }
    None
}

/// Parses a name without quotes, or `*`.
fn name<'a>(text: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    steps.push(match name {
        "" => return None,
        "*" => Step::All,
        name => Step::Name(name.to_owned()),
    });
    Some(rest)
}

impl fmt::Display for Display<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in self.0 {
            match step {
                Step::Name(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Name(name) => {
                    write!(f, "['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::All => f.write_str(".*")?,
                Step::Deep => f.write_str("..")?,
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || char == '_')
}

/// Returns the differences between two states of a document at the places of a path. `left` is
/// the memory that the differences may need: with `..`, a path leads to each value once for each level.
pub(crate) fn differences(
    path: &[Step],
    old: &Value,
    new: &Value,
    left: &mut usize,
) -> Result<Vec<Difference>, Status> {
    let mut found = Found { list: Vec::new(), left };
    let walked = walk(path, Some(old), Some(new), &mut Vec::new(), &mut found);
    walked.ok_or_else(|| {
        exhausted("there are too many differences at the watched paths: watch narrower ones")
    })?;
    Ok(found.list)
}

struct Found<'a> {
    list: Vec<Difference>,
    left: &'a mut usize,
}

impl Found<'_> {
    /// Adds a difference. Returns `None` if there is no room for it.
    fn add(&mut self, at: &[Step], old: Option<&Value>, new: Option<&Value>) -> Option<()> {
        for step in at {
            let text = if let Step::Name(name) = step { name.len() } else { 0 };
            spend(self.left, text)?;
        }
        [old, new].into_iter().flatten().try_for_each(|value| weigh(value, self.left))?;
        self.list.push(Difference { path: at.to_vec(), old: old.cloned(), new: new.cloned() });
        Some(())
    }
}

fn spend(left: &mut usize, bytes: usize) -> Option<()> {
    *left = left.checked_sub(64 + bytes)?;
    Some(())
}

fn weigh(value: &Value, left: &mut usize) -> Option<()> {
    match value {
        Value::String(text) => spend(left, text.len()),
        Value::Array(values) => {
            spend(left, 0)?;
            values.iter().try_for_each(|value| weigh(value, left))
        }
        Value::Object(entries) => {
            spend(left, 0)?;
            entries.iter().try_for_each(|(name, value)| {
                spend(left, name.len())?;
                weigh(value, left)
            })
        }
        _ => spend(left, 0),
    }
}

/// Returns the estimated memory of a value, in bytes.
pub(crate) fn estimate(value: &Value) -> usize {
    let mut left = usize::MAX;
    // No value exceeds this limit.
    let _ = weigh(value, &mut left);
    usize::MAX - left
}

/// Returns `None` if there are too many differences.
fn walk(
    path: &[Step],
    old: Option<&Value>,
    new: Option<&Value>,
    at: &mut Vec<Step>,
    found: &mut Found<'_>,
) -> Option<()> {
    if old == new {
        return Some(());
    }
    let Some((step, rest)) = path.split_first() else {
        let (before, left) = (found.list.len(), *found.left);
        if !compare(old, new, at, found, before + MAX_PARTS) {
            found.list.truncate(before);
            *found.left = left;
            found.add(at, old, new)?;
        }
        return Some(());
    };
    match step {
        Step::Name(_) | Step::Index(_) => {
            at.push(step.clone());
            walk(rest, child(old, step), child(new, step), at, found)?;
            at.pop();
            Some(())
        }
        Step::All => each_child(old, new, at, |old, new, at| walk(rest, old, new, at, found)),
        Step::Deep => {
            walk(rest, old, new, at, found)?;
            each_child(old, new, at, |old, new, at| walk(path, old, new, at, found))
        }
    }
}

/// Adds the smallest values that differ. Returns false if there are too many.
fn compare(
    old: Option<&Value>,
    new: Option<&Value>,
    at: &mut Vec<Step>,
    found: &mut Found<'_>,
    most: usize,
) -> bool {
    match (old, new) {
        (old, new) if old == new => true,
        (Some(Value::Object(_)), Some(Value::Object(_)))
        | (Some(Value::Array(_)), Some(Value::Array(_))) => {
            let all = |old: Option<&Value>, new: Option<&Value>, at: &mut Vec<Step>| {
                compare(old, new, at, found, most).then_some(())
            };
            each_child(old, new, at, all).is_some()
        }
        _ => found.list.len() < most && found.add(at, old, new).is_some(),
    }
}

fn child<'a>(value: Option<&'a Value>, step: &Step) -> Option<&'a Value> {
    match (value?, step) {
        (Value::Object(entries), Step::Name(name)) => entries.get(name),
        (Value::Array(values), Step::Index(index)) => values.get(*index as usize),
        _ => None,
    }
}

/// Visits the entries or elements of either value, until `visit` returns `None`.
fn each_child(
    old: Option<&Value>,
    new: Option<&Value>,
    at: &mut Vec<Step>,
    mut visit: impl FnMut(Option<&Value>, Option<&Value>, &mut Vec<Step>) -> Option<()>,
) -> Option<()> {
    let mut steps = Vec::new();
    for value in [old, new].into_iter().flatten() {
        match value {
            Value::Object(entries) => steps.extend(entries.keys().cloned().map(Step::Name)),
            Value::Array(values) => {
                steps.extend((0..).zip(values).map(|(index, _)| Step::Index(index)));
            }
            _ => {}
        }
    }
    steps.sort();
    steps.dedup();
    for step in steps {
        let (old, new) = (child(old, &step), child(new, &step));
        at.push(step);
        let visited = visit(old, new, at);
        at.pop();
        visited?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(path: &str, old: &Value, new: &Value) -> Vec<String> {
        let differences =
            differences(&parse(path).unwrap(), old, new, &mut { MAX_REPORTED }).unwrap();
        let text = |value: &Option<Value>| value.as_ref().map_or("-".into(), Value::to_string);
        let told = differences.iter().map(|found| {
            format!("{} {} {}", Display(&found.path), text(&found.old), text(&found.new))
        });
        told.collect()
    }

    #[test]
    fn paths_are_read_and_written() {
        for (text, written) in [
            ("$", "$"),
            ("$.a.b", "$.a.b"),
            ("a.b[0]", "$.a.b[0]"),
            ("$['a b'][\"c\"]", "$['a b'].c"),
            ("$['it\\'s']", "$['it\\'s']"),
            ("$.*[*]", "$.*.*"),
            ("$['']", "$['']"),
        ] {
            assert_eq!(Display(&parse(text).unwrap()).to_string(), written);
        }
        for wrong in ["", "$.", "$..", "$a[", "$[", "$[a]", "$['a", "$['a'", "$..a..b", "$[-1]"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&"[0]".repeat(MAX_STEPS + 1)).is_err());
        for wrong in ["$", "$.*", "$..a", "$[0]"] {
            assert!(parse_place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_differences_at_a_path_are_reported() {
        let old = json!({"a": {"x": 1, "y": [1, 2]}, "b": {"x": 1}});
        let new = json!({"a": {"x": 2, "y": [1, 2, 3]}, "b": {"x": 1}, "c": {"x": 5}});
        assert_eq!(told("$.a", &old, &new), ["$.a.x 1 2", "$.a.y[2] - 3"]);
        assert_eq!(told("$.*.x", &old, &new), ["$.a.x 1 2", "$.c.x - 5"]);
        assert_eq!(told("$..x", &new, &old), ["$.a.x 2 1", "$.c.x 5 -"]);
        assert_eq!(told("$.b", &old, &new), [""; 0]);
        assert_eq!(told("$", &old, &new), ["$.a.x 1 2", "$.a.y[2] - 3", "$.c - {\"x\":5}"]);
        assert_eq!(told("$.a.y[0]", &old, &json!({})), ["$.a.y[0] 1 -"]);
    }

    #[test]
    fn a_change_with_many_parts_is_reported_as_one() {
        let numbers = |by| json!({"a": (0..2000).map(|number| number + by).collect::<Vec<_>>()});
        assert_eq!(told("$.a", &numbers(0), &numbers(1)).len(), 1);
    }

    #[test]
    fn a_path_that_leads_to_the_same_values_repeatedly_ends_the_watch() {
        let nested = |by| {
            let numbers = (0..10_000).map(|number| number + by).collect::<Vec<_>>();
            (0..190).fold(json!(numbers), |inner, _| json!({ "n": inner }))
        };
        let (old, new) = (nested(0), nested(1));
        assert_eq!(told("$", &old, &new).len(), 1);
        let path = parse("$..*").unwrap();
        assert!(differences(&path, &old, &new, &mut { MAX_REPORTED }).is_err());
    }
}
