//! Names from outside, validated once at the edge: projects, collections, remotes and publishers.
//!
//! Filenames of distributions are parsed by `wheel`, which also knows what they mean.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// A name that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a project name in the sense of PEP 508.
    #[error("{0:?} is not a project name: letters, digits, '.', '_' and '-', with a letter or digit at both ends")]
    Project(String),
    /// Not a collection name.
    #[error("{0:?} is not a collection name: 1 to 100 of a-z, 0-9, '.', '_' and '-', with a letter or digit first")]
    Collection(String),
    /// A revision where a collection is meant.
    #[error(
        "{0:?} is a revision, and here a collection is named: leave out '@' and what follows; an older revision is only read"
    )]
    Revision(String),
    /// A revision without its number or name.
    #[error("{0:?} names no revision: write COLLECTION@NUMBER or COLLECTION@SNAPSHOT")]
    NoRevision(String),
    /// Not a remote's name.
    #[error("{0:?} is not a remote's name: 1 to 100 of a-z, 0-9, '.', '_' and '-', with a letter or digit first")]
    Remote(String),
    /// Not a publisher's name.
    #[error("{0:?} is not a publisher's name: 1 to 100 of a-z, 0-9, '.', '_' and '-', with a letter or digit first")]
    Publisher(String),
}

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A project name, normalised as PEP 503 says: lowercase, with runs of `-`, `_` and `.` as one `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectName(String);
text!(ProjectName);

impl FromStr for ProjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !edge(bytes.first()) || !edge(bytes.last()) || !bytes.iter().all(inner) {
            return Err(NameError::Project(text.to_owned()));
        }
        let mut name = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '-' | '_' | '.' if name.ends_with('-') => {}
                '-' | '_' | '.' => name.push('-'),
                other => name.push(other.to_ascii_lowercase()),
            }
        }
        Ok(Self(name))
    }
}

/// A collection's name: it appears in URLs and paths, so it is a single plain path segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionName(String);
text!(CollectionName);

impl CollectionName {
    /// The collection that takes what no rule sends elsewhere.
    pub const SHARED: &str = "shared";

    /// Returns the name of the default collection, `shared`.
    pub fn shared() -> Self {
        Self(Self::SHARED.to_owned())
    }
}

impl FromStr for CollectionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_segment(text) {
            return Ok(Self(text.to_owned()));
        }
        let is_revision = text.split_once('@').is_some_and(|(name, _)| is_segment(name));
        Err(if is_revision { NameError::Revision(text.to_owned()) } else { NameError::Collection(text.to_owned()) })
    }
}

/// The name of a remote, a plain path segment as a collection's is: it stands in tables, files of settings and counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(String);
text!(RemoteName);

impl FromStr for RemoteName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_segment(text) { Ok(Self(text.to_owned())) } else { Err(NameError::Remote(text.to_owned())) }
    }
}

/// A publisher's name: a CI that may upload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublisherName(String);
text!(PublisherName);

impl FromStr for PublisherName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_segment(text) { Ok(Self(text.to_owned())) } else { Err(NameError::Publisher(text.to_owned())) }
    }
}

fn is_segment(text: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: &u8| letter(byte) || matches!(byte, b'-' | b'_' | b'.');
    text.as_bytes().first().is_some_and(letter) && text.len() <= 100 && text.as_bytes().iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k1_project_names_are_normalised() {
        for text in ["Flask-RESTful", "flask_restful", "FLASK.RestFul", "flask-_.restful"] {
            assert_eq!(text.parse::<ProjectName>().unwrap().as_str(), "flask-restful", "{text}");
        }
    }

    #[test]
    fn names_that_could_be_paths_or_markup_are_refused() {
        for bad in ["", ".", "..", "-a", "a-", "a/b", "a\\b", "a b", "a\0", "ä", "<a>"] {
            assert!(bad.parse::<ProjectName>().is_err(), "project {bad:?}");
        }
        for bad in ["", ".", "..", ".a", "-a", "a/b", "Cuda", "a@1", "a b", "é", &"a".repeat(101)] {
            assert!(bad.parse::<CollectionName>().is_err(), "collection {bad:?}");
            assert!(bad.parse::<RemoteName>().is_err(), "remote {bad:?}");
        }
        for good in ["shared", "cuda", "cuda-12.6_x86", "9"] {
            assert_eq!(good.parse::<CollectionName>().unwrap().as_str(), good);
        }
    }
}
