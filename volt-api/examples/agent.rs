//! An agent that answers questions on a wire: those that were asked while it was away, and then new
//! ones. Run it with the path of a client configuration.

use volt_api::{Client, ClientConfig, Code, Result, wires::WireEvent};

#[tokio::main]
async fn main() -> Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "volt.config.json".to_owned());
    let client = Client::connect(ClientConfig::from_file(config)?).await?;
    for wire in ["@questions", "@answers"] {
        client.wire().ensure_wire(wire).persist(true).await?;
    }
    client.volt().ensure_folder("@agent").await?;
    let last: i64 = match client.file().get_json("@agent/last.json").await {
        // The first start.
        Err(error) if error.code() == Code::NotFound => 0,
        last => last?,
    };

    let mut questions = client.wire().follow("@questions").after(last).await?;
    while let Some(event) = questions.event().await? {
        match event {
            WireEvent::Message(question) => {
                let who = question.publisher.as_deref().unwrap_or("somebody");
                let answer = format!("{who} asked: {}", question.text());
                client.wire().publish("@answers", answer).await?;
                // The position from which to continue after a restart.
                client.file().put_json("@agent/last.json", &question.id).await?;
            }
            WireEvent::CaughtUp => println!("waiting for new questions"),
            _ => {}
        }
    }
    Ok(())
}
