//! Paths in documents: JSON is Unicode and paths need not be, so that what is none stands as U+FFFD there.

use serde::Serializer;
use std::path::{Path, PathBuf};

/// Writes a path.
pub(crate) fn path<S: Serializer>(path: impl AsRef<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.as_ref().to_string_lossy())
}

/// Writes a path, or null.
pub(crate) fn path_or_none<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => self::path(path, serializer),
        None => serializer.serialize_none(),
    }
}
