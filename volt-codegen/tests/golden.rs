//! The output for the API of the tests equals the files in `golden`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p volt-codegen --test golden` updates them; review the difference.
//! `calls.rs` tests that they compile and work.

mod common;

use std::{env, fs};

#[test]
fn output_is_as_checked_in() {
    let directory = common::manifest_dir().join("tests/golden");
    let output = common::output(&common::shop(), &common::shop_options());
    let wanted: Vec<_> = output.files.iter().map(|file| directory.join(&file.path)).collect();

    if env::var_os("UPDATE_GOLDEN").is_some() {
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
            "tests/golden/{} is stale: UPDATE_GOLDEN=1 cargo test -p volt-codegen --test golden",
            file.path
        );
    }
}
