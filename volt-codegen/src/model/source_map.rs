//! Looks up places and comments, by the paths of protobuf's source information.

use std::collections::HashMap;

use prost_types::{FileDescriptorProto, source_code_info::Location};

use crate::{docs::Docs, error::Place};

/// The field numbers in descriptors, which make up paths.
pub(crate) mod tag {
    pub(crate) const PACKAGE: i32 = 2;
    pub(crate) const FILE_MESSAGE: i32 = 4;
    pub(crate) const FILE_ENUM: i32 = 5;
    pub(crate) const FILE_SERVICE: i32 = 6;
    pub(crate) const SYNTAX: i32 = 12;
    pub(crate) const MESSAGE_FIELD: i32 = 2;
    pub(crate) const MESSAGE_MESSAGE: i32 = 3;
    pub(crate) const MESSAGE_ENUM: i32 = 4;
    pub(crate) const MESSAGE_ONEOF: i32 = 8;
    pub(crate) const ENUM_VALUE: i32 = 2;
    pub(crate) const SERVICE_METHOD: i32 = 2;
}

/// The source information of one file.
pub(crate) struct SourceMap<'a> {
    file: &'a str,
    locations: HashMap<&'a [i32], &'a Location>,
}

impl<'a> SourceMap<'a> {
    pub(crate) fn new(file: &'a FileDescriptorProto) -> Self {
        let info = file.source_code_info.as_ref();
        let locations = info.into_iter().flat_map(|info| &info.location);
        Self {
            file: file.name(),
            locations: locations.map(|location| (location.path.as_slice(), location)).collect(),
        }
    }

    /// The place of an element.
    pub(crate) fn place(&self, path: &[i32]) -> Place {
        let span = self.locations.get(path).map(|location| location.span.as_slice());
        let position = match span {
            Some(&[line, column, ..]) => u32::try_from(line).ok().zip(u32::try_from(column).ok()),
            _ => None,
        };
        Place {
            file: self.file.to_owned(),
            position: position.map(|(line, column)| (line + 1, column + 1)),
        }
    }

    /// The comments of an element: before it and at the end of its line.
    pub(super) fn docs(&self, path: &[i32]) -> Docs {
        let Some(location) = self.locations.get(path) else { return Docs::default() };
        let leading = location.leading_comments();
        let trailing = location.trailing_comments();
        match (leading.trim().is_empty(), trailing.trim().is_empty()) {
            (false, false) => Docs::from_comment(&format!("{leading}\n\n{trailing}")),
            (false, true) => Docs::from_comment(leading),
            (true, _) => Docs::from_comment(trailing),
        }
    }
}
