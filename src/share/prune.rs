//! Old records of a share's log: they go once snapshots make them needless, and leave their digests, by which a node that was away for
//! long finds out that its past is the share's.

use super::segment::first_of_name;
use super::{Error, Result, Share};
use crate::digest::Sha256;
use crate::fs::unique_name;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// No list of digests is longer.
const MAX_BYTES: u64 = 1 << 30;
/// What the names of lists of digests end with.
const DIGESTS: &str = ".digests";

impl Share {
    /// Returns the records that are there, from the oldest one, before the first that was made after a time, in seconds since 1970. The
    /// newest is never among them: the next one stands on it.
    pub fn old_records(&self, share: &str, before: i64) -> Result<Range<i64>> {
        if let Some((_, log)) = &self.log {
            return log.old(share, before);
        }
        let before = SystemTime::UNIX_EPOCH + Duration::from_secs(before.max(0).unsigned_abs());
        let times = self.bucket.times("log")?.into_iter();
        let mut records: Vec<(i64, SystemTime)> =
            times.filter_map(|(name, at)| Some((record_number(&name)?, at))).collect();
        records.sort_unstable();
        let (Some((oldest, _)), Some((newest, _))) = (records.first(), records.last()) else { return Ok(0..0) };
        let young = records.iter().find(|(_, at)| *at > before);
        Ok(*oldest..young.map_or(*newest, |(number, _)| *number))
    }

    /// Returns the number of the newest record; `None`: there is none.
    pub fn newest_record(&self, share: &str) -> Result<Option<i64>> {
        match &self.log {
            Some((_, log)) => log.newest(share),
            None => Ok(self.bucket.names("log")?.iter().filter_map(|name| record_number(name)).max()),
        }
    }

    /// Keeps the digests of records that are about to go.
    pub fn keep_digests(&self, digests: &[(i64, Sha256)]) -> Result<()> {
        let Some((last, _)) = digests.last() else { return Ok(()) };
        let lines: String = digests.iter().map(|(number, digest)| format!("{number} {digest}\n")).collect();
        let key = format!("log/{last:020}.{}{DIGESTS}", &unique_name()[..16]);
        if self.bucket.create(&key, lines.as_bytes())? { Ok(()) } else { Err(Error::WrongBytes(key)) }
    }

    /// Returns the digest that was kept of a record that went; `None`: there is none.
    pub fn kept_digest(&self, number: i64) -> Result<Option<Sha256>> {
        let last = |name: &String| name.strip_suffix(DIGESTS)?.split('.').next()?.parse::<i64>().ok();
        let mut lists: Vec<(i64, String)> =
            self.bucket.names("log")?.into_iter().filter_map(|name| Some((last(&name)?, name))).collect();
        lists.retain(|(last, _)| *last >= number);
        lists.sort_unstable();
        let wanted = number.to_string();
        for (_, name) in lists {
            let bytes = self.bucket.get(&format!("log/{name}"), MAX_BYTES)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let digest = text.lines().filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == wanted);
            if let Some(digest) = digest.and_then(|(_, digest)| digest.parse().ok()) {
                return Ok(Some(digest));
            }
        }
        Ok(None)
    }

    /// Removes the records before a number, the oldest first: where one is there, none after it has gone.
    pub fn remove_records(&self, share: &str, before: i64) -> Result<()> {
        if let Some((_, log)) = &self.log {
            log.remove(share, before)?;
        }
        // Those of a log in PostgreSQL that are objects, too.
        let number = |name: &String| name.strip_suffix(".json")?.split('.').next()?.parse::<i64>().ok();
        let mut names = self.bucket.names("log")?;
        for name in names.iter().filter(|name| first_of_name(name).is_some_and(|first| first < before)) {
            self.bucket.remove(&format!("log/{name}"))?;
        }
        names.retain(|name| number(name).is_some_and(|number| number < before));
        names.sort_unstable();
        names.iter().try_for_each(|name| self.bucket.remove(&format!("log/{name}")))
    }
}

/// Returns the number of the record that an object is, as its name says it.
fn record_number(name: &str) -> Option<i64> {
    name.strip_suffix(".json")?.parse().ok()
}
