//! Callers' SQL on a database of the embedded Volt, under its limits.
//!
//! The first byte selects the caller's rights and the kind of call. The rest is the text of the
//! statements, separated by a line `--`, or the choices of a [grammar](grammar). The target checks that
//! a call changes nothing but its database, and that only if it may; that it holds no lock afterwards;
//! and that its answers and its time are within the limits.

mod grammar;
mod place;

use std::{
    cell::RefCell,
    sync::LazyLock,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;
use volt_api::{
    Code,
    data::{
        SqlExecuteEnd, SqlExecuteNext, SqlExecuteResponse, SqlExecuteStart,
        sql_execute_request::Payload as Command, sql_execute_response::Payload, variant::Data,
    },
};
use volt_embedded::__core::execute;

use self::place::Place;

/// The time limit of a statement. Most endless ones are the same after a millisecond.
const LIMIT: Duration = Duration::from_millis(1);
/// The time that a call may take: one row is not interrupted.
const MAX_TIME: Duration = Duration::from_secs(10);
/// The responses, and their bytes, after which the caller leaves: each row may take its time.
const RESPONSES: usize = 40;
const BYTES: usize = 8 << 20;
/// The largest value and the largest row, in bytes: SECURITY.md.
const MAX_VALUE: usize = 16 << 20;
const MAX_ROW: usize = 32 << 20;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

thread_local! {
    static PLACE: RefCell<Place> = RefCell::new(Place::new());
}

/// Runs one input.
pub fn run(input: &[u8]) {
    let Some((flags, rest)) = input.split_first() else { return };
    let (writable, transaction) = (flags & 1 != 0, flags & 2 != 0);
    let page_size = if flags & 4 != 0 { 2 } else { 0 };
    let statements = match flags & 8 {
        0 => String::from_utf8_lossy(rest).split("\n--\n").map(str::to_owned).collect(),
        _ => grammar::statements(rest),
    };
    let commands: Vec<_> = statements
        .into_iter()
        .map(|statement| command(statement, transaction, page_size))
        .collect();
    let commits = !transaction
        || commands.iter().any(|command| {
            matches!(command, Command::End(SqlExecuteEnd { commit_transaction: true, .. }))
        });
    PLACE.with_borrow_mut(|place| {
        let begin = Instant::now();
        let (mut responses, mut bytes) = (0, 0);
        let outcome = RUNTIME.block_on(execute(&place.path(), writable, LIMIT, commands, |one| {
            bytes += check(one);
            responses += 1;
            responses < RESPONSES && bytes < BYTES
        }));
        assert!(begin.elapsed() < MAX_TIME, "it took {:?}", begin.elapsed());
        if let Err(status) = outcome {
            assert!(!matches!(status.code(), Code::Internal | Code::Unavailable), "{status:?}");
        }
        place.check(writable && commits);
    });
}

fn command(statement: String, transaction: bool, page_size: u32) -> Command {
    match statement.trim() {
        "next" => Command::Next(SqlExecuteNext::default()),
        "commit" => Command::End(SqlExecuteEnd::default().with_commit_transaction(true)),
        "rollback" => Command::End(SqlExecuteEnd::default()),
        _ => Command::Start(
            SqlExecuteStart::default()
                .with_statement(statement)
                .with_transaction(transaction)
                .with_page_size(page_size),
        ),
    }
}

/// Checks a response, and returns its size in bytes.
fn check(response: &SqlExecuteResponse) -> usize {
    let Some(Payload::Row(row)) = &response.payload else { return 0 };
    let sizes = row.column.iter().map(|cell| match &cell.data {
        // Bytes that are not UTF-8 are replaced, each by three.
        Some(Data::Text(text)) => text.chars().filter(|one| *one != '\u{fffd}').count(),
        Some(Data::Blob(bytes)) => bytes.len(),
        _ => 0,
    });
    let sizes: Vec<_> = sizes.collect();
    assert!(sizes.iter().all(|size| *size <= MAX_VALUE), "a value of {sizes:?}");
    let total = sizes.iter().sum();
    assert!(total <= MAX_ROW, "a row of {sizes:?}");
    total
}
