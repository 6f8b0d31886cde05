//! Kept versions of documents.

use rusqlite::{OptionalExtension as _, params};
use volt_api::volt::SyncDocumentVersionSummary;

use super::{
    Archive,
    log::{find, find_or_create},
};
use crate::{
    error::{Result, exhausted},
    store::rows::{signed, unsigned},
};

/// The maximum number of versions of a document.
const MAX_VERSIONS: i64 = 1000;

impl Archive {
    /// Stores a version of a document: the whole document as one update.
    pub(crate) fn keep_version(
        &self,
        document: &str,
        version: &SyncDocumentVersionSummary,
        whole: &[u8],
    ) -> Result<()> {
        self.write(|tx| {
            let id = find_or_create(tx, document)?;
            let count: i64 = tx
                .prepare_cached("SELECT count(*) FROM version WHERE document_id = ?1")?
                .query_row([id], |row| row.get(0))?;
            if count >= MAX_VERSIONS {
                return Err(exhausted(format!("the document has {MAX_VERSIONS} versions")).into());
            }
            tx.prepare_cached(
                "INSERT INTO version (id, document_id, created, identity, label, hash, payload)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                version.version_id,
                id,
                signed(version.timestamp),
                version.identity,
                version.label,
                version.document_hash,
                whole,
            ])?;
            Ok(())
        })
    }

    /// Returns versions of a document, newest first.
    pub(crate) fn versions(
        &self,
        document: &str,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<SyncDocumentVersionSummary>> {
        self.read(|archive| {
            let Some(id) = find(archive, document)? else { return Ok(Vec::new()) };
            let mut select = archive.prepare_cached(
                "SELECT id, created, identity, label, hash FROM version
                 WHERE document_id = ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3",
            )?;
            let rows = select.query_map(params![id, limit, offset], summary)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Returns a version of a document, and the whole document of that version.
    pub(crate) fn version(
        &self,
        document: &str,
        version: &str,
    ) -> Result<Option<(SyncDocumentVersionSummary, Vec<u8>)>> {
        self.read(|archive| {
            let Some(id) = find(archive, document)? else { return Ok(None) };
            let mut select = archive.prepare_cached(
                "SELECT id, created, identity, label, hash, payload FROM version
                 WHERE document_id = ?1 AND id = ?2",
            )?;
            let row =
                select.query_row(params![id, version], |row| Ok((summary(row)?, row.get(5)?)));
            Ok(row.optional()?)
        })
    }
}

fn summary(row: &rusqlite::Row<'_>) -> rusqlite::Result<SyncDocumentVersionSummary> {
    Ok(SyncDocumentVersionSummary {
        version_id: row.get(0)?,
        timestamp: unsigned(row.get(1)?),
        identity: row.get(2)?,
        label: row.get(3)?,
        document_hash: row.get(4)?,
        ..SyncDocumentVersionSummary::default()
    })
}
