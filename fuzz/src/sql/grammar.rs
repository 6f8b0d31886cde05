//! Statements that SQLite can parse, chosen by the bytes of an input.

use std::fmt::Write as _;

use arbitrary::Unstructured;

const NAMES: [&str; 14] =
    ["t", "u", "log", "v", "f", "r", "id", "x", "y", "z", "n", "rowid", "sqlite_schema", "temp.w"];
const LITERALS: [&str; 16] = [
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1e308",
    "NULL",
    "'a'",
    "''",
    "x'00'",
    "'%'",
    "'[1,{}]'",
    "'words'",
    "16777216",
    "1000000000",
    "'$.a'",
    "x'c3'",
];
const FUNCTIONS: [&str; 44] = [
    "abs",
    "char",
    "coalesce",
    "concat",
    "count",
    "date",
    "format",
    "fts5",
    "glob",
    "group_concat",
    "hex",
    "highlight",
    "instr",
    "json",
    "json_array",
    "json_each",
    "json_extract",
    "json_group_array",
    "json_object",
    "json_patch",
    "json_remove",
    "json_set",
    "json_tree",
    "jsonb",
    "length",
    "like",
    "load_extension",
    "lower",
    "ltrim",
    "max",
    "printf",
    "quote",
    "randomblob",
    "replace",
    "rtrim",
    "soundex",
    "sqlite_log",
    "strftime",
    "substr",
    "sum",
    "trim",
    "unhex",
    "unicode",
    "zeroblob",
];
const OPERATORS: [&str; 14] = [
    "||",
    "+",
    "*",
    "/",
    "%",
    "<<",
    "=",
    "<",
    "IS",
    "AND",
    "LIKE",
    "GLOB",
    "->>",
    "COLLATE nocase <",
];
const PRAGMAS: [&str; 30] = [
    "application_id",
    "auto_vacuum",
    "busy_timeout",
    "cache_size",
    "case_sensitive_like",
    "cell_size_check",
    "compile_options",
    "data_store_directory",
    "encoding",
    "foreign_keys",
    "hard_heap_limit",
    "incremental_vacuum",
    "integrity_check",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "optimize",
    "page_size",
    "query_only",
    "recursive_triggers",
    "schema_version",
    "secure_delete",
    "soft_heap_limit",
    "synchronous",
    "temp_store_directory",
    "trusted_schema",
    "user_version",
    "wal_checkpoint",
];
const VALUES: [&str; 12] = [
    "1",
    "0",
    "-1",
    "ON",
    "OFF",
    "'/tmp'",
    "65536",
    "DELETE",
    "EXCLUSIVE",
    "'UTF-16'",
    "TRUNCATE",
    "t",
];
const MODULES: [&str; 10] = [
    "fts3",
    "fts4",
    "fts5",
    "fts5vocab",
    "fts4aux",
    "rtree",
    "dbstat",
    "csv",
    "json_each",
    "unknown",
];
/// Complete statements, without parts to choose.
const FIXED: [&str; 16] = [
    "commit",
    "rollback",
    "next",
    "BEGIN",
    "COMMIT",
    "END",
    "SAVEPOINT s",
    "RELEASE s",
    "VACUUM",
    "VACUUM INTO 'elsewhere'",
    "ATTACH 'neighbour' AS n",
    "ATTACH ':memory:' AS n",
    "DETACH n",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN QUERY PLAN SELECT * FROM v",
];

/// Returns statements whose large values have up to `longest_value` bytes.
pub(super) fn statements(bytes: &[u8], longest_value: i32) -> Vec<String> {
    let input = Unstructured::new(bytes);
    let mut writer = Writer { input, longest_value, text: String::new() };
    let mut statements = Vec::new();
    while statements.len() < 4 && (statements.is_empty() || !writer.input.is_empty()) {
        writer.statement();
        statements.push(std::mem::take(&mut writer.text));
    }
    statements
}

struct Writer<'a> {
    input: Unstructured<'a>,
    longest_value: i32,
    text: String,
}

impl Writer<'_> {
    /// Chooses a number below `count`. An input that has ended chooses zero.
    fn choose(&mut self, count: u8) -> u8 {
        self.input.arbitrary::<u8>().unwrap_or_default() % count
    }

    fn one(&mut self, list: &[&str]) {
        let index = usize::from(self.choose(u8::try_from(list.len()).unwrap()));
        self.put(list[index]);
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push(' ');
    }

    fn statement(&mut self) {
        match self.choose(16) {
            0..=3 => self.select(3),
            4 => self.one(&FIXED),
            5 | 6 => self.pragma(),
            7 | 8 => {
                self.put("INSERT OR REPLACE INTO");
                self.one(&NAMES);
                self.select(2);
            }
            9 => {
                self.put("UPDATE");
                self.one(&NAMES);
                self.put("SET");
                self.one(&NAMES);
                self.put("=");
                self.expression(3);
            }
            10 => {
                self.put("DELETE FROM");
                self.one(&NAMES);
                self.put("WHERE");
                self.expression(3);
            }
            11 => self.create(),
            12 => {
                self.put("CREATE VIRTUAL TABLE w USING");
                self.one(&MODULES);
                self.put("(a, b, c)");
            }
            13 => {
                self.put("ALTER TABLE");
                self.one(&NAMES);
                self.one(&["RENAME TO w", "ADD COLUMN w", "DROP COLUMN x", "RENAME x TO w"]);
            }
            14 => {
                self.put("DROP");
                self.one(&["TABLE", "VIEW", "TRIGGER", "INDEX"]);
                self.one(&["t", "v", "logged", "sqlite_schema", "f", "f_data", "r_node"]);
            }
            _ => self.endless(),
        }
    }

    fn pragma(&mut self) {
        if self.choose(4) == 0 {
            self.text.push_str("SELECT * FROM pragma_");
            self.one(&PRAGMAS);
            self.put("('t')");
            return;
        }
        self.put("PRAGMA");
        self.one(&["", "main.", "temp."]);
        self.one(&PRAGMAS);
        match self.choose(3) {
            0 => {}
            1 => {
                self.put("=");
                self.one(&VALUES);
            }
            _ => {
                self.put("(");
                self.one(&VALUES);
                self.put(")");
            }
        }
    }

    fn create(&mut self) {
        match self.choose(5) {
            0 => {
                self.put("CREATE TABLE w AS");
                self.select(2);
            }
            1 => {
                self.put("CREATE VIEW w AS");
                self.select(2);
            }
            2 => {
                self.put("CREATE TRIGGER w AFTER INSERT ON log BEGIN INSERT INTO log");
                self.select(2);
                self.put("; END");
            }
            3 => {
                self.put("CREATE INDEX w ON t (");
                self.expression(2);
                self.put(")");
            }
            _ => {
                self.put("CREATE TABLE w (a DEFAULT (");
                self.expression(2);
                self.put("), b GENERATED ALWAYS AS (");
                self.expression(2);
                self.put("))");
            }
        }
    }

    fn endless(&mut self) {
        self.put("WITH RECURSIVE n (x) AS (SELECT");
        self.expression(1);
        self.put("UNION ALL SELECT");
        self.expression(2);
        self.put("FROM n) SELECT");
        self.expression(2);
        self.put("FROM n");
    }

    fn select(&mut self, depth: u8) {
        self.put("SELECT");
        self.one(&["", "DISTINCT"]);
        for _ in 0..self.choose(3) {
            self.expression(depth);
            self.put(",");
        }
        self.expression(depth);
        if self.choose(3) > 0 {
            self.put("FROM");
            self.one(&NAMES);
            for _ in 0..self.choose(3) {
                self.put(", ");
                self.one(&NAMES);
            }
        }
        match self.choose(6) {
            0 => {
                self.put("WHERE");
                self.expression(depth);
            }
            1 => {
                self.put("ORDER BY");
                self.expression(depth);
            }
            2 => {
                self.put("GROUP BY");
                self.expression(depth);
            }
            3 if depth > 0 => {
                self.one(&["UNION ALL", "EXCEPT", "INTERSECT"]);
                self.select(depth - 1);
            }
            _ => {}
        }
    }

    fn expression(&mut self, depth: u8) {
        if depth == 0 {
            return match self.choose(2) {
                0 => self.one(&LITERALS),
                _ => self.one(&NAMES),
            };
        }
        match self.choose(8) {
            0 => self.one(&LITERALS),
            1 => self.one(&NAMES),
            2 | 3 => {
                self.put("(");
                self.expression(depth - 1);
                self.one(&OPERATORS);
                self.expression(depth - 1);
                self.put(")");
            }
            4 | 5 => {
                self.one(&FUNCTIONS);
                self.put("(");
                for _ in 0..self.choose(3) {
                    self.expression(depth - 1);
                    self.put(",");
                }
                self.expression(depth - 1);
                self.put(")");
            }
            6 => {
                self.put("(");
                self.select(depth - 1);
                self.put(")");
            }
            _ => {
                // A large value.
                let size = self.longest_value >> self.choose(16);
                let _ = write!(self.text, "hex(zeroblob({size})) ");
            }
        }
    }
}
