//! The names that the hand-written code of `volt-api` uses beside the generated code. Nothing generated gets them: a
//! new version of the API may have a method, an accessor or a feature of the same name.

use std::path::Path;

use anyhow::Context as _;
use prost_types::FileDescriptorSet;
use volt_codegen::Options;

use super::{
    manifest::{MANIFEST, MARKERS, VERSION_MARKERS},
    modules::Older,
};
use crate::tree;

/// The code of `volt-api`, relative to the root of the repository.
const SOURCES: &str = "volt-api/src";

/// Declares the names as taken.
pub(super) fn declare(
    root: &Path,
    set: &FileDescriptorSet,
    mut options: Options,
) -> anyhow::Result<Options> {
    for name in features(root)? {
        options = options.taken_name("", name);
    }
    for (client, method) in methods(root)? {
        if client == "Client" {
            options = options.taken_name("", method);
        } else if let Some(service) = service(set, &client) {
            options = options.taken_name(service, method);
        }
    }
    Ok(options)
}

/// The Cargo features that are not those of services.
fn features(root: &Path) -> anyhow::Result<Vec<String>> {
    let older = Older::list(root)?.into_iter().map(|older| older.module);
    let path = root.join(MANIFEST);
    let manifest = if path.is_file() { tree::read(&path)? } else { String::new() };
    let section = manifest
        .split("\n[")
        .find(|section| section.trim_start_matches('[').starts_with("features]"));
    let mut text = section.unwrap_or_default().to_owned();
    for [start, end] in [MARKERS, VERSION_MARKERS] {
        if let Some((before, rest)) = text.split_once(start) {
            let after = rest.split_once(end).map_or("", |(_, after)| after);
            text = format!("{before}{after}");
        }
    }
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let named = lines.filter_map(|line| Some(line.split_once(" = ")?.0.trim().to_owned()));
    Ok(named.chain(older).collect())
}

/// The methods of clients, with the clients.
fn methods(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut methods = Vec::new();
    let sources = root.join(SOURCES);
    let files = if sources.is_dir() { tree::files_below(&sources)? } else { Vec::new() };
    for path in files {
        let is_by_hand = !path.iter().any(|part| part == "generated" || part == "tests");
        if !is_by_hand || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = tree::read(&path)?;
        if text.contains("Client {") {
            let file = syn::parse_file(&text).with_context(|| path.display().to_string())?;
            methods.extend(file.items.iter().filter_map(inherent).flatten());
        }
    }
    Ok(methods)
}

/// The methods of an implementation for a client.
fn inherent(item: &syn::Item) -> Option<Vec<(String, String)>> {
    let syn::Item::Impl(item) = item else { return None };
    let syn::Type::Path(ty) = &*item.self_ty else { return None };
    let client = ty.path.segments.last()?.ident.to_string();
    if item.trait_.is_some() || !client.ends_with("Client") {
        return None;
    }
    let functions = item.items.iter().filter_map(|item| match item {
        syn::ImplItem::Fn(item) => Some((client.clone(), item.sig.ident.to_string())),
        _ => None,
    });
    Some(functions.collect())
}

/// The service of a client, that of the oldest package if there are several.
fn service(set: &FileDescriptorSet, client: &str) -> Option<String> {
    let bare = |name: &str| name.replace('_', "").to_lowercase();
    let services = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file.package(), service.name())));
    let found = services.filter(|(_, name)| format!("{}client", bare(name)) == bare(client));
    let (package, name) = found.min_by_key(|(package, _)| (package.len(), *package))?;
    Some(format!("{package}.{name}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use volt_codegen::Sources;

    use super::*;

    #[test]
    fn names_of_hand_written_code_are_not_generated() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let [start, end] = MARKERS;
        put(
            MANIFEST,
            &format!(
                "[package]\nname = \"a\"\n\n[features]\nmetrics = [\"b\"]\n{start}shop = []\n{end}\n[dependencies]\nother = \"1\"\n"
            ),
        );
        put("volt-api/src/lib.rs", "impl Client { pub fn database(&self) {} }");
        put("volt-api/src/shop.rs", "impl ShopApiClient { pub fn put(&self) {} }");
        put("volt-api/src/tests/mod.rs", "impl Client { pub fn stock(&self) {} }");

        let service = |name: &str| {
            format!("service {name} {{ rpc Put(M) returns (M); rpc Get(M) returns (M); }}")
        };
        let services =
            ["ShopAPI", "MetricsAPI", "DatabaseAPI", "StockAPI", "OtherAPI"].map(service).concat();
        let mut sources = Sources::default();
        for version in ["v1", "v2"] {
            let text = format!("syntax = \"proto3\"; package {version}; message M {{}} {services}");
            sources.files.insert(format!("{version}.proto"), text);
        }
        let set = sources.compile().unwrap();
        let options = Options::default().features(true).accessors("crate::Client");
        let options = declare(root.path(), &set, options).unwrap();
        let output = volt_codegen::generate(&set, &options).unwrap();
        let first: Vec<_> =
            output.features.iter().filter(|feature| !feature.contains("v2")).collect();
        assert_eq!(first, ["database_service", "metrics_service", "other", "shop", "stock"]);
        let text = |path: &str| {
            output.files.iter().find(|file| file.path == path).unwrap().contents.clone()
        };
        let accessors = text("accessors.rs");
        assert!(accessors.contains("pub fn database_service(&self)"), "{accessors}");
        assert!(!accessors.contains("pub fn database(&self)"), "{accessors}");
        let client = text("v1/shop/mod.rs");
        assert!(client.contains("pub fn put2(") && client.contains("pub fn get("), "{client}");
        assert!(text("v2/shop_v2/mod.rs").contains("pub fn put("));
        assert!(text("v1/stock/mod.rs").contains("pub fn put("));
    }
}
