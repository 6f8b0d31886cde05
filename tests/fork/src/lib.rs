//! A private fork of the Volt API, generated in each way that a crate can use; and an invented API
//! with its next version.

/// The fork, from the build script.
pub mod fork {
    include!(concat!(env!("OUT_DIR"), "/fork.rs"));
}

/// The fork before a method and a field were added to it.
pub mod before {
    include!(concat!(env!("OUT_DIR"), "/before.rs"));
}

/// A fork of the whole API with one more field, which shares the other types with the SDK.
pub mod whole {
    include!(concat!(env!("OUT_DIR"), "/whole.rs"));
}

/// The fork, from the macro.
pub mod by_macro {
    volt_api::include_proto!(
        "proto/tdx/volt_api/volt/v1/volt.proto",
        "proto/tdx/volt_api/volt/v1/status.proto",
        includes = ["proto"],
        own_volt_api = true,
    );
}

/// An invented API.
pub mod changes_old {
    include!(concat!(env!("OUT_DIR"), "/changes_old.rs"));
}

/// Its next version, with every kind of change.
pub mod changes_new {
    include!(concat!(env!("OUT_DIR"), "/changes_new.rs"));
}

/// A field of each type.
pub mod changes_types {
    include!(concat!(env!("OUT_DIR"), "/changes_types.rs"));
}
