//! The server: every call receives its own requests, in order, each once, or fails alone.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
    time::{SystemTime, UNIX_EPOCH},
};

use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::{runtime::Builder, task::yield_now};
use volt_runtime::{
    __core::{
        Body, ServerSide,
        call::{self, Incoming, Outgoing},
        crypto::{CallKey, Ephemeral},
        envelope::Envelope,
        frame::Frame,
        handshake::{ClientHandshake, Route, Via},
    },
    Method, MethodKind, Status,
    key::SigningKey,
    server::{self, IncomingCall, Requests, Router, Service, ServiceHost},
};
use volt_test_support::{Anyone, Note, Text};

use crate::support::{Harm, harm, interleaved};

static METHODS: [Method; 1] = [Method { path: "/test.Service/Echo", kind: MethodKind::Bidi }];

/// Echoes each request.
struct Echo;

impl Service for Echo {
    fn name(&self) -> &'static str {
        "test.Service"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn call(&self, _: usize, call: IncomingCall) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        server::bidi(call, async |_, mut requests: Requests<Note>, mut responses| {
            while let Some(note) = requests.message().await? {
                responses.send(note).await?;
            }
            Ok(())
        })
    }
}

struct Fixed {
    endpoint: Arc<ServiceHost>,
    route: Route,
    client: SigningKey,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let volt = SigningKey::generate().unwrap();
    let signer = volt.verifying_key();
    Fixed {
        endpoint: Arc::new(ServiceHost::new("volt", volt, Router::new().with(Echo), Anyone)),
        route: Route { audience: "volt".into(), signer, via: Via::default() },
        client: SigningKey::generate().unwrap(),
    }
});

fn text(call: u64, message: usize) -> String {
    format!("call {call}, message {message}")
}

/// Runs a connection in its own runtime.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

/// Runs all calls until they are idle.
async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

async fn open(end: &ServerSide, call: u64) -> CallKey {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ephemeral = Ephemeral::generate().unwrap();
    let (handshake, frame) =
        ClientHandshake::begin(call, &FIXED.route, &FIXED.client, None, ephemeral, now).unwrap();
    end.receive(frame.into(), false).unwrap();
    settle().await;
    let reply = Frame::decode(end.transmit().unwrap()).unwrap();
    assert_eq!(reply.call, call);
    handshake.complete(reply.body).unwrap()
}

/// The server's answers to one call.
#[derive(Debug, Default)]
struct Answers {
    texts: Vec<String>,
    /// Each end, with its error.
    ends: Vec<Option<Status>>,
    after_end: usize,
}

async fn run(
    lengths: &[usize],
    choices: &[Index],
    harmed: Option<(usize, Index, Harm)>,
) -> Vec<Answers> {
    let end = ServerSide::new(Arc::clone(&FIXED.endpoint));
    let mut keys = Vec::new();
    let mut requests: Vec<Vec<Vec<Vec<u8>>>> = Vec::new();
    for (call, length) in (0..).zip(lengths) {
        let key = open(&end, call).await;
        let mut outgoing = Outgoing::client(call, METHODS[0].path, None);
        let mut frames = Vec::new();
        for message in 0..*length {
            let note = serde_json::to_string(&Note::new(text(call, message), 0)).unwrap();
            frames.push(vec![outgoing.message(&key, &Text(note)).unwrap()]);
        }
        frames.push(vec![outgoing.end(&key, None).unwrap()]);
        requests.push(frames);
        keys.push(key);
    }
    if let Some((call, frame, harm)) = harmed {
        let frames = &mut requests[call];
        let at = frame.index(frames.len());
        frames[at] = harm.apply(frames[at].remove(0));
    }
    let steps: Vec<_> = requests.iter().map(Vec::len).collect();
    let mut requests: Vec<_> = requests.into_iter().map(Vec::into_iter).collect();
    for (step, call) in interleaved(&steps, choices).into_iter().enumerate() {
        for frame in requests[call].next().unwrap() {
            end.receive(frame.into(), false).unwrap();
        }
        if step % 3 == 0 {
            settle().await;
        }
    }
    settle().await;
    let mut answers: Vec<Answers> = keys.iter().map(|_| Answers::default()).collect();
    while let Some(message) = end.transmit() {
        let frame = Frame::decode(message).unwrap();
        let call = usize::try_from(frame.call).unwrap();
        let answers = &mut answers[call];
        answers.after_end += usize::from(!answers.ends.is_empty());
        match call::open(&keys[call], frame.body).unwrap() {
            Incoming::Envelope(Envelope::Payload(Body::Json(json))) => {
                answers.texts.push(serde_json::from_str::<Note>(&json).unwrap().text);
            }
            Incoming::Envelope(Envelope::End(failure)) => answers.ends.push(failure),
            other => panic!("{other:?}"),
        }
    }
    end.lose();
    settle().await;
    assert_eq!(end.open_calls(), 0);
    answers
}

fn check(call: u64, length: usize, answers: &Answers) -> Result<(), TestCaseError> {
    let expected: Vec<_> = (0..length).map(|message| text(call, message)).collect();
    prop_assert_eq!(&answers.texts, &expected);
    prop_assert_eq!((&answers.ends, answers.after_end), (&vec![None], 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_any_order_each_call_receives_its_own_requests(
        lengths in vec(1..6_usize, 1..6),
        choices in vec(any::<Index>(), 1..40),
    ) {
        let answers = block_on(run(&lengths, &choices, None));
        for (call, (length, answers)) in (0..).zip(lengths.iter().zip(&answers)) {
            check(call, *length, answers)?;
        }
    }

    #[test]
    fn a_harmed_frame_fails_at_most_its_own_call(
        lengths in vec(1..6_usize, 2..6),
        choices in vec(any::<Index>(), 1..40),
        victim in any::<Index>(),
        frame in any::<Index>(),
        harm in harm(),
    ) {
        let victim = victim.index(lengths.len());
        let harmed = Some((victim, frame, harm));
        let answers = block_on(run(&lengths, &choices, harmed));
        for (call, (length, answers)) in lengths.iter().zip(&answers).enumerate() {
            // A call ends at most once, in every case.
            prop_assert!(answers.ends.len() <= 1 && answers.after_end == 0, "{answers:?}");
            if call != victim {
                check(call as u64, *length, answers)?;
            }
        }
    }
}
