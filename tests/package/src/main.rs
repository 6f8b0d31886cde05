//! Calls a Volt, and a service from the `.proto` in this folder, with the packaged crates.

use volt_api::{Client, ClientConfig, FromRow, Result, data::SqlExecuteStart, volt::*};

volt_api::include_proto!("proto/greeter/v1/greeter.proto", includes = ["proto"]);

/// A row of a table.
#[derive(Debug, FromRow)]
struct Article {
    name: String,
    price: i64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::connect(ClientConfig::from_file("volt.config.json")?).await?;
    let request = GetResourceRequest::default().with_resource_id("@documents");
    let answer = client.volt().get_resource(request).await?;
    println!("{}", answer.resource.unwrap_or_default().name);

    let start = SqlExecuteStart::default()
        .with_database_id("@shop")
        .with_statement("SELECT name, price FROM article");
    let mut rows = client.sqlite_database().query::<Article>(start).await?;
    while let Some(Article { name, price }) = rows.row().await? {
        println!("{name}: {price}");
    }

    let greeter = greeter::v1::GreeterApiClient::new(client.channel().clone());
    let request = greeter::v1::GreetRequest::default().with_name("you");
    println!("{}", greeter.greet(request).await?.greeting);
    Ok(())
}
