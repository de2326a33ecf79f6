//! What a remote failed at: one small enum, whose messages name the address without its secrets.
//!
//! A failure of a remote is a miss for whoever asked, and never ends a build. Only an answer that says so makes it a definite one
//! ([`Failure::is_definite`]); all else is "unknown" and not remembered as a miss.

use crate::digest::Sha256;
use crate::index::read::PageError;
use crate::{fs, wheel};
use std::fmt;
use std::time::Duration;
use url::Url;

/// An address as it is shown: without user, password, query and fragment, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl From<&Url> for PublicUrl {
    fn from(url: &Url) -> Self {
        let mut url = bare(url);
        url.set_query(None);
        url.set_fragment(None);
        Self(url.into())
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What did not come, where nothing did.
pub(super) const NO_CONNECTION: &str = "no connection came";
pub(super) const NO_ANSWER: &str = "no answer came";

/// Returns the URL without user and password.
pub(super) fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // Only a URL without host refuses, and that has neither.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare
}

/// Why a remote didn't give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The remote says that it has no such thing.
    #[error("{place} is not there: status {status}")]
    Absent {
        /// What was asked for.
        place: PublicUrl,
        /// The status that said so.
        status: u16,
    },
    /// No connection, or one that ended without an answer.
    #[error("cannot reach {place}: {why}")]
    Unreachable {
        /// What was asked for.
        place: PublicUrl,
        /// The innermost cause.
        why: String,
    },
    /// An answer with a status that is no answer.
    #[error("{place} answered with status {status}")]
    Refused {
        /// What was asked for.
        place: PublicUrl,
        /// The status.
        status: u16,
        /// After what time the server wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// Nothing came, or too slowly.
    #[error("{place} took too long: {what} within {}", humantime::format_duration(*limit))]
    TimedOut {
        /// What was asked for.
        place: PublicUrl,
        /// What did not come.
        what: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The body ended before its announced end.
    #[error("{place} broke off after {got} bytes: {why}")]
    CutShort {
        /// What was asked for.
        place: PublicUrl,
        /// The number of bytes that came.
        got: u64,
        /// The innermost cause.
        why: String,
    },
    /// A text that is no index page.
    #[error("{place} is no index page")]
    BadPage {
        /// What was asked for.
        place: PublicUrl,
        /// Why not.
        source: PageError,
    },
    /// A coding of the body that was not asked for, or that is damaged.
    #[error("cannot decode {place}: {why}")]
    Encoding {
        /// What was asked for.
        place: PublicUrl,
        /// What is wrong.
        why: String,
    },
    /// Other bytes than those that were announced.
    #[error("{place} has other bytes than its digest says: expected {algorithm} {expected}, found {found}{hint}")]
    BadDigest {
        /// What was asked for.
        place: PublicUrl,
        /// Which digest.
        algorithm: &'static str,
        /// What the index says, in hexadecimal digits.
        expected: String,
        /// What came.
        found: String,
        /// What may be the reason, or nothing.
        hint: String,
    },
    /// Another number of bytes than was announced.
    #[error("{place} has another size than announced: expected {expected} bytes, found {found}{hint}")]
    BadSize {
        /// What was asked for.
        place: PublicUrl,
        /// What the index says.
        expected: u64,
        /// What came.
        found: u64,
        /// What may be the reason, or nothing.
        hint: String,
    },
    /// More bytes than are taken.
    #[error("{place} is too large: more than {cap} bytes")]
    TooLarge {
        /// What was asked for.
        place: PublicUrl,
        /// What is taken at most.
        cap: u64,
    },
    /// Bytes that nothing vouches for.
    #[error("{place} is not to be trusted: {why}")]
    Insecure {
        /// What was asked for.
        place: PublicUrl,
        /// What is missing, and what would allow it.
        why: &'static str,
    },
    /// A redirect, or a link of a page, that is not followed.
    #[error("{place} leads astray: {why}")]
    Redirect {
        /// What was asked for.
        place: PublicUrl,
        /// Why it isn't followed.
        why: String,
    },
    /// An answer to a range request that doesn't fit the question.
    #[error("{place} does not give a range of its bytes: {why}")]
    BadRange {
        /// What was asked for.
        place: PublicUrl,
        /// What it did.
        why: String,
    },
    /// A wheel or sidecar whose metadata can't be read, or is another's.
    #[error("{place} gives no good metadata")]
    BadMetadata {
        /// What was asked for.
        place: PublicUrl,
        /// What is wrong.
        source: wheel::Error,
    },
    /// Metadata that can't be had without the whole file.
    #[error("the metadata of {place} can only be had with the whole file")]
    NoMetadata {
        /// What was asked for.
        place: PublicUrl,
    },
    /// Credentials that are configured and can't be had.
    #[error("no credentials for {place}: {why}")]
    Credentials {
        /// What was asked for.
        place: PublicUrl,
        /// Why not.
        why: String,
    },
    /// Whoever asked would not have it: no fault of the remote.
    #[error("{place} is not taken: {why}")]
    Declined {
        /// What was asked for.
        place: PublicUrl,
        /// Why not.
        why: String,
    },
    /// The own disk failed: no fault of the remote.
    #[error(transparent)]
    Disk(#[from] fs::Error),
}

/// A failure in a word, for statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// [`Failure::Absent`].
    Absent,
    /// [`Failure::Unreachable`].
    Unreachable,
    /// [`Failure::Refused`].
    Refused,
    /// [`Failure::TimedOut`].
    TimedOut,
    /// [`Failure::CutShort`].
    CutShort,
    /// [`Failure::BadPage`].
    BadPage,
    /// [`Failure::Encoding`].
    Encoding,
    /// [`Failure::BadDigest`].
    BadDigest,
    /// [`Failure::BadSize`].
    BadSize,
    /// [`Failure::TooLarge`].
    TooLarge,
    /// [`Failure::Insecure`].
    Insecure,
    /// [`Failure::Redirect`].
    Redirect,
    /// [`Failure::BadRange`].
    BadRange,
    /// [`Failure::BadMetadata`] and [`Failure::NoMetadata`].
    BadMetadata,
    /// [`Failure::Credentials`].
    Credentials,
    /// [`Failure::Declined`].
    Declined,
    /// [`Failure::Disk`].
    Disk,
}

impl Failure {
    /// Returns the failure of bytes that have another SHA-256 digest than was announced.
    pub(super) fn bad_sha256(place: PublicUrl, expected: &Sha256, found: &Sha256) -> Self {
        let (expected, found, hint) = (expected.to_string(), found.to_string(), String::new());
        Self::BadDigest { place, algorithm: "SHA-256", expected, found, hint }
    }

    /// Returns what kind of failure it is.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Absent { .. } => FailureKind::Absent,
            Self::Unreachable { .. } => FailureKind::Unreachable,
            Self::Refused { .. } => FailureKind::Refused,
            Self::TimedOut { .. } => FailureKind::TimedOut,
            Self::CutShort { .. } => FailureKind::CutShort,
            Self::BadPage { .. } => FailureKind::BadPage,
            Self::Encoding { .. } => FailureKind::Encoding,
            Self::BadDigest { .. } => FailureKind::BadDigest,
            Self::BadSize { .. } => FailureKind::BadSize,
            Self::TooLarge { .. } => FailureKind::TooLarge,
            Self::Insecure { .. } => FailureKind::Insecure,
            Self::Redirect { .. } => FailureKind::Redirect,
            Self::BadRange { .. } => FailureKind::BadRange,
            Self::BadMetadata { .. } | Self::NoMetadata { .. } => FailureKind::BadMetadata,
            Self::Credentials { .. } => FailureKind::Credentials,
            Self::Declined { .. } => FailureKind::Declined,
            Self::Disk(_) => FailureKind::Disk,
        }
    }

    /// Tells whether the way to a source itself failed, so that nothing else of it is to be had either. A page that leads to a host that
    /// isn't there, or that begins and doesn't end, fails alone.
    pub fn is_down(&self, source: &Url) -> bool {
        let place = match self {
            Self::Unreachable { place, .. } => place,
            Self::TimedOut { place, what: NO_CONNECTION | NO_ANSWER, .. } => place,
            _ => return false,
        };
        Url::parse(&place.0).is_ok_and(|place| place.origin() == source.origin())
    }

    /// Tells whether the whole file may be had where a sidecar or a part of it isn't given.
    pub fn is_about_a_part(&self) -> bool {
        matches!(
            self,
            Self::NoMetadata { .. }
                | Self::BadMetadata { .. }
                | Self::BadRange { .. }
                | Self::BadDigest { .. }
                | Self::CutShort { .. }
                | Self::Encoding { .. }
                | Self::Insecure { .. }
                | Self::Redirect { .. }
                | Self::Refused { .. }
                | Self::TooLarge { .. }
        )
    }

    /// Tells whether another question about the same file would fare no better: the way is closed, or the own side failed.
    pub(super) fn ends_all_ways(&self, source: &Url) -> bool {
        self.is_down(source) || matches!(self, Self::Disk(_) | Self::Declined { .. } | Self::Credentials { .. })
    }

    /// Tells whether waiting won't help: the remote refuses who asks, or what is asked, until somebody changes something.
    pub fn is_lasting(&self) -> bool {
        match self {
            // Too slow, too early, too often: these pass.
            Self::Refused { status, .. } => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
            Self::Credentials { .. } | Self::Insecure { .. } => true,
            _ => false,
        }
    }

    /// Tells whether the source itself failed so, not a host that it sent to.
    pub fn is_of(&self, source: &Url) -> bool {
        match self {
            Self::Refused { place, .. } => Url::parse(&place.0).is_ok_and(|place| place.origin() == source.origin()),
            _ => true,
        }
    }

    /// Tells whether the remote said that nobody may have it, or that it doesn't say whether it has it.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 403, .. })
    }

    /// Tells whether the remote cost time, and is best left alone for a while.
    pub fn is_slow(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Tells whether the remote itself said that it has no such thing, which may be remembered.
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Tells whether the same request may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::CutShort { .. } => true,
            // 501 and 505 say what a server can't do, now or later.
            Self::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// Returns the text of an error's innermost cause: the outer ones say only that a request failed.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_shows_no_secret() {
        let url = "https://joe:secret@index.example:8443/simple/demo/?token=secret#sha256=secret";
        let place = PublicUrl::from(&url.parse::<Url>().unwrap());
        assert_eq!(place.to_string(), "https://index.example:8443/simple/demo/");
    }

    #[test]
    fn m6_only_an_answer_that_says_so_is_a_definite_miss() {
        let place = || PublicUrl("https://index.example/".to_owned());
        assert!(Failure::Absent { place: place(), status: 404 }.is_definite());
        for status in [403, 429, 500, 503] {
            let failure = Failure::Refused { place: place(), status, retry_after: None };
            assert_eq!((failure.is_definite(), failure.is_passing()), (false, status != 403), "{status}");
        }
        assert!(!Failure::Unreachable { place: place(), why: String::new() }.is_definite());
    }
}
