//! Whole calls within the process: everything but a network and encryption.

use std::hint::black_box;

use tokio::runtime::{Builder, Runtime};
use volt_runtime::{
    BidiCall, Channel, Method, MethodKind, Result, ServerStreamingCall, UnaryCall,
    intercept::{After, OutgoingCall},
    json::WellKnown,
    server::{
        Context, IncomingCall, Requests, Responses, Router, Service, bidi, server_streaming, unary,
        unknown_method,
    },
    transport::BoxFuture,
};

use crate::{Workload, add};

type Text = WellKnown<String>;

static METHODS: [Method; 3] = [
    Method { path: "/bench.Echo/Say", kind: MethodKind::Unary },
    Method { path: "/bench.Echo/Repeat", kind: MethodKind::ServerStreaming },
    Method { path: "/bench.Echo/Converse", kind: MethodKind::Bidi },
];

/// The number of messages of a stream.
const MESSAGES: usize = 16;

struct Echo;

impl Service for Echo {
    fn name(&self) -> &'static str {
        "bench.Echo"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn call(&self, index: usize, call: IncomingCall) -> BoxFuture<()> {
        match index {
            0 => unary(call, |_, text: Text| async move { Ok(text) }),
            1 => server_streaming(call, |_, text: Text, mut texts: Responses<Text>| async move {
                for _ in 0..MESSAGES {
                    texts.send(text.clone()).await?;
                }
                Ok(())
            }),
            2 => {
                bidi(call, |_, mut texts: Requests<Text>, mut echoes: Responses<Text>| async move {
                    while let Some(text) = texts.message().await? {
                        echoes.send(text).await?;
                    }
                    Ok(())
                })
            }
            _ => unknown_method(call),
        }
    }
}

fn text() -> Text {
    WellKnown("a text of a usual length".to_owned())
}

async fn say(channel: &Channel) -> Result<Text> {
    UnaryCall::new(channel, &METHODS[0], text()).await
}

async fn repeat(channel: &Channel) -> Result<()> {
    let mut texts = ServerStreamingCall::<Text, Text>::new(channel, &METHODS[1], text()).await?;
    while let Some(text) = texts.message().await? {
        black_box(text);
    }
    Ok(())
}

async fn converse(channel: &Channel) -> Result<()> {
    let mut echo = BidiCall::<Text, Text>::new(channel, &METHODS[2]).await?;
    for _ in 0..MESSAGES {
        echo.send(text()).await?;
        black_box(echo.message().await?);
    }
    echo.finish().await?;
    Ok(())
}

pub(crate) fn workloads(workloads: &mut Vec<Workload>) {
    let channel = || Channel::in_process(Router::new().with(Echo));
    let (one, runtime) = (channel(), runtime());
    add(workloads, "call/unary", move || {
        black_box(runtime.block_on(say(&one)).expect("an answer"));
    });
    let (one, runtime) = (intercepted(), self::runtime());
    add(workloads, "call/unary/intercepted", move || {
        black_box(runtime.block_on(say(&one)).expect("an answer"));
    });
    let (one, runtime) = (channel(), self::runtime());
    add(workloads, "call/server_streaming", move || {
        runtime.block_on(repeat(&one)).expect("a stream");
    });
    let (one, runtime) = (channel(), self::runtime());
    add(workloads, "call/bidi", move || {
        runtime.block_on(converse(&one)).expect("a stream");
    });
}

/// A channel whose calls pass an interceptor on both ends.
fn intercepted() -> Channel {
    let after = || After::new(|outcome| _ = black_box(outcome.elapsed));
    let router = Router::new().with(Echo).intercept(move |_: &Context| Ok(after()));
    Channel::in_process(router).intercept(move |_: &mut OutgoingCall| Ok(after()))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}
