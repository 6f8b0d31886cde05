//! Progress reports of transfers.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

type Report = Box<dyn FnMut(u64, Option<u64>) + Send>;

/// Reports the progress of a transfer to the caller's function. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Progress(Option<Arc<Mutex<State>>>);

struct State {
    report: Report,
    done: u64,
    total: Option<u64>,
    /// The last number that was reported. Restarting a file does not decrease it.
    reported: Option<u64>,
}

impl Progress {
    pub(crate) fn new(report: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        let report = Box::new(report);
        Self(Some(Arc::new(Mutex::new(State { report, done: 0, total: None, reported: None }))))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        if let Some(state) = &self.0 {
            change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Sets the total number of bytes.
    pub(crate) fn set_total(&self, total: u64) {
        self.change(|state| state.total = Some(total));
    }

    /// Like [`set_total`](Self::set_total), unless the file is one of a folder, whose total is
    /// known.
    #[cfg(feature = "file")]
    pub(crate) fn set_total_if_unknown(&self, total: u64) {
        self.change(|state| _ = state.total.get_or_insert(total));
    }

    /// Starts counting the bytes of one file.
    pub(crate) fn file(&self) -> FileProgress {
        FileProgress { progress: self.clone(), bytes: 0 }
    }

    /// Reports the end of the transfer.
    pub(crate) fn finish(&self) {
        self.change(|state| {
            let total = state.total.unwrap_or(state.done);
            state.total = Some(total);
            (state.report)(total, Some(total));
        });
    }
}

impl State {
    /// Reports an increase. The total itself is reported only at the end.
    fn update(&mut self) {
        let increased = self.reported.is_none_or(|reported| self.done > reported);
        if increased && self.total.is_none_or(|total| self.done < total) {
            self.reported = Some(self.done);
            (self.report)(self.done, self.total);
        }
    }
}

/// Counts the bytes of one attempt to transfer a file.
pub(crate) struct FileProgress {
    progress: Progress,
    bytes: u64,
}

impl FileProgress {
    pub(crate) fn add(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.bytes += bytes;
        self.progress.change(|state| {
            state.done += bytes;
            state.update();
        });
    }

    /// The number of bytes of this attempt.
    #[cfg(feature = "file")]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps the bytes: the file is transferred.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for FileProgress {
    /// Subtracts the bytes of a failed attempt.
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.progress.change(|state| state.done = state.done.saturating_sub(bytes));
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress" } else { "None" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_never_decrease_and_end_at_the_total() {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&reports);
        let progress = Progress::new(move |done, _| seen.lock().unwrap().push(done));
        progress.set_total(10);
        let mut first = progress.file();
        first.add(4);
        first.add(4);
        drop(first);
        let mut again = progress.file();
        again.add(6);
        again.add(4);
        again.keep();
        progress.finish();
        assert_eq!(*reports.lock().unwrap(), [4, 8, 10]);
    }
}
