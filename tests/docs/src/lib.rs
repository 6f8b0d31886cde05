//! The Rust code of README.md and docs/, compiled. `build.rs` collects it.

// The service of the examples.
#[allow(unused, unreachable_pub)]
mod example {
    volt_api::include_proto!("proto/shop/v1/shop.proto", includes = ["proto"]);

    pub(crate) struct Shop;

    impl shop::v1::ShopApi for Shop {}
}

// A macro's warning is the use of a deprecated item: `expect` fails without one.
#[allow(unused, unreachable_pub)]
#[expect(deprecated, reason = "the field has no list of types")]
mod warned {
    volt_api::include_proto!("proto/any/v1/any.proto", includes = ["proto"], any_types = false);
}

/// The names that every block may use.
#[allow(unused_imports)]
mod prelude {
    pub(crate) use std::time::Duration;

    pub(crate) use volt_api::{
        Client, ClientConfig, Code, Executed, Update, data::SqlExecuteStart, volt::*,
    };

    pub(crate) use crate::example::{
        Shop,
        shop::v1::{GetArticleRequest, ShopApiClient, ShopApiServer},
    };
}

// Examples ignore results and do not use everything that they bind.
#[allow(unused, unused_qualifications, clippy::all, clippy::pedantic, clippy::unwrap_used)]
mod blocks {
    include!(concat!(env!("OUT_DIR"), "/blocks.rs"));
}
