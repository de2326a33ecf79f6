//! A share's log: in its bucket, or in a database.

use super::ahead::{MAX_RECORD_BYTES, record_key};
use super::postgres::Kept;
use super::{Error, Format, Location, Result, Share};
use crate::fs::unique_name;
use std::time::Duration;

/// Larger records of a log in PostgreSQL are objects.
const MAX_ROW_BYTES: usize = 8 << 20;

impl Share {
    /// Returns where a place's log is: as its first node said, unless that is said here.
    pub fn find_log(mut location: Location) -> Result<Location> {
        let share = Self::at(&Location { log: None, ..location.clone() })?;
        if let Some(Format { log: found, .. }) = share.format()? {
            if found.is_none()
                && let Some(url) = location.log
            {
                return Err(Error::Log { url, why: format!("the share at {} has its log in its bucket", share.url) });
            }
            location.log = location.log.or(found);
        }
        Ok(location)
    }

    /// Returns a record of the log of the share that is called `share`; `None`: it isn't there yet.
    pub fn record(&self, share: &str, number: i64) -> Result<Option<Vec<u8>>> {
        let Some((_, log)) = &self.log else { return self.record_object(number) };
        match log.read(share, number)? {
            None => Ok(None),
            Some(Kept::Here(record)) => Ok(Some(record)),
            Some(Kept::Object(key)) => {
                let record = self.bucket.get(&key, MAX_RECORD_BYTES)?;
                record.map(Some).ok_or_else(|| Error::WrongBytes(key))
            }
        }
    }

    /// Makes a record of the log, if there is none with this number. Returns whether it is there now. Whoever lost the answer to his
    /// first try is told the same as one who didn't: no two records have the same bytes.
    pub fn append(&self, share: &str, number: i64, record: &[u8]) -> Result<bool> {
        let Some((_, log)) = &self.log else { return self.append_object(number, record) };
        if record.len() <= MAX_ROW_BYTES {
            return log.append(share, number, record, &Kept::Here(record.to_vec()));
        }
        let key = format!("log/{number:020}.{}.json", unique_name());
        self.bucket.create(&key, record)?;
        let done = log.append(share, number, record, &Kept::Object(key.clone()));
        if matches!(done, Ok(false)) {
            self.bucket.remove(&key)?;
        }
        done
    }

    fn append_object(&self, number: i64, record: &[u8]) -> Result<bool> {
        let key = record_key(number);
        let found = || self.bucket.get(&key, MAX_RECORD_BYTES);
        match self.bucket.create(&key, record) {
            Ok(true) => Ok(true),
            Ok(false) => Ok(found()?.is_some_and(|found| found == record)),
            // It may have been made, and the answer lost.
            Err(error) => match found() {
                Ok(Some(found)) => Ok(found == record),
                _ => Err(error),
            },
        }
    }

    /// Waits for this writer's turn, where writers take turns and many are known to write, or this one was overtaken before.
    pub fn take_turn(&self, share: &str, is_contended: bool) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), |(_, log)| log.take_turn(share, is_contended))
    }

    /// Tells whether this process was overtaken by another writer, where writers can take turns.
    pub fn has_lost(&self) -> bool {
        self.log.as_ref().is_some_and(|(_, log)| log.has_lost())
    }

    /// Ends this writer's turn, if it has one.
    pub fn end_turn(&self) {
        if let Some((_, log)) = &self.log {
            log.end_turn();
        }
    }

    /// Waits so long, or until there may be another record, where that is heard.
    pub fn wait(&self, most: Duration) {
        match &self.log {
            Some((_, log)) => log.wait(most),
            None => std::thread::sleep(most),
        }
    }

    /// Returns where the log is, if it isn't in the bucket.
    pub fn log(&self) -> Option<&str> {
        self.log.as_ref().map(|(url, _)| url.as_str())
    }
}
