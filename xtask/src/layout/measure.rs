//! Counts lines.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use syn::visit::{self, Visit};

/// A file of Rust code.
pub(super) struct SourceFile {
    /// Relative to the root of the repository.
    pub(super) path: PathBuf,
    pub(super) is_generated: bool,
    pub(super) lines: usize,
    code: usize,
    docs: usize,
    comments: usize,
    /// Calls of `unwrap` and `expect` outside of tests.
    panics: usize,
}

/// Reads all Rust files below `root`, sorted by path.
pub(super) fn source_files(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let mut paths = Vec::new();
    collect(root, &mut paths)?;
    paths.sort();
    paths.into_iter().map(|path| SourceFile::read(root, &path)).collect()
}

/// Counts the folders at the top of the repository, without hidden ones and build output.
pub(super) fn folders(root: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !is_skipped(&entry.path()) {
            count += 1;
        }
    }
    Ok(count)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        // Links are skipped: `volt-codegen/proto` is one.
        if path.symlink_metadata()?.is_dir() {
            if !is_skipped(&path) {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_skipped(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with('.') || name == "target" || name == "node_modules"
}

impl SourceFile {
    fn read(root: &Path, path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let path = path.strip_prefix(root).unwrap_or(path).to_owned();
        let is_generated = path.iter().any(|part| part == "generated" || part == "golden");
        let is_test = path.with_extension("").iter().any(|part| part == "tests");
        let (mut code, mut docs, mut comments) = (0, 0, 0);
        let shipped = if is_test { "" } else { without_tests(&text) };
        for line in shipped.lines().map(str::trim_start) {
            if line.starts_with("///") || line.starts_with("//!") {
                docs += 1;
            } else if line.starts_with("//") {
                comments += 1;
            } else if !line.is_empty() {
                code += 1;
            }
        }
        let panics = if is_generated || is_test { 0 } else { Panics::count(&text) };
        Ok(Self { path, is_generated, lines: text.lines().count(), code, docs, comments, panics })
    }
}

/// The text before the tests, which are a file's last item: clippy sees to that.
fn without_tests(text: &str) -> &str {
    let starts = ["\n#[cfg(test)]\nmod ", "\n#[cfg(all(test, "].map(|start| text.find(start));
    let end = starts.into_iter().flatten().min().unwrap_or(text.len());
    &text[..end]
}

/// Counts calls that panic on `None` or `Err`.
#[derive(Default)]
struct Panics(usize);

impl Panics {
    fn count(text: &str) -> usize {
        let mut panics = Self::default();
        // A test's input may be invalid Rust.
        if let Ok(file) = syn::parse_file(text) {
            panics.visit_file(&file);
        }
        panics.0
    }
}

impl<'ast> Visit<'ast> for Panics {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !super::imports::is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !super::imports::is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.0 += usize::from(call.method == "unwrap" || call.method == "expect");
        visit::visit_expr_method_call(self, call);
    }
}

/// The totals of several files.
pub(super) struct Summary {
    files: usize,
    median: usize,
    longest: usize,
    code: usize,
    docs: usize,
    comments: usize,
    panics: usize,
}

impl Summary {
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a SourceFile>) -> Self {
        let files: Vec<_> = files.collect();
        let mut lines: Vec<_> = files.iter().map(|file| file.lines).collect();
        lines.sort_unstable();
        let sum = |count: fn(&SourceFile) -> usize| files.iter().map(|file| count(file)).sum();
        Self {
            files: files.len(),
            median: lines.get(lines.len() / 2).copied().unwrap_or_default(),
            longest: lines.last().copied().unwrap_or_default(),
            code: sum(|file| file.code),
            docs: sum(|file| file.docs),
            comments: sum(|file| file.comments),
            panics: sum(|file| file.panics),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, median, longest, code, docs, comments, panics } = self;
        // Rounded to hundredths; the counts are well below the exact range of a float.
        #[expect(clippy::cast_precision_loss)]
        let ratio = |lines: usize| lines as f64 / (*code).max(1) as f64;
        write!(
            f,
            "{files} files, median {median} lines, longest {longest}; {code} lines of code, \
             {:.2} of documentation and {:.3} of comments to each; {panics} unwrap or expect",
            ratio(*docs),
            ratio(*comments),
        )
    }
}
