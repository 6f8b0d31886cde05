//! A synapse's descriptions of its documents.

use rusqlite::{OptionalExtension as _, params};
use volt_api::volt::SynapseDocumentMetadata;

use super::{Archive, log::find};
use crate::error::{Result, exhausted, not_found};

/// The maximum number of documents that a synapse describes.
const MAX_DESCRIPTIONS: i64 = 100_000;

/// A synapse's description of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Description {
    /// The roots of the document and their schemas.
    pub(crate) roots: Vec<SynapseDocumentMetadata>,
    /// Set if the hash of the document is announced.
    pub(crate) publish_hash: bool,
    /// The hash of the blob that the document represents.
    pub(crate) blob_hash: String,
    /// Set if the document was deleted. The other fields are then empty.
    pub(crate) deleted: bool,
}

impl Archive {
    /// Describes a document. The previous description is replaced.
    pub(crate) fn describe(&self, document: &str, description: &Description) -> Result<()> {
        self.write(|tx| {
            // Delete first, so that a description can be replaced when there is no room for
            // another.
            tx.prepare_cached("DELETE FROM description WHERE name = ?1")?.execute([document])?;
            let count: i64 =
                tx.query_row("SELECT count(*) FROM description", [], |row| row.get(0))?;
            if count >= MAX_DESCRIPTIONS {
                let message = format!("the synapse describes {MAX_DESCRIPTIONS} documents");
                return Err(exhausted(message).into());
            }
            tx.prepare_cached("INSERT INTO description VALUES (?1, ?2, ?3, ?4)")?.execute(
                params![
                    document,
                    description.publish_hash,
                    description.blob_hash,
                    description.deleted
                ],
            )?;
            let mut insert = tx.prepare_cached("INSERT INTO root VALUES (?1, ?2, ?3, ?4)")?;
            for root in &description.roots {
                insert.execute([document, &root.name, &root.r#type, &root.json_schema])?;
            }
            Ok(())
        })
    }

    /// Removes the description of a document.
    pub(crate) fn remove_description(&self, document: &str) -> Result<()> {
        match self.description(document)? {
            Some(description) if !description.deleted => {
                let deleted = Description { deleted: true, ..Description::default() };
                self.describe(document, &deleted)
            }
            _ => Err(not_found("document", document).into()),
        }
    }

    /// Returns the description of a document.
    pub(crate) fn description(&self, document: &str) -> Result<Option<Description>> {
        self.read(|archive| {
            let mut select = archive.prepare_cached(
                "SELECT publish_hash, blob_hash, deleted FROM description WHERE name = ?1",
            )?;
            let row = select.query_row([document], |row| {
                Ok(Description {
                    roots: Vec::new(),
                    publish_hash: row.get(0)?,
                    blob_hash: row.get(1)?,
                    deleted: row.get(2)?,
                })
            });
            let Some(mut description) = row.optional()? else { return Ok(None) };
            let mut select = archive.prepare_cached(
                "SELECT name, type, json_schema FROM root WHERE document = ?1 ORDER BY name",
            )?;
            let roots = select.query_map([document], |row| {
                Ok(SynapseDocumentMetadata {
                    name: row.get(0)?,
                    r#type: row.get(1)?,
                    json_schema: row.get(2)?,
                    ..SynapseDocumentMetadata::default()
                })
            })?;
            description.roots = roots.collect::<rusqlite::Result<_>>()?;
            Ok(Some(description))
        })
    }

    /// Returns the number of the last update of a document, or `None` if it has no content.
    pub(crate) fn last_update(&self, document: &str) -> Result<Option<i64>> {
        self.read(|archive| {
            let Some(id) = find(archive, document)? else { return Ok(None) };
            let mut select =
                archive.prepare_cached("SELECT max(id) FROM edit WHERE document_id = ?1")?;
            Ok(select.query_row([id], |row| row.get(0))?)
        })
    }
}
