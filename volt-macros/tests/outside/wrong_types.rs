//! Code from the macros that the compiler rejects.

use volt_api::{Client, FromRow, data::SqlExecuteStart};

struct Colour;

#[derive(FromRow)]
struct Article {
    id: i64,
    colour: Colour,
    #[row(from_str)]
    tags: Vec<String>,
}

struct NoRow;

async fn query(client: &Client) {
    let _ = client.sqlite_database().query::<NoRow>(SqlExecuteStart::default()).await;
}

fn main() {}
