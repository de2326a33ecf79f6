//! In place of what asks databases, in a program that is built without the feature `shared`: there is none, and that is said.

use super::{Error, Result};
use std::ops::Range;
use std::time::Duration;

/// A password that somebody keeps outside of the URL, for a host, a port, a database and a user.
pub type FindPassword = fn(&str, u16, &str, &str) -> Option<String>;

/// Says who finds passwords: nobody asks.
pub fn on_password(_: FindPassword) {}

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// In its row.
    Here(Vec<u8>),
    /// In the bucket, under this key.
    Object(String),
}

/// A database that has logs of shares: no value of this can be.
#[derive(Debug)]
pub(super) enum Postgres {}

impl Postgres {
    pub(super) fn at(url: &str) -> Result<Self> {
        Err(Error::Without(url.to_owned()))
    }

    pub(super) fn prepare(&self) -> Result<()> {
        match *self {}
    }

    pub(super) fn read(&self, _: &str, _: i64) -> Result<Option<Kept>> {
        match *self {}
    }

    pub(super) fn append(&self, _: &str, _: i64, _: &[u8], _: &Kept) -> Result<bool> {
        match *self {}
    }

    pub(super) fn old(&self, _: &str, _: i64) -> Result<Range<i64>> {
        match *self {}
    }

    pub(super) fn newest(&self, _: &str) -> Result<Option<i64>> {
        match *self {}
    }

    pub(super) fn remove(&self, _: &str, _: i64) -> Result<()> {
        match *self {}
    }

    pub(super) fn take_turn(&self, _: &str, _: bool) -> Result<()> {
        match *self {}
    }

    pub(super) fn has_lost(&self) -> bool {
        match *self {}
    }

    pub(super) fn end_turn(&self) {
        match *self {}
    }

    pub(super) fn wait(&self, _: Duration) {
        match *self {}
    }
}
