//! Typed JSON files in a folder, by path, signed with the client's key. Run it with the path of a client
//! configuration.

use serde::{Deserialize, Serialize};
use volt_api::{Client, ClientConfig, Code, Result};

#[derive(Debug, Serialize, Deserialize)]
struct Schema {
    title: String,
    version: u32,
    /// The signature of the title and the version.
    signature: Vec<u8>,
}

impl Schema {
    fn signed_text(&self) -> String {
        format!("{} {}", self.title, self.version)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "volt.config.json".to_owned());
    let config = ClientConfig::from_file(config)?;
    let key = config.signing_key()?;
    let client = Client::connect(config).await?;
    client.volt().ensure_folder("@schemas").await?;

    let path = "@schemas/person.json";
    let version = match client.file().get_json::<Schema>(path).await {
        Ok(schema) => schema.version + 1,
        Err(error) if error.code() == Code::NotFound => 1,
        Err(error) => return Err(error),
    };
    let mut schema = Schema { title: "Person".to_owned(), version, signature: Vec::new() };
    schema.signature = key.sign(schema.signed_text().as_bytes())?;
    client.file().put_json(path, &schema).await?;

    for file in client.volt().children("@schemas").kind("volt:file").await? {
        let schema: Schema = client.file().get_json(&file).await?;
        let text = schema.signed_text();
        let valid = key.verifying_key().verify(text.as_bytes(), &schema.signature);
        println!("{}: {text}, {}", file.name, if valid { "signed" } else { "forged" });
    }
    Ok(())
}
