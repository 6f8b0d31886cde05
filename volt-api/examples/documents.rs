//! A conversation between several clients in one document. Run it in two terminals, with the path
//! of a client configuration and a name, and write lines. Kill one and start it again: nothing is
//! lost.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use volt_api::{
    Client, ClientConfig, Result,
    documents::yrs::{
        Array as _, Doc, Observable as _, Transact as _, sync::Awareness, types::ToJson as _,
    },
};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let config = ClientConfig::from_file(next("volt.config.json"))?;
    let name = next("ada");
    let client = Client::connect(config).await?;
    client.sync().ensure_sync_database("@notes").await?;

    let doc = Doc::new();
    let lines = doc.get_or_insert_array("lines");
    // Prints the whole conversation first, then the lines that others add.
    let seen = Mutex::new(0);
    lines.observe("print", move |transaction, event| {
        let mut seen = seen.lock().expect("no panic holds it");
        for line in event.target().iter(transaction).skip(*seen) {
            println!("{}", line.to_json(transaction));
            *seen += 1;
        }
    });
    let awareness = Arc::new(Mutex::new(Awareness::new(doc.clone())));
    awareness.lock().expect("no panic holds it").set_local_state_raw(format!("{name:?}"));
    let document =
        client.sync().attach(&doc, "@notes", "talk").awareness(Arc::clone(&awareness)).await?;
    let mut states = document.watch_state();
    tokio::spawn(async move {
        while let Some(state) = states.changed().await {
            println!("({state})");
        }
    });

    let mut input = BufReader::new(stdin()).lines();
    while let Ok(Some(line)) = input.next_line().await {
        match line.as_str() {
            "who" => {
                for (client, state) in awareness.lock().expect("no panic holds it").iter() {
                    println!("{client}: {:?}", state.data);
                }
            }
            _ => {
                lines.push_back(&mut doc.transact_mut(), format!("{name}: {line}"));
            }
        }
    }
    document.stop().await
}
