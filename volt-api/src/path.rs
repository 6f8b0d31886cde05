//! References to resources, with an optional path from there.

use std::fmt;

use volt_runtime::{Error, Result};

/// A resource, and optionally a path from there: names separated by `/`.
///
/// In one text, the part before the first `/` is a resource id or `@alias`, and the rest is the path:
/// `@home/reports/2026.csv`. Empty names and `.` in the path are ignored.
///
/// ```
/// use volt_api::ResourcePath;
///
/// let path = ResourcePath::from("@home/reports/2026.csv");
/// assert_eq!((path.resource_id(), path.path()), ("@home", "reports/2026.csv"));
/// assert_eq!(ResourcePath::from(("@home", "a/b")).to_string(), "@home/a/b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourcePath {
    id: String,
    path: String,
}

impl ResourcePath {
    /// Creates a path from a resource id or `@alias` and the names from there.
    pub fn new(resource_id: impl Into<String>, path: impl AsRef<str>) -> Self {
        let names = path.as_ref().split('/').filter(|name| !matches!(*name, "" | "."));
        Self { id: resource_id.into(), path: names.collect::<Vec<_>>().join("/") }
    }

    /// The resource id or `@alias`.
    pub fn resource_id(&self) -> &str {
        &self.id
    }

    /// The path from the resource. Empty for the resource itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the path of something in this folder.
    #[must_use]
    pub fn join(&self, path: impl AsRef<str>) -> Self {
        Self::new(&self.id, format!("{}/{}", self.path, path.as_ref()))
    }

    /// The names from the resource, in order.
    ///
    /// # Errors
    ///
    /// Fails if one of the names is `..`, which has no meaning on a Volt.
    #[cfg(feature = "volt")]
    pub(crate) fn names(&self) -> Result<Vec<&str>> {
        self.check()?;
        Ok(self.path.split('/').filter(|name| !name.is_empty()).collect())
    }

    /// Refuses paths that name no resource, and paths that leave it.
    pub(crate) fn check(&self) -> Result<()> {
        if self.id.is_empty() {
            return Err(Error::configuration(format!(
                "`{self}` does not name a resource: begin it with a resource id or `@alias`"
            )));
        }
        if self.path.split('/').any(|name| name == "..") {
            return Err(Error::configuration(format!("`{self}` leaves its resource through `..`")));
        }
        Ok(())
    }
}

impl From<&str> for ResourcePath {
    fn from(text: &str) -> Self {
        let (id, path) = text.split_once('/').unwrap_or((text, ""));
        Self::new(id, path)
    }
}

impl From<String> for ResourcePath {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for ResourcePath {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&Self> for ResourcePath {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

impl<I: Into<String>, P: AsRef<str>> From<(I, P)> for ResourcePath {
    fn from((id, path): (I, P)) -> Self {
        Self::new(id, path)
    }
}

#[cfg(feature = "volt")]
impl From<&crate::volt::Resource> for ResourcePath {
    fn from(resource: &crate::volt::Resource) -> Self {
        Self::new(&resource.id, "")
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_cannot_leave_the_resource() {
        let path = ResourcePath::from("did:volt:1//a/./b/");
        assert_eq!((path.resource_id(), path.path()), ("did:volt:1", "a/b"));
        assert_eq!(path.join("/c").path(), "a/b/c");
        assert!(path.check().is_ok());
        for wrong in ["", "/a", "@home/..", "@home/a/../b"] {
            assert!(ResourcePath::from(wrong).check().unwrap_err().is_configuration(), "{wrong}");
        }
    }
}
