//! `ImportCSV`: imports a file with a header row into a table.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use csv::{Reader, StringRecord};
use rusqlite::params_from_iter;
use volt_api::{Code, Status, data::SqlImportCsvConfiguration};

use super::{Database, quoted};
use crate::error::{Fault, Result, exists, invalid};

/// The longest record, in bytes. It is held in memory.
const MAX_RECORD: usize = 32 << 20;

/// Imports a file atomically. `progress` receives the number of imported rows after each configured
/// interval; an error from it cancels the import. `recheck` checks the caller's right to write
/// again before the commit.
///
/// A missing table is created, with column types that fit the scanned rows. Empty fields become NULL.
pub(crate) fn import(
    database: &Database,
    configuration: &SqlImportCsvConfiguration,
    source: &Path,
    abort: &AtomicBool,
    recheck: impl FnOnce() -> Result<()>,
    mut progress: impl FnMut(i64, i64) -> Result<()>,
) -> Result<i64> {
    let table = &configuration.table_name;
    let survey = survey(source, configuration.schema_scan_limit)?;
    database.restart_timer();
    database.begin()?;
    let there = database
        .connection
        .table_exists(None, table.as_str())
        .map_err(|error| database.fault(&error))?;
    if there && configuration.create_table {
        return Err(exists(format!("table `{table}` exists already")).into());
    }
    if !there {
        let columns = survey.columns.iter().map(|(name, kind)| format!("{} {kind}", quoted(name)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        database.run(&format!("CREATE TABLE {} ({columns})", quoted(table)))?;
    }
    let names: Vec<_> = survey.columns.iter().map(|(name, _)| quoted(name)).collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({})",
        quoted(table),
        names.join(", "),
        vec!["?"; names.len()].join(", ")
    );
    let refused = |error: rusqlite::Error| database.fault(&error);
    let (mut insert, _memory) = database.prepare(&sql, &BTreeMap::new())?;
    let mut reader = open(source)?;
    let mut record = StringRecord::new();
    let mut count = 0;
    while read(&mut reader, &mut record)? {
        if abort.load(Ordering::Relaxed) {
            return Err(Status::new(Code::Aborted, "the import was aborted").into());
        }
        let fields = record.iter().map(|field| (!field.is_empty()).then_some(field));
        database.restart_timer();
        insert.execute(params_from_iter(fields)).map_err(refused)?;
        count += 1;
        let interval = i64::from(configuration.progress_interval);
        if interval > 0 && count % interval == 0 && count < survey.rows {
            progress(count, survey.rows)?;
        }
    }
    drop(insert);
    recheck()?;
    database.restart_timer();
    database.commit()?;
    Ok(count)
}

/// The result of scanning the file.
struct Survey {
    /// The names and SQL types of the columns.
    columns: Vec<(String, &'static str)>,
    rows: i64,
}

fn survey(source: &Path, scan_limit: u32) -> Result<Survey> {
    let mut reader = open(source)?;
    let headers = reader.headers().map_err(|error| unreadable(&error))?.clone();
    if headers.iter().all(str::is_empty) {
        return Err(invalid("the CSV has no header row").into());
    }
    let mut shapes = vec![Shape::Nothing; headers.len()];
    let mut record = StringRecord::new();
    let mut rows = 0;
    while read(&mut reader, &mut record)? {
        if scan_limit == 0 || rows < i64::from(scan_limit) {
            for (shape, field) in shapes.iter_mut().zip(&record) {
                *shape = (*shape).max(Shape::of(field));
            }
        }
        rows += 1;
    }
    let name = |(index, name): (usize, &str)| match name.trim() {
        "" => format!("column_{}", index + 1),
        name => name.to_owned(),
    };
    let names = headers.iter().enumerate().map(name);
    let columns = names.zip(shapes).map(|(name, shape)| (name, shape.sql())).collect();
    Ok(Survey { columns, rows })
}

/// The type of a column's fields. Each variant can represent every value of the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Nothing,
    Integer,
    Real,
    Text,
}

impl Shape {
    fn of(field: &str) -> Self {
        let digits = field.trim_start_matches(['-', '+']);
        // Codes and telephone numbers would lose their leading zeros.
        let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        let numeric = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        if field.is_empty() {
            Self::Nothing
        } else if padded || !numeric {
            Self::Text
        } else if field.parse::<i64>().is_ok() {
            Self::Integer
        } else if field.parse::<f64>().is_ok() {
            Self::Real
        } else {
            Self::Text
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Nothing | Self::Text => "TEXT",
        }
    }
}

fn open(source: &Path) -> Result<Reader<Limited>> {
    Ok(Reader::from_reader(Limited { file: File::open(source)?, left: MAX_RECORD }))
}

/// Reads the next record. Returns whether there was one.
fn read(reader: &mut Reader<Limited>, record: &mut StringRecord) -> Result<bool> {
    reader.get_mut().left = MAX_RECORD;
    reader.read_record(record).map_err(|error| unreadable(&error))
}

/// A file that is read only so far for one record.
struct Limited {
    file: File,
    left: usize,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(format!("a record has more than {MAX_RECORD} bytes")));
        }
        let most = buffer.len().min(self.left);
        let read = self.file.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

fn unreadable(error: &csv::Error) -> Fault {
    invalid(format!("the CSV cannot be read: {error}")).into()
}

#[cfg(test)]
mod tests {
    use volt_api::Status;

    use super::{MAX_RECORD, Shape, survey};

    #[test]
    fn long_records_are_refused_before_they_are_in_memory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 28).unwrap();
        let error = survey(file.path(), 0).map(drop).unwrap_err();
        assert!(Status::from(error).message().contains(&MAX_RECORD.to_string()));
    }

    #[test]
    fn number_like_texts_are_not_numbers() {
        for (field, shape) in [
            ("", Shape::Nothing),
            ("0", Shape::Integer),
            ("-12", Shape::Integer),
            ("0.5", Shape::Real),
            ("1e3", Shape::Real),
            ("99999999999999999999", Shape::Real),
            ("007", Shape::Text),
            ("inf", Shape::Text),
            ("NaN", Shape::Text),
            ("-", Shape::Text),
            ("1.2.3", Shape::Text),
        ] {
            assert_eq!(Shape::of(field), shape, "{field:?}");
        }
    }
}
