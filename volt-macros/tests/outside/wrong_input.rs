//! Input that the macros reject.

use volt_api::FromRow;

#[derive(FromRow)]
struct Article {
    #[row(renam = "n")]
    name: String,
    #[row(skip, rename = "s")]
    seen: bool,
}

#[derive(FromRow)]
struct Pair(i64, i64);

volt_api::include_proto!("proto/kinds/v1/kinds.proto", include = ["proto"]);

mod missing {
    volt_api::include_proto!("proto/kinds/v2/kinds.proto");
}

fn main() {}
