//! The output for the API of the tests equals the files in `golden`, and that for the files with editions
//! those in `editions/golden`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p volt-codegen --test golden` updates them; review the difference.
//! `calls.rs` tests that they compile and work.

mod common;

use std::{env, fs};

use volt_codegen::Output;

#[test]
fn output_is_as_checked_in() {
    compare("golden", &common::output(&common::shop(), &common::shop_options()));
}

#[test]
fn output_of_editions_is_as_checked_in() {
    compare("editions/golden", &common::editions());
}

/// Compares the output with the files in a folder, or updates them.
#[track_caller]
fn compare(folder: &str, output: &Output) {
    let directory = common::manifest_dir().join("tests").join(folder);
    let wanted: Vec<_> = output.files.iter().map(|file| directory.join(&file.path)).collect();

    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(&directory).expect("it is made");
        for path in common::files_below(&directory) {
            if !wanted.contains(&path) {
                fs::remove_file(path).expect("an old file is removed");
            }
        }
        for (file, path) in output.files.iter().zip(&wanted) {
            fs::create_dir_all(path.parent().expect("it has a directory")).expect("it is made");
            fs::write(path, &file.contents).expect("a file is written");
        }
        return;
    }
    assert_eq!(common::files_below(&directory).len(), wanted.len(), "files differ");
    for (file, path) in output.files.iter().zip(&wanted) {
        let found = fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == file.contents,
            "tests/{folder}/{} is stale: UPDATE_GOLDEN=1 cargo test -p volt-codegen --test golden",
            file.path
        );
    }
}
