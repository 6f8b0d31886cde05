//! The updates that make up the documents.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::Archive;
use crate::{
    error::{Result, exhausted},
    store::{now, rows::signed},
};

/// The maximum number of documents in a sync database.
const MAX_DOCUMENTS: i64 = 100_000;

/// The size of a document's log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Logged {
    /// The number of updates.
    pub(crate) updates: usize,
    /// Their size, in bytes.
    pub(crate) bytes: usize,
    /// The size of the first, which may be many merged ones.
    pub(crate) merged: usize,
}

impl Archive {
    /// Passes the updates of a document to `take`, oldest first. The document must not change
    /// meanwhile.
    pub(crate) fn replay(
        &self,
        document: &str,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Logged> {
        let mut logged = Logged::default();
        let mut last = 0;
        // Reads them one by one, so that other documents do not wait until all are applied.
        while let Some((id, update)) = self.read(|archive| next(archive, document, last))? {
            if logged.updates == 0 {
                logged.merged = update.len();
            }
            logged.updates += 1;
            logged.bytes += update.len();
            last = id;
            take(&update)?;
        }
        Ok(logged)
    }

    /// Appends an update to a document, which is created with the first.
    pub(crate) fn append(&self, document: &str, identity: &str, update: &[u8]) -> Result<()> {
        self.write(|tx| {
            let id = find_or_create(tx, document)?;
            insert(tx, id, identity, update)
        })
    }

    /// Replaces the updates of a document by one that contains them all.
    pub(crate) fn compact(&self, document: &str, update: &[u8]) -> Result<()> {
        self.write(|tx| {
            let Some(id) = find(tx, document)? else { return Ok(()) };
            tx.prepare_cached("DELETE FROM edit WHERE document_id = ?1")?.execute([id])?;
            insert(tx, id, "", update)
        })
    }
}

/// Returns the update of a document after the one with this number, and its number.
fn next(archive: &Connection, document: &str, last: i64) -> Result<Option<(i64, Vec<u8>)>> {
    let mut select = archive.prepare_cached(
        "SELECT edit.id, payload FROM edit JOIN document ON document.id = document_id
         WHERE name = ?1 AND edit.id > ?2 ORDER BY edit.id LIMIT 1",
    )?;
    let row = select.query_row(params![document, last], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(row.optional()?)
}

/// Returns the number of a document.
pub(super) fn find(archive: &Connection, document: &str) -> Result<Option<i64>> {
    let mut select = archive.prepare_cached("SELECT id FROM document WHERE name = ?1")?;
    Ok(select.query_row([document], |row| row.get(0)).optional()?)
}

/// Returns the number of a document, which is created unless it exists.
pub(super) fn find_or_create(tx: &Transaction<'_>, document: &str) -> Result<i64> {
    if let Some(id) = find(tx, document)? {
        return Ok(id);
    }
    let count: i64 = tx.query_row("SELECT count(*) FROM document", [], |row| row.get(0))?;
    if count >= MAX_DOCUMENTS {
        return Err(exhausted(format!("the database has {MAX_DOCUMENTS} documents")).into());
    }
    tx.prepare_cached("INSERT INTO document (name) VALUES (?1)")?.execute([document])?;
    Ok(tx.last_insert_rowid())
}

fn insert(tx: &Transaction<'_>, document: i64, identity: &str, update: &[u8]) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO edit (document_id, created, identity, payload) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![document, signed(now()), identity, update])?;
    Ok(())
}
