//! Bounds the memory and the time of one row, based on the statement's program.
//!
//! SQLite limits each value, but the registers of a program hold one value each, and SQLite checks the
//! time limit only where the program jumps. A statement with thousands of expressions could therefore
//! hold thousands of large values, and run for hours on one row. The more a program can hold or
//! compute, the shorter its values may be.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Result, limits::Limit};

use super::policy::MAX_TRIGGER_DEPTH;

/// The number of values of the longest kind that the registers of one program may hold: 128 MiB.
const MEMORY: u64 = 8;
/// The number of such values that the instructions of one program may produce: 4 GiB, about ten seconds of
/// work.
const WORK: u64 = 256;

/// Sets the longest value of a connection to the statement's limit, which is at most `longest_value` bytes.
/// `reserve` is called with the memory that the values can need, and returns how much of it is available.
pub(super) fn bound(
    connection: &Connection,
    sql: &str,
    longest_value: i32,
    reserve: impl FnOnce(u64) -> u64,
) -> Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest_value)?;
    let sql = without_empty(sql);
    let mut explain = connection.prepare(&format!("EXPLAIN {sql}"))?;
    let mut instructions = explain.raw_query();
    let mut cost = Cost::default();
    while let Some(instruction) = instructions.next()? {
        let operation = instruction.get_ref(1)?.as_str()?;
        let [address, p1, p2, p3] = [0, 2, 3, 4].map(|column| instruction.get(column));
        cost.count(address?, operation, [p1?, p2?, p3?]);
    }
    let affordable = cost.longest_value(longest_value);
    let held = cost.held().max(1);
    let available = reserve(held * u64::from(affordable.unsigned_abs())) / held;
    let longest_value = i32::try_from(available).map_or(affordable, |most| most.min(affordable));
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest_value)?;
    Ok(())
}

/// Returns the text without the empty statements and comments before its first statement: `EXPLAIN` does
/// not accept them.
fn without_empty(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches(|char: char| char == ';' || char.is_ascii_whitespace());
        sql = if let Some(comment) = sql.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else if let Some(comment) = sql.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else {
            return sql;
        };
    }
}

/// The values that the programs of a statement can hold and produce. The first program is the statement
/// itself, each further one a trigger or the action of a foreign key.
#[derive(Default)]
struct Cost {
    /// The number of programs that have begun.
    programs: u64,
    /// The number of instructions that run another program.
    runs: u64,
    main: Values,
    others: Values,
}

/// Values of one kind of program.
#[derive(Default)]
struct Values {
    /// The registers that hold a computed or copied value, by program.
    registers: HashSet<(u64, i64)>,
    /// The registers into which each column of each cursor is read. A row in a table is not longer than a
    /// value, so reading each of its columns once counts as one value.
    columns: HashMap<(u64, i64), HashMap<i64, HashSet<i64>>>,
    instructions: u64,
}

impl Values {
    /// The number of values that can be held at once.
    fn held(&self) -> u64 {
        let most = |columns: &HashMap<_, HashSet<i64>>| columns.values().map(HashSet::len).max();
        let read: usize = self.columns.values().filter_map(most).sum();
        (self.registers.len() + read) as u64
    }
}

impl Cost {
    /// Counts an instruction with its operands.
    fn count(&mut self, address: i64, operation: &str, [p1, p2, p3]: [i64; 3]) {
        if address == 0 {
            self.programs += 1;
        }
        let program = self.programs;
        let values = if program <= 1 { &mut self.main } else { &mut self.others };
        let written = match operation {
            "Program" => {
                self.runs += 1;
                return;
            }
            "Column" | "VColumn" => {
                let columns = values.columns.entry((program, p1)).or_default();
                columns.entry(p2).or_default().insert(p3);
                values.instructions += 1;
                return;
            }
            "Function" | "PureFunc" | "Concat" | "MakeRecord" | "AggStep" | "AggStep1"
            | "AggInverse" | "AggValue" => p3..=p3,
            // The register refers to the bound value, which is counted apart.
            "Variable" => {
                values.instructions += 1;
                return;
            }
            "SCopy" | "RowData" | "SorterData" | "Param" => p2..=p2,
            "Copy" => p2..=p2.saturating_add(p3),
            "AggFinal" | "Cast" => p1..=p1,
            _ => return,
        };
        values.instructions += 1;
        values.registers.extend(written.map(|register| (program, register)));
    }

    /// Returns the number of nested runs of a program. Each program is listed once, so one that several
    /// instructions run may run itself.
    fn depth(&self) -> u64 {
        let nested = self.runs > self.programs.saturating_sub(1);
        if nested { u64::from(MAX_TRIGGER_DEPTH.unsigned_abs()) } else { 1 }
    }

    /// Returns the number of values that the statement can hold at once.
    fn held(&self) -> u64 {
        self.main.held() + self.others.held() * self.depth()
    }

    /// Returns the longest value, in bytes, that the statement may use; `longest` is the maximum
    /// for any statement.
    fn longest_value(&self, longest: i32) -> i32 {
        let produced = self.main.instructions + self.others.instructions * self.depth();
        let unit = u64::from(longest.unsigned_abs());
        let affordable = (MEMORY * unit / self.held().max(1)).min(WORK * unit / produced.max(1));
        i32::try_from(affordable).map_or(longest, |affordable| affordable.min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::policy::MAX_VALUE, *};

    /// A connection with some tables, and its longest value for a statement.
    fn longest(sql: &str) -> i32 {
        let connection = Connection::open_in_memory().unwrap();
        let columns = (0..100).map(|number| format!("c{number}")).collect::<Vec<_>>().join(", ");
        let schema = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x, y); CREATE TABLE wide ({columns});
             CREATE TABLE log (x); CREATE TABLE logged (x);
             CREATE TRIGGER logging AFTER INSERT ON logged BEGIN INSERT INTO log VALUES (new.x); END;
             CREATE TABLE tree (id INTEGER PRIMARY KEY, x,
                 parent INTEGER REFERENCES tree (id) ON DELETE CASCADE);"
        );
        connection.execute_batch(&schema).unwrap();
        bound(&connection, sql, MAX_VALUE, |wanted| wanted).unwrap();
        connection.limit(Limit::SQLITE_LIMIT_LENGTH).unwrap()
    }

    #[test]
    fn ordinary_statements_may_use_the_longest_values() {
        for sql in [
            "SELECT * FROM wide",
            ";; SELECT * FROM t JOIN wide ON c1 = x WHERE y LIKE ?1 OR c2 = ?1",
            "SELECT x, length(y) FROM t WHERE x = ? ORDER BY y",
            "INSERT INTO t VALUES (?, ?, ?)",
            "UPDATE t SET x = ? WHERE id = ?",
            "DELETE FROM t WHERE x = 'a'",
            "/* first */; -- second\n; SELECT x FROM t",
            "PRAGMA table_info(t)",
        ] {
            assert_eq!(longest(sql), MAX_VALUE, "{sql}");
        }
        // Each of these values is copied at least once.
        for sql in ["INSERT INTO logged VALUES (?)", "SELECT max(x), group_concat(y) FROM t"] {
            assert!(longest(sql) >= MAX_VALUE / 2, "{sql}: {}", longest(sql));
        }
    }

    #[test]
    fn more_values_in_a_program_lower_the_limit() {
        for count in [10_i32, 100, 900] {
            let each = |text: fn(i32) -> String| (0..count).map(text).collect::<Vec<_>>();
            for sql in [
                format!("SELECT {}", each(|n| format!("hex(zeroblob({n}))")).join(", ")),
                format!("SELECT {} FROM t", each(|n| format!("x || {n}")).join(", ")),
                format!("SELECT {} FROM t", each(|_| "x".to_owned()).join(", ")),
                format!("SELECT {} FROM t", each(|n| format!("group_concat(x, {n})")).join(", ")),
            ] {
                let limit = longest(&sql);
                let all = u64::from(limit.unsigned_abs()) * u64::from(count.unsigned_abs());
                assert!(limit > 0 && all <= 128 << 20, "{limit} for {count} of `{sql}`");
            }
        }
    }

    #[test]
    fn more_instructions_on_values_lower_the_limit() {
        let sum = vec!["length(hex(x))"; 100].join(" + ");
        let limit = longest(&format!("SELECT {} FROM t", vec![sum; 400].join(", ")));
        assert!(limit > 0 && u64::from(limit.unsigned_abs()) * 40_000 <= 4 << 30, "{limit}");
    }

    #[test]
    fn values_are_shorter_if_less_memory_is_available() {
        const AVAILABLE: u64 = 1 << 20;
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x, y)").unwrap();
        let parameters = ["(?, ?)"; 10].join(", ");
        for (sql, most) in [
            ("SELECT x || 1, x || 2, x || 3, x FROM t", 8),
            // Parameters are counted apart.
            (&format!("INSERT INTO t VALUES {parameters}"), 4),
            ("SELECT 1", 1),
        ] {
            let mut wanted = 0;
            let reserve = |bytes| {
                wanted = bytes;
                AVAILABLE
            };
            bound(&connection, sql, MAX_VALUE, reserve).unwrap();
            let values = wanted / u64::from(MAX_VALUE.unsigned_abs());
            assert!((1..=most).contains(&values), "{values} of `{sql}`");
            let longest = connection.limit(Limit::SQLITE_LIMIT_LENGTH).unwrap();
            assert_eq!(u64::from(longest.unsigned_abs()), AVAILABLE / values, "{sql}");
        }
    }

    #[test]
    fn a_recursive_program_counts_for_every_level() {
        assert!(longest("DELETE FROM tree WHERE id = 1") < MAX_VALUE / 4);
    }
}
