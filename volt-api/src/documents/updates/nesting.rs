//! The nesting of a document's shared types, into which the Yjs library recurses.

use yrs::{
    Array as _, ArrayRef, Map as _, MapRef, ReadTxn,
    branch::{Branch, BranchPtr},
};

use super::{
    check::{Summary, Unfit, check},
    writer::encode,
};

/// The maximum nesting of shared types.
pub const MAX_NESTING: u32 = 200;

/// An upper bound of the nesting of a document's shared types. `None` until it is measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nesting(Option<u32>);

impl Nesting {
    /// Returns the nesting of a document without content.
    pub fn empty() -> Self {
        Self(Some(0))
    }

    /// Counts an update that is to be applied.
    ///
    /// # Errors
    ///
    /// Fails if the document would be nested too deeply.
    pub fn admit(&mut self, document: &impl ReadTxn, update: Summary) -> Result<(), Unfit> {
        if update.nesting == 0 {
            return Ok(());
        }
        let deepest = match self.0 {
            Some(deepest) if deepest.saturating_add(update.nesting) <= MAX_NESTING => deepest,
            _ => measure(document)?,
        };
        self.0 = Some(deepest);
        if update.nesting > MAX_NESTING.saturating_sub(deepest) {
            return Err(Unfit::TooDeep);
        }
        self.0 = Some(deepest + update.nesting);
        Ok(())
    }
}

/// Measures the deepest nesting of shared types.
fn measure(document: &impl ReadTxn) -> Result<u32, Unfit> {
    let waiting = match document.store().pending_update() {
        Some(waiting) => check(&encode(&waiting.update), u64::MAX)?.nesting,
        None => 0,
    };
    let roots = document.root_refs().filter_map(|(_, root)| root.try_branch().map(BranchPtr::from));
    let mut open: Vec<_> = roots.map(|root| (root, 0_u32)).collect();
    let mut deepest = 0;
    while let Some((branch, depth)) = open.pop() {
        deepest = deepest.max(depth);
        open.extend(children(&branch, document).into_iter().map(|child| (child, depth + 1)));
    }
    Ok(deepest.saturating_add(waiting))
}

/// Returns the shared types that are directly in another.
fn children(branch: &Branch, document: &impl ReadTxn) -> Vec<BranchPtr> {
    let (map, list) =
        (MapRef::from(BranchPtr::from(branch)), ArrayRef::from(BranchPtr::from(branch)));
    let values = map.iter(document).map(|(_, value)| value).chain(list.iter(document));
    values.filter_map(|value| value.try_branch().map(BranchPtr::from)).collect()
}
