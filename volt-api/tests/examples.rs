//! Runs the examples against an embedded Volt. `cargo test` builds them if no target is chosen.

#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use volt_api::Client;
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

/// A Volt, and a folder with the configuration of its owner.
struct Place {
    volt: EmbeddedVolt,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let (volt, folder) = (EmbeddedVolt::start().await.unwrap(), TempDir::new().unwrap());
        volt.config().write(folder.path().join("volt.config.json")).unwrap();
        Self { volt, folder }
    }

    /// Returns an example with its arguments, of which the configuration is the first.
    fn example(&self, name: &str, arguments: &[&Path]) -> Command {
        // Beside the folder of this test.
        let tests = env::current_exe().unwrap();
        let program = tests.parent().unwrap().with_file_name("examples").join(name);
        assert!(program.exists(), "`cargo test -p volt-api` builds {}", program.display());
        let mut command = Command::new(program);
        command.arg(self.folder.path().join("volt.config.json")).args(arguments);
        command
    }

    /// Runs an example to its end, and returns its output.
    async fn run(&self, name: &str, arguments: &[&Path]) -> String {
        let mut command = self.example(name, arguments);
        let running = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = soon(running).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A process that is killed at the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_answers_earlier_and_later_questions() {
    let place = Place::new().await;
    let client = Client::connect(place.volt.config()).await.unwrap();
    client.wire().ensure_wire("@questions").persist(true).await.unwrap();
    client.wire().publish("@questions", "earlier").await.unwrap();
    let agent = place.example("agent", &[]).stdout(Stdio::null()).spawn().unwrap();
    let _agent = Running(agent);
    let mut answers = soon(client.wire().follow("@answers").from_start()).await.unwrap();
    for question in ["earlier", "later"] {
        if question == "later" {
            client.wire().publish("@questions", question).await.unwrap();
        }
        let answer = soon(answers.message()).await.unwrap().unwrap();
        assert!(answer.text().ends_with(&format!(" asked: {question}")), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_run_stores_the_next_version_of_a_schema_with_its_signature() {
    let place = Place::new().await;
    for version in 1..=2 {
        let output = place.run("json_folder", &[]).await;
        assert_eq!(output, format!("person.json: Person {version}, signed\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_large_files_comes_back_equal() {
    let place = Place::new().await;
    let (source, copy) = (place.folder.path().join("films"), place.folder.path().join("copy"));
    fs::create_dir(&source).unwrap();
    let films = [("a", vec![1; 3_000_000]), ("b", vec![2; 5])];
    for (name, content) in &films {
        fs::write(source.join(name), content).unwrap();
    }
    let output = place.run("large_files", &[&source, &copy]).await;
    assert!(output.contains("3000005 bytes uploaded and downloaded"), "{output}");
    for (name, content) in &films {
        assert!(fs::read(copy.join(name)).unwrap() == *content, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_moves_money_between_imported_accounts() {
    let place = Place::new().await;
    assert_eq!(place.run("sql", &[]).await, "2 accounts\nanna: 70\nben: 50\n");
}
