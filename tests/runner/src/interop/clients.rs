//! Builds and installs the clients of the interop scenarios.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use xtask_tools::{
    cargo::{self, Programs},
    published::{self, Grpc, Python, WEB_BUILDS, Web},
};

/// A client's program, which takes the path of a configuration and the name of a scenario.
pub(super) struct Client {
    /// The package and its version.
    pub(super) name: String,
    /// Used in file names.
    pub(super) short_name: &'static str,
    program: PathBuf,
    /// The arguments before the configuration.
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    /// The scenarios that it runs; `None` for all.
    scenarios: Option<&'static [&'static str]>,
    /// The configuration that it uses.
    pub(super) way: Way,
    /// Set if the client can connect over TLS.
    pub(super) speaks_tls: bool,
}

/// A client's route to the Volt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    /// Through a relay.
    Relayed,
    /// With the legacy protocol.
    Legacy,
}

/// The scenarios of the Python client.
const PYTHON: &[&str] = &["unary", "refused", "wire", "sql"];
/// The scenarios of volt-client-rs: all but calls to hosted services.
const RUST: &[&str] = &[
    "unary",
    "refused",
    "connect",
    "download",
    "refused-stream",
    "upload",
    "wire",
    "sql",
    "sql-helper",
];

/// The scenarios of the clients for the web: all but a first start, for which they need more than a
/// configuration of the Volt.
const WEB: &[&str] = &[
    "unary",
    "refused",
    "connect",
    "events",
    "download",
    "refused-stream",
    "upload",
    "wire",
    "sql",
    "sql-helper",
    "hosted",
    "documents",
    "shared-document",
];
/// The same without documents: the provider of the `wasm` build cannot be stopped.
const WASM: &[&str] = match WEB.split_last_chunk::<2>() {
    Some((others, _)) => others,
    None => &[],
};
/// The scenarios of volt-client-grpc for Rust, which has methods for resources and documents only.
const RUST_GRPC: &[&str] = &["unary", "refused", "authenticate", "shared-document"];
/// The scenarios of this SDK: all but that of the sync providers of JavaScript.
const SDK: &[&str] = &[
    "unary",
    "refused",
    "authenticate",
    "connect",
    "events",
    "download",
    "refused-stream",
    "upload",
    "wire",
    "sql",
    "sql-helper",
    "hosted",
    "hosted-by-grpc",
    "shared-document",
];
/// The scenarios of this SDK with the legacy protocol: all but those that create a key, those of the newer SQL API, and
/// calls to hosts, which have no RSA key.
const SDK_LEGACY: &[&str] = &[
    "unary",
    "refused",
    "connect",
    "events",
    "download",
    "refused-stream",
    "upload",
    "wire",
    "shared-document",
];

impl Client {
    /// A client that runs every scenario with the current protocol, over TLS too.
    fn new(name: String, short_name: &'static str, program: impl Into<PathBuf>) -> Self {
        Self {
            name,
            short_name,
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            scenarios: None,
            way: Way::Direct,
            speaks_tls: true,
        }
    }

    /// The command that runs a scenario.
    pub(super) fn command(&self, config: &Path, scenario: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(config).arg(scenario);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Returns whether the client runs this scenario.
    pub(super) fn runs(&self, scenario: &str) -> bool {
        self.scenarios.is_none_or(|scenarios| scenarios.contains(&scenario))
    }
}

/// The name of a client on its way to the Volt.
fn named(client: &str, way: Way) -> String {
    match way {
        Way::Direct => client.to_owned(),
        Way::Relayed => format!("{client}, relayed"),
        Way::Legacy => format!("{client}, legacy"),
    }
}

/// The programs of one run.
pub(super) struct Built {
    /// The embedded Volt.
    pub(super) volt: PathBuf,
    /// The clients. This SDK's come last.
    pub(super) clients: Vec<Client>,
    /// The arguments of Node for the host of the scenario `hosted-by-grpc`, before the configuration.
    grpc_host: Vec<OsString>,
}

impl Built {
    /// The commands of the hosts that some scenarios call, with the names of their logs. Each prints `online`.
    pub(super) fn hosts(&self, config: &Path) -> anyhow::Result<[(&'static str, Command); 2]> {
        let sdk = self.clients.last().context("there is no client of the SDK")?;
        let mut grpc = Command::new("node");
        grpc.args(&self.grpc_host).arg(config);
        Ok([("host", sdk.command(config, "host")), ("grpc-host", grpc)])
    }
}

/// Builds the Volt and the clients' programs, with the packages that they need from npm, pip and
/// crates.io.
pub(super) fn build(root: &Path) -> anyhow::Result<Built> {
    let web = Web::install(root)?;
    let script = web.script(&published::source(root, "js").join("scenarios.mjs"))?;
    let mut clients: Vec<_> = WEB_BUILDS
        .into_iter()
        .map(|build| Client {
            arguments: vec![script.clone().into()],
            environment: vec![("VOLT_CLIENT_BUILD", build.into())],
            scenarios: Some(if build == "js" { WEB } else { WASM }),
            ..Client::new(format!("{} {build}", web.name), build, "node")
        })
        .collect();

    let grpc = Grpc::install(root)?;
    let script = grpc.script(&published::source(root, "grpc").join("scenarios.mjs"))?;
    let host = grpc.script(&published::source(root, "grpc").join("host.mjs"))?;
    for (way, short_name) in [(Way::Direct, "grpc"), (Way::Relayed, "grpc-relayed")] {
        clients.push(Client {
            arguments: Grpc::arguments(script.clone()),
            way,
            scenarios: if way == Way::Direct { None } else { Some(SDK) },
            ..Client::new(named(&grpc.name, way), short_name, "node")
        });
    }

    let python = Python::install(root)?;
    let script = published::source(root, "python").join("scenarios.py");
    clients.push(Client {
        arguments: Python::arguments(script),
        environment: python.environment(),
        scenarios: Some(PYTHON),
        way: Way::Legacy,
        ..Client::new(python.name, "python", python.program)
    });

    let mut programs = published_rust(root, "volt-interop-rust*")?;
    let rust = programs.take("volt-interop-rust-client")?;
    clients.push(Client {
        scenarios: Some(RUST),
        speaks_tls: false,
        ..Client::new(published::rust_name(root, "volt-client-rs")?, "rust", rust)
    });
    let rust_grpc = programs.take("volt-interop-rust-grpc-client")?;
    let name = published::rust_name(root, "volt-client-grpc")?;
    for (way, short_name) in [(Way::Direct, "rust-grpc"), (Way::Relayed, "rust-grpc-relayed")] {
        clients.push(Client {
            way,
            scenarios: Some(RUST_GRPC),
            ..Client::new(named(&name, way), short_name, &rust_grpc)
        });
    }

    // The features of shared dependencies come from the whole workspace, as in `cargo test`.
    let mut command = cargo::build(root);
    command.args([
        "--workspace",
        "--features",
        "volt-api/server,volt-api/grpc,volt-api/proto,volt-api/sync-documents",
    ]);
    command.args(["--bin", "volt-embedded", "--example", "interop"]);
    let mut programs = Programs::build(&mut command)?;
    let sdk = programs.take("interop")?;
    for (way, transport, short_name) in [
        (Way::Legacy, "websocket", "sdk-legacy"),
        (Way::Relayed, "grpc", "sdk-grpc-relayed"),
        (Way::Relayed, "websocket", "sdk-relayed"),
        (Way::Direct, "grpc", "sdk-grpc"),
        (Way::Direct, "websocket", "sdk"),
    ] {
        clients.push(Client {
            environment: vec![("VOLT_TRANSPORT", transport.into())],
            way,
            scenarios: Some(if way == Way::Legacy { SDK_LEGACY } else { SDK }),
            ..Client::new(named(&format!("volt-api {transport}"), way), short_name, &sdk)
        });
    }
    let volt = programs.take("volt-embedded")?;
    Ok(Built { volt, clients, grpc_host: Grpc::arguments(host) })
}

/// Builds programs of the published Rust clients, in their own workspace. `packages` is a pattern.
pub(crate) fn published_rust(root: &Path, packages: &str) -> anyhow::Result<Programs> {
    let mut command = cargo::build(&published::source(root, "rust"));
    command.args(["--package", packages]);
    command.arg("--target-dir").arg(root.join("target/interop/rust-client"));
    Programs::build(&mut command).context("the programs of the published Rust clients")
}
