//! Panics, also those in tasks that nobody waits for.

use std::{panic, path::Path, sync::OnceLock};

static FIRST: OnceLock<String> = OnceLock::new();

/// From now on, keeps the first panic in mind. The program goes on as it does by default.
pub(crate) fn note() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, |location| {
            let file = Path::new(location.file()).file_name().unwrap_or_default();
            format!("{}:{}", file.display(), location.line())
        });
        // Others that panic are not of interest.
        let _ = FIRST.set(place);
        hook(info);
    }));
}

/// Where the first panic was, if there was one.
pub(crate) fn first() -> Option<&'static str> {
    FIRST.get().map(String::as_str)
}
