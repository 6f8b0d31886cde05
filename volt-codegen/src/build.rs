//! Generates code from a crate's `.proto` files into cargo's `OUT_DIR`, for use in its `build.rs`.
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
//! `Debug` hides the values of string and bytes fields whose names [look secret](crate::looks_secret), such as
//! `access_token`. [`Options::open`] and [`Options::secret`] declare other fields.
//!
//! The macro `volt_api::include_proto!` does the same without a `build.rs`.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, Layout, Options, Place, Problem, disk::Protos};

/// Generates code from `files` into `volt.rs` in `OUT_DIR`, with the defaults of [`Builder`].
/// Imports are looked up in the folders `includes`; if `includes` is empty, in the folders of the
/// files.
///
/// # Errors
///
/// Same as [`Builder::compile`].
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

/// Configures the generation into `OUT_DIR`.
#[derive(Clone, Debug)]
#[must_use = "nothing is generated before `compile`"]
pub struct Builder {
    options: Options,
    file_name: String,
    folder: Option<PathBuf>,
    own_volt_api: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            options: Options::volt_api(),
            file_name: "volt.rs".to_owned(),
            folder: None,
            own_volt_api: false,
        }
    }
}

impl Builder {
    /// Sets what to generate. Default: [`Options::volt_api`]. The layout is always a single file.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Declares the files as this crate's version of the Volt API, such as a private fork. No file of the Volt API
    /// is built in then, and the options are [`Options::own_volt_api`]: messages and clients for all services, and a
    /// `Client` with an accessor for each of them.
    ///
    /// ```no_run
    /// // build.rs
    /// # fn main() -> Result<(), volt_codegen::Error> {
    /// volt_codegen::build::Builder::default()
    ///     .own_volt_api()
    ///     .compile(["fork/proto/tdx/volt_api/volt/v1/volt.proto"], ["fork/proto"])
    /// # }
    /// ```
    pub fn own_volt_api(mut self) -> Self {
        self.options = Options::own_volt_api();
        self.own_volt_api = true;
        self
    }

    /// Sets whether the messages and enums of the crate's own version of the Volt API that are the same in `volt-api`
    /// are those of `volt-api`: see [`Options::share_volt_api`]. Default: false.
    pub fn share_volt_api(mut self, share: bool) -> Self {
        self.options = self.options.share_volt_api(share);
        self
    }

    /// Sets the name of the file. Default: `volt.rs`.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// Sets the folder to write to. Default: cargo's `OUT_DIR`.
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Generates code from `files`, and tells cargo to rerun the build script when one of them, or
    /// of the files that they import, changes. Imports are looked up in the folders `includes`; if
    /// there are none, in the folders of the files.
    ///
    /// The files can import those of the Volt API, which are built in; their types are those of
    /// `volt-api`. Without [`own_volt_api`](Self::own_volt_api), a file that has the name of one of
    /// them but other definitions is an error.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or written, or is invalid; the error has file, line and
    /// column.
    pub fn compile<F, I>(
        self,
        files: impl IntoIterator<Item = F>,
        includes: impl IntoIterator<Item = I>,
    ) -> Result<(), Error>
    where
        F: AsRef<Path>,
        I: AsRef<Path>,
    {
        self.compile_telling(files, includes, &mut io::stdout())
    }

    /// Same as [`compile`](Self::compile). The lines for cargo are written to `cargo`.
    fn compile_telling<F, I>(
        self,
        files: impl IntoIterator<Item = F>,
        includes: impl IntoIterator<Item = I>,
        cargo: &mut dyn io::Write,
    ) -> Result<(), Error>
    where
        F: AsRef<Path>,
        I: AsRef<Path>,
    {
        let out = self.folder.or_else(|| env::var_os("OUT_DIR").map(PathBuf::from));
        let out = out.ok_or_else(|| Problem {
            place: None,
            message: "OUT_DIR is not set".to_owned(),
            help: Some("call this from a build.rs, or set `out_dir`".to_owned()),
        })?;
        let protos = if self.own_volt_api {
            Protos::read_own_volt_api("", files, includes)?
        } else {
            Protos::read("", files, includes)?
        };
        let mut told = String::new();
        for path in protos.paths() {
            // Writing to a `String` cannot fail.
            let _ = writeln!(told, "cargo:rerun-if-changed={}", path.display());
        }
        let output = protos.generate(&self.options.layout(Layout::Single))?;
        for warning in &output.warnings {
            let _ = writeln!(told, "cargo:warning={}", warning.to_string().replace('\n', " "));
        }
        cargo.write_all(told.as_bytes()).map_err(|error| Problem {
            place: None,
            message: format!("the lines for cargo cannot be written: {error}"),
            help: None,
        })?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn cargo_receives_the_files_and_the_warnings() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.proto");
        let text = "syntax = \"proto3\";\npackage m;\nimport \"google/protobuf/any.proto\";\n\
                    message M { google.protobuf.Any any = 1; }\n";
        fs::write(&file, text).unwrap();
        for listed in [true, false] {
            let mut told = Vec::new();
            let options = Options::volt_api().any_types(listed);
            let builder = Builder::default().options(options).out_dir(folder.path());
            builder.compile_telling([&file], [folder.path()], &mut told).unwrap();
            let told = String::from_utf8(told).unwrap();
            let mut lines = told.lines();
            assert_eq!(lines.next(), Some(&*format!("cargo:rerun-if-changed={}", file.display())));
            let warning = lines.next();
            assert_eq!(warning.is_none(), listed, "{told}");
            if let Some(warning) = warning {
                let start =
                    format!("cargo:warning={}:4:13: the field `any` of `m.M`", file.display());
                assert!(warning.starts_with(&start), "{warning}");
            }
            assert_eq!(lines.next(), None);
        }
    }
}
