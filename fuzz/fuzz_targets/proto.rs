//! The generator: any text results in an error with its place, or in Rust that can be parsed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_codegen::{Layout, Options, Sources, generate};

fuzz_target!(|data: &[u8]| {
    let Some((choices, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut sources = Sources::default();
    // A second file, which the first one may import.
    let mut texts = text.splitn(2, "//////// b.proto\n");
    for (name, text) in ["a.proto", "b.proto"].into_iter().zip(&mut texts) {
        sources.files.insert(name.to_owned(), text.to_owned());
    }
    let Ok(set) = sources.compile() else { return };
    let mut options = Options::default();
    if choices & 1 != 0 {
        options = options.layout(Layout::Single);
    }
    if choices & 2 != 0 {
        options = options.features(true).accessors("crate::Client");
    }
    if let Ok(output) = generate(&set, &options) {
        for file in output.files {
            if let Err(error) = syn::parse_file(&file.contents) {
                panic!("{}: {error}\n{}", file.path, file.contents);
            }
        }
    }
});
