//! What collections say of their projects: of each the newest version's summary, and what it needs. There is no index of that, so it is
//! read from the METADATA that the manifest keeps, once for each revision of a collection, and of each METADATA once.

use crate::catalog::at::CollectionAt;
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{CollectionId, Described, Scope};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::Dependency;
use crate::server::Server;
use crate::server::bounded_cache::BoundedCache;
use crate::server::endpoint::ViewName;
use crate::store::Store;
use crate::wheel::particulars::Particulars;
use pep440_rs::Version;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many projects of a collection are read; the rest is said to be left out.
const PROJECTS: usize = 20_000;
/// So many bytes of outlines, and of what METADATA says, are remembered, about.
const OUTLINE_BYTES: usize = 24 << 20;
const GIST_BYTES: usize = 12 << 20;
/// The longest summary and requirement that are kept, in letters.
const SUMMARY: usize = 200;
const REQUIREMENT: usize = 200;

/// What a METADATA says, in short.
#[derive(Debug, Default)]
pub(super) struct Gist {
    pub(super) summary: String,
    pub(super) needs: Vec<Need>,
}

/// A project that one needs.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) project: ProjectName,
    pub(super) text: String,
    /// Whether only who asks for an extra needs it.
    pub(super) is_extra: bool,
}

/// What a collection's projects say, by name.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) projects: Vec<(ProjectName, Version, Arc<Gist>)>,
    /// Whether there are more.
    pub(super) is_cut: bool,
    bytes: usize,
}

/// A collection at a revision; one that was made anew under a name has another time.
type Key = (CollectionName, i64, i64);

/// What is remembered of collections.
#[derive(Debug)]
pub(super) struct Outlines {
    outlines: BoundedCache<Key, Arc<Outline>>,
    gists: BoundedCache<Sha256, Arc<Gist>>,
    /// One at a time reads: who comes meanwhile finds it done.
    reading: Mutex<()>,
}

impl Default for Outlines {
    fn default() -> Self {
        Self {
            outlines: BoundedCache::of_bytes(OUTLINE_BYTES, 1 << 20, |outline: &Arc<Outline>| outline.bytes),
            gists: BoundedCache::of_bytes(GIST_BYTES, 1 << 10, |gist: &Arc<Gist>| gist.bytes()),
            reading: Mutex::new(()),
        }
    }
}

impl Gist {
    fn read(bytes: &[u8]) -> Self {
        let said = Particulars::read(bytes);
        let need = |text: &String| {
            let dependency: Dependency = text.parse().ok()?;
            let short = text.chars().take(REQUIREMENT).collect();
            Some(Need { is_extra: dependency.is_extra(), project: dependency.name, text: short })
        };
        Self {
            summary: said.summary.unwrap_or_default().chars().take(SUMMARY).collect(),
            needs: said.requires_dist.iter().filter_map(need).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let needs = self.needs.iter().map(|need| need.project.as_str().len() + need.text.len() + 56);
        64 + self.summary.len() + needs.sum::<usize>()
    }
}

/// Returns what each collection of a view says of its projects, the nearest first.
pub(super) fn of_view(server: &Server, store: &Store, view: &ViewName) -> Result<Vec<Arc<Outline>>> {
    let sources = view.shown().sources(&*store.manifest.read()?)?;
    sources.iter().map(|(id, source)| of_collection(server, store, *id, source)).collect()
}

/// Returns what a collection says of its projects at a revision.
pub(super) fn of_collection(
    server: &Server,
    store: &Store,
    id: CollectionId,
    source: &CollectionAt,
) -> Result<Arc<Outline>> {
    let known = &server.people.outlines;
    let row = store.manifest.read()?.find_collection(&source.name)?;
    let Some(row) = row.filter(|row| row.id == id) else { return Ok(Arc::default()) };
    let key = (source.name.clone(), source.revision, row.created_at);
    if let Some(outline) = known.outlines.get(&key) {
        return Ok(outline);
    }
    let _reading = known.reading.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(outline) = known.outlines.get(&key) {
        return Ok(outline);
    }
    let scope = if source.revision == row.revision { Scope::Live } else { Scope::At(source.revision) };
    let outline = Arc::new(read(known, store, id, scope)?);
    known.outlines.insert(key, outline.clone());
    Ok(outline)
}

fn read(known: &Outlines, store: &Store, id: CollectionId, scope: Scope) -> Result<Outline> {
    let mut newest: HashMap<ProjectName, (bool, bool, Version, bool, Option<Sha256>)> = HashMap::new();
    let mut is_cut = false;
    store.manifest.read()?.each_described(id, scope, |found: Described| {
        let Ok(version) = found.version.parse::<Version>() else { return };
        // A final version goes before any other, and of one version a wheel's METADATA before an sdist's.
        let rank = (!found.is_yanked, !version.any_prerelease(), version, found.is_wheel, found.metadata);
        let project = found.project;
        let is_full = newest.len() >= PROJECTS;
        match newest.get_mut(&project) {
            Some(known) if *known < rank => *known = rank,
            Some(_) => {}
            None if is_full => is_cut = true,
            None => drop(newest.insert(project, rank)),
        }
    })?;
    let mut projects = Vec::with_capacity(newest.len());
    let mut bytes = 0;
    for (project, (_, _, version, _, digest)) in newest {
        let gist = digest.map_or_else(|| Ok(Arc::default()), |digest| gist(known, store, digest))?;
        bytes += 120 + project.as_str().len() + gist.bytes();
        projects.push((project, version, gist));
    }
    projects.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    Ok(Outline { projects, is_cut, bytes })
}

fn gist(known: &Outlines, store: &Store, digest: Sha256) -> Result<Arc<Gist>> {
    if let Some(gist) = known.gists.get(&digest) {
        return Ok(gist);
    }
    let bytes = store.manifest.metadata(&digest)?.unwrap_or_default();
    let gist = Arc::new(Gist::read(&bytes));
    known.gists.insert(digest, gist.clone());
    Ok(gist)
}
