//! Splits updates into pieces for sending, and reassembles received ones.

use volt_runtime::{Error, Result};

use crate::volt::{SyncDocumentRequest, SyncDocumentUpdate, SyncState};

/// The size of a piece, in bytes.
pub const CHUNK: usize = 1 << 20;

/// An outgoing update.
#[derive(Debug)]
pub(super) struct Chunks {
    state: SyncState,
    update: Vec<u8>,
    sent: usize,
    /// The size of a piece.
    size: usize,
}

impl Chunks {
    pub(super) fn new(state: SyncState, update: Vec<u8>, size: usize) -> Self {
        Self { state, update, sent: 0, size }
    }

    /// Returns the number of bytes that are not sent yet.
    pub(super) fn left(&self) -> usize {
        self.update.len().saturating_sub(self.sent)
    }

    /// Returns the next piece, and whether it is the last.
    pub(super) fn next(&mut self) -> (SyncDocumentRequest, bool) {
        let end = self.update.len().min(self.sent + self.size);
        let complete = end == self.update.len();
        // Most updates are one piece.
        let chunk = if complete && self.sent == 0 {
            std::mem::take(&mut self.update)
        } else {
            self.update[self.sent..end].to_vec()
        };
        self.sent = end;
        let update = SyncDocumentUpdate::default().with_chunk(chunk).with_complete(complete);
        let request = SyncDocumentRequest::default().with_update(update);
        (request.with_sync_state(self.state), complete)
    }
}

/// An incoming update.
#[derive(Debug, Default)]
pub(super) struct Assembler(Vec<u8>);

impl Assembler {
    /// Adds a piece. Returns the update once it is complete: empty if it has no bytes.
    pub(super) fn push(
        &mut self,
        piece: SyncDocumentUpdate,
        limit: usize,
    ) -> Result<Option<Vec<u8>>> {
        let chunk = piece.chunk;
        if chunk.len() > limit.saturating_sub(self.0.len()) {
            self.0 = Vec::new();
            // A final error, because another call would receive the same update.
            return Err(Error::configuration(format!(
                "the Volt sent an update of more than {limit} bytes: raise `max_update_size`"
            )));
        }
        if self.0.is_empty() {
            self.0 = chunk;
        } else {
            self.0.extend_from_slice(&chunk);
        }
        Ok(piece.complete.then(|| std::mem::take(&mut self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(length: usize) -> Vec<SyncDocumentUpdate> {
        let mut chunks = Chunks::new(SyncState::Update, vec![7; length], CHUNK);
        let mut pieces = Vec::new();
        loop {
            let (request, last) = chunks.next();
            let Some(crate::volt::sync_document_request::Payload::Update(piece)) = request.payload
            else {
                panic!("a piece of an update")
            };
            assert_eq!(piece.complete, last);
            pieces.push(piece);
            if last {
                return pieces;
            }
        }
    }

    #[test]
    fn pieces_have_the_size_of_a_chunk_and_form_the_update() {
        for (length, count) in [(0, 1), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (3 * CHUNK, 3)] {
            let pieces = cut(length);
            assert_eq!(pieces.len(), count, "{length}");
            assert!(pieces.iter().all(|piece| piece.chunk.len() <= CHUNK));
            let mut assembler = Assembler::default();
            let made: Vec<_> = pieces
                .into_iter()
                .filter_map(|piece| assembler.push(piece, usize::MAX).unwrap())
                .collect();
            assert_eq!(made, [vec![7; length]]);
        }
    }

    #[test]
    fn an_update_over_the_limit_is_an_error() {
        let mut assembler = Assembler::default();
        let piece = SyncDocumentUpdate::default().with_chunk(vec![0; 6]);
        assert_eq!(assembler.push(piece.clone(), 10).unwrap(), None);
        let error = assembler.push(piece, 10).unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
}
