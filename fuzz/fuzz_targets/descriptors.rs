//! The generator: any set of descriptors results in an error, or in Rust that can be parsed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_codegen::{Options, descriptor_set, generate};

fuzz_target!(|data: &[u8]| {
    let Ok(set) = descriptor_set(data) else { return };
    if let Ok(output) = generate(&set, &Options::default()) {
        for file in output.files {
            if let Err(error) = syn::parse_file(&file.contents) {
                panic!("{}: {error}\n{}", file.path, file.contents);
            }
        }
    }
});
