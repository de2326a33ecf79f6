//! Random verbs against a model in memory, compared after each step.
//!
//! The model knows what a collection holds at each revision, what keeps a blob (live and kept history, pins), which bytes are lost,
//! and what trees show. It knows nothing of rows and files. `PROPTEST_CASES` sets the number of cases; the seed is fixed.

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};
use support::Wheel;
use tempfile::TempDir;
use wcas::blobs::LinkMode;
use wcas::catalog::at::RevisionSpec;
use wcas::catalog::search::{Filter, TagFilter};
use wcas::catalog::wish::Wish;
use wcas::context::Context;
use wcas::digest::Digests;
use wcas::intake::{ImportOptions, Outcome};
use wcas::manifest::{Layout, LinkKind, Retention, State};
use wcas::name::CollectionName;
use wcas::ops::gc::GcOptions;
use wcas::ops::invalidate::InvalidateOptions;
use wcas::ops::lookup::LookupOptions;
use wcas::ops::verify::VerifyOptions;
use wcas::ops::view::TreeOptions;
use wcas::requirement::Spec;
use wcas::{ErrorKind, Store, ops};

const COLLECTIONS: [&str; 3] = ["cuda", "rocm", "shared"];
const DISTRIBUTIONS: [(&str, &str); 5] = [("a", "1.0"), ("a", "2.0"), ("a", "10.0"), ("b", "1.0"), ("c", "1.0")];
const SEEDS: usize = 3;
const TREES: usize = 2;
const HOUR: i64 = 3600;

/// Bytes that the steps use: a distribution and the seed of its payload.
type Content = (usize, usize);

fn wheel((distribution, seed): Content) -> Wheel {
    let (project, version) = DISTRIBUTIONS[distribution];
    Wheel::new(project, version).payload(200, seed as u64)
}

struct Source {
    path: PathBuf,
    bytes: Vec<u8>,
    digests: Digests,
}

/// All contents, as files to import; made once.
static SOURCES: LazyLock<(TempDir, BTreeMap<Content, Source>)> = LazyLock::new(|| {
    let dir = folder();
    let all = (0..DISTRIBUTIONS.len()).flat_map(|distribution| (0..SEEDS).map(move |seed| (distribution, seed)));
    let sources = all.map(|content| {
        let path = wheel(content).write_to(dir.path().join(content.1.to_string()));
        let bytes = fs::read(&path).expect("just written");
        (content, Source { path, digests: Digests::of(&bytes), bytes })
    });
    let sources = sources.collect();
    (dir, sources)
});

/// Makes a temporary folder, in memory where there is one: syncs cost nothing there.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    TempDir::with_prefix_in("wcas-model-", dir).expect("a temporary folder can be made")
}

fn source(content: Content) -> &'static Source {
    &SOURCES.1[&content]
}

fn filename(distribution: usize) -> String {
    wheel((distribution, 0)).filename()
}

fn name(collection: usize) -> CollectionName {
    COLLECTIONS[collection].parse().expect("a good name")
}

#[derive(Debug, Clone)]
enum Step {
    Import { into: usize, contents: Vec<Content>, keep_existing: bool },
    Invalidate { collection: Option<usize>, project: &'static str },
    Undo,
    Pin { collection: usize, distribution: usize },
    Unpin { content: Content },
    Copy { from: usize, to: usize, replace: bool },
    Rollback { collection: usize, back: i64 },
    Snapshot { collection: usize, name: usize, back: i64 },
    DeleteSnapshot { collection: usize, name: usize },
    DeleteCollection { collection: usize },
    Gc { hours: i64, grace: i64 },
    Damage { content: Content, is_deleted: bool },
    Heal { content: Content, into: usize },
    Tree { tree: usize, collection: usize, back: i64 },
    DropTree { tree: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let collection = || 0..COLLECTIONS.len();
    let content = || (0..DISTRIBUTIONS.len(), 0..SEEDS);
    let back = || prop_oneof![3 => Just(0i64), 3 => 1..4i64];
    let import =
        (collection(), prop::collection::btree_map(0..DISTRIBUTIONS.len(), 0..SEEDS, 1..4), prop::bool::weighted(0.2));
    prop_oneof![
        8 => import.prop_map(|(into, contents, keep_existing)| {
            Step::Import { into, contents: contents.into_iter().collect(), keep_existing }
        }),
        3 => (prop::option::of(collection()), prop::sample::select(vec!["a", "b", "c"]))
            .prop_map(|(collection, project)| Step::Invalidate { collection, project }),
        2 => Just(Step::Undo),
        1 => (collection(), 0..DISTRIBUTIONS.len()).prop_map(|(collection, distribution)| Step::Pin { collection, distribution }),
        1 => content().prop_map(|content| Step::Unpin { content }),
        2 => (collection(), collection(), any::<bool>()).prop_map(|(from, to, replace)| Step::Copy { from, to, replace }),
        2 => (collection(), back()).prop_map(|(collection, back)| Step::Rollback { collection, back }),
        1 => (collection(), 0..2usize, back()).prop_map(|(collection, name, back)| Step::Snapshot { collection, name, back }),
        1 => (collection(), 0..2usize).prop_map(|(collection, name)| Step::DeleteSnapshot { collection, name }),
        1 => collection().prop_map(|collection| Step::DeleteCollection { collection }),
        3 => (0..72i64, prop_oneof![Just(0), Just(48 * HOUR)]).prop_map(|(hours, grace)| Step::Gc { hours, grace }),
        2 => (content(), any::<bool>()).prop_map(|(content, is_deleted)| Step::Damage { content, is_deleted }),
        2 => (content(), collection()).prop_map(|(content, into)| Step::Heal { content, into }),
        3 => (0..TREES, collection(), back()).prop_map(|(tree, collection, back)| Step::Tree { tree, collection, back }),
        1 => (0..TREES).prop_map(|tree| Step::DropTree { tree }),
    ]
}

#[derive(Debug, Clone)]
struct Entry {
    distribution: usize,
    content: Content,
    added: i64,
    /// The revision that removed it, when, and by which operation that can be undone.
    removed: Option<(i64, i64, Option<usize>)>,
}

impl Entry {
    fn is_at(&self, revision: i64) -> bool {
        self.added <= revision && self.removed.is_none_or(|(removed, ..)| revision < removed)
    }
}

#[derive(Debug, Default)]
struct Collection {
    revision: i64,
    whole_since: i64,
    entries: Vec<Entry>,
    snapshots: BTreeMap<usize, i64>,
}

impl Collection {
    fn at(&self, revision: i64) -> BTreeMap<usize, Content> {
        self.entries
            .iter()
            .filter(|entry| entry.is_at(revision))
            .map(|entry| (entry.distribution, entry.content))
            .collect()
    }

    fn live(&self) -> BTreeMap<usize, Content> {
        self.at(self.revision)
    }

    fn is_whole(&self, revision: i64) -> bool {
        revision >= self.whole_since || self.snapshots.values().any(|kept| *kept == revision)
    }

    /// Makes a new revision with this content, if it is another.
    fn become_(&mut self, wanted: &BTreeMap<usize, Content>, now: i64, operation: Option<usize>) -> bool {
        let live = self.live();
        if live == *wanted {
            return false;
        }
        let revision = self.revision + 1;
        for entry in self.entries.iter_mut().filter(|entry| entry.removed.is_none()) {
            if wanted.get(&entry.distribution) != Some(&entry.content) {
                entry.removed = Some((revision, now, operation));
            }
        }
        for (&distribution, &content) in wanted {
            if live.get(&distribution) != Some(&content) {
                self.entries.push(Entry { distribution, content, added: revision, removed: None });
            }
        }
        self.revision = revision;
        true
    }
}

#[derive(Debug, Clone)]
struct Shown {
    collection: usize,
    revision: i64,
    /// What readers see: what was lost when it was made is not there.
    files: BTreeMap<usize, Content>,
}

#[derive(Debug, Default)]
struct Model {
    now: i64,
    collections: BTreeMap<usize, Collection>,
    pins: BTreeSet<Content>,
    lost: BTreeSet<Content>,
    trees: BTreeMap<usize, Shown>,
    /// Whether each operation that can be undone was.
    operations: Vec<bool>,
}

impl Model {
    /// Returns what must not be deleted.
    fn kept(&self) -> BTreeSet<Content> {
        let entries = self.collections.values().flat_map(|collection| &collection.entries).map(|entry| entry.content);
        entries.chain(self.pins.iter().copied()).collect()
    }

    /// Forgets removed entries that neither the grace nor a snapshot nor a tree keeps.
    fn prune(&mut self, grace: i64) {
        for (number, collection) in &mut self.collections {
            let snapshots: Vec<i64> = collection.snapshots.values().copied().collect();
            let trees = self.trees.values().filter(|tree| tree.collection == *number).map(|tree| tree.revision);
            let kept: Vec<i64> = snapshots.into_iter().chain(trees).collect();
            let mut whole_since = collection.whole_since;
            collection.entries.retain(|entry| {
                let Some((removed, at, _)) = entry.removed else { return true };
                let stays = at > self.now - grace || kept.iter().any(|revision| entry.is_at(*revision));
                if !stays {
                    whole_since = whole_since.max(removed);
                }
                stays
            });
            collection.whole_since = whole_since;
        }
    }
}

struct Case {
    dir: TempDir,
    store: Store,
    model: Model,
}

impl Case {
    fn new() -> Self {
        let dir = folder();
        let store = Store::open_or_create(&dir.path().join("store")).expect("an empty folder becomes a store");
        // Some marks take the real clock: the model's own is always ahead of it.
        let real = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().cast_signed();
        Self { dir, store, model: Model { now: real + 24 * HOUR, ..Model::default() } }
    }

    fn context(&self) -> Context<'static> {
        Context { now: self.model.now, who: "model", jobs: 2, progress: &(), client: None }
    }

    fn tree(&self, tree: usize) -> PathBuf {
        self.dir.path().join(format!("tree{tree}"))
    }

    fn blob(&self, content: Content) -> PathBuf {
        self.store.blobs.path(&source(content).digests.blake3)
    }

    fn apply(&mut self, step: &Step) -> TestCaseResult {
        self.model.now += 60;
        match step {
            Step::Import { into, contents, keep_existing } => self.import(*into, contents, *keep_existing)?,
            Step::Heal { content, into } => self.import(*into, &[*content], false)?,
            Step::Invalidate { collection, project } => self.invalidate(*collection, project)?,
            Step::Undo => self.undo()?,
            Step::Pin { collection, distribution } => self.pin(*collection, *distribution)?,
            Step::Unpin { content } => self.unpin(*content)?,
            Step::Copy { from, to, replace } => self.copy(*from, *to, *replace)?,
            Step::Rollback { collection, back } => self.rollback(*collection, *back)?,
            Step::Snapshot { collection, name, back } => self.snapshot(*collection, *name, *back)?,
            Step::DeleteSnapshot { collection, name: snapshot } => {
                let done = ops::collection::delete_snapshot(&self.store, &name(*collection), &format!("s{snapshot}"));
                let known = self.model.collections.get_mut(collection);
                let expected = known.is_some_and(|collection| collection.snapshots.remove(snapshot).is_some());
                prop_assert_eq!(done.is_ok(), expected);
            }
            Step::DeleteCollection { collection } => {
                let is_shown = self.model.trees.values().any(|tree| tree.collection == *collection);
                let expected = !is_shown && self.model.collections.contains_key(collection);
                prop_assert_eq!(
                    ops::collection::delete_collection(&self.store, &name(*collection), true).is_ok(),
                    expected
                );
                if expected {
                    self.model.collections.remove(collection);
                }
            }
            Step::Gc { hours, grace } => self.gc(*hours, *grace)?,
            Step::Damage { content, is_deleted } => self.damage(*content, *is_deleted)?,
            Step::Tree { tree, collection, back } => self.show(*tree, *collection, *back)?,
            Step::DropTree { tree } => {
                let done = ops::view::drop_tree(&self.store, &self.tree(*tree));
                prop_assert_eq!(done.is_ok(), self.model.trees.remove(tree).is_some());
            }
        }
        Ok(())
    }

    fn import(&mut self, into: usize, contents: &[Content], keep_existing: bool) -> TestCaseResult {
        let paths: Vec<PathBuf> = contents.iter().map(|content| source(*content).path.clone()).collect();
        let (sources, refused, _) = wcas::intake::find_sources(&paths, None);
        prop_assert!(refused.is_empty());
        let options = ImportOptions {
            target: wcas::intake::Target::Collection(name(into)),
            link: LinkMode::Copy,
            keep_existing,
            trust: wcas::wheel::Trust::Neither,
        };
        let report = wcas::intake::import(&self.store, &self.context(), sources, &options)
            .expect("an import of good files succeeds");
        let kept = self.model.kept();
        let now = self.model.now;
        let collection = self.model.collections.entry(into).or_default();
        let live = collection.live();
        let mut wanted = live.clone();
        let mut outcomes = BTreeMap::new();
        for &content in contents {
            let before = live.get(&content.0);
            let keeps = |before: &Content| *before != content && !self.model.lost.contains(before);
            if before.is_some_and(keeps) && keep_existing {
                continue;
            }
            wanted.insert(content.0, content);
            // Of lost bytes that nothing keeps gc may have forgotten.
            outcomes.insert(
                filename(content.0),
                match before {
                    _ if self.model.lost.contains(&content) && kept.contains(&content) => Some(Outcome::Healed),
                    _ if self.model.lost.contains(&content) => None,
                    Some(before) if *before == content => Some(Outcome::Unchanged),
                    Some(_) => Some(Outcome::Replaced),
                    None if kept.contains(&content) => Some(Outcome::Deduplicated),
                    None => None,
                },
            );
        }
        collection.become_(&wanted, now, None);
        let revision = collection.revision;
        self.model.lost.retain(|content| !contents.contains(content));
        prop_assert_eq!(report.revision, revision);
        prop_assert_eq!(report.refused.len(), contents.len() - outcomes.len());
        prop_assert_eq!(report.distributions.len(), outcomes.len());
        for distribution in &report.distributions {
            if let Some(expected) = outcomes[&distribution.filename] {
                prop_assert_eq!(distribution.outcome, expected, "{}", distribution.filename);
            }
        }
        Ok(())
    }

    fn invalidate(&mut self, only: Option<usize>, project: &str) -> TestCaseResult {
        let filter = Filter {
            specs: vec![project.parse().expect("a spec")],
            collections: only.map(|at| name(at).into()).into_iter().collect(),
            ..Filter::default()
        };
        let done = ops::invalidate::invalidate(
            &self.store,
            &self.context(),
            &InvalidateOptions { filter, ..InvalidateOptions::default() },
        );
        let (now, operation) = (self.model.now, self.model.operations.len());
        let mut removed = 0;
        for (_, collection) in
            self.model.collections.iter_mut().filter(|(number, _)| only.is_none_or(|only| only == **number))
        {
            let mut wanted = collection.live();
            let before = wanted.len();
            wanted.retain(|distribution, _| DISTRIBUTIONS[*distribution].0 != project);
            removed += before - wanted.len();
            collection.become_(&wanted, now, Some(operation));
        }
        prop_assert_eq!(done.map(|report| report.removed.len()).unwrap_or_default(), removed);
        if removed > 0 {
            self.model.operations.push(false);
        }
        Ok(())
    }

    fn undo(&mut self) -> TestCaseResult {
        let done = ops::invalidate::undo(&self.store, &self.context(), None);
        let Some(last) = self.model.operations.iter().rposition(|is_undone| !is_undone) else {
            prop_assert_eq!(done.expect_err("nothing to undo").kind(), ErrorKind::NotFound);
            return Ok(());
        };
        let now = self.model.now;
        let (mut found, mut restored) = (0, 0);
        for collection in self.model.collections.values_mut() {
            let mut wanted = collection.live();
            for entry in
                collection.entries.iter().filter(|entry| entry.removed.is_some_and(|(_, _, by)| by == Some(last)))
            {
                found += 1;
                if let std::collections::btree_map::Entry::Vacant(vacant) = wanted.entry(entry.distribution) {
                    vacant.insert(entry.content);
                    restored += usize::from(!self.model.lost.contains(&entry.content));
                }
            }
            collection.become_(&wanted, now, None);
        }
        if found == 0 {
            prop_assert!(done.is_err(), "gc has taken all of it");
            return Ok(());
        }
        self.model.operations[last] = true;
        let report = done.expect("something is left to be restored");
        prop_assert_eq!((report.restored.len(), report.refused.len()), (restored, found - restored));
        Ok(())
    }

    fn pin(&mut self, collection: usize, distribution: usize) -> TestCaseResult {
        let filter = Filter {
            specs: vec![Spec::Filename(filename(distribution))],
            collections: vec![name(collection).into()],
            ..Filter::default()
        };
        let done = ops::pin::pin(&self.store, &self.context(), &filter, "model", "", None);
        let live = self.model.collections.get(&collection).map(Collection::live).unwrap_or_default();
        prop_assert_eq!(done.is_ok(), live.contains_key(&distribution));
        self.model.pins.extend(live.get(&distribution));
        Ok(())
    }

    fn unpin(&mut self, content: Content) -> TestCaseResult {
        let specs = vec![format!("blake3:{}", source(content).digests.blake3).parse().expect("a digest")];
        let done = ops::pin::unpin(&self.store, &Filter { specs, ..Filter::default() }, Some("model"));
        prop_assert_eq!(done.is_ok(), self.model.pins.remove(&content));
        Ok(())
    }

    fn copy(&mut self, from: usize, to: usize, replace: bool) -> TestCaseResult {
        let spec = RevisionSpec { collection: name(from), revision: None };
        let done = ops::promote::copy_collection(&self.store, &self.context(), &spec, &name(to), replace);
        let Some(source) = self.model.collections.get(&from).map(Collection::live) else {
            prop_assert_eq!(done.expect_err("no such collection").kind(), ErrorKind::NotFound);
            return Ok(());
        };
        let now = self.model.now;
        let target = self.model.collections.entry(to).or_default();
        let mut wanted = target.live();
        for (distribution, content) in source {
            if replace || !wanted.contains_key(&distribution) {
                wanted.insert(distribution, content);
            }
        }
        target.become_(&wanted, now, None);
        prop_assert_eq!(done.expect("a copy of what is there").revision, target.revision);
        Ok(())
    }

    fn rollback(&mut self, number: usize, back: i64) -> TestCaseResult {
        let revision = self.model.collections.get(&number).map_or(0, |collection| collection.revision - back);
        let done = ops::collection::rollback(&self.store, &self.context(), &name(number), &revision.to_string());
        let now = self.model.now;
        let collection =
            self.model.collections.get_mut(&number).filter(|known| revision >= 0 && known.is_whole(revision));
        prop_assert_eq!(done.is_ok(), collection.is_some());
        if let Some(collection) = collection {
            let wanted = collection.at(revision);
            collection.become_(&wanted, now, None);
        }
        Ok(())
    }

    fn snapshot(&mut self, number: usize, snapshot: usize, back: i64) -> TestCaseResult {
        let revision = self.model.collections.get(&number).map_or(0, |collection| collection.revision - back);
        let spec = RevisionSpec { collection: name(number), revision: Some(revision.to_string()) };
        let done = ops::collection::snapshot(&self.store, &self.context(), &spec, &format!("s{snapshot}"));
        let collection = self
            .model
            .collections
            .get_mut(&number)
            .filter(|known| revision >= 0 && known.is_whole(revision) && !known.snapshots.contains_key(&snapshot));
        prop_assert_eq!(done.is_ok(), collection.is_some());
        if let Some(collection) = collection {
            collection.snapshots.insert(snapshot, revision);
        }
        Ok(())
    }

    fn gc(&mut self, hours: i64, grace: i64) -> TestCaseResult {
        self.model.now += hours * HOUR;
        let mut options = GcOptions {
            dry_run: true,
            grace,
            rules: Retention::default(),
            collections: Vec::new(),
            cache_size: None,
            max_duration: None,
        };
        let plan = ops::gc::gc(&self.store, &self.context(), &options).expect("a dry run succeeds");
        options.dry_run = false;
        let report = ops::gc::gc(&self.store, &self.context(), &options).expect("gc succeeds");
        prop_assert_eq!(
            (plan.blobs, plan.freed_bytes, plan.forgotten),
            (report.blobs, report.freed_bytes, report.forgotten)
        );
        prop_assert!(report.problems.is_empty() && report.references.is_empty(), "{:?}", report);
        self.model.prune(grace);
        if grace == 0 {
            let kept = self.model.kept();
            let left: Vec<&Content> = SOURCES.1.keys().filter(|content| self.blob(**content).exists()).collect();
            let expected: Vec<&Content> = kept.iter().filter(|content| !self.model.lost.contains(content)).collect();
            prop_assert_eq!(left, expected, "without a grace all that nothing keeps goes, and nothing else");
            self.model.lost.retain(|content| kept.contains(content));
        }
        Ok(())
    }

    fn damage(&mut self, content: Content, is_deleted: bool) -> TestCaseResult {
        let path = self.blob(content);
        if path.exists() {
            fs::remove_file(&path).expect("the test owns the store");
            if !is_deleted {
                fs::write(&path, vec![b'x'; source(content).bytes.len()]).expect("the test owns the store");
            }
            self.model.lost.insert(content);
        }
        let report =
            ops::verify::verify(&self.store, &self.context(), &VerifyOptions::default()).expect("verify succeeds");
        let found: BTreeSet<_> = report.problems.iter().map(|problem| problem.blake3).collect();
        for (other, source) in &SOURCES.1 {
            let is_found = found.contains(&source.digests.blake3);
            // Of what nothing keeps gc may have forgotten the row.
            let may_be_gone = !self.model.kept().contains(other);
            prop_assert!(is_found == self.model.lost.contains(other) || may_be_gone && !is_found, "{:?}", other);
        }
        Ok(())
    }

    fn show(&mut self, tree: usize, number: usize, back: i64) -> TestCaseResult {
        let revision = self.model.collections.get(&number).map_or(0, |collection| collection.revision - back);
        let options = TreeOptions {
            shown: wcas::catalog::view_contents::Shown::Collection {
                name: name(number),
                at: (back > 0).then(|| revision.to_string()),
            },
            to: self.tree(tree),
            link: LinkKind::Symlink,
            layout: Layout::Simple,
            // Which collection a tree shows is drawn by lot.
            replace: true,
        };
        let done = ops::view::view_tree(&self.store, &self.context(), &options);
        let collection = self.model.collections.get(&number).filter(|known| revision >= 0 && known.is_whole(revision));
        prop_assert_eq!(done.is_ok(), collection.is_some());
        if let Some(collection) = collection {
            let mut files = collection.at(revision);
            files.retain(|_, content| !self.model.lost.contains(content));
            prop_assert_eq!(done.expect("just looked").files, files.len());
            self.model.trees.insert(tree, Shown { collection: number, revision, files });
        }
        Ok(())
    }

    /// Compares all that can be seen with the model.
    fn compare(&self) -> TestCaseResult {
        let model = &self.model;
        let listed = ops::list::list(&self.store, &Filter::default()).expect("a list");
        let listed: BTreeSet<_> = listed
            .into_iter()
            .map(|row| (row.collection.to_string(), row.filename, row.sha256.to_string(), row.state))
            .collect();
        let live = model.collections.iter().flat_map(|(&number, collection)| {
            let rows = collection.live().into_iter();
            rows.map(move |(distribution, content)| {
                let state = if model.lost.contains(&content) { State::Lost } else { State::Live };
                (
                    COLLECTIONS[number].to_owned(),
                    filename(distribution),
                    source(content).digests.sha256.to_string(),
                    state,
                )
            })
        });
        let same = listed == live.collect();
        prop_assert!(same, "the listing differs: {:?}", listed);
        let known: Vec<_> = ops::collection::collections(&self.store)
            .expect("collections")
            .into_iter()
            .map(|row| (row.name.to_string(), row.revision))
            .collect();
        let expected =
            model.collections.iter().map(|(&number, collection)| (COLLECTIONS[number].to_owned(), collection.revision));
        prop_assert_eq!(known, expected.collect::<Vec<_>>());
        for content in model.kept() {
            let found = fs::read(self.blob(content)).ok();
            let expected = Some(&source(content).bytes).filter(|_| !model.lost.contains(&content));
            prop_assert!(found.as_ref() == expected, "the bytes of {:?}", content);
        }
        for (&number, collection) in &model.collections {
            self.compare_lookups(number, &collection.live())?;
        }
        for (&tree, shown) in &model.trees {
            self.compare_tree(tree, shown)?;
        }
        Ok(())
    }

    fn compare_lookups(&self, number: usize, live: &BTreeMap<usize, Content>) -> TestCaseResult {
        for project in ["a", "b", "c"] {
            let options = LookupOptions {
                wish: Wish::new(project.parse().expect("a spec"), TagFilter::default()),
                collections: vec![name(number).into()],
                variant: None,
                own: wcas::catalog::ownership::OwnProjects::Stored,
                force_miss: false,
                is_offline: true,
            };
            let report = ops::lookup::lookup(&self.store, &self.context(), &options).expect("a lookup answers");
            // Versions stand in their order.
            let good = live.values().filter(|content| !self.model.lost.contains(content));
            let best = good.filter(|content| DISTRIBUTIONS[content.0].0 == project).max_by_key(|content| content.0);
            prop_assert_eq!(report.sha256, best.map(|content| source(*content).digests.sha256));
            if let (Some(path), Some(best)) = (report.path, best) {
                prop_assert!(fs::read(path).expect("a hit can be read") == source(*best).bytes);
            }
        }
        Ok(())
    }

    fn compare_tree(&self, tree: usize, shown: &Shown) -> TestCaseResult {
        let dir = self.tree(tree).join("simple");
        for (distribution, (project, _)) in DISTRIBUTIONS.iter().enumerate() {
            let path = dir.join(project).join(filename(distribution));
            let content = shown.files.get(&distribution);
            prop_assert_eq!(path.is_symlink(), content.is_some(), "{}", path.display());
            // What was lost since is seen by nobody; what was healed since is there again.
            let expected =
                content.filter(|content| !self.model.lost.contains(content)).map(|content| &source(*content).bytes);
            prop_assert!(fs::read(&path).ok().as_ref() == expected, "{}", path.display());
        }
        Ok(())
    }
}

#[test]
fn random_verbs_do_what_the_model_does() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(64);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let steps = prop::collection::vec(step(), 10..40);
    let done = runner.run(&steps, |steps| {
        let mut case = Case::new();
        for (number, step) in steps.iter().enumerate() {
            let compared = case.apply(step).and_then(|()| case.compare());
            compared.map_err(|error| TestCaseError::fail(format!("step {number}, {step:?}: {error}")))?;
        }
        Ok(())
    });
    if let Err(error) = done {
        panic!("{error}");
    }
}
