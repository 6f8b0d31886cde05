//! A function, tested without a Volt: with a mock of closures, and with a record of real answers. Run the tests
//! with `cargo test -p volt-api --example tested`. Run the program with the path of a client configuration: it
//! prints the titles of a folder, and records the calls.

use volt_api::{Client, ClientConfig, Result};

/// The names of the files in a folder, in capitals.
async fn titles(client: &Client, folder: &str) -> Result<Vec<String>> {
    let files = client.volt().children(folder).kind("volt:file").await?;
    Ok(files.into_iter().map(|file| file.name.to_uppercase()).collect())
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "volt.config.json".to_owned());
    let client = Client::connect(ClientConfig::from_file(config)?).await?;
    let recorded = Client::from_channel(client.channel().record("titles.jsonl")?);
    println!("{:?}", titles(&recorded, "@home").await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use volt_api::{
        Channel,
        testing::Mock,
        volt::{GetResourceDescendantsResponse, Resource, VoltApiClient},
    };

    use super::*;

    #[tokio::test]
    async fn titles_are_in_capitals() -> Result<()> {
        let mock = Mock::new().on(VoltApiClient::GET_RESOURCE_DESCENDANTS, |request| async move {
            assert_eq!(request.descendant_kind, ["volt:file"]);
            let found = ["may", "june"].map(|name| Resource::default().with_name(name));
            Ok(GetResourceDescendantsResponse::default().with_descendant(found))
        });
        let client = Client::from_channel(mock.channel());
        assert_eq!(titles(&client, "@reports").await?, ["MAY", "JUNE"]);
        Ok(())
    }

    #[tokio::test]
    async fn titles_are_those_of_the_recorded_volt() -> Result<()> {
        let record = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tested.jsonl");
        let client = Client::from_channel(Channel::replay(record)?);
        assert_eq!(titles(&client, "@home").await?, ["APRIL.TXT", "MAY.TXT"]);
        Ok(())
    }
}
