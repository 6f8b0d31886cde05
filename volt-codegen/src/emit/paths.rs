//! Generates paths that are as short as possible and valid where the code is placed.
//!
//! The code of a package is in private modules below the package's module, which import all of its
//! names. Types of the same package therefore need no path. Types of the standard library also have
//! their short names, unless a type of the package has the same name.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Delimiter, Group, Literal, Spacing, TokenStream, TokenTree};

use super::{
    any,
    code::{PROST, RT},
};
use crate::{
    model::{Message, Model, Package, TypeRef},
    names,
};

/// The names that the code of one package uses.
pub(super) struct Paths<'a> {
    package: &'a Package,
    model: &'a Model,
    /// The types of the package that are visible to its services.
    top: HashSet<&'a str>,
    /// These types, and all types nested in them.
    all: HashSet<&'a str>,
    /// Links to the methods that use the messages of the package, by the names of the messages.
    uses: HashMap<&'a str, Uses>,
}

/// Links to the methods that accept a message, and to those that return it.
type Uses = (Vec<String>, Vec<String>);

/// The depth of a package's code below the package's module.
const DEPTH: usize = 2;

impl<'a> Paths<'a> {
    pub(super) fn new(package: &'a Package, model: &'a Model) -> Self {
        let messages = package.messages.iter().map(|message| message.ident.as_str());
        let enums = package.enums.iter().map(|item| item.ident.as_str());
        let services = package.services.iter().map(|service| service.ident.as_str());
        let top: HashSet<&str> = messages.chain(enums).chain(services).collect();
        let mut all = top.clone();
        for message in package.messages.iter().flat_map(Message::with_nested) {
            all.insert(message.ident.as_str());
            all.extend(message.enums.iter().map(|item| item.ident.as_str()));
            all.extend(message.oneofs.iter().map(|oneof| oneof.ty.ident()));
        }
        let mut paths = Self { package, model, top, all, uses: HashMap::new() };
        paths.uses = paths.links_to_methods();
        paths
    }

    /// A name of the prelude for the code of services, or its full path if a type has that name.
    pub(super) fn prelude(&self, name: &str) -> TokenStream {
        names::tokens(if self.top.contains(name) { Self::full(name) } else { name })
    }

    fn full(name: &str) -> &str {
        match name {
            "Option" => "::core::option::Option",
            "Result" => "::core::result::Result",
            "Send" => "::core::marker::Send",
            "Sync" => "::core::marker::Sync",
            "Clone" => "::core::clone::Clone",
            "String" => "::std::string::String",
            "Vec" => "::std::vec::Vec",
            "Box" => "::std::boxed::Box",
            other => other,
        }
    }

    /// The path of a type, for code `depth` modules below the package's module.
    pub(super) fn of(&self, ty: &TypeRef, depth: usize) -> String {
        let package = &self.package.module;
        let Some((module, ident)) = ty.local() else {
            return ty.external().to_owned();
        };
        match module.0.strip_prefix(package.0.as_slice()) {
            Some(inside) => {
                let parts = inside.iter().map(String::as_str).chain([ident]);
                parts.collect::<Vec<_>>().join("::")
            }
            None => self.outside(module.0.iter().map(String::as_str).chain([ident]), depth),
        }
    }

    /// The path of the list of all messages, if there is one.
    pub(super) fn any_types(&self, depth: usize) -> Option<String> {
        let path = [any::MODULE, "Types"].into_iter();
        self.model.any_types.then(|| self.outside(path, depth))
    }

    /// The path of the element with this name in the `.proto`, for links in the documentation. For a
    /// field or a value, it is the path of its type.
    pub(super) fn element(&self, name: &str, depth: usize) -> Option<String> {
        let name = name.trim_start_matches('.');
        let parent = name.rsplit_once('.').map(|(parent, _)| parent);
        let mut names = [Some(name), parent].into_iter().flatten();
        let ty = names.find_map(|name| self.model.types.get(name))?;
        let path = self.of(ty, depth);
        let own =
            ty.local().is_some_and(|(module, _)| module.0.starts_with(&self.package.module.0));
        // Only the outermost of the package's modules for code import its names.
        let up = if own { "super::".repeat(depth.saturating_sub(DEPTH)) } else { String::new() };
        Some(up + &path)
    }

    /// Links to the methods that accept or return a message, for its documentation. Links to
    /// methods of other packages follow.
    pub(super) fn uses(&self, message: &str) -> Option<String> {
        let (requests, responses) = self.uses.get(message)?;
        let sentence = |what: &str, links: &[String]| {
            (!links.is_empty()).then(|| format!("{what} of {}.", links.join(", ")))
        };
        let sentences = [sentence("Request", requests), sentence("Response", responses)];
        Some(sentences.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }

    /// Links to the methods that use the package's messages, by the names of the messages.
    fn links_to_methods(&self) -> HashMap<&'a str, Uses> {
        let own = self.package.messages.iter().map(|message| message.name.as_str());
        let own: HashSet<&str> = own.collect();
        let mut uses: HashMap<&str, Uses> = HashMap::new();
        let is_other = |package: &&Package| package.module != self.package.module;
        let others = self.model.packages.iter().filter(is_other);
        for package in std::iter::once(self.package).chain(others) {
            for service in &package.services {
                for method in &service.methods {
                    let names = [&method.request.name, &method.response.name];
                    for (index, name) in names.into_iter().enumerate() {
                        let Some(name) = own.get(name.as_str()) else { continue };
                        let (requests, responses) = uses.entry(name).or_default();
                        let links = if index == 0 { requests } else { responses };
                        links.push(self.link(package, &service.client(), &method.ident));
                    }
                }
            }
        }
        uses
    }

    fn link(&self, package: &Package, client: &str, method: &str) -> String {
        let name = format!("{client}::{}", names::bare(method));
        if package.module == self.package.module {
            return format!("[`{name}`]");
        }
        let path = package.module.0.iter().map(String::as_str).chain([name.as_str()]);
        format!("[`{name}`]({})", self.outside(path, DEPTH))
    }

    /// A path from the root of the generated code, for code `depth` modules below the package's.
    fn outside<'p>(&self, path: impl Iterator<Item = &'p str>, depth: usize) -> String {
        let path: Vec<&str> = path.collect();
        let own = &self.package.module.0;
        let common = own.iter().zip(&path).take_while(|(a, b)| a == *b).count();
        let up = std::iter::repeat_n("super", own.len() - common + depth);
        up.chain(path.into_iter().skip(common)).collect::<Vec<_>>().join("::")
    }

    /// Rewrites prost-build's code of the package's module for its new place.
    pub(super) fn moved(&self, tokens: TokenStream) -> TokenStream {
        self.stream(tokens, 0)
    }

    fn stream(&self, tokens: TokenStream, depth: usize) -> TokenStream {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut out = TokenStream::new();
        let mut rest = tokens.as_slice();
        // Set if the next braces belong to a module.
        let mut module = false;
        while let Some(token) = rest.first() {
            let length = path_length(rest);
            if length > 1 {
                let path: String = rest[..length].iter().map(ToString::to_string).collect();
                out.extend(names::tokens(&self.path(&path, depth)));
                rest = &rest[length..];
                continue;
            }
            rest = &rest[1..];
            out.extend([match token {
                TokenTree::Group(group) => {
                    let braces = group.delimiter() == Delimiter::Brace;
                    let inside = usize::from(braces && std::mem::take(&mut module));
                    let stream = self.stream(group.stream(), depth + inside);
                    TokenTree::Group(Group::new(group.delimiter(), stream))
                }
                TokenTree::Literal(literal) => TokenTree::Literal(self.literal(literal, depth)),
                other => {
                    module |= matches!(other, TokenTree::Ident(ident) if ident == "mod");
                    other.clone()
                }
            }]);
        }
        out
    }

    /// Paths in prost's attributes are string literals.
    fn literal(&self, literal: &Literal, depth: usize) -> Literal {
        let text = literal.to_string();
        let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
            return literal.clone();
        };
        if !text.contains("super::") {
            return literal.clone();
        }
        let mut moved = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("super::") {
            let (before, path) = rest.split_at(start);
            let end = path.find(|c: char| !(c.is_alphanumeric() || "_:#".contains(c)));
            let (path, after) = path.split_at(end.unwrap_or(path.len()));
            moved.push_str(before);
            moved.push_str(&self.path(path, depth));
            rest = after;
        }
        moved.push_str(rest);
        Literal::string(&moved)
    }

    /// Rewrites a path of prost-build, for code `depth` modules within the package's.
    fn path(&self, path: &str, depth: usize) -> String {
        if let Some(short) = self.short(path) {
            return short;
        }
        let parts: Vec<&str> = path.split("::").collect();
        let up = parts.iter().take_while(|part| **part == "super").count();
        if up <= depth {
            return path.to_owned();
        }
        let full: Vec<String> = self.package.prost.split('.').map(names::snake).collect();
        let kept = full.len().saturating_sub(up - depth);
        let absolute: Vec<&str> =
            full[..kept].iter().map(String::as_str).chain(parts[up..].iter().copied()).collect();
        let absolute = self.placed(&absolute);
        self.outside(absolute.iter().map(String::as_str), DEPTH + depth)
    }

    /// Converts a path by full package names to a path from the root of the generated code.
    fn placed(&self, path: &[&str]) -> Vec<String> {
        let ends = (1..=path.len()).rev();
        let mut found =
            ends.filter_map(|end| Some((end, self.model.modules.get(&path[..end].join("::"))?)));
        let (module, rest) = match found.next() {
            Some((end, module)) => (module.0.as_slice(), &path[end..]),
            None => (&[][..], path),
        };
        module.iter().cloned().chain(rest.iter().map(|part| (*part).to_owned())).collect()
    }

    /// The short form of a path to the standard library.
    fn short(&self, path: &str) -> Option<String> {
        let name = match path.strip_prefix(PROST).and_then(|rest| rest.strip_prefix("::alloc::")) {
            Some("string::String") => "String",
            Some("vec::Vec") => "Vec",
            Some("boxed::Box") => "Box",
            Some("collections::BTreeMap") => return Some(format!("{RT}::BTreeMap")),
            _ if path == "::core::option::Option" => "Option",
            _ => return None,
        };
        Some(if self.all.contains(name) { Self::full(name) } else { name }.to_owned())
    }
}

/// The number of tokens of the path at the start; less than 2 if there is none.
fn path_length(tokens: &[TokenTree]) -> usize {
    let colons = |at: usize| {
        let colon = |at: usize, spacing| match tokens.get(at) {
            Some(TokenTree::Punct(punct)) => punct.as_char() == ':' && punct.spacing() == spacing,
            _ => false,
        };
        colon(at, Spacing::Joint) && colon(at + 1, Spacing::Alone)
    };
    let name = |at: usize| matches!(tokens.get(at), Some(TokenTree::Ident(_)));
    let mut length = match (name(0), colons(0) && name(2)) {
        (true, _) => 1,
        (_, true) => 3,
        _ => return 0,
    };
    while colons(length) && name(length + 2) {
        length += 3;
    }
    length
}
