//! The mark of a site: whose it is, what it shows, and which objects are ours.

use crate::error::{Error, Result};
use crate::fs;
use crate::share::{Headers, Listed, Site};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The mark's key.
const KEY: &str = ".wcas-site.json";
/// A mark is not larger: a million files.
const MAX_BYTES: u64 = 512 << 20;
/// What this program understands.
const VERSION: u32 = 1;
const HEADERS: Headers = Headers { content_type: "application/json", cache_control: "no-store" };

/// What the mark's object holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    site: u32,
    /// The store's identity: that of all nodes of a share.
    store: String,
    /// What is shown: `collection cuda`, `variant cuda`.
    pub(super) shows: String,
    /// Who wrote it last.
    publication: String,
    /// The pages that are there or about to be, each with what it had when it was written.
    pub(super) pages: BTreeMap<String, String>,
    /// The files that are there or about to be.
    pub(super) files: BTreeSet<String>,
    /// The files that no page names any more: who has an old page may still ask for them. They go next time.
    pub(super) former: BTreeSet<String>,
}

/// A site, what is in it, and what of that is ours.
#[derive(Debug)]
pub(super) struct Marked<'a> {
    pub(super) site: &'a Site,
    pub(super) objects: BTreeMap<String, Listed>,
    pub(super) mark: Mark,
    /// The mark as it was found.
    before: Option<Mark>,
    /// The tag of the mark that is there.
    tag: Option<String>,
    /// Whether this run wrote it.
    is_begun: bool,
}

impl<'a> Marked<'a> {
    /// Looks at a site. One that isn't empty and has no mark, or that of another store, is refused.
    pub(super) fn open(site: &'a Site, store: &str, shows: &str) -> Result<Self> {
        let (before, tag) = read(site)?.unzip();
        let mut objects = site.list()?;
        objects.remove(KEY);
        match &before {
            None if !objects.is_empty() => {
                return Err(Error::Refused(format!("{} is not empty, and no site that wcas made", site.url())));
            }
            Some(mark) if mark.store != store => {
                return Err(Error::Refused(format!("the site at {} is another store's: {}", site.url(), mark.shows)));
            }
            _ => {}
        }
        let new = || Mark {
            site: VERSION,
            store: store.to_owned(),
            shows: shows.to_owned(),
            publication: String::new(),
            pages: BTreeMap::new(),
            files: BTreeSet::new(),
            former: BTreeSet::new(),
        };
        let mark = before.clone().unwrap_or_else(new);
        Ok(Self { site, objects, mark, before, tag, is_begun: false })
    }

    /// Tells whether there is a site already.
    pub(super) fn is_there(&self) -> bool {
        self.before.is_some()
    }

    /// Says in the mark that objects are ours, before they are made: whoever goes on after a run that was killed knows them.
    pub(super) fn begin(&mut self, pages: &[String], files: &BTreeMap<String, Option<u64>>) -> Result<()> {
        let is_known = |mark: &Mark| {
            pages.iter().all(|key| mark.pages.contains_key(key)) && files.keys().all(|key| mark.files.contains(key))
        };
        if self.is_begun && is_known(&self.mark) {
            return Ok(());
        }
        self.refuse_foreign(pages, files)?;
        for key in pages {
            self.mark.pages.entry(key.clone()).or_default();
        }
        self.mark.files.extend(files.keys().cloned());
        self.write()
    }

    /// Refuses to take the place of what others put there. A file in its right place, of its right size, is as good as our own.
    fn refuse_foreign(&self, pages: &[String], files: &BTreeMap<String, Option<u64>>) -> Result<()> {
        let is_there = |key: &String| self.objects.contains_key(key);
        let page = pages.iter().find(|key| is_there(key) && !self.mark.pages.contains_key(*key));
        let is_other = |(key, size): &(&String, &Option<u64>)| {
            let is_known = self.mark.files.contains(*key) || self.mark.former.contains(*key);
            !is_known && self.objects.get(*key).is_some_and(|found| size.is_some_and(|size| size != found.size))
        };
        match page.or_else(|| files.iter().find(is_other).map(|(key, _)| key)) {
            Some(key) => Err(Error::Refused(format!("{}/{key} is there, and wcas didn't make it", self.site.url()))),
            None => Ok(()),
        }
    }

    fn write(&mut self) -> Result<()> {
        self.mark.publication = fs::unique_name();
        let bytes = serde_json::to_vec(&self.mark).expect("plain strings make JSON");
        // Who comes between has written what this run doesn't know: of two one goes on.
        let tag = match self.site.write_if(KEY, &bytes, HEADERS, self.tag.as_deref())? {
            Some(tag) => tag,
            // It may be our own, and the answer was lost.
            None => match self.site.get(KEY, MAX_BYTES)? {
                Some((found, tag)) if found == bytes => tag,
                _ => return Err(self.met()),
            },
        };
        (self.tag, self.is_begun) = (Some(tag), true);
        Ok(())
    }

    /// Makes sure that nobody else began to write the site since this run did.
    pub(super) fn require_alone(&self) -> Result<()> {
        if self.site.tag(KEY)? == self.tag { Ok(()) } else { Err(self.met()) }
    }

    fn met(&self) -> Error {
        Error::Refused(format!("somebody else writes the site at {}: run it again", self.site.url()))
    }

    /// Says what is there now, if the mark doesn't.
    pub(super) fn finish(&mut self, mark: Mark) -> Result<()> {
        self.mark = Mark { publication: self.mark.publication.clone(), ..mark };
        if !self.is_begun && self.before.as_ref() == Some(&self.mark) {
            return Ok(());
        }
        self.write()
    }

    /// Takes the mark away, as the last object.
    pub(super) fn remove(self) -> Result<()> {
        Ok(self.site.remove(KEY)?)
    }
}

fn read(site: &Site) -> Result<Option<(Mark, String)>> {
    /// What any version of a mark has.
    #[derive(Deserialize)]
    struct Version {
        site: u32,
    }
    let Some((bytes, tag)) = site.get(KEY, MAX_BYTES)? else { return Ok(None) };
    let unknown = |why: String| Error::Refused(format!("{}/{KEY} {why}", site.url()));
    match serde_json::from_slice::<Version>(&bytes) {
        Ok(Version { site: VERSION }) => {}
        Ok(_) => return Err(unknown("is of another version: use a newer wcas".to_owned())),
        Err(error) => return Err(unknown(format!("can't be understood: {error}"))),
    }
    let mark = serde_json::from_slice(&bytes);
    mark.map(|mark| Some((mark, tag))).map_err(|error| unknown(format!("can't be understood: {error}")))
}
