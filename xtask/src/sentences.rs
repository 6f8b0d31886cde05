//! `cargo xtask sentences`: prints random sentences of the repository, to judge its prose.
//!
//! A sentence is one of a comment, of documentation, of a Markdown file, or a text of at least four words in a
//! literal, such as an error message. The name of a test counts as one. A seed and a revision repeat a sample.

use std::{
    fmt, fs,
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use xtask_tools::{process, root};

/// Prints random sentences of documentation, comments, messages and test names.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The seed of the sample, which is printed first. Default: the current time.
    #[arg(long)]
    seed: Option<u64>,
    /// The number of sentences.
    #[arg(long, default_value_t = 110)]
    count: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = args.seed.unwrap_or_else(clock);
    let mut sentences = all(root()?)?;
    println!("seed {seed}, {} of {} sentences\n", args.count, sentences.len());
    let mut random = Random(seed);
    for _ in 0..args.count.min(sentences.len()) {
        println!("{}", sentences.swap_remove(random.below(sentences.len())));
    }
    Ok(())
}

/// A sentence and its place.
#[derive(Debug, PartialEq, Eq)]
struct Sentence {
    path: String,
    /// The line on which its paragraph begins, from 1.
    line: usize,
    text: String,
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// All sentences of the files that git knows.
fn all(root: &Path) -> anyhow::Result<Vec<Sentence>> {
    let listed = process::output(Command::new("git").current_dir(root).arg("ls-files"))?;
    let mut sentences = Vec::new();
    for path in String::from_utf8(listed)?.lines() {
        let Some((_, extension)) = path.rsplit_once('.') else { continue };
        let marker = match extension {
            "md" => None,
            "rs" | "proto" | "mjs" => Some("//"),
            "py" | "sh" | "toml" => Some("#"),
            _ => continue,
        };
        let text = fs::read_to_string(root.join(path)).with_context(|| path.to_owned())?;
        // Generated code repeats the documentation of its `.proto` files.
        if !text.starts_with("// @generated") && !path.contains("/generated/") {
            sentences.extend(of_file(path, &text, marker));
        }
    }
    Ok(sentences)
}

/// The sentences of a file, whose comments begin with the marker; without one, the whole file is text.
fn of_file(path: &str, text: &str, marker: Option<&str>) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut paragraph = (0, String::new());
    let mut is_code = false;
    let mut is_test = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        let prose = match marker {
            None => Some(line),
            Some(marker) => line
                .strip_prefix(marker)
                .map(|rest| rest.trim_start_matches(['/', '!', '#', '*']).trim_start()),
        };
        let mut add = |text: &str| {
            let (path, text) = (path.to_owned(), text.to_owned());
            found.push(Sentence { path, line: number, text });
        };
        if marker.is_some() && prose.is_none() {
            messages(line).for_each(&mut add);
            if let Some(name) = line.split("fn ").nth(1).filter(|_| is_test) {
                add(name.split('(').next().unwrap_or(name));
                is_test = false;
            }
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        }
        let is_fence = prose.is_some_and(|prose| prose.starts_with("```"));
        is_code ^= is_fence;
        let prose = prose.filter(|prose| !is_code && !is_fence && !prose.is_empty());
        let begins = prose.is_none_or(|prose| prose.starts_with(['|', '-', '#', '*']));
        if begins {
            found.extend(split(path, &mut paragraph));
        }
        if let Some(prose) = prose {
            if paragraph.1.is_empty() {
                paragraph.0 = number;
            }
            paragraph.1 += prose;
            paragraph.1.push(' ');
        }
    }
    found.extend(split(path, &mut paragraph));
    found
}

/// The sentences of a paragraph, which is then empty. Cells of a table are sentences, too.
fn split(path: &str, (line, paragraph): &mut (usize, String)) -> Vec<Sentence> {
    let text = std::mem::take(paragraph);
    let marked = [". ", "? ", "! ", "| "].iter().fold(text, |text, end| {
        let (mark, _) = end.split_at(1);
        text.replace(end, &format!("{mark}\n"))
    });
    let parts = marked.lines().map(|part| part.trim_matches(['|', '-', '#', '*', ' ']));
    let parts = parts.filter(|part| is_sentence(part));
    parts
        .map(|text| Sentence { path: path.to_owned(), line: *line, text: text.to_owned() })
        .collect()
}

/// The texts in the literals of a line of code.
fn messages(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2).filter(|text| is_sentence(text))
}

fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| {
        word.chars().all(|letter| letter.is_alphanumeric() || "`',:.-?!()".contains(letter))
    };
    text.split_whitespace().filter(is_word).count() >= 4
}

/// The generator `SplitMix64`, which needs no library and is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit.max(1) as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str, marker: Option<&str>) -> Vec<String> {
        of_file(path, text, marker).into_iter().map(|found| found.text).collect()
    }

    #[test]
    fn sentences_of_code_are_those_of_comments_literals_and_test_names() {
        let code = "//! The first sentence of\n//! the module ends. Here is the second one\n//!\n//! ```\n//! this \
                    is not a sentence\n//! ```\nfn f() { fail(\"the file cannot be read\"); let a = \"short\"; }\n    // A \
                    comment is a sentence.\n#[test]\nfn the_test_has_a_name() {}\nfn other() {}\n";
        assert_eq!(
            texts("a.rs", code, Some("//")),
            [
                "The first sentence of the module ends.",
                "Here is the second one",
                "the file cannot be read",
                "A comment is a sentence.",
                "the_test_has_a_name",
            ]
        );
    }

    #[test]
    fn sentences_of_markdown_include_the_cells_of_tables() {
        let text = "# A title of four words\n\nOne sentence in two\nlines. And more of them?\n\n| a cell of four words | \
                    short |\n|---|---|\n\n```\nnot a sentence in code\n```\n";
        assert_eq!(
            texts("a.md", text, None),
            [
                "A title of four words",
                "One sentence in two lines.",
                "And more of them?",
                "a cell of four words"
            ]
        );
    }

    #[test]
    fn a_seed_repeats_a_sample() {
        let sample = |seed| {
            let mut random = Random(seed);
            (0..20).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(sample(7), sample(7));
        assert_ne!(sample(7), sample(8));
    }
}
