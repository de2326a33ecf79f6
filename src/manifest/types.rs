//! How validated names and digests stand in rows.

use crate::digest::{Blake3, Sha256};
use crate::name::{CollectionName, ProjectName, PublisherName, RemoteName};
use crate::status::Status;
use crate::token::Scope;
use crate::wheel::{Kind, VariantLabel};
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use std::error::Error;
use std::str::FromStr;

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(super) i64);

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                rusqlite::types::ToSql::to_sql(&self.0)
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                <i64 as rusqlite::types::FromSql>::column_result(value).map(Self)
            }
        }
    };
}
pub(super) use row_id;

row_id! {
    /// A blob's row.
    BlobId
}
row_id! {
    /// A collection's row.
    CollectionId
}

#[cfg(test)]
impl BlobId {
    /// Makes up a row's identity.
    pub(crate) fn for_test(number: i64) -> Self {
        Self(number)
    }
}

macro_rules! digest_column {
    ($name:ident) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_bytes().as_slice()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 32]>::column_result(value).map(Self::from_bytes)
            }
        }
    };
}
digest_column!(Blake3);
digest_column!(Sha256);

macro_rules! name_column {
    ($name:ident) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
            }
        }
    };
}
name_column!(ProjectName);
name_column!(CollectionName);
name_column!(RemoteName);
name_column!(PublisherName);
name_column!(Status);
name_column!(Scope);
name_column!(VariantLabel);

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self {
            Self::Wheel => "wheel",
            Self::Sdist => "sdist",
        }))
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "wheel" => Ok(Self::Wheel),
            "sdist" => Ok(Self::Sdist),
            other => Err(FromSqlError::Other(format!("unknown kind {other:?}").into())),
        }
    }
}

/// A text column with a fixed set of values.
macro_rules! text_column {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$item])* $variant),+ }

        impl $name {
            /// Returns the text that stands in rows and answers.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(rusqlite::types::ToSqlOutput::from(self.as_str()))
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                match value.as_str()? {
                    $($text => Ok(Self::$variant),)+
                    other => Err(rusqlite::types::FromSqlError::Other(format!("unknown value {other:?}").into())),
                }
            }
        }
    };
}
pub(super) use text_column;

/// Returns the items of a list that is one column of a row; an empty text is an empty list.
pub(super) fn list<T>(row: &Row<'_>, column: &str, separator: char) -> rusqlite::Result<Vec<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    let items = text.split(separator).filter(|item| !item.is_empty());
    let parsed = items.map(|item| {
        item.parse().map_err(|error| {
            let at = row.as_ref().column_index(column).unwrap_or(0);
            rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
        })
    });
    parsed.collect()
}

/// Returns a list as the text of one column.
pub(super) fn joined<T: ToString>(items: &[T], separator: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
