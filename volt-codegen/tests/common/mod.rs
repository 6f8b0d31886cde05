//! Shared helpers of the tests.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use volt_codegen::{Options, Output, Sources, descriptor_set, generate};

/// The command that updates the golden files.
const GOLDEN: &str = "UPDATE_GOLDEN=1 cargo test -p volt-codegen --test golden";

pub(crate) fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All `.proto` files below a directory.
pub(crate) fn sources(root: &Path) -> Sources {
    let mut sources = Sources::default();
    for path in
        files_below(root).into_iter().filter(|path| path.extension() == Some("proto".as_ref()))
    {
        let name = path.strip_prefix(root).expect("it is below").to_string_lossy().into_owned();
        sources.files.insert(name, fs::read_to_string(&path).expect("it is readable"));
    }
    sources
}

/// The API of the tests.
pub(crate) fn shop() -> Sources {
    let mut shop = sources(&manifest_dir().join("tests/protos"));
    shop.imports = sources(&manifest_dir().join("tests/imports")).files;
    shop
}

/// The options of the golden files.
pub(crate) fn shop_options() -> Options {
    Options::default()
        .command(GOLDEN)
        .status("shop.common.v1.Status")
        .secret("picture")
        .secret("threat")
}

/// The set of descriptors with editions, which protoc wrote.
pub(crate) const EDITIONS: &[u8] = include_bytes!("../editions/shop.binpb");

/// The output for files with editions.
pub(crate) fn editions() -> Output {
    let set = descriptor_set(EDITIONS).unwrap_or_else(|error| panic!("{error}"));
    let options = Options::default().command(GOLDEN);
    generate(&set, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// A version of the Volt API.
pub(crate) fn api(version: &str) -> Sources {
    sources(&manifest_dir().join("../proto").join(version))
}

pub(crate) fn output(sources: &Sources, options: &Options) -> Output {
    let set = sources.compile().unwrap_or_else(|error| panic!("{error}"));
    generate(&set, options).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("it is readable").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
