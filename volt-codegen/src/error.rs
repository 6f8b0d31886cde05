//! Problems in an API, each with its place in the `.proto` and a remedy.

use std::fmt;

/// All problems that prevent code from being generated.
///
/// Its `Debug` is the same as its `Display`, because a failing `main` of a `build.rs` prints
/// `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    problems: Vec<Problem>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The place, if known.
    pub place: Option<Place>,
    /// A description that names the element.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

/// A place in a `.proto` file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The name under which the file is imported; or its path, from [`disk`](crate::disk).
    pub file: String,
    /// Line and column, both from 1, if the descriptors contain source information.
    pub position: Option<(u32, u32)>,
}

impl Error {
    /// Returns all problems, sorted by place. Never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Replaces the names of files for which `rename` returns another one.
    pub(crate) fn with_files(mut self, rename: impl Fn(&str) -> Option<String>) -> Self {
        rename_files(&mut self.problems, rename);
        self
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Problem { place: None, message: message.into(), help: None }.into()
    }
}

/// Replaces the names of files for which `rename` returns another one.
pub(crate) fn rename_files(problems: &mut [Problem], rename: impl Fn(&str) -> Option<String>) {
    for place in problems.iter_mut().filter_map(|problem| problem.place.as_mut()) {
        if let Some(file) = rename(&place.file) {
            place.file = file;
        }
    }
}

impl std::error::Error for Error {}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        Ok(())
    }
}

/// Collects problems, so that all of them are reported at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, place: &Place, message: impl Into<String>, help: &str) {
        self.0.push(Problem {
            place: Some(place.clone()),
            message: message.into(),
            help: Some(help.to_owned()),
        });
    }

    pub(crate) fn into_result<T>(mut self, value: T) -> Result<T, Error> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(Error { problems: self.0 })
    }
}
