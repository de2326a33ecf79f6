//! In place of a site in a bucket, in a program that is built without the feature `shared`.

use super::super::Result;
use super::super::objects::Objects;
use super::{Headers, Listed, Store};
use crate::digest::Blake3;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

#[derive(Debug)]
pub(super) struct SiteObjects(pub(super) Objects);

impl SiteObjects {
    pub(super) fn is_in_bucket_of(&self, _: &Objects) -> bool {
        match self.0 {}
    }

    pub(super) fn copy(&self, _: &Objects, _: &str, _: &str) -> Result<bool> {
        match self.0 {}
    }
}

impl Store for SiteObjects {
    fn list(&self) -> Result<BTreeMap<String, Listed>> {
        match self.0 {}
    }

    fn get(&self, _: &str, _: u64) -> Result<Option<(Vec<u8>, String)>> {
        match self.0 {}
    }

    fn tag(&self, _: &str) -> Result<Option<String>> {
        match self.0 {}
    }

    fn write_if(&self, _: &str, _: &[u8], _: Headers, _: Option<&str>) -> Result<Option<String>> {
        match self.0 {}
    }

    fn write(&self, _: &str, _: &[u8], _: Headers) -> Result<String> {
        match self.0 {}
    }

    fn upload(&self, _: &str, _: (&File, &Path), _: &Blake3, _: Headers) -> Result<()> {
        match self.0 {}
    }

    fn remove(&self, _: &str) -> Result<()> {
        match self.0 {}
    }

    fn objects(&self) -> Option<&SiteObjects> {
        match self.0 {}
    }
}
