//! Blobs, identified by the hash of their content.

use std::io::Read;

use rusqlite::{OptionalExtension as _, params};

use super::Archive;
use crate::{
    error::{Result, exhausted},
    store::rows::{signed, unsigned},
};

/// The size of a block, in bytes.
const BLOCK: u64 = 256 << 10;
/// The total size of the blobs of a synapse, in bytes.
const MAX_TOTAL: u64 = 8 << 30;

impl Archive {
    /// Returns the size of a blob, in bytes.
    pub(crate) fn blob(&self, hash: &str) -> Result<Option<u64>> {
        self.read(|archive| {
            let mut select = archive.prepare_cached("SELECT size FROM blob WHERE hash = ?1")?;
            Ok(select.query_row([hash], |row| row.get(0)).optional()?.map(unsigned))
        })
    }

    /// Stores a blob atomically. `content` has this hash and size.
    pub(crate) fn keep_blob(&self, hash: &str, size: u64, content: &mut impl Read) -> Result<()> {
        self.write(|tx| {
            if tx.prepare_cached("SELECT 1 FROM blob WHERE hash = ?1")?.exists([hash])? {
                return Ok(());
            }
            let total: i64 =
                tx.query_row("SELECT coalesce(sum(size), 0) FROM blob", [], |row| row.get(0))?;
            if unsigned(total) + size > MAX_TOTAL {
                return Err(exhausted("the blobs of the synapse need too much space").into());
            }
            tx.prepare_cached("INSERT INTO blob VALUES (?1, ?2)")?
                .execute(params![hash, signed(size)])?;
            let mut insert = tx.prepare_cached("INSERT INTO block VALUES (?1, ?2, ?3)")?;
            for position in 0u32.. {
                let mut block = Vec::new();
                if content.by_ref().take(BLOCK).read_to_end(&mut block)? == 0 {
                    break;
                }
                insert.execute(params![hash, position, block])?;
            }
            Ok(())
        })
    }

    /// Returns a block of a blob, or `None` after the last.
    pub(crate) fn block(&self, hash: &str, position: u32) -> Result<Option<Vec<u8>>> {
        self.read(|archive| {
            let mut select = archive
                .prepare_cached("SELECT content FROM block WHERE hash = ?1 AND position = ?2")?;
            Ok(select.query_row(params![hash, position], |row| row.get(0)).optional()?)
        })
    }
}
