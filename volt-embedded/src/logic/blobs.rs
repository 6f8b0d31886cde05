//! Blobs of synapses, identified by the hash of their content.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    sync::Arc,
};

use aws_lc_rs::digest;
use tempfile::NamedTempFile;
use volt_api::{Status, volt::PutSynapseBlobStart};

use super::signing::{decode, encode};
use crate::{
    actor::Actor,
    archive::Archive,
    error::{Result, exhausted, invalid, not_found},
    rights::{DATABASE_READ, DATABASE_WRITE},
};

/// The largest blob, in bytes.
const MAX_BLOB: u64 = 256 << 20;

/// An incoming blob.
pub(crate) struct Arriving {
    archive: Arc<Archive>,
    synapse: String,
    hash: String,
    /// 0 if the caller has not announced it.
    size: u64,
    file: NamedTempFile,
    digest: digest::Context,
    received: u64,
}

impl Actor {
    pub(crate) fn has_blob(&self, synapse: &str, hash: &str) -> Result<bool> {
        let hash = parse_hash(hash)?;
        let synapse = self.reach_documents(synapse, DATABASE_READ)?;
        Ok(synapse.archive.blob(&hash)?.is_some())
    }

    /// Returns the archive with a blob, and the hash in the archive's form.
    pub(crate) fn open_blob(&self, synapse: &str, hash: &str) -> Result<(Arc<Archive>, String)> {
        let parsed = parse_hash(hash)?;
        let synapse = self.reach_documents(synapse, DATABASE_READ)?;
        if synapse.archive.blob(&parsed)?.is_none() {
            return Err(not_found("blob", hash).into());
        }
        Ok((synapse.archive, parsed))
    }

    /// Starts to receive a blob. Returns `None` if it exists already.
    pub(crate) fn begin_blob(&self, start: &PutSynapseBlobStart) -> Result<Option<Arriving>> {
        let hash = parse_hash(&start.hash)?;
        let synapse = self.reach_documents(&start.synapse_id, DATABASE_WRITE)?;
        if start.size > MAX_BLOB {
            return Err(too_large().into());
        }
        if synapse.archive.blob(&hash)?.is_some() {
            return Ok(None);
        }
        Ok(Some(Arriving {
            archive: synapse.archive,
            synapse: synapse.id,
            hash,
            size: start.size,
            file: self.volt.disk.incoming()?,
            digest: digest::Context::new(&digest::SHA256),
            received: 0,
        }))
    }

    /// Stores a blob that has arrived. The actor's rights are checked again, because they may have changed
    /// since.
    pub(crate) fn finish_blob(&self, arriving: Arriving) -> Result<()> {
        let Arriving { archive, synapse, hash, size, mut file, digest, received } = arriving;
        if size != 0 && received != size {
            return Err(invalid(format!("{received} of {size} bytes have arrived")).into());
        }
        if encode(digest.finish().as_ref()) != hash {
            return Err(invalid("the content does not have the hash").into());
        }
        self.read(|store| self.demand(store, &synapse, DATABASE_WRITE))?;
        let file: &mut File = file.as_file_mut();
        file.rewind()?;
        archive.keep_blob(&hash, received, file)
    }
}

impl Arriving {
    /// Adds a block.
    pub(crate) fn write(&mut self, block: &[u8]) -> Result<()> {
        let received = self.received + block.len() as u64;
        if received > MAX_BLOB {
            return Err(too_large().into());
        }
        if self.size != 0 && received > self.size {
            return Err(invalid(format!("more than {} bytes have arrived", self.size)).into());
        }
        self.received = received;
        self.digest.update(block);
        self.file.write_all(block)?;
        Ok(())
    }

    /// Returns whether the whole blob has arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.size != 0 && self.received == self.size
    }
}

/// Returns a hash as it is stored: base64url without padding.
pub(super) fn parse_hash(hash: &str) -> Result<String, Status> {
    match decode(hash) {
        Ok(bytes) if bytes.len() == digest::SHA256_OUTPUT_LEN => Ok(encode(&bytes)),
        _ => Err(invalid("a hash is SHA-256 in base64url")),
    }
}

fn too_large() -> Status {
    exhausted(format!("a blob may have at most {} MiB", MAX_BLOB >> 20))
}
