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

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use volt_codegen::{
    Layout, Options, Output, Server, Sources, descriptor_set, disk::Protos, generate, tree,
};

/// Writes typed Rust clients and server traits for Volt services.
///
/// The code depends only on the crate `volt-api`. A package such as `shop.v1` becomes the module
/// `shop::v1`. Files can import those of the Volt API, which are built in.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    source: Source,
    /// The output: a folder, or a single file if it ends in .rs. Earlier output there is
    /// replaced as a whole.
    #[arg(long, global = true, value_name = "PATH", default_value = "src/generated")]
    out: PathBuf,
    /// Derives the Rust name of an element, such as `shop.v1.Item.kind_`, from another name. Without
    /// it, an element whose name is taken gets a number.
    #[arg(long, global = true, value_name = "ELEMENT=NAME", value_parser = rename)]
    rename: Vec<(String, String)>,
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

/// Generating allocates many small objects, for which this allocator takes a third less of the time.
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
    let mut options =
        Options::volt_api().layout(if single { Layout::Single } else { Layout::Files });
    options = options.any_types(!args.no_any_types);
    if args.client_only {
        options = options.server(Server::Never);
    }
    for (element, name) in &args.rename {
        options = options.rename(element, name);
    }
    let output = match &args.source {
        Source::Folder { folder, include } => from_folder(folder, include, &options)?,
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

fn from_folder(folder: &Path, include: &[PathBuf], options: &Options) -> anyhow::Result<Output> {
    let files = protos(folder)?;
    ensure!(!files.is_empty(), "there are no .proto files in {}", folder.display());
    let includes = [folder].into_iter().chain(include.iter().map(PathBuf::as_path));
    Ok(Protos::read("", files, includes)?.generate(options)?)
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
