//! Records panics, including those in detached tasks.

use std::{panic, path::Path, sync::OnceLock};

static FIRST: OnceLock<String> = OnceLock::new();

/// Records the first panic from now on. The default hook still runs.
pub(crate) fn note() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, |location| {
            let file = Path::new(location.file()).file_name().unwrap_or_default();
            format!("{}:{}", file.display(), location.line())
        });
        // Later panics are ignored.
        let _ = FIRST.set(place);
        hook(info);
    }));
}

/// The location of the first panic.
pub(crate) fn first() -> Option<&'static str> {
    FIRST.get().map(String::as_str)
}
