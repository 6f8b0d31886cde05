//! The published Volt clients, which the interop tests and the benchmarks run.
//!
//! Their packages are pinned below `tests/interop/clients`, beside the adapters that both kinds of
//! program use: `client.mjs`, `volt_calls.py` and the library of the Rust package.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    cargo::locked_version,
    packages::{npm_install, npm_version, pip_install},
};

/// The builds of the JavaScript client. A program selects one with `VOLT_CLIENT_BUILD`.
pub const WEB_BUILDS: [&str; 2] = ["js", "wasm"];

/// The folder of a published client's package, from the root of the workspace.
pub fn source(root: &Path, client: &str) -> PathBuf {
    root.join("tests/interop/clients").join(client)
}

/// The JavaScript client, installed for Node.
#[derive(Debug)]
pub struct Web {
    /// The package and its version.
    pub name: String,
    /// The folder in which Node finds the package.
    folder: PathBuf,
}

impl Web {
    /// Installs the client and its adapter below `target/clients`, unless they are installed.
    pub fn install(root: &Path) -> anyhow::Result<Self> {
        let (source, folder) = (source(root, "js"), root.join("target/clients/js"));
        npm_install(&source, &folder)?;
        let version = npm_version(&source, "@tdxvolt/volt-client-web")?;
        let web = Self { name: format!("volt-client-web {version}"), folder };
        web.script(&source.join("client.mjs"))?;
        web.script(&documents(root))?;
        Ok(web)
    }

    /// Copies a program to where Node finds the packages that it imports.
    pub fn script(&self, program: &Path) -> anyhow::Result<PathBuf> {
        copy(program, &self.folder)
    }
}

/// The JavaScript client for gRPC, installed for Node.
#[derive(Debug)]
pub struct Grpc {
    /// The package and its version.
    pub name: String,
    /// The folder in which Node finds the package.
    folder: PathBuf,
}

impl Grpc {
    /// Installs the client and its programs below `target/clients`, unless they are there.
    pub fn install(root: &Path) -> anyhow::Result<Self> {
        let (source, folder) = (source(root, "grpc"), root.join("target/clients/grpc"));
        npm_install(&source, &folder)?;
        let version = npm_version(&source, "@tdxvolt/volt-client-grpc")?;
        let current = fs::read_to_string(root.join("proto/VERSION"))?;
        let protos = root.join("proto").join(current.trim());
        for program in [
            source.join("client.mjs"),
            documents(root),
            // The service that it hosts.
            root.join("tests/interop/echo.proto"),
            protos.join("tdx/volt_api/volt/v1/status.proto"),
        ] {
            copy(&program, &folder)?;
        }
        Ok(Self { name: format!("volt-client-grpc {version}"), folder })
    }

    /// Copies a program to where Node finds the packages that it imports.
    pub fn script(&self, program: &Path) -> anyhow::Result<PathBuf> {
        copy(program, &self.folder)
    }

    /// The arguments of Node that run a program. One package prints a warning, which is hidden.
    pub fn arguments(program: PathBuf) -> Vec<OsString> {
        vec!["--no-deprecation".into(), program.into()]
    }
}

/// The program that both JavaScript clients use with their sync provider.
fn documents(root: &Path) -> PathBuf {
    root.join("tests/interop/clients/documents.mjs")
}

/// Copies a program, or a file that it reads, to where Node finds the packages that it imports.
fn copy(program: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let name = program.file_name().context("the path of the program has no file name")?;
    let copy = folder.join(name);
    fs::copy(program, &copy).with_context(|| format!("{} cannot be copied", copy.display()))?;
    Ok(copy)
}

/// The Python client in its virtual environment.
#[derive(Debug)]
pub struct Python {
    /// The package and its version.
    pub name: String,
    /// The interpreter.
    pub program: PathBuf,
    glue: PathBuf,
}

impl Python {
    /// Installs the client below `target/clients`, unless it is installed.
    pub fn install(root: &Path) -> anyhow::Result<Self> {
        let (glue, folder) = (source(root, "python"), root.join("target/clients/python"));
        let requirements = pip_install(&glue, &folder)?;
        let version = requirements.lines().find_map(|line| line.strip_prefix("volt_client_web=="));
        let version = version.context("requirements.txt does not pin volt_client_web")?.trim();
        let name = format!("volt_client_web {version} (Python)");
        Ok(Self { name, program: folder.join("bin/python"), glue })
    }

    /// The interpreter's arguments that run a program. The client prints warnings, which are
    /// hidden.
    pub fn arguments(program: PathBuf) -> Vec<OsString> {
        vec!["-W".into(), "ignore".into(), program.into()]
    }

    /// The environment in which a program finds the adapter.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![("PYTHONPATH", self.glue.clone().into())]
    }
}

/// The name of a Rust client with its version.
pub fn rust_name(root: &Path, client: &str) -> anyhow::Result<String> {
    let version = locked_version(&source(root, "rust").join("Cargo.lock"), client)?;
    Ok(format!("{client} {version}"))
}
