//! The status of a project, which says whether more of it is to come and whether it may be used (PEP 792).

use std::fmt;
use std::str::FromStr;

/// The statuses of PEP 792, the strictest last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As ever.
    #[default]
    Active,
    /// Superseded, though nothing else changes.
    Deprecated,
    /// No more uploads are to come.
    Archived,
    /// Unsafe: its pages offer no file.
    Quarantined,
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a status: expected active, deprecated, archived or quarantined")]
pub struct StatusError(pub String);

impl Status {
    /// Returns the word that pages and rows carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Archived => "archived",
            Self::Quarantined => "quarantined",
        }
    }
}

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let all = [Self::Active, Self::Deprecated, Self::Archived, Self::Quarantined];
        all.into_iter().find(|status| status.as_str() == text).ok_or_else(|| StatusError(text.to_owned()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_statuses_from_lax_to_strict() {
        let words = ["active", "deprecated", "archived", "quarantined"];
        let statuses = words.map(|word| word.parse::<Status>().unwrap());
        assert!(statuses.is_sorted() && statuses.map(Status::as_str) == words);
        assert_eq!("Archived".parse::<Status>(), Err(StatusError("Archived".to_owned())));
    }
}
