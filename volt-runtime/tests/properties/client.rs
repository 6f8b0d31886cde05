//! The client: every call receives its own messages, in order, each once, or an error.

use std::{
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use proptest::{collection::vec, prelude::*, sample::Index};
use volt_runtime::{
    __core::{
        ClientConnection,
        call::Outgoing,
        crypto::Ephemeral,
        frame::{Frame, FrameKind},
        handshake::ServerHandshake,
    },
    CallOptions, ClientConfig, Code, ConnectOptions, Error, Method, MethodKind, Status,
    key::SigningKey,
    transport::{Body, RawCall, ReceiveHalf},
};
use volt_test_support::Text;

use crate::support::{Harm, harm, interleaved};

static METHOD: Method = Method { path: "/test.Service/Method", kind: MethodKind::Bidi };

struct Volt {
    key: SigningKey,
    ephemeral: Ephemeral,
    config: ClientConfig,
}

static VOLT: LazyLock<Volt> = LazyLock::new(|| {
    let (key, client) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let config = ClientConfig::new("volt", "http://127.0.0.1", key.verifying_key().to_pem())
        .with_credential(client.to_pem().unwrap().as_str(), None);
    Volt { key, ephemeral: Ephemeral::generate().unwrap(), config }
});

/// The Volt's answer to one call after the key: the number of messages, and whether it then fails.
#[derive(Clone, Debug)]
struct Script {
    messages: usize,
    fails: bool,
}

fn script() -> impl Strategy<Value = Script> {
    (0..6_usize, any::<bool>()).prop_map(|(messages, fails)| Script { messages, fails })
}

/// All messages that a call may receive, in order.
fn text(call: usize, message: usize) -> String {
    format!("call {call}, message {message}")
}

/// Opens the calls and creates all frames that answer each.
fn open(end: &ClientConnection, scripts: &[Script]) -> (Vec<RawCall>, Vec<Vec<Vec<u8>>>) {
    let open = |_| end.open(&METHOD, &CallOptions::default()).unwrap();
    let calls: Vec<_> = (0..scripts.len()).map(open).collect();
    let mut answers = Vec::new();
    for (call, script) in scripts.iter().enumerate() {
        let frame = Frame::decode(end.transmit().unwrap()).unwrap();
        assert_eq!(frame.kind, FrameKind::KeyExchange);
        let handshake = ServerHandshake::accept(&frame).unwrap();
        let (key, reply) = handshake.reply(frame.call, &VOLT.key, &VOLT.ephemeral).unwrap();
        let mut outgoing = Outgoing::server(frame.call);
        let mut frames = vec![reply];
        for message in 0..script.messages {
            frames.push(outgoing.message(&key, &Text(text(call, message))).unwrap());
        }
        let failure = script.fails.then(|| Status::new(Code::Aborted, "on purpose"));
        frames.push(outgoing.end(&key, failure.as_ref()).unwrap());
        answers.push(frames);
    }
    (calls, answers)
}

/// Reads the available messages into `read`. Returns the end once it has arrived.
fn read(receiver: &mut dyn ReceiveHalf, read: &mut Vec<String>) -> Option<Result<(), Error>> {
    loop {
        match receiver.poll_message(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => return None,
            Poll::Ready(Ok(Some(Body::Json(text)))) => read.push(text),
            Poll::Ready(Ok(Some(Body::Protobuf(_)))) => unreachable!("the websocket carries JSON"),
            Poll::Ready(Ok(None)) => return Some(Ok(())),
            Poll::Ready(Err(error)) => return Some(Err(error)),
        }
    }
}

/// The outcome of one call.
#[derive(Default)]
struct Outcome {
    read: Vec<String>,
    end: Option<Result<(), Error>>,
}

fn run(
    scripts: &[Script],
    choices: &[Index],
    harmed: Option<(usize, Index, Harm)>,
) -> Vec<Outcome> {
    let end = ClientConnection::new(&VOLT.config, &ConnectOptions::default()).unwrap();
    let (mut calls, answers) = open(&end, scripts);
    let mut outcomes: Vec<Outcome> = scripts.iter().map(|_| Outcome::default()).collect();
    let mut answers: Vec<Vec<Vec<Vec<u8>>>> = answers
        .into_iter()
        .map(|frames| frames.into_iter().map(|frame| vec![frame]).collect())
        .collect();
    if let Some((call, frame, harm)) = harmed {
        let frames = &mut answers[call];
        let at = frame.index(frames.len());
        frames[at] = harm.apply(frames[at].remove(0));
    }
    let lengths: Vec<_> = answers.iter().map(Vec::len).collect();
    let mut answers: Vec<_> = answers.into_iter().map(Vec::into_iter).collect();
    for (step, call) in interleaved(&lengths, choices).into_iter().enumerate() {
        for frame in answers[call].next().unwrap() {
            end.receive(frame.into(), false).unwrap();
        }
        // The worker runs between frames.
        end.work();
        // Sometimes immediately, sometimes only after more frames have arrived.
        let Outcome { read: texts, end } = &mut outcomes[call];
        if step % 3 > 0 && end.is_none() {
            *end = read(&mut *calls[call].receiver, texts);
        }
    }
    for (call, Outcome { read: texts, end }) in calls.iter_mut().zip(&mut outcomes) {
        if end.is_none() {
            *end = read(&mut *call.receiver, texts);
        }
    }
    drop(calls);
    end.lose();
    assert_eq!(end.open_calls(), 0);
    outcomes
}

fn check(call: usize, script: &Script, outcome: &Outcome) -> Result<(), TestCaseError> {
    let expected: Vec<_> = (0..script.messages).map(|message| text(call, message)).collect();
    prop_assert_eq!(&outcome.read, &expected);
    match &outcome.end {
        Some(Ok(())) => prop_assert!(!script.fails),
        Some(Err(error)) => {
            prop_assert!(script.fails && error.code() == Code::Aborted, "{error}");
        }
        None => prop_assert!(false, "call {call} hangs"),
    }
    Ok(())
}

proptest! {
    #[test]
    fn in_any_order_each_call_receives_its_own_messages(
        scripts in vec(script(), 1..6),
        choices in vec(any::<Index>(), 1..40),
    ) {
        let outcomes = run(&scripts, &choices, None);
        for (call, (script, outcome)) in scripts.iter().zip(&outcomes).enumerate() {
            check(call, script, outcome)?;
        }
    }

    #[test]
    fn a_harmed_frame_fails_at_most_its_own_call(
        scripts in vec(script(), 2..6),
        choices in vec(any::<Index>(), 1..40),
        victim in any::<Index>(),
        frame in any::<Index>(),
        harm in harm(),
    ) {
        let victim = victim.index(scripts.len());
        let outcomes = run(&scripts, &choices, Some((victim, frame, harm)));
        for (call, (script, outcome)) in scripts.iter().zip(&outcomes).enumerate() {
            if call != victim {
                check(call, script, outcome)?;
            }
        }
    }
}
