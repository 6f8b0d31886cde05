//! The import graph of a crate's files, and its cycles.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use syn::{
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// A path from the root of the crate: `["client", "call"]`.
type ModPath = Vec<String>;

/// Returns each cycle of files that import one another, as sorted lists of files relative to `src`.
///
/// Starts at `root`, such as `lib.rs`, and follows its modules. Leaves out tests and `generated`. An import
/// through a re-export counts as an import of the file that defines the item; a re-export alone does not
/// count.
pub(super) fn circles(src: &Path, root: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let mut modules = BTreeMap::new();
    read_module(src, &src.join(root), &Vec::new(), &mut modules)?;
    let graph = Graph { modules };
    let edges: BTreeMap<_, _> =
        graph.modules.keys().map(|module| (module, graph.imports(module))).collect();

    let reaches: BTreeMap<_, _> =
        edges.keys().map(|&from| (from, reachable(from, &edges))).collect();
    let mut circles = BTreeSet::new();
    for (&module, reached) in &reaches {
        if !reached.contains(module) {
            continue;
        }
        let circle = reached.iter().filter(|other| reaches[*other].contains(module));
        let files = circle.map(|other| graph.modules[other].file.display().to_string());
        circles.insert(files.collect::<Vec<_>>());
    }
    Ok(circles.into_iter().collect())
}

/// The modules that are reachable over at least one import.
fn reachable(from: &ModPath, edges: &BTreeMap<&ModPath, BTreeSet<ModPath>>) -> BTreeSet<ModPath> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<_> = edges[from].iter().cloned().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module.clone()) {
            next.extend(edges[&module].iter().cloned());
        }
    }
    reached
}

/// A module in its own file.
struct Module {
    /// Relative to `src`.
    file: PathBuf,
    /// Names that `use` brings into the module, with the path of each.
    names: BTreeMap<String, ModPath>,
    /// Modules that are imported with a glob.
    globs: Vec<ModPath>,
    /// Names of the items that the module defines.
    items: BTreeSet<String>,
    /// Paths that the module's code depends on.
    uses: Vec<ModPath>,
}

fn read_module(
    src: &Path,
    file: &Path,
    path: &ModPath,
    modules: &mut BTreeMap<ModPath, Module>,
) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let syntax = syn::parse_file(&text).with_context(|| file.display().to_string())?;
    let mut collector = Collector::new(path.clone());
    collector.visit_file(&syntax);
    let Collector { names, globs, items, children, mut uses, reexports, first_segments, .. } =
        collector;
    // A re-export that the file uses itself is an import as well.
    let used = reexports.into_iter().filter(|(name, _)| first_segments.contains(name));
    uses.extend(used.map(|(_, path)| path));
    let relative = file.strip_prefix(src).unwrap_or(file).to_owned();
    modules.insert(path.clone(), Module { file: relative, names, globs, items, uses });

    let is_mod_file =
        file.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib" || stem == "main");
    let parent = file.parent().unwrap_or(src);
    let folder = if is_mod_file { parent.to_owned() } else { file.with_extension("") };
    for child in children {
        let candidates = [folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs")];
        if child == "generated" {
            continue;
        }
        if let Some(file) = candidates.into_iter().find(|file| file.exists()) {
            let mut path = path.clone();
            path.push(child);
            read_module(src, &file, &path, modules)?;
        }
    }
    Ok(())
}

struct Graph {
    modules: BTreeMap<ModPath, Module>,
}

impl Graph {
    fn imports(&self, module: &ModPath) -> BTreeSet<ModPath> {
        let targets = self.modules[module].uses.iter().map(|path| self.defining(path, 0));
        targets.filter(|target| target != module).collect()
    }

    /// The module that defines the item at `path`. Re-exports are followed.
    fn defining(&self, path: &[String], depth: usize) -> ModPath {
        let mut module = ModPath::new();
        for (index, segment) in path.iter().enumerate() {
            let mut child = module.clone();
            child.push(segment.clone());
            if self.modules.contains_key(&child) {
                module = child;
                continue;
            }
            let Module { names, globs, items, .. } = &self.modules[&module];
            // Stop at aliases that refer to one another.
            if depth > 20 || items.contains(segment) {
                break;
            }
            let rest = &path[index + 1..];
            if let Some(target) = names.get(segment) {
                return self.defining(&[target, rest].concat(), depth + 1);
            }
            let defines = |glob: &&ModPath| {
                self.modules.get(*glob).is_some_and(|module| {
                    module.items.contains(segment) || module.names.contains_key(segment)
                })
            };
            if let Some(glob) = globs.iter().find(defines) {
                return self.defining(&[glob, &path[index..]].concat(), depth + 1);
            }
            break;
        }
        module
    }
}

/// Collects what a file imports, exports and defines.
struct Collector {
    path: ModPath,
    /// The nesting depth of inline modules.
    inline: usize,
    names: BTreeMap<String, ModPath>,
    globs: Vec<ModPath>,
    items: BTreeSet<String>,
    children: Vec<String>,
    uses: Vec<ModPath>,
    reexports: Vec<(String, ModPath)>,
    first_segments: BTreeSet<String>,
}

impl Collector {
    fn new(path: ModPath) -> Self {
        Self {
            path,
            inline: 0,
            names: BTreeMap::new(),
            globs: Vec::new(),
            items: BTreeSet::new(),
            children: Vec::new(),
            uses: Vec::new(),
            reexports: Vec::new(),
            first_segments: BTreeSet::new(),
        }
    }

    /// The path from the root of the crate, or `None` for a path into another crate.
    fn absolute(&self, segments: &[String]) -> Option<ModPath> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.path[..], rest].concat()),
            "super" => {
                let supers = segments.iter().take_while(|segment| *segment == "super").count();
                let up = supers.checked_sub(self.inline)?;
                let kept = self.path.len().checked_sub(up)?;
                Some([&self.path[..kept], &segments[supers..]].concat())
            }
            name if self.children.iter().any(|child| child == name) => {
                Some([&self.path[..], segments].concat())
            }
            _ => None,
        }
    }

    fn read_use(&mut self, tree: &syn::UseTree, prefix: &[String], is_reexport: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                self.read_use(&path.tree, &prefix, is_reexport);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(tree, prefix, is_reexport);
                }
            }
            syn::UseTree::Glob(_) => {
                if let Some(path) = self.absolute(prefix) {
                    self.globs.push(path.clone());
                    if !is_reexport {
                        self.uses.push(path);
                    }
                }
            }
            syn::UseTree::Name(name) => {
                self.read_name(&name.ident, &name.ident, prefix, is_reexport);
            }
            syn::UseTree::Rename(rename) => {
                self.read_name(&rename.ident, &rename.rename, prefix, is_reexport);
            }
        }
    }

    fn read_name(
        &mut self,
        item: &syn::Ident,
        alias: &syn::Ident,
        prefix: &[String],
        is_reexport: bool,
    ) {
        // `use a::{self}` names `a`.
        let is_self = item == "self";
        let segments =
            if is_self { prefix.to_vec() } else { [prefix, &[item.to_string()]].concat() };
        let Some(path) = self.absolute(&segments) else { return };
        let alias =
            if is_self { prefix.last().cloned().unwrap_or_default() } else { alias.to_string() };
        if is_reexport {
            self.reexports.push((alias.clone(), path.clone()));
        } else {
            self.uses.push(path.clone());
        }
        if self.inline == 0 && alias != "_" {
            self.names.insert(alias, path);
        }
    }
}

/// Returns whether an item is compiled only for tests: `cfg(test)` or `cfg(all(test, …))`.
pub(super) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let condition = attribute.parse_args::<syn::Meta>();
        condition.is_ok_and(|condition| match condition {
            syn::Meta::List(list) if list.path.is_ident("all") => {
                let parts = Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated;
                let parts = list.parse_args_with(parts).unwrap_or_default();
                parts.iter().any(|part| part.path().is_ident("test"))
            }
            condition => condition.path().is_ident("test"),
        })
    })
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Modules first: a path may begin with the name of one that is declared below.
        for item in &file.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && !is_test(&module.attrs)
            {
                self.children.push(module.ident.to_string());
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Mod(item) => (&item.attrs, item.content.as_ref().map(|_| &item.ident)),
            syn::Item::Use(item) => (&item.attrs, None),
            syn::Item::Impl(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if is_test(attributes) {
            return;
        }
        if self.inline == 0
            && let Some(name) = name
        {
            self.items.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.inline += 1;
        visit::visit_item_mod(self, module);
        self.inline -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_reexport = !matches!(item.vis, syn::Visibility::Inherited);
        self.read_use(&item.tree, &[], is_reexport);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.first_segments.extend(segments.first().cloned());
        if segments.len() > 1
            && path.leading_colon.is_none()
            && let Some(path) = self.absolute(&segments)
        {
            self.uses.push(path);
        }
        visit::visit_path(self, path);
    }
}
