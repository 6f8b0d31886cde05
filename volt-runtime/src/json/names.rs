//! The choice between the two names of a field.

use std::cell::Cell;

use super::usual::Unusual;

/// The names of fields in the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// As in the `.proto`: `unit_price`. This is what a Volt writes.
    #[default]
    Original,
    /// In camelCase, or as set by `json_name` in the `.proto`: `unitPrice`. This is protobuf's default.
    LowerCamel,
}

/// Both names of a field. Output has one of them; input may have either.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The name in the `.proto`.
    pub original: &'static str,
    /// The name in camelCase.
    pub camel: &'static str,
}

thread_local! {
    static NAMES: Cell<Names> = const { Cell::new(Names::Original) };
}

/// The names in the text that this thread is writing.
#[inline]
pub(super) fn current() -> Names {
    NAMES.get()
}

/// Makes the text that `write` writes on this thread use `names`.
pub(super) fn with<T>(names: Names, write: impl FnOnce() -> T) -> T {
    /// Restores the former choice, even when a panic leaves `write`.
    struct Restore(Names, Unusual);

    impl Drop for Restore {
        fn drop(&mut self) {
            NAMES.set(self.0);
        }
    }

    let _restore = Restore(NAMES.replace(names), Unusual::new());
    write()
}
