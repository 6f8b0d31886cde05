//! One exchange, with a Volt written out message by message.

mod simulation;
mod volt;

use super::*;
use crate::volt::sync_document_request::Payload;

pub(super) fn settings() -> Settings {
    Settings {
        database: "@notes".to_owned(),
        document: "todo".to_owned(),
        read_only: false,
        read_only_fallback: false,
        batch: Duration::from_millis(50),
        max_update: 1 << 20,
        chunk: CHUNK,
    }
}

/// An update with recognizable bytes. The exchange does not look into it.
fn update(byte: u8) -> Vec<u8> {
    vec![byte; 20]
}

fn message(state: SyncState, update: Option<&[u8]>) -> SyncDocumentResponse {
    let piece = |update: &[u8]| {
        SyncDocumentUpdate::default().with_chunk(update.to_vec()).with_complete(true)
    };
    SyncDocumentResponse { update: update.map(piece), ..Default::default() }.with_sync_state(state)
}

struct Test {
    exchange: Exchange,
    now: Instant,
}

impl Test {
    fn new(settings: Settings) -> Self {
        Self { exchange: Exchange::new(settings), now: Instant::now() }
    }

    /// A call after its first message.
    fn opened() -> Self {
        let mut test = Self::new(settings());
        test.open();
        test
    }

    fn open(&mut self) {
        self.exchange.opened(self.now, vec![0]);
        let (state, start) = self.sent().pop().unwrap();
        assert_eq!((state, start), (SyncState::Syncing, None));
    }

    /// A call in which the Volt waits for DONE.
    fn received() -> Self {
        let mut test = Self::opened();
        test.receive(&message(SyncState::Syncing, Some(Update::EMPTY_V2)));
        assert_eq!(test.actions(), [Action::Answer(Vec::new())]);
        test
    }

    /// A call in which both are equal.
    fn live() -> Self {
        let mut test = Self::received();
        test.exchange.answer(test.now, update(1));
        assert_eq!(test.sent(), [(SyncState::Done, Some(update(1)))]);
        test.receive(&message(SyncState::Done, None));
        assert_eq!(test.exchange.phase(), Phase::Live);
        test
    }

    fn receive(&mut self, message: &SyncDocumentResponse) {
        self.exchange.receive(self.now, message.clone()).unwrap();
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.exchange.next_action()).collect()
    }

    /// The messages that are sent now: their states and updates.
    fn sent(&mut self) -> Vec<(SyncState, Option<Vec<u8>>)> {
        let mut sent = Vec::new();
        while let Some(message) = self.exchange.next_message(self.now).unwrap() {
            let update = match &message.payload {
                Some(Payload::Update(piece)) => Some(piece.chunk.clone()),
                _ => None,
            };
            sent.push((message.sync_state(), update));
        }
        assert!(!self.exchange.has_message(self.now));
        sent
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn change(&mut self, update: Vec<u8>) {
        self.exchange.changed(self.now, update);
    }
}

/// Two updates that can be merged.
fn texts() -> [Vec<u8>; 2] {
    use std::sync::{Arc, Mutex};
    use yrs::{Doc, Text as _, Transact as _};

    let doc = Doc::new();
    let updates = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&updates);
    doc.observe_update_v2("test", move |_, event| {
        kept.lock().unwrap().push(event.update.clone());
    })
    .unwrap();
    let text = doc.get_or_insert_text("text");
    for part in ["a", "b"] {
        text.push(&mut doc.transact_mut(), part);
    }
    let updates = updates.lock().unwrap().clone();
    updates.try_into().unwrap()
}

#[test]
fn edits_between_done_and_its_answer_go_out_after_it() {
    let mut test = Test::received();
    test.change(update(2)); // Before the answer is computed, so it is a part of it.
    test.exchange.answer(test.now, update(3));
    let [first, second] = texts();
    test.change(first.clone());
    assert_eq!(test.sent(), [(SyncState::Done, Some(update(3)))]);
    test.change(second.clone());
    test.wait(1000);
    assert_eq!(test.sent(), [], "the Volt may not know of them yet");
    test.receive(&message(SyncState::Done, None));
    assert_eq!(test.exchange.acknowledged(), Some(1));
    let merged = yrs::merge_updates_v2([first, second]).unwrap();
    assert_eq!(test.sent(), [(SyncState::Update, Some(merged))]);
    assert_eq!(test.exchange.acknowledged(), Some(1), "updates are not acknowledged");
}

#[test]
fn edits_are_batched_unless_they_are_many() {
    let mut test = Test::live();
    test.change(update(2));
    assert_eq!(test.exchange.next_timeout(), Some(test.now + Duration::from_millis(50)));
    test.wait(49);
    assert_eq!(test.sent(), []);
    test.wait(1);
    assert_eq!(test.sent(), [(SyncState::Update, Some(update(2)))]);
    test.change(vec![3; CHUNK + 1]);
    let sizes: Vec<_> = test.sent().into_iter().map(|(_, update)| update.unwrap().len()).collect();
    assert_eq!(sizes, [CHUNK, 1]);
}

#[test]
fn hurry_sends_edits_at_once() {
    let mut test = Test::live();
    test.change(update(2));
    test.exchange.hurry();
    assert_eq!(test.sent(), [(SyncState::Update, Some(update(2)))]);
    test.change(update(3));
    assert_eq!(test.sent(), [], "the next ones are batched again");
}

#[test]
fn a_step_that_is_not_answered_ends_the_call() {
    for (mut test, step) in [
        (Test::opened(), "did not answer"),
        (
            {
                let mut test = Test::received();
                test.exchange.answer(test.now, update(1));
                test
            },
            "did not acknowledge",
        ),
    ] {
        let late = test.exchange.next_timeout().unwrap();
        test.exchange.expired(late.checked_sub(Duration::from_millis(1)).unwrap()).unwrap();
        let error = test.exchange.expired(late).unwrap_err();
        assert!(error.is_deadline() && error.to_string().contains(step), "{error}");
    }
    let mut live = Test::live();
    live.wait(3_600_000);
    live.exchange.expired(live.now).unwrap();
    assert_eq!(live.exchange.next_timeout(), None);
}

#[test]
fn a_slowly_arriving_document_does_not_time_out() {
    let mut test = Test::opened();
    let mut piece = message(SyncState::Syncing, Some(&update(4)));
    piece.update.as_mut().unwrap().complete = false;
    for _ in 0..10 {
        test.wait(29_000);
        test.exchange.expired(test.now).unwrap();
        test.receive(&piece);
    }
    test.wait(30_000);
    let error = test.exchange.expired(test.now).unwrap_err();
    assert!(error.to_string().contains("in the middle"), "{error}");
}

#[test]
fn an_early_done_acknowledges_nothing() {
    let mut test = Test::opened();
    test.receive(&message(SyncState::Done, None));
    assert_eq!(test.exchange.phase(), Phase::Receiving);
    test.receive(&message(SyncState::Syncing, None));
    test.receive(&message(SyncState::Done, None));
    assert_eq!(test.exchange.phase(), Phase::Answering);
    test.exchange.answer(test.now, vec![1; 2 * CHUNK]);
    test.exchange.next_message(test.now).unwrap().unwrap();
    test.receive(&message(SyncState::Done, None));
    assert_eq!(test.exchange.phase(), Phase::Sending);
    assert_eq!(test.exchange.acknowledged(), None);
}

#[test]
fn unusual_messages_of_a_volt_are_accepted() {
    let mut test = Test::opened();
    // A vector on any message; the last one counts.
    let vector = |mut message: SyncDocumentResponse, byte| {
        message.state_vector = vec![byte];
        message
    };
    let mut piece = vector(message(SyncState::Syncing, Some(&update(1))), 1);
    piece.update.as_mut().unwrap().complete = false;
    test.receive(&piece);
    test.receive(&message(SyncState::Unknown, Some(&update(9))));
    // Another update in between.
    test.receive(&message(SyncState::Update, Some(&update(2))));
    test.receive(&message(SyncState::Awareness, Some(&update(3))));
    test.receive(&vector(message(SyncState::Syncing, Some(&[])), 7));
    let actions = [
        Action::Apply(update(2)),
        Action::Awareness(update(3)),
        Action::Apply(update(1)),
        Action::Answer(vec![7]),
    ];
    assert_eq!(test.actions(), actions);
    test.exchange.answer(test.now, update(1));
    test.sent();
    test.receive(&message(SyncState::Update, Some(&update(4))));
    test.receive(&message(SyncState::Done, Some(&update(5))));
    // Zero bytes are not an update.
    test.receive(&message(SyncState::Update, Some(&[])));
    test.receive(&message(SyncState::Awareness, Some(&[])));
    test.receive(&message(SyncState::Syncing, Some(&update(6))));
    let actions = [4, 5, 6].map(|byte| Action::Apply(update(byte)));
    assert_eq!(test.actions(), actions);
    assert_eq!(test.exchange.phase(), Phase::Live);
}

#[test]
fn a_read_only_document_sends_no_edits() {
    let asked = Settings { read_only: true, ..settings() };
    let mut told = message(SyncState::Syncing, None);
    told.is_read_only = true;
    for (settings, first) in [(asked, message(SyncState::Syncing, None)), (settings(), told)] {
        let mut test = Test::new(settings);
        test.open();
        test.change(update(1));
        test.receive(&first);
        assert!(test.exchange.is_read_only());
        test.exchange.answer(test.now, update(1));
        test.change(update(2));
        assert_eq!(test.sent(), [(SyncState::Done, Some(Update::EMPTY_V2.to_vec()))]);
        test.receive(&message(SyncState::Done, None));
        test.change(update(3));
        test.wait(1000);
        assert_eq!(test.sent(), []);
        assert_eq!((test.exchange.acknowledged(), test.exchange.edits()), (Some(0), 3));
    }
}

#[test]
fn a_document_that_becomes_read_only_sends_nothing_more() {
    let mut test = Test::live();
    test.change(update(2));
    let mut told = message(SyncState::Update, Some(&update(3)));
    told.is_read_only = true;
    test.receive(&told);
    test.wait(1000);
    assert_eq!(test.sent(), []);
    // The next call may permit it.
    test.exchange.closed(false);
    assert!(test.exchange.is_read_only());
    test.open();
    assert!(!test.exchange.is_read_only());
}

#[test]
fn an_update_larger_than_the_limit_is_final() {
    let mut test = Test::new(Settings { max_update: 30, ..settings() });
    test.open();
    let mut piece = message(SyncState::Syncing, Some(&update(1)));
    piece.update.as_mut().unwrap().complete = false;
    test.receive(&piece);
    let error = test.exchange.receive(test.now, piece).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[test]
fn a_stopped_call_is_drained_before_it_ends() {
    let mut test = Test::live();
    test.change(update(2));
    test.exchange.own_state(update(3));
    test.exchange.stop(Some(update(4)));
    assert!(!test.exchange.is_drained());
    let sent = [(SyncState::Update, Some(update(2))), (SyncState::Awareness, Some(update(4)))];
    assert_eq!(test.sent(), sent);
    assert!(test.exchange.is_drained());
    test.exchange.closed(true);
    assert_eq!(test.exchange.acknowledged(), Some(1));
}

#[test]
fn an_edit_that_cannot_be_written_restarts_the_call() {
    let mut test = Test::live();
    test.change(update(2));
    test.change(Vec::new());
    test.exchange.stop(None);
    assert!(!test.exchange.is_drained());
    let error = test.exchange.next_message(test.now).unwrap_err();
    assert!(error.is_connection(), "{error}");
}

#[test]
fn the_time_to_stop_grows_with_the_waiting_edits() {
    let mut test = Test::live();
    assert_eq!(test.exchange.drain_time(), Duration::ZERO);
    test.change(vec![2; 10 * SLOWEST as usize]);
    assert_eq!(test.exchange.drain_time(), Duration::from_secs(10));
    test.exchange.closed(false);
    assert_eq!(test.exchange.drain_time(), PATIENCE);
}

#[test]
fn a_call_that_ends_early_acknowledges_nothing() {
    for (stop, clean) in [(false, true), (true, false)] {
        let mut test = Test::live();
        test.change(update(2));
        if stop {
            test.exchange.stop(None);
        }
        test.wait(50);
        test.sent();
        test.exchange.closed(clean);
        assert_eq!(test.exchange.acknowledged(), Some(0));
    }
}

#[test]
fn only_the_newest_own_state_is_sent() {
    let mut test = Test::opened();
    test.exchange.own_state(update(1));
    test.exchange.closed(false);
    let mut test = Test::live();
    for byte in 2..5 {
        test.exchange.own_state(update(byte));
    }
    assert_eq!(test.sent(), [(SyncState::Awareness, Some(update(4)))]);
}

#[test]
fn updates_that_wait_are_merged_and_too_many_restart_the_call() {
    let mut test = Test::live();
    let [first, second] = texts();
    for _ in 0..10_000 {
        test.change(first.clone());
        test.change(second.clone());
    }
    test.wait(50);
    let merged = yrs::merge_updates_v2([first, second]).unwrap();
    assert_eq!(test.sent(), [(SyncState::Update, Some(merged))]);
    // They do not decode, so they cannot be merged.
    for _ in 0..1000 {
        test.change(vec![0xff; 20]);
    }
    assert!(test.exchange.has_message(test.now));
    let error = test.exchange.next_message(test.now).unwrap_err();
    assert!(error.is_connection(), "{error}");
    test.exchange.closed(false);
    test.open();
    assert_eq!(test.exchange.edits(), 21_000);
}
