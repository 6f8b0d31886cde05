//! The limits that no client can exceed: a websocket that echoes the same number of bytes, and
//! cryptography, JSON and base64 alone.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, sync::mpsc::unbounded_channel};
use tokio_tungstenite::{client_async, tungstenite::Message};
use volt_bench_load::{Peers, alone};
use volt_bench_measure::{Latency, Load, Measured, Span, Work};

/// The bytes of an invocation around its message: header, initialisation vector, padding, and the
/// envelope with the name of the method.
const AROUND: usize = 168;

#[tokio::main]
async fn main() -> Result<()> {
    let load = Load::parse();
    let written = match load.work {
        Work::Unary => load.finish(&echo(&load).await?),
        Work::Alone => load.finish(&alone::measure(Duration::from_secs_f64(load.seconds))?),
        _ => bail!("this program does not support {:?}", load.work),
    };
    written.with_context(|| load.out.display().to_string())
}

/// Sends messages to the echo, with `in_flight` of them on the way at a time.
async fn echo(load: &Load) -> Result<Measured> {
    let peers: Peers = volt_bench_load::read(&load.config)?;
    let stream = TcpStream::connect(("127.0.0.1", peers.echo_port)).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://127.0.0.1:{}/", peers.echo_port);
    let (socket, _) = client_async(url, stream).await?;
    let message = Message::binary(vec![7; load.size + AROUND]);

    let (mut sink, mut stream) = socket.split();

    let begin = Instant::now() + Duration::from_secs_f64(load.warm_up);
    let end = begin + Duration::from_secs_f64(load.seconds);
    // Send and receive concurrently, or both ends would wait for each other to read.
    let (more, mut due) = unbounded_channel();
    let sending = async move {
        while due.recv().await.is_some() {
            sink.feed(message.clone()).await?;
            // Everything that is due is sent in the same write.
            while due.try_recv().is_ok() {
                sink.feed(message.clone()).await?;
            }
            sink.flush().await?;
        }
        anyhow::Ok(())
    };
    let receiving = async {
        let (mut sent, mut latencies, mut done) = (VecDeque::new(), Vec::new(), 0);
        for _ in 0..load.in_flight {
            sent.push_back(Instant::now());
            more.send(())?;
        }
        let mut span = None;
        while Instant::now() < end {
            stream.next().await.context("the server has closed")??;
            let (now, sent_at) =
                (Instant::now(), sent.pop_front().context("the server sent one message too many")?);
            if now >= begin {
                span.get_or_insert_with(|| Span::start(load));
                done += 1;
                latencies.push(now - sent_at);
            }
            sent.push_back(now);
            more.send(())?;
        }
        anyhow::Ok((span, latencies, done))
    };
    let (span, mut latencies, done) = tokio::select! {
        biased;
        received = receiving => received?,
        sent = sending => bail!("sending failed: {sent:?}"),
    };
    let mut measured = span.unwrap_or_else(|| Span::start(load)).finish(done, 0);
    measured.latency = Latency::of(&mut latencies);
    Ok(measured)
}
