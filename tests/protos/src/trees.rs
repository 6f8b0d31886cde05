//! The trees of `.proto` files, and the packages that contain them.

/// A set of files that import each other.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) name: &'static str,
    pub(crate) packages: &'static [Package],
    /// The folders in which imports begin, below the packages' folders.
    pub(crate) roots: &'static [&'static str],
    /// The beginnings of the names of the files to generate code for. Default: all.
    pub(crate) only: Option<&'static [&'static str]>,
    /// The beginnings of the names of files that are left out. Others may still import them.
    pub(crate) except: &'static [&'static str],
    /// Set if the code is type-checked by default.
    pub(crate) check: bool,
}

/// A published package.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) registry: Registry,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// The folder for its contents, below that of the tree.
    pub(crate) into: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registry {
    Crates,
    Npm,
    PyPi,
}

const fn package(
    registry: Registry,
    name: &'static str,
    version: &'static str,
    into: &'static str,
) -> Package {
    Package { registry, name, version, into }
}

const fn of(
    name: &'static str,
    packages: &'static [Package],
    roots: &'static [&'static str],
) -> Tree {
    Tree { name, packages, roots, only: None, except: &[], check: true }
}

use Registry::{Crates, Npm, PyPi};

const GOOGLE: &[Package] = &[package(Npm, "google-proto-files", "6.0.1", "")];

pub(crate) const TREES: &[Tree] = &[
    of("common", &[package(PyPi, "googleapis-common-protos", "1.76.0", "")], &["."]),
    Tree {
        // A copy of the others.
        except: &["github.com/containerd/containerd/vendor/"],
        ..of("containerd", &[package(Crates, "containerd-client", "0.9.0", "")], &["vendor"])
    },
    of(
        "cosmos",
        &[
            package(Npm, "@protobufs/cosmos", "0.1.0", "cosmos"),
            package(Npm, "@protobufs/amino", "0.0.11", "amino"),
            package(Npm, "@protobufs/cosmos_proto", "0.0.10", "cosmos_proto"),
            package(Npm, "@protobufs/gogoproto", "0.0.10", "gogoproto"),
            package(Npm, "@protobufs/google", "0.0.10", "google"),
            package(Npm, "@protobufs/tendermint", "0.0.10", "tendermint"),
        ],
        &["."],
    ),
    of(
        "envoy",
        &[package(Npm, "@grpc/grpc-js-xds", "1.14.1", "")],
        &["deps/envoy-api", "deps/xds", "deps/protoc-gen-validate", "deps/googleapis"],
    ),
    of("etcd", &[package(Crates, "etcd-client", "0.21.1", "")], &["proto"]),
    // Protobuf's own files are built in. Its tests define types twice, or have an edition.
    Tree { check: false, except: &["google/protobuf/"], ..of("googleapis", GOOGLE, &["."]) },
    Tree {
        only: Some(&[
            "google/bigtable/",
            "google/cloud/aiplatform/v1/",
            "google/cloud/compute/v1/",
            "google/firestore/",
            "google/longrunning/",
            "google/pubsub/",
            "google/spanner/",
            "google/storage/",
        ]),
        ..of("googleapis-part", GOOGLE, &["."])
    },
    of("kubernetes", &[package(Crates, "k8s-cri", "0.11.0", "")], &["proto"]),
    of("lightning", &[package(Crates, "tonic_lnd", "0.5.1", "")], &["vendor"]),
    of("milvus", &[package(Crates, "milvus-sdk-rust", "3.0.3", "")], &["milvus-proto/proto"]),
    Tree {
        // The others are templates, and the same messages in another selection.
        only: Some(&["onnx/onnx-ml.proto", "onnx/onnx-operators-ml.proto", "onnx/onnx-data.proto"]),
        ..of("onnx", &[package(PyPi, "onnx", "1.23.2", "")], &["."])
    },
    of(
        "opentelemetry",
        &[package(Crates, "opentelemetry-proto", "0.33.1", "")],
        &["src/proto/opentelemetry-proto"],
    ),
    of("protovalidate", &[package(Crates, "prost-protovalidate-types", "0.6.0", "")], &["proto"]),
    of("qdrant", &[package(Crates, "qdrant-client", "1.20.0", "")], &["proto"]),
    of("spiffe", &[package(Crates, "spiffe", "0.19.0", "")], &["src/proto"]),
    of("sui", &[package(Crates, "sui-rpc", "0.4.0", "")], &["vendored/proto"]),
    of(
        "temporal",
        &[package(Crates, "temporal-sdk-core-protos", "0.1.0", "")],
        &["protos/api_upstream", "protos/local", "protos/testsrv_upstream", "protos/grpc"],
    ),
];

impl Tree {
    /// The packages, for people.
    pub(crate) fn packages_shown(&self) -> String {
        let shown = self.packages.iter().map(|package| {
            let Package { registry, name, version, .. } = package;
            format!("{registry:?} {name} {version}")
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}
