//! For the `build.rs` of a crate: generates code from its `.proto` files into cargo's `OUT_DIR`.
//!
//! ```no_run
//! // build.rs, with volt-codegen in [build-dependencies]
//! fn main() -> Result<(), volt_codegen::Error> {
//!     volt_codegen::build::compile_protos(["proto/shop/v1/shop.proto"], ["proto"])
//! }
//! ```
//!
//! ```ignore
//! // src/lib.rs, with volt-api in [dependencies]: the package `shop.v1` becomes the module `shop::v1`.
//! include!(concat!(env!("OUT_DIR"), "/volt.rs"));
//! ```
//!
//! The macro `volt_api::include_proto!` does the same without a `build.rs`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, Layout, Options, Place, Problem, disk::Protos};

/// Generates code from `files` into `volt.rs` in `OUT_DIR`, as [`Builder`] does by default. Imports are
/// looked up in the folders `includes`; without any, in the folders of the files.
///
/// # Errors
///
/// As [`Builder::compile`].
pub fn compile_protos<F, I>(
    files: impl IntoIterator<Item = F>,
    includes: impl IntoIterator<Item = I>,
) -> Result<(), Error>
where
    F: AsRef<Path>,
    I: AsRef<Path>,
{
    Builder::default().compile(files, includes)
}

/// How to generate into `OUT_DIR`.
#[derive(Clone, Debug)]
#[must_use = "nothing is generated before `compile`"]
pub struct Builder {
    options: Options,
    file_name: String,
    folder: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self { options: Options::volt_api(), file_name: "volt.rs".to_owned(), folder: None }
    }
}

impl Builder {
    /// What to generate. The default is [`Options::volt_api`]. The layout is a single text in any case.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The name of the file. The default is `volt.rs`.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// The folder to write to. The default is what cargo says by `OUT_DIR`.
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Generates code from `files`, and tells cargo to do so again when one of them changes, or one of
    /// those that they import. Imports are looked up in the folders `includes`; without any, in the
    /// folders of the files.
    ///
    /// The files can import those of the Volt API without having them; their types are then those of
    /// `volt-api`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written, or something in one is wrong, with file, line and column.
    pub fn compile<F, I>(
        self,
        files: impl IntoIterator<Item = F>,
        includes: impl IntoIterator<Item = I>,
    ) -> Result<(), Error>
    where
        F: AsRef<Path>,
        I: AsRef<Path>,
    {
        let out = self.folder.or_else(|| env::var_os("OUT_DIR").map(PathBuf::from));
        let out = out.ok_or_else(|| Problem {
            place: None,
            message: "OUT_DIR is not set".to_owned(),
            help: Some("call this from a build.rs, or say `out_dir`".to_owned()),
        })?;
        let protos = Protos::read("", files, includes)?;
        for path in protos.paths() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
        let output = protos.generate(&self.options.layout(Layout::Single))?;
        let path = out.join(self.file_name);
        let text: String = output.files.into_iter().map(|file| file.contents).collect();
        write(&path, &text).map_err(|error| Problem {
            place: Some(Place { file: path.display().to_string(), position: None }),
            message: format!("the file cannot be written: {error}"),
            help: None,
        })?;
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
