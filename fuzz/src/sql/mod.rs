//! Callers' SQL on a database of the embedded Volt, under its limits.
//!
//! The first byte selects the caller's rights and the kind of call. The rest is the text of the
//! statements, separated by a line `--`, or the choices of a [grammar](grammar). The target checks that
//! a call changes nothing but its database, and that only if it may; that it holds no lock afterwards;
//! and that its answers and its time are within the limits.

mod grammar;
mod place;

use std::{cell::RefCell, fs, sync::LazyLock, time::Duration};

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

/// The time limit of a statement. It is short, because most endless statements do nothing new after
/// a millisecond.
const LIMIT: Duration = Duration::from_millis(1);
/// The CPU time that a call may take: one row is not interrupted.
const MAX_TIME: Duration = Duration::from_secs(10);
/// The caller leaves after this many responses or bytes, because each row may take a while.
const RESPONSES: usize = 40;
const BYTES: usize = 8 << 20;
/// The largest value and the largest row, in bytes: SECURITY.md.
const MAX_VALUE: i32 = 16 << 20;
const MAX_ROW: usize = 32 << 20;
/// The largest value in most calls. Copies of large values would take nearly all the time.
const SMALL_VALUE: i32 = 64 << 10;
/// One in this many inputs has the limits of a Volt.
const LARGE: u64 = 256;

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
    let is_large = checksum(input) % LARGE == 0;
    let longest_value = if is_large { MAX_VALUE } else { SMALL_VALUE };
    let statements = match flags & 8 {
        0 => String::from_utf8_lossy(rest).split("\n--\n").map(str::to_owned).collect(),
        _ => grammar::statements(rest, longest_value),
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
        let begin = cpu_time();
        let (mut responses, mut bytes) = (0, 0);
        let read = |one: &SqlExecuteResponse| {
            bytes += check(one, longest_value);
            responses += 1;
            responses < RESPONSES && bytes < BYTES
        };
        let (path, longest) = (place.path(), longest_value);
        let outcome = RUNTIME.block_on(execute(&path, writable, LIMIT, longest, commands, read));
        let took = cpu_time().saturating_sub(begin);
        assert!(took < MAX_TIME, "it took {took:?}");
        if let Err(status) = outcome {
            assert!(!matches!(status.code(), Code::Internal | Code::Unavailable), "{status:?}");
        }
        place.check(writable && commits);
    });
}

/// The CPU time of this process, as Linux counts it: other programs do not count.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the name of the program, which may contain any character.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// FNV-1a.
fn checksum(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
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
fn check(response: &SqlExecuteResponse, longest_value: i32) -> usize {
    let Some(Payload::Row(row)) = &response.payload else { return 0 };
    let sizes = row.column.iter().map(|cell| match &cell.data {
        // Each byte that is not UTF-8 is replaced by three bytes.
        Some(Data::Text(text)) => text.chars().filter(|one| *one != '\u{fffd}').count(),
        Some(Data::Blob(bytes)) => bytes.len(),
        _ => 0,
    });
    let sizes: Vec<_> = sizes.collect();
    let longest_value = usize::try_from(longest_value).expect("it is positive");
    assert!(sizes.iter().all(|size| *size <= longest_value), "a value of {sizes:?}");
    let total = sizes.iter().sum();
    assert!(total <= MAX_ROW, "a row of {sizes:?}");
    total
}
