//! Typed JSON files in a folder, by path. Run it with the path of a client configuration.

use serde::{Deserialize, Serialize};
use volt_api::{Client, ClientConfig, Code, Result};

#[derive(Debug, Serialize, Deserialize)]
struct Schema {
    title: String,
    version: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "volt.config.json".to_owned());
    let client = Client::connect(ClientConfig::from_file(config)?).await?;
    client.volt().ensure_folder("@schemas").await?;

    let path = "@schemas/person.json";
    let version = match client.file().get_json::<Schema>(path).await {
        Ok(schema) => schema.version + 1,
        Err(error) if error.code() == Code::NotFound => 1,
        Err(error) => return Err(error),
    };
    let schema = Schema { title: "Person".to_owned(), version };
    client.file().put_json(path, &schema).await?;

    for file in client.volt().children("@schemas").kind("volt:file").await? {
        let schema: Schema = client.file().get_json(&file).await?;
        println!("{}: {} {}", file.name, schema.title, schema.version);
    }
    Ok(())
}
