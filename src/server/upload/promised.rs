//! What builders were given addresses for, to put it into the bucket, and was not taken yet: a token has so much of that, for nobody but its
//! holder knows what lies there.

use super::direct::LASTING;
use crate::budget::{DIRECT_BYTES, DIRECT_FILES};
use crate::digest::Sha256;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// After so many seconds what was put is gone from the bucket, or may be at any time.
const KEPT_SECONDS: i64 = 86_400;

/// The files of a token, each with its size and until when it counts.
type Files = HashMap<Sha256, (u64, i64)>;

/// The files by token.
#[derive(Debug, Default)]
pub(in crate::server) struct Promised(Mutex<HashMap<i64, Files>>);

impl Promised {
    fn files(&self) -> MutexGuard<'_, HashMap<i64, Files>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a token is given an address for a file, unless it has its share of files that were not taken.
    pub(super) fn admits(&self, token: i64, sha256: &Sha256, size: u64, now: i64) -> bool {
        let mut files = self.files();
        files.values_mut().for_each(|own| own.retain(|_, (_, until)| *until > now));
        files.retain(|_, own| !own.is_empty());
        let own = files.entry(token).or_default();
        let others = || own.iter().filter(|(known, _)| *known != sha256);
        let bytes: u64 = others().map(|(_, (size, _))| *size).sum();
        let is_admitted =
            (others().count() as u64) < DIRECT_FILES.limit && bytes.saturating_add(size) <= DIRECT_BYTES.limit;
        if is_admitted {
            own.insert(*sha256, (size, now.saturating_add(KEPT_SECONDS)));
        }
        is_admitted
    }

    /// Notes that a file was taken, or is gone: it counts as long as its address may hold, by which it can be put again.
    pub(super) fn taken(&self, token: i64, sha256: &Sha256, now: i64) {
        if let Some((_, until)) = self.files().get_mut(&token).and_then(|own| own.get_mut(sha256)) {
            *until = (*until).min(now.saturating_add(LASTING.as_secs().cast_signed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> Sha256 {
        Sha256::of(&number.to_le_bytes())
    }

    #[test]
    fn a_token_has_so_many_files_that_were_not_taken_and_so_many_bytes() {
        let promised = Promised::default();
        let files = DIRECT_FILES.limit;
        assert!((0..files).all(|number| promised.admits(1, &digest(number), 1, 0)));
        assert!(!promised.admits(1, &digest(files), 1, 1), "one more");
        assert!(promised.admits(1, &digest(0), 1, 1), "the same once more");
        assert!(promised.admits(2, &digest(files), 1, 1), "another's");
        promised.taken(1, &digest(0), 1);
        assert!(!promised.admits(1, &digest(files), 1, 900), "it can be put again");
        assert!(promised.admits(1, &digest(files), 1, 901), "its address has ended");
        assert!(promised.admits(1, &digest(files + 1), 1, KEPT_SECONDS + 1), "the bucket has forgotten them");
        assert!(promised.admits(3, &digest(0), DIRECT_BYTES.limit, 1));
        assert!(!promised.admits(3, &digest(1), 1, 1) && !promised.admits(4, &digest(1), u64::MAX, 1));
    }
}
