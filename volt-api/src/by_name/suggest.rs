//! "Did you mean …?"

/// Returns the end of a message that names the nearest of `names`, if it is near enough for a typo.
pub(super) fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let wrong_key = key(wrong);
    let nearest = names
        .into_iter()
        .map(|name| (distance(&wrong_key, &key(name)), name))
        .filter(|(distance, name)| {
            let name = key(name);
            let shorter = wrong_key.len().min(name.len());
            // A third of the letters may be wrong, or the end may be missing.
            *distance * 3 <= shorter
                || (shorter >= 3 && (name.starts_with(&wrong_key) || wrong_key.starts_with(&name)))
        })
        .min();
    nearest.map_or_else(String::new, |(_, name)| format!(": did you mean `{name}`?"))
}

/// Case and separators are the most common mistakes, so they do not count.
fn key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect()
}

/// Returns the number of letters to insert, remove or replace (the Levenshtein distance).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, left) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (index, right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["resource_id", "recursive", "name"];
        for (wrong, text) in [
            ("resourceid", ": did you mean `resource_id`?"),
            ("RESOURCE_ID", ": did you mean `resource_id`?"),
            ("resorce_id", ": did you mean `resource_id`?"),
            ("resource", ": did you mean `resource_id`?"),
            ("nmae", ""),
            ("nam", ": did you mean `name`?"),
            ("zebra", ""),
            ("", ""),
            ("é", ""),
        ] {
            assert_eq!(did_you_mean(wrong, names), text, "{wrong}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
