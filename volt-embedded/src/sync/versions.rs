//! Versions of a document: returning to one is a change like any other.

use std::collections::HashSet;

use volt_api::{Status, documents::updates};
use yrs::{
    Doc, Options, ReadTxn as _, Transact as _, UndoManager, Update, WriteTxn as _,
    branch::BranchPtr, undo, updates::decoder::Decode as _,
};

use super::document::{Document, check, guarded};
use crate::error::internal;

/// The origin of the changes that are undone.
const SINCE: &str = "since";

/// Returns the update that reverts a document to a version. `version` is the whole document of that
/// version.
pub(crate) fn reversal(document: &Document, version: &[u8]) -> Result<Vec<u8>, Status> {
    check(version)?;
    let failed = || internal("the document cannot be returned to the version");
    guarded(|| reverse(document, version)).flatten().ok_or_else(failed)
}

fn reverse(document: &Document, version: &[u8]) -> Option<Vec<u8>> {
    // Garbage collection would remove the content to restore.
    let doc = Doc::with_options(Options { skip_gc: true, ..Options::default() });
    let version = Update::decode_v2(version).ok()?;
    doc.transact_mut().apply_update(version).ok()?;
    let since = document.missing(&doc.transact().state_vector()).ok()?;
    let since = Update::decode_v2(&since).ok()?;
    {
        // Roots that were added later are emptied.
        let mut txn = doc.transact_mut();
        for name in document.roots() {
            if txn.get(name.as_str()).is_none() {
                txn.get_or_insert_text(name.as_str());
            }
        }
    }
    let roots: Vec<BranchPtr> = {
        let txn = doc.transact();
        let roots = txn.root_refs().filter_map(|(_, root)| root.try_branch().map(BranchPtr::from));
        roots.collect()
    };
    let mut undo = UndoManager::with_options(undo::Options {
        tracked_origins: HashSet::from([SINCE.into()]),
        ..undo::Options::default()
    });
    for root in &roots {
        undo.expand_scope(&doc, root);
    }
    doc.transact_mut_with(SINCE).apply_update(since).ok()?;
    undo.undo_blocking();
    drop(undo);
    let current = document.state();
    let update = updates::missing(&doc.transact(), &current);
    update.ok()
}
