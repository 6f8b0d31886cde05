//! A server whose answers a test scripts.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

#[derive(Clone)]
pub(crate) enum Reply {
    Json(Value),
    Text(String),
    NotFound,
    Redirect(String),
    /// These bytes, after which the connection closes.
    Raw(String),
    /// An endless answer.
    Endless,
    /// No answer; the connection stays open.
    Silence,
}

/// Stops when it is dropped.
pub(crate) struct Scripted {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Answers each path with the result of `script`.
    pub(crate) async fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(move |_, path| script(path)).await
    }

    /// Answers each path with the result of `script`, which also receives the server's own address.
    pub(crate) async fn start_at(
        script: impl Fn(&str, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let mut tasks = JoinSet::new();
        let (address, log) = (url.clone(), Arc::clone(&asked));
        tasks.spawn(async move {
            let script = Arc::new(script);
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, address, log) = (script.clone(), address.clone(), log.clone());
                connections.spawn(async move {
                    serve(stream, |path| {
                        log.lock().unwrap().push(path.to_owned());
                        script(&address, path)
                    })
                    .await
                });
            }
        });
        Self { url, asked, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The requested paths.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one request. `None` if the client sent none or disconnected.
async fn serve(mut stream: TcpStream, script: impl Fn(&str) -> Reply) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        if !b"GET ".iter().zip(&request).all(|(a, b)| a == b) {
            return None;
        }
    }
    let request = String::from_utf8(request).ok()?;
    let path = request.split(' ').nth(1)?;
    let head =
        |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n");
    let text = match script(path) {
        Reply::Json(value) => format!("{}{value}", head("200 OK", "")),
        Reply::Text(text) => format!("{}{text}", head("200 OK", "")),
        Reply::NotFound => head("404 Not Found", "Content-Length: 0\r\n"),
        Reply::Redirect(to) => {
            head("302 Found", &format!("Location: {to}\r\nContent-Length: 0\r\n"))
        }
        Reply::Raw(text) => text,
        Reply::Endless => {
            stream.write_all(head("200 OK", "").as_bytes()).await.ok()?;
            loop {
                stream.write_all(&[b' '; 4096]).await.ok()?;
            }
        }
        Reply::Silence => return std::future::pending().await,
    };
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
