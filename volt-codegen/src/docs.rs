//! Comments of `.proto` files, made safe for rustdoc.
//!
//! Comments are not written for rustdoc: an indented paragraph would become a doctest, `[x]` a
//! broken link, `<T>` a broken tag. This module decides what to keep (paragraphs, lists, code
//! spans, links with a web address) and escapes the rest.

use proc_macro2::TokenStream;
use quote::quote;

/// Documentation, one entry for each line, ready to be printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Docs(Vec<String>);

impl Docs {
    /// Converts a comment from protobuf's source information.
    pub(crate) fn from_comment(comment: &str) -> Self {
        Self(lines(comment))
    }

    /// Wraps text that is rustdoc already.
    pub(crate) fn trusted(text: &str) -> Self {
        Self(text.lines().map(str::to_owned).collect())
    }

    /// Returns whether there is no documentation.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these lines, or `fallback` if there are none.
    pub(crate) fn or(&self, fallback: &str) -> Self {
        if self.is_empty() { Self::trusted(fallback) } else { self.clone() }
    }

    /// These lines, followed by others as a new paragraph.
    pub(crate) fn and(mut self, text: &str) -> Self {
        if !self.is_empty() {
            self.0.push(String::new());
        }
        self.0.extend(text.lines().map(str::to_owned));
        self
    }

    /// The lines as they follow the slashes. `path` returns the Rust path of an element of the API, by
    /// its full name.
    pub(crate) fn printed(
        &self,
        path: &dyn Fn(&str) -> Option<String>,
    ) -> impl Iterator<Item = String> {
        self.0.iter().map(|line| match line.as_str() {
            "" => String::new(),
            line => format!(" {}", linked(line, path)),
        })
    }

    /// The `#[doc]` attributes.
    pub(crate) fn attributes(&self, path: &dyn Fn(&str) -> Option<String>) -> TokenStream {
        let lines = self.printed(path);
        quote!(#(#[doc = #lines])*)
    }
}

/// The characters around the text and the name of a reference, until it is printed.
const MARKS: [char; 3] = ['\u{e000}', '\u{e001}', '\u{e002}'];

/// Replaces the references of a line by links, or by plain text if they lead nowhere.
fn linked(line: &str, path: &dyn Fn(&str) -> Option<String>) -> String {
    let [start, middle, stop] = MARKS;
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(start) {
        out.push_str(before);
        let (reference, after) = after.split_once(stop).unwrap_or((after, ""));
        let (text, name) = reference.split_once(middle).unwrap_or((reference, ""));
        match path(name) {
            Some(path) => out.extend(["[", text, "](", path.as_str(), ")"]),
            None => out.extend(["\\[", text, "\\]\\[", name, "\\]"]),
        }
        rest = after;
    }
    out + rest
}

/// The state after the previous line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Blank,
    Text,
    /// Within a fence of the comment: its character and length.
    Fence(char, usize),
    /// Within a fence that we put around an indented block.
    Indented,
}

fn lines(comment: &str) -> Vec<String> {
    let raw: Vec<String> =
        comment.lines().map(|line| line.trim_end().replace('\t', "    ")).collect();
    // Usually the one space after the slashes.
    let margin = raw
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| indent(line))
        .min()
        .unwrap_or_default();

    let mut out: Vec<String> = Vec::new();
    let mut before = Before::Blank;
    for line in &raw {
        let line = visible(line.chars().skip(margin));
        before = push(&mut out, before, &line);
    }
    match before {
        Before::Fence(mark, length) => out.push(mark.to_string().repeat(length)),
        Before::Indented => close_indented(&mut out),
        Before::Blank | Before::Text => {}
    }
    let end = out.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    out.truncate(end);
    let start = out.iter().position(|line| !line.is_empty()).unwrap_or_default();
    out.drain(..start);
    out
}

/// Drops control characters and the ones that this module uses, and writes out those that change the
/// direction of text: rustc rejects source code with them.
fn visible(chars: impl Iterator<Item = char>) -> String {
    let mut line = String::new();
    for char in chars.filter(|char| !char.is_control() && !MARKS.contains(char)) {
        match char {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => line.extend(char.escape_unicode()),
            _ => line.push(char),
        }
    }
    line
}

fn push(out: &mut Vec<String>, before: Before, line: &str) -> Before {
    let text = line.trim_start();
    match before {
        Before::Fence(mark, length) => {
            let closes = fence_length(text, mark) >= length && text.trim_matches(mark).is_empty();
            // Without an indentation rustdoc reliably recognizes the end.
            out.push(if closes { text.to_owned() } else { line.to_owned() });
            return if closes { Before::Text } else { before };
        }
        Before::Indented if text.is_empty() => {
            out.push(String::new());
            return before;
        }
        Before::Indented if indent(line) >= 4 => {
            out.push(block_line(line));
            return before;
        }
        Before::Indented => close_indented(out),
        Before::Blank | Before::Text => {}
    }
    if text.is_empty() {
        out.push(String::new());
        return Before::Blank;
    }
    if let Some((mark, length)) = fence(text) {
        // Without an indentation the fence cannot be parsed as part of a list or a block.
        out.push(format!("{}text", mark.to_string().repeat(length)));
        return Before::Fence(mark, length);
    }
    if before != Before::Text && indent(line) >= 4 {
        out.push(INDENTED_FENCE.to_owned() + "text");
        out.push(block_line(line));
        return Before::Indented;
    }
    // More than three leading spaces in a continued paragraph have no meaning.
    let kept = indent(line).min(3);
    out.push(" ".repeat(kept) + &escape(text));
    Before::Text
}

/// Longer than fences in practice, so that a fence within the block does not end it.
const INDENTED_FENCE: &str = "``````";

/// A line of an indented block. A line that would end our fence is indented, so that it does not.
fn block_line(line: &str) -> String {
    let line: String = line.chars().skip(4).collect();
    if line.trim_start().starts_with(INDENTED_FENCE) { format!("    {line}") } else { line }
}

fn close_indented(out: &mut Vec<String>) {
    let end = out.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    out.insert(end, INDENTED_FENCE.to_owned());
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

/// Parses a line that opens or closes a fence: its character and length.
fn fence(text: &str) -> Option<(char, usize)> {
    ['`', '~'].into_iter().find_map(|mark| {
        let length = fence_length(text, mark);
        let info = text.get(length..).unwrap_or_default();
        // Three backticks with another one after them are a code span.
        (length >= 3 && !(mark == '`' && info.contains('`'))).then_some((mark, length))
    })
}

fn fence_length(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

/// Escapes one line of a paragraph, except for code spans and web links.
fn escape(line: &str) -> String {
    let mut out = String::new();
    let mut rest = match list_marker(line) {
        // A marker followed by many spaces would begin a code block.
        Some(marker) => {
            out.push_str(&line[..marker]);
            out.push(' ');
            line[marker..].trim_start()
        }
        None => line,
    };
    while let Some(piece) = rest.chars().next() {
        let (length, text) = escaped(rest)
            .or_else(|| code_span(rest))
            .or_else(|| link(rest))
            .or_else(|| reference(rest))
            .or_else(|| address(rest))
            .unwrap_or_else(|| literal(piece));
        out.push_str(&text);
        rest = &rest[length..];
    }
    out
}

/// The length of a list marker that is followed by a space.
fn list_marker(line: &str) -> Option<usize> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let marks: &[char] = if digits == 0 { &['-', '*', '+'] } else { &['.', ')'] };
    line[digits..].strip_prefix(marks)?.starts_with(' ').then_some(digits + 1)
}

fn literal(char: char) -> (usize, String) {
    let escape = matches!(char, '[' | ']' | '<' | '>' | '`');
    let text = if escape { format!("\\{char}") } else { char.to_string() };
    (char.len_utf8(), text)
}

/// Punctuation that the author escaped.
fn escaped(rest: &str) -> Option<(usize, String)> {
    let char = rest.strip_prefix('\\')?.chars().next()?;
    char.is_ascii_punctuation().then(|| (2, rest[..2].to_owned()))
}

fn code_span(rest: &str) -> Option<(usize, String)> {
    let ticks = fence_length(rest, '`');
    if ticks == 0 {
        return None;
    }
    let mut end = ticks;
    loop {
        end += rest[end..].find('`')?;
        let run = fence_length(&rest[end..], '`');
        end += run;
        if run == ticks {
            return Some((end, rest[..end].to_owned()));
        }
    }
}

/// `[text](https://…)` and `<https://…>`.
fn link(rest: &str) -> Option<(usize, String)> {
    if let Some(inner) = rest.strip_prefix('<') {
        let length = address_length(inner)?;
        return inner[length..]
            .starts_with('>')
            .then(|| (length + 2, rest[..length + 2].to_owned()));
    }
    let (text, target) = rest.strip_prefix('[')?.split_once("](")?;
    let length = address_length(target)?;
    let plain = !text.contains(['[', ']', '`', '<', '>', '\\']);
    let end = text.len() + length + "[]()".len();
    (plain && target[length..].starts_with(')')).then(|| (end, rest[..end].to_owned()))
}

/// `[text][pkg.Name]`, which refers to an element of the API.
fn reference(rest: &str) -> Option<(usize, String)> {
    let (text, target) = rest.strip_prefix('[')?.split_once("][")?;
    let (target, _) = target.split_once(']')?;
    let is_name = |name: &str| {
        let mut parts = name.split('.');
        parts.all(|part| !part.is_empty() && part.chars().all(|c| c == '_' || c.is_alphanumeric()))
    };
    let plain = !text.is_empty() && !text.contains(['[', ']', '`', '<', '>', '\\']);
    let end = text.len() + target.len() + "[][]".len();
    let [start, middle, stop] = MARKS;
    (plain && is_name(target)).then(|| (end, format!("{start}{text}{middle}{target}{stop}")))
}

/// A web address in plain text.
fn address(rest: &str) -> Option<(usize, String)> {
    let length = address_length(rest)?;
    let length =
        rest[..length].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']).len();
    Some((length, format!("<{}>", &rest[..length])))
}

fn address_length(rest: &str) -> Option<usize> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| rest.starts_with(scheme))?;
    // Parentheses belong to it in pairs.
    let mut open = Vec::new();
    let end = rest.char_indices().find(|(at, c)| match c {
        '(' => {
            open.push(*at);
            false
        }
        ')' => open.pop().is_none(),
        c => c.is_whitespace() || "<>[]`\"\\".contains(*c),
    });
    let end = end.map_or(rest.len(), |(at, _)| at);
    let end = open.first().map_or(end, |first| end.min(*first));
    (end > scheme.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs(comment: &str) -> String {
        let path = |name: &str| (name == "pkg.M").then(|| "super::M".to_owned());
        let docs = Docs::from_comment(comment);
        let lines: Vec<_> = docs.printed(&path).map(|line| line.replacen(' ', "", 1)).collect();
        lines.join("\n")
    }

    #[test]
    fn paragraphs_and_lists_stay() {
        assert_eq!(
            docs(" One\n two.\n\n - a\n   more\n -      b\n"),
            "One\ntwo.\n\n- a\n  more\n- b"
        );
    }

    #[test]
    fn fences_are_inert_and_closed() {
        assert_eq!(docs(" ```rust\n panic!()\n ```\n x"), "```text\npanic!()\n```\nx");
        assert_eq!(docs(" ~~~~\n a\n ```\n ~~~\n"), "~~~~text\na\n```\n~~~\n~~~~");
        assert_eq!(docs(" - ```\n   x"), "- \\`\\`\\`\n  x");
    }

    #[test]
    fn indented_blocks_are_fenced() {
        assert_eq!(
            docs(" Use:\n\n     let x = 1;\n\n       y\n\n after"),
            "Use:\n\n``````text\nlet x = 1;\n\n  y\n``````\n\nafter"
        );
        assert_eq!(docs(" a\n      b"), "a\n   b");
        assert_eq!(docs("\tx"), "x");
        assert_eq!(
            docs(" a\n\n     y\n     ``````\n b"),
            "a\n\n``````text\ny\n    ``````\n``````\nb"
        );
    }

    #[test]
    fn links_to_nowhere_are_text() {
        assert_eq!(docs(" [Foo] and [a][b], Vec<T>"), "\\[Foo\\] and \\[a\\]\\[b\\], Vec\\<T\\>");
        assert_eq!(docs(" [x](crate::y) `[ok] <T>`"), "\\[x\\](crate::y) `[ok] <T>`");
        assert_eq!(docs(" a ` b \\[c\\]"), "a \\` b \\[c\\]");
    }

    #[test]
    fn links_to_the_web_stay() {
        assert_eq!(docs(" see https://tdx.example/a_b."), "see <https://tdx.example/a_b>.");
        assert_eq!(docs(" [x](https://y.z) <http://y>"), "[x](https://y.z) <http://y>");
        assert_eq!(docs(" https://"), "https://");
        assert_eq!(docs(" (https://x/a_(b), c)"), "(<https://x/a_(b)>, c)");
        assert_eq!(
            docs(" [x](https://x/a_(b)) https://x/(b"),
            "[x](https://x/a_(b)) <https://x/>(b"
        );
    }

    #[test]
    fn references_to_known_elements_are_links() {
        assert_eq!(docs(" See [the M][pkg.M]s."), "See [the M](super::M)s.");
        assert_eq!(docs(" [M][pkg.N]"), "\\[M\\]\\[pkg.N\\]");
        assert_eq!(docs(" \u{e000}x\u{e001}pkg.M\u{e002}"), "xpkg.M");
    }

    #[test]
    fn direction_marks_are_written_out() {
        assert_eq!(docs(" a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(docs(" ```\n \u{2066}x\n ```"), "```text\n\\u{2066}x\n```");
    }

    #[test]
    fn an_empty_comment_has_no_documentation() {
        assert!(Docs::from_comment(" \n\n").is_empty());
    }
}
