//! The program `volt-codegen`: generates typed clients and server traits for custom services, from
//! a folder of `.proto` files or from a Volt's description of a service.

mod live;
mod service;
mod write;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use volt_codegen::{
    Layout, Options, Output, Server, Sources, VERSIONS, descriptor_set, disk::Protos, generate,
    tree,
};

/// Writes typed Rust clients and server traits for Volt services.
///
/// The code depends only on the crate `volt-api`. A package such as `shop.v1` becomes the module
/// `shop::v1`. Files can import those of the Volt API, which are built in.
#[derive(Parser)]
#[command(version)]
#[expect(clippy::struct_excessive_bools, reason = "independent options; no two exclude each other")]
struct Args {
    #[command(subcommand)]
    source: Source,
    /// The output: a folder, or a single file if it ends in .rs. Earlier output there is
    /// replaced as a whole.
    #[arg(long, global = true, value_name = "PATH", default_value = "src/generated")]
    out: PathBuf,
    /// Derives the Rust name of an element, such as `shop.v1.Item.kind_`, from another name.
    /// Without it, an element whose name is taken is numbered.
    #[arg(long, global = true, value_name = "ELEMENT=NAME", value_parser = rename)]
    rename: Vec<(String, String)>,
    /// Declares the files as your version of the Volt API, such as a private fork: generates all messages and
    /// clients, and a `Client` with an accessor for each service. No file of the Volt API is built in then.
    #[arg(long, global = true)]
    own_volt_api: bool,
    /// Uses the messages and enums of `volt-api` that are the same in your version of the Volt API. One value then
    /// suits the clients of both. The code works with one version of the API in `volt-api`.
    #[arg(long, global = true)]
    share_volt_api: bool,
    /// Omits the server traits and servers, for programs that only make calls.
    #[arg(long, global = true)]
    client_only: bool,
    /// Omits the list of all messages, which fields of the type `google.protobuf.Any` need in JSON.
    #[arg(long, global = true)]
    no_any_types: bool,
}

#[derive(Subcommand)]
enum Source {
    /// Generates from all .proto files below a folder, which is also the root of their imports.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Further folders in which imports are looked up.
        #[arg(long, value_name = "FOLDER")]
        include: Vec<PathBuf>,
    },
    /// Generates from a set of descriptors, in the binary form that protoc and buf write.
    ///
    /// `protoc --descriptor_set_out=FILE --include_imports --include_source_info` writes one, and so
    /// does `buf build -o FILE`. Code is generated for all files in it but those of protobuf and of the
    /// Volt API.
    DescriptorSet {
        /// The file.
        file: PathBuf,
    },
    /// Generates a version of the Volt API: its messages and clients, and a `Client` with an accessor for each
    /// service. Use it to pin the API of your Volt.
    Api {
        /// The version, such as 0.20.34. Without it, lists the versions.
        version: Option<String>,
    },
    /// Generates from a service's resource, saved as JSON.
    ///
    /// The JSON is the answer of `DiscoverServices` with `include_protobuf`, the answer of
    /// `GetResource`, a resource, or its `service_description`.
    Saved {
        /// The file; - is the standard input.
        file: PathBuf,
        /// The service, if there are several: its id, its name, or the name of one of its APIs.
        #[arg(long)]
        service: Option<String>,
    },
    /// Generates from a service that a Volt knows, by asking the Volt.
    Live {
        /// The API of the service, such as my.package.MyAPI, or the service's id or name.
        service: String,
        /// The client configuration to connect with.
        #[arg(long, value_name = "FILE", default_value = "volt.config.json")]
        config: PathBuf,
    },
}

fn rename(argument: &str) -> Result<(String, String), String> {
    let pair = argument.split_once('=');
    let (element, name) = pair.ok_or("write it as ELEMENT=NAME")?;
    Ok((element.to_owned(), name.to_owned()))
}

/// Generating allocates many small objects, for which this allocator needs a third less time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("volt-codegen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let single = args.out.extension().is_some_and(|extension| extension == "rs");
    let is_own = args.own_volt_api || matches!(args.source, Source::Api { .. });
    let options = if is_own { Options::own_volt_api() } else { Options::volt_api() };
    let mut options = options.layout(if single { Layout::Single } else { Layout::Files });
    options = options.any_types(!args.no_any_types).share_volt_api(args.share_volt_api);
    if args.client_only {
        options = options.server(Server::Never);
    }
    for (element, name) in &args.rename {
        options = options.rename(element, name);
    }
    let output = match &args.source {
        Source::Folder { folder, include } => {
            let protos = from_folder(folder, include, args.own_volt_api)?;
            protos.generate(&options)?
        }
        Source::Api { version: None } => {
            for (version, _) in VERSIONS {
                println!("{version}");
            }
            return Ok(());
        }
        Source::Api { version: Some(version) } => generate(&api(version)?.compile()?, &options)?,
        Source::Saved { .. } | Source::Live { .. } if args.own_volt_api => {
            bail!("--own-volt-api needs the files of the API: use `folder` or `descriptor-set`")
        }
        Source::DescriptorSet { file } => {
            let set =
                fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
            let set = descriptor_set(&set).with_context(|| file.display().to_string())?;
            generate(&set, &options)?
        }
        Source::Saved { file, service } => {
            let text = if file == Path::new("-") {
                io::read_to_string(io::stdin())
            } else {
                fs::read_to_string(file)
            };
            let text = text.with_context(|| format!("{} cannot be read", file.display()))?;
            let json = serde_json::from_str(&text)
                .with_context(|| format!("{} is not JSON", file.display()))?;
            from_service(&service::sources(&json, service.as_deref())?, &options)?
        }
        Source::Live { service, config } => {
            let json = live::discover(config)?;
            from_service(&service::sources(&json, Some(service))?, &options)?
        }
    };
    for warning in &output.warnings {
        eprintln!("warning: {warning}");
    }
    write::write(&args.out, &output)?;
    println!("wrote {} ({} files)", args.out.display(), output.files.len());
    Ok(())
}

fn from_folder(folder: &Path, include: &[PathBuf], is_own: bool) -> anyhow::Result<Protos> {
    let files = protos(folder)?;
    ensure!(!files.is_empty(), "there are no .proto files in {}", folder.display());
    let includes = [folder].into_iter().chain(include.iter().map(PathBuf::as_path));
    Ok(if is_own {
        Protos::read_own_volt_api("", files, includes)?
    } else {
        Protos::read("", files, includes)?
    })
}

/// The files of a version of the Volt API.
fn api(version: &str) -> anyhow::Result<Sources> {
    let found = VERSIONS.iter().find(|(name, _)| *name == version);
    let Some((_, files)) = found else {
        let known: Vec<_> = VERSIONS.iter().map(|(name, _)| *name).collect();
        bail!("API {version} is not built in: choose {}", known.join(" or "));
    };
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let mut sources = Sources::default();
    sources.files.extend(files);
    Ok(sources)
}

fn from_service(sources: &Sources, options: &Options) -> anyhow::Result<Output> {
    let set =
        sources.compile().context("the .proto files that the service publishes do not compile")?;
    Ok(generate(&set, options)?)
}

/// All `.proto` files below a folder, sorted.
fn protos(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = tree::files_below(folder)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "proto"));
    Ok(files)
}
