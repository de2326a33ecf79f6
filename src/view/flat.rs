//! All files in one folder with one page, as `pip --find-links` and `uv --find-links` read it.
//!
//! The folder is also other people's: a builder puts its wheels there. So the mark `.wcas-view` lists what was made here, and only
//! that is replaced or removed, where nobody has changed it since. New files are made in a hidden folder of their own and have their
//! names by one rename each, the page last: whatever a page lists is there, whole.
//!
//! Nothing is judged at a name and changed there afterwards: what has to go is first taken out of the folder, then looked at, and put
//! back if it was not ours after all.

mod file;

pub use file::{FlatFile, Source};

use super::mark::{Found, Made, Mark, Owner, digests};
use super::{Error, LinkMaker, Result};
use crate::fs::{self, Folder};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

/// The mark's name.
const MARK: &str = ".wcas-view";
/// The page's name.
const PAGE: &str = "index.html";
/// The kind of files that are written, not linked.
const WRITTEN: &str = "written";
/// So many names in the way are told.
const TOLD: usize = 5;

/// Does the work on the file at a position, and shows how far it has come.
pub type Around<'a> = &'a (dyn Fn(usize, &mut dyn FnMut()) + Sync);

/// What is to be done.
#[derive(Debug, Default)]
pub struct FlatPlan {
    /// The files to be made, by position, and whether something of ours has the name now.
    make: Vec<(usize, bool)>,
    /// What is ours, and is no longer wanted.
    remove: BTreeSet<String>,
    /// What a tree of an earlier version made.
    adopted: BTreeMap<String, Made>,
    /// Files that others put at wanted names, with the right bytes: they stay, and are not ours.
    pub theirs: Vec<String>,
}

impl FlatPlan {
    /// Returns how many files will be made.
    pub fn made(&self) -> usize {
        self.make.len()
    }

    /// Returns the positions of the files that will be made.
    pub fn making(&self) -> impl Iterator<Item = usize> {
        self.make.iter().map(|&(index, _)| index)
    }
}

/// What becomes of a wanted file.
enum Fate {
    Make,
    Replace,
    Adopt(Made),
    Keep,
    Theirs,
    Conflict,
}

/// A flat tree on disk.
#[derive(Debug)]
pub struct FlatTree {
    folder: Folder,
    mark: Option<Mark>,
    is_legacy: bool,
}

impl FlatTree {
    /// Looks at a folder, which must exist; whatever else is in it stays. One with the other layout is refused.
    pub fn open(dir: &Path) -> Result<Self> {
        let folder = Folder::root(dir)?;
        if fs::entry(&folder.at(".wcas"))?.is_some() {
            let why = "it is a view with the simple layout; remove that first".to_owned();
            return Err(Error::Foreign { path: dir.to_owned(), why });
        }
        let (mark, is_legacy) = match Mark::read(&folder, MARK)? {
            Found::Mark(mark) => (Some(mark), false),
            found => (None, matches!(found, Found::Legacy)),
        };
        Ok(Self { folder, mark, is_legacy })
    }

    /// Returns whose tree it is, if it tells.
    pub fn owner(&self) -> Option<&Owner> {
        self.mark.as_ref().map(|mark| &mark.owner)
    }

    /// Tells whether somebody is making or removing it, or was cut off doing so: its mark then names files that aren't there yet.
    pub fn is_unfinished(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.staging.is_some())
    }

    /// Digests all that was made in it.
    pub fn digest(&self) -> String {
        let files = self.mark.as_ref().and_then(|mark| serde_json::to_vec(&mark.files).ok());
        blake3::hash(&files.unwrap_or_default()).to_hex().to_string()
    }

    /// Tells whether all that was made is there, and leads to a file.
    pub fn stands(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| {
            let stands = |(name, made): (&String, &Vec<Made>)| {
                let path = self.folder.at(name);
                std::fs::metadata(&path).is_ok_and(|found| found.is_file())
                    && made.iter().any(|made| made.is_at(&path).unwrap_or(false))
            };
            mark.files.par_iter().all(stands)
        })
    }

    /// Decides what to do; changes nothing. What others put at a wanted name with other bytes is an error.
    pub fn plan(&self, owner: &Owner, files: &[FlatFile<'_>], links: &LinkMaker) -> Result<FlatPlan> {
        let fates = files.par_iter().map(|file| self.fate(file, links)).collect::<Result<Vec<Fate>>>()?;
        let mut plan = FlatPlan::default();
        let mut conflicts = Vec::new();
        for ((index, file), fate) in files.iter().enumerate().zip(fates) {
            match fate {
                Fate::Keep => {}
                Fate::Make => plan.make.push((index, false)),
                Fate::Replace => plan.make.push((index, true)),
                Fate::Adopt(made) => {
                    plan.adopted.insert(file.filename.to_owned(), made);
                    plan.make.push((index, true));
                }
                Fate::Theirs => plan.theirs.push(file.filename.to_owned()),
                Fate::Conflict => conflicts.push(file.filename),
            }
        }
        if !conflicts.is_empty() {
            return Err(self.in_the_way(&conflicts));
        }
        let wanted: BTreeSet<&str> = files.iter().map(|file| file.filename).collect();
        let mark = self.mark.iter().flat_map(|mark| &mark.files);
        plan.remove = mark.map(|(name, _)| name).filter(|name| !wanted.contains(name.as_str())).cloned().collect();
        for (name, made) in self.legacy_links(owner)?.into_iter().filter(|(name, _)| !wanted.contains(name.as_str())) {
            plan.remove.insert(name.clone());
            plan.adopted.insert(name, made);
        }
        Ok(plan)
    }

    fn in_the_way(&self, names: &[&str]) -> Error {
        let told = names[..names.len().min(TOLD)].join(", ");
        let more = if names.len() > TOLD { format!(" and {} more", names.len() - TOLD) } else { String::new() };
        let why = format!(
            "{told}{more} in it was not made by this view, or was changed since, and is not what the view would put there; \
             import it or move it away"
        );
        Error::Foreign { path: self.folder.path().to_owned(), why }
    }

    fn fate(&self, file: &FlatFile<'_>, links: &LinkMaker) -> Result<Fate> {
        let path = self.folder.at(file.filename);
        let Some(found) = fs::entry(&path)? else { return Ok(Fate::Make) };
        for made in self.mark.iter().filter_map(|mark| mark.files.get(file.filename)).flatten() {
            if made.is_at(&path)? {
                return Ok(if file.is(made, links) { Fate::Keep } else { Fate::Replace });
            }
        }
        let (blake3, epoch) = file.blake3();
        let adopt = || Ok(Fate::Adopt(Made::at(&path, &blake3, epoch, "adopted")?));
        if found.is_symlink() {
            // A link of ours whose mark was lost: it holds nothing of anybody's.
            let text = std::fs::read_link(&path).map_err(fs::Error::at("read", &path))?;
            let is_ours = file.target(links) == Some(text) || self.is_legacy;
            return if is_ours { adopt() } else { Ok(Fate::Conflict) };
        }
        if !found.is_file() {
            return Ok(Fate::Conflict);
        }
        if self.is_legacy && file.filename == PAGE {
            return Ok(Fate::Adopt(Made::at(&path, &digests(&path)?.blake3, 0, "adopted")?));
        }
        match digests(&path)?.blake3 == blake3 {
            true if self.is_legacy => adopt(),
            true => Ok(Fate::Theirs),
            false => Ok(Fate::Conflict),
        }
    }

    /// Returns the links into the store in the folder of an earlier version, which made all that was there.
    fn legacy_links(&self, owner: &Owner) -> Result<Vec<(String, Made)>> {
        let mut links = Vec::new();
        if !self.is_legacy {
            return Ok(links);
        }
        let blobs = Path::new(&owner.root).join("blobs");
        for name in self.folder.names()?.into_iter().filter_map(|name| name.into_string().ok()) {
            let path = self.folder.at(&name);
            let is_link = fs::entry(&path)?.is_some_and(|found| found.is_symlink());
            if is_link && std::fs::canonicalize(&path).is_ok_and(|target| target.starts_with(&blobs)) {
                links.push((name, Made::Link { link: std::fs::read_link(&path).unwrap_or_default() }));
            }
        }
        Ok(links)
    }

    /// Makes what is planned and shows it, durably; the last of the files is the page that lists the others. `around` is given each file's
    /// position and the work on it, which it does.
    pub fn show(
        &mut self,
        owner: &Owner,
        plan: &FlatPlan,
        files: &[FlatFile<'_>],
        links: &LinkMaker,
        around: Around<'_>,
    ) -> Result<()> {
        let mut mark = self.mark.take().unwrap_or_else(|| Mark::new(owner));
        if plan.make.is_empty() && plan.remove.is_empty() && mark.owner == *owner && mark.staging.is_none() {
            self.mark = Some(mark);
            return Ok(());
        }
        self.sweep(&mark)?;
        mark.owner = owner.clone();
        for (name, made) in &plan.adopted {
            mark.files.entry(name.clone()).or_default().push(made.clone());
        }
        let staging = self.begin(&mut mark, false)?;
        let make = |&(index, _): &(usize, bool)| {
            let mut made = None;
            around(index, &mut || made = Some(files[index].make(&staging.at(files[index].filename), links)));
            made.expect("the work is done where it is given")
        };
        let made = plan.make.par_iter().map(make).collect::<Result<Vec<Made>>>()?;
        fs::sync_filesystem(&staging.handle())?;
        for ((index, _), made) in plan.make.iter().zip(&made) {
            mark.files.entry(files[*index].filename.to_owned()).or_default().push(made.clone());
        }
        mark.is_ready = true;
        mark.write(&self.folder, MARK)?;
        for &(index, is_ours) in &plan.make {
            self.place(&mark, &staging, files[index].filename, is_ours)?;
        }
        for name in &plan.remove {
            self.take_away(&mark, &staging, name)?;
        }
        fs::sync_dir(&self.folder.handle())?;
        self.sweep(&mark)?;
        mark.files.retain(|name, _| !plan.remove.contains(name));
        for ((index, _), made) in plan.make.iter().zip(made) {
            mark.files.insert(files[*index].filename.to_owned(), vec![made]);
        }
        (mark.staging, mark.is_ready) = (None, false);
        mark.write(&self.folder, MARK)?;
        self.mark = Some(mark);
        Ok(())
    }

    /// Removes the tree, and the folder if nothing else is in it. Returns the names that were ours once, and were changed: they stay.
    pub fn remove(mut self, owner: &Owner) -> Result<Vec<String>> {
        let mut mark = self.mark.take().unwrap_or_else(|| Mark::new(owner));
        self.sweep(&mark)?;
        for (name, made) in self.legacy_links(owner)? {
            mark.files.insert(name, vec![made]);
        }
        let page = self.folder.at(PAGE);
        if self.is_legacy && fs::entry(&page)?.is_some_and(|found| found.is_file()) {
            mark.files.insert(PAGE.to_owned(), vec![Made::at(&page, &digests(&page)?.blake3, 0, WRITTEN)?]);
        }
        let mut left = Vec::new();
        if !mark.files.is_empty() {
            let staging = self.begin(&mut mark, true)?;
            // Nobody finds a file by the page that is no longer there.
            let names = mark.files.keys().filter(|name| *name != PAGE);
            for name in mark.files.get_key_value(PAGE).map(|(name, _)| name).into_iter().chain(names) {
                if !self.take_away(&mark, &staging, name)? {
                    left.push(name.clone());
                }
            }
            fs::sync_dir(&self.folder.handle())?;
            self.sweep(&mark)?;
        }
        // Until all else is gone, the mark tells that it is ours; and no reader finds any of it again after a power cut.
        fs::sync_dir(&self.folder.handle())?;
        fs::remove_file(&self.folder.at(MARK))?;
        fs::sync_dir(&self.folder.handle())?;
        if self.folder.names()?.is_empty() {
            fs::remove_empty_dir(self.folder.path())?;
        }
        Ok(left)
    }

    /// Names a new hidden folder in the mark, and makes it.
    fn begin(&self, mark: &mut Mark, is_ready: bool) -> Result<Folder> {
        let name = format!(".wcas-{}", fs::unique_name());
        (mark.staging, mark.is_ready) = (Some(name.clone()), is_ready);
        mark.write(&self.folder, MARK)?;
        Ok(self.folder.make(&name)?)
    }

    /// Gives a file in the hidden folder its name.
    fn place(&self, mark: &Mark, staging: &Folder, name: &str, is_ours: bool) -> Result<()> {
        let (from, to) = (staging.at(name), self.folder.at(name));
        let is_free = !is_ours || fs::entry(&to)?.is_none();
        if is_free {
            return if fs::rename_new(&from, &to)? { Ok(()) } else { Err(self.in_the_way(&[name])) };
        }
        if !fs::exchange(&from, &to)? {
            // A filesystem that can't exchange names: between the look and the rename lies a moment.
            return match mark.is_made(name, &to)? {
                true => Ok(fs::rename(&from, &to)?),
                false => Err(self.in_the_way(&[name])),
            };
        }
        if mark.is_made(name, &from)? {
            return Ok(());
        }
        fs::exchange(&from, &to)?;
        Err(self.in_the_way(&[name]))
    }

    /// Takes a file out of the folder. Returns false where it is not what was made: then it stays.
    fn take_away(&self, mark: &Mark, staging: &Folder, name: &str) -> Result<bool> {
        let path = self.folder.at(name);
        if fs::entry(&path)?.is_some() && !mark.is_made(name, &path)? {
            return Ok(false);
        }
        match fs::rename_new(&path, &staging.at(name)) {
            Err(error) if error.is_not_found() => return Ok(true),
            done => done?,
        };
        if mark.is_made(name, &staging.at(name))? {
            return Ok(true);
        }
        self.put_back(staging, OsStr::new(name))?;
        Ok(false)
    }

    /// Puts back what was not ours; where its name was taken meanwhile, beside it.
    fn put_back(&self, staging: &Folder, name: &OsStr) -> Result<()> {
        for number in 0.. {
            let mut to = name.to_owned();
            if number > 0 {
                to.push(format!(".{number}"));
            }
            if fs::rename_new(&staging.at(name), &self.folder.at(&to))? {
                break;
            }
        }
        Ok(())
    }

    /// Removes the hidden folder that the mark names: what was made in it, and what was taken out of the tree and was ours.
    fn sweep(&self, mark: &Mark) -> Result<()> {
        let Some(name) = &mark.staging else { return Ok(()) };
        let Some(staging) = self.folder.child(name)? else { return Ok(()) };
        if !staging.is_own()? {
            let why = format!("`{name}` in it is another user's");
            return Err(Error::Foreign { path: self.folder.path().to_owned(), why });
        }
        for name in staging.names()? {
            let path = staging.at(&name);
            let is_ours = match name.to_str() {
                Some(name) => !mark.is_ready || mark.is_made(name, &path)?,
                None => false,
            };
            if is_ours {
                fs::remove_file(&path)?;
            } else {
                self.put_back(&staging, &name)?;
            }
        }
        Ok(fs::remove_empty_dir(&self.folder.at(name))?)
    }
}
