//! A table filled from CSV, a transaction, and typed rows. Run it with the path of a client
//! configuration.

use std::io::Cursor;

use volt_api::{Client, ClientConfig, FromRow, Result};

const CSV: &str = "name,balance\nanna,100\nben,20\n";

#[derive(Debug, FromRow)]
struct Account {
    name: String,
    balance: i64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "volt.config.json".to_owned());
    let client = Client::connect(ClientConfig::from_file(config)?).await?;
    client.sqlite_server().ensure_database("@bank").await?;
    let bank = client.database("@bank");
    bank.query("DROP TABLE IF EXISTS account").execute().await?;
    let rows = bank.import_csv("account", Cursor::new(CSV)).create_table(true).await?;
    println!("{rows} accounts");

    let mut transfer = bank.transaction().await?;
    for (name, amount) in [("anna", -30), ("ben", 30)] {
        let update = transfer.query("UPDATE account SET balance = balance + ? WHERE name = ?");
        update.bind(amount).bind(name).execute().await?;
    }
    transfer.commit().await?;

    let rich = bank.query("SELECT name, balance FROM account WHERE balance >= ?").bind(50);
    for account in rich.fetch_all::<Account>().await? {
        println!("{}: {}", account.name, account.balance);
    }
    Ok(())
}
