//! Versions of a document. Reverting to a version is a change like any other.

use std::collections::HashSet;

use volt_api::{Status, documents::updates};
use yrs::{
    Doc, Options, ReadTxn as _, Transact as _, UndoManager, Update, WriteTxn as _, undo,
    updates::decoder::Decode as _,
};

use super::document::{Document, check, guarded};
use crate::error::internal;

/// The origin of the changes that are undone.
const SINCE: &str = "since";

/// Returns the update that reverts a document to a version. `version` is the whole document of that
/// version.
pub(crate) fn reversal(document: &Document, version: &[u8]) -> Result<Vec<u8>, Status> {
    check(version)?;
    let failed = || internal("the document cannot be reverted to the version");
    guarded(|| reverse(document, version)).flatten().ok_or_else(failed)
}

fn reverse(document: &Document, version: &[u8]) -> Option<Vec<u8>> {
    // Garbage collection would remove the content to restore.
    let options = Options { skip_gc: true, cleanup_formatting: false, ..Options::default() };
    let doc = Doc::with_options(options);
    let version = Update::decode_v2(version).ok()?;
    doc.transact_mut().apply_update(version).ok()?;
    let since = document.missing(&doc.transact().state_vector()).ok()?;
    let since = Update::decode_v2(&since).ok()?;
    // Roots that were added later are emptied. The undo manager notices changes of a root only if
    // the copy knows its type, which can be any type.
    let mut names = document.roots();
    names.extend(doc.transact().root_refs().map(|(name, _)| name.to_owned()));
    let roots: Vec<_> = {
        let mut txn = doc.transact_mut();
        names.iter().map(|name| txn.get_or_insert_text(name.as_str())).collect()
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

#[cfg(test)]
mod tests {
    use yrs::{GetString as _, StateVector, Text as _};

    use super::*;

    #[test]
    fn text_that_was_added_later_is_removed() {
        let doc = Doc::new();
        let text = doc.get_or_insert_text("text");
        let mut document = Document::new();
        let edit = |document: &mut Document, added: &str| {
            text.push(&mut doc.transact_mut(), added);
            let whole = doc.transact().encode_state_as_update_v2(&StateVector::default());
            document.apply(&whole).unwrap().unwrap();
        };
        edit(&mut document, "first");
        let version = document.whole().unwrap();
        edit(&mut document, " and second");
        let reversal = reversal(&document, &version).unwrap();
        document.apply(&reversal).unwrap().unwrap();
        assert_eq!(document.json().unwrap(), serde_json::json!({ "text": "first" }));
        doc.transact_mut().apply_update(Update::decode_v2(&reversal).unwrap()).unwrap();
        assert_eq!(text.get_string(&doc.transact()), "first");
    }
}
