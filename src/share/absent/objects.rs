//! In place of what asks buckets, in a program that is built without the feature `shared`: there is none, and that is said.

use super::provider::Provider;
use super::{Bucket, Error, Location, Result};
use crate::digest::Blake3;
use crate::fs;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;

/// A part of a bucket: no value of this can be.
#[derive(Debug)]
pub(super) enum Objects {}

impl Objects {
    pub(super) fn of(_: Provider, location: &Location, _: &str, _: &str) -> Result<Self> {
        Err(Error::Without(location.url.clone()))
    }

    pub(super) fn bucket(&self) -> &str {
        match *self {}
    }

    pub(super) fn location(&self) -> &Location {
        match *self {}
    }

    pub(super) fn binds_puts(&self) -> bool {
        match *self {}
    }

    pub(super) fn signed_url(&self, _: &str, _: Duration) -> Result<String> {
        match *self {}
    }

    pub(super) fn signed_put(&self, _: &str, _: Duration, _: (&'static str, &str)) -> Result<String> {
        match *self {}
    }

    pub(super) fn begin<T: Send + 'static>(
        &self,
        _: impl Future<Output = Option<T>> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        match *self {}
    }

    pub(super) fn end<T>(&self, _: JoinHandle<Option<T>>) -> Option<T> {
        match *self {}
    }

    pub(super) fn small(&self, _: &str, _: usize) -> impl Future<Output = Option<Vec<u8>>> + Send + use<> {
        match *self {}
        #[expect(unreachable_code, reason = "it says what type would be returned")]
        std::future::ready(None)
    }

    pub(super) fn begin_create(&self, _: &str, _: Vec<u8>) {
        match *self {}
    }
}

impl Bucket for Objects {
    fn is_ours(&self) -> Result<bool> {
        match *self {}
    }

    fn prepare(&self) -> Result<()> {
        match *self {}
    }

    fn create(&self, _: &str, _: &[u8]) -> Result<bool> {
        match *self {}
    }

    fn get(&self, _: &str, _: u64) -> Result<Option<Vec<u8>>> {
        match *self {}
    }

    fn put(&self, _: &File, _: &Path, _: &Blake3, _: &dyn Fn(SystemTime) -> String) -> Result<()> {
        match *self {}
    }

    fn read(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> fs::Result<()>) -> Result<bool> {
        match *self {}
    }

    fn size(&self, _: &str) -> Result<Option<u64>> {
        match *self {}
    }

    fn remove(&self, _: &str) -> Result<()> {
        match *self {}
    }

    fn names(&self, _: &str) -> Result<Vec<String>> {
        match *self {}
    }

    fn sizes(&self, _: &str) -> Result<Vec<(String, u64)>> {
        match *self {}
    }

    fn times(&self, _: &str) -> Result<Vec<(String, SystemTime)>> {
        match *self {}
    }

    fn now(&self) -> Result<SystemTime> {
        match *self {}
    }

    fn tidy(&self) -> Result<()> {
        match *self {}
    }
}
