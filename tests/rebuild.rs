//! Takes a store's manifest away and has it rebuilt from the blobs.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/wheels.rs"]
mod wheels;

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wcas::blobs::LinkMode;
use wcas::catalog::search::Filter;
use wcas::context::Context;
use wcas::intake::ImportOptions;
use wcas::manifest::State;
use wcas::name::CollectionName;
use wcas::ops::rebuild::{RebuildOptions, RebuildReport};
use wcas::wheel::Trust;
use wcas::{Error, ErrorKind, Store, ops};
use wheels::{Sdist, Wheel};

const CONTEXT: Context<'_> = Context { now: 1_700_000_000, who: "test", jobs: 2, progress: &(), client: None };

/// A store with three distributions in two collections.
struct Sample {
    dir: TempDir,
    root: PathBuf,
    filenames: Vec<String>,
}

impl Sample {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sample = Self { root: dir.path().join("store"), dir, filenames: Vec::new() };
        let tags = "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64";
        let inputs = sample.dir.path().join("in");
        let shared =
            [Wheel::new("demo", "1.0").build("2_el9").write_to(&inputs), Sdist::new("other", "2.0").write_to(&inputs)];
        sample.import("shared", &shared);
        sample.import("cuda", &[Wheel::new("native", "1.0+cu121").tags(tags).payload(5000, 1).write_to(&inputs)]);
        sample.filenames = sample.listed();
        assert_eq!(sample.filenames.len(), 3);
        sample
    }

    fn import(&self, collection: &str, paths: &[PathBuf]) {
        let (sources, ..) = wcas::intake::find_sources(paths, None);
        let collection: CollectionName = collection.parse().unwrap();
        let options = ImportOptions {
            target: wcas::intake::Target::Collection(collection),
            link: LinkMode::Copy,
            keep_existing: false,
            trust: Trust::Neither,
        };
        let store = Store::open_or_create(&self.root).unwrap();
        let report = wcas::intake::import(&store, &CONTEXT, sources, &options).unwrap();
        assert!(report.refused.is_empty(), "{:?}", report.refused);
    }

    fn listed(&self) -> Vec<String> {
        let listed = ops::list::list(&Store::open(&self.root).unwrap(), &Filter::default()).unwrap();
        let mut names: Vec<_> = listed.into_iter().map(|entry| entry.filename).collect();
        names.sort();
        names
    }

    fn remove_manifest(&self) {
        for name in ["manifest.sqlite", "manifest.sqlite-wal", "manifest.sqlite-shm"] {
            _ = fs::remove_file(self.root.join(name));
        }
    }

    /// Takes away what a store of an earlier version hadn't: the filenames beside the blobs.
    fn forget_filenames(&self) {
        fs::remove_dir_all(self.root.join("filenames")).unwrap();
    }

    fn rebuild(&self, force: bool) -> Result<RebuildReport, Error> {
        ops::rebuild::rebuild(&self.root, &CONTEXT, &RebuildOptions { force, ..RebuildOptions::default() })
    }

    /// Asserts that the store is whole again: doctor has nothing to say, and gc nothing to take.
    fn is_sound(&self) {
        let store = Store::open(&self.root).unwrap();
        let findings = ops::doctor::doctor(&store, &CONTEXT).unwrap().findings;
        let known = |kind: &str| matches!(kind, "reflink" | "room");
        assert!(findings.iter().all(|finding| known(finding.kind)), "{findings:?}");
        drop(store);
        assert_eq!(self.gc().blobs, 0);
    }

    fn gc(&self) -> ops::gc::GcReport {
        let options = ops::gc::GcOptions {
            dry_run: false,
            grace: 0,
            rules: Default::default(),
            collections: Vec::new(),
            cache_size: None,
            max_duration: None,
        };
        ops::gc::gc(&Store::open(&self.root).unwrap(), &CONTEXT, &options).unwrap()
    }

    fn damaged(&self) -> Vec<String> {
        let names = fs::read_dir(&self.root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.contains("damaged") || name.contains("rebuilding")).collect();
        names.sort();
        names
    }
}

/// Returns the blobs of a store.
fn blobs(root: &Path) -> Vec<PathBuf> {
    let store = Store::open(root).unwrap();
    store.blobs.iter().map(|entry| entry.unwrap().0).collect()
}

#[test]
fn a_lost_manifest_is_made_anew_with_the_same_filenames() {
    let sample = Sample::new();
    sample.forget_filenames();
    sample.remove_manifest();
    let report = sample.rebuild(false).unwrap();
    assert_eq!(report.distributions, sample.filenames);
    assert_eq!((report.collection.as_str(), report.revision, report.blobs, report.guessed), ("recovered", 1, 3, 3));
    assert!(report.unnamed.is_empty() && report.problems.is_empty() && report.damaged_manifest.is_none());
    assert_eq!(sample.listed(), sample.filenames);
    sample.is_sound();
    let store = Store::open(&sample.root).unwrap();
    assert!(store.manifest.blobs().unwrap().iter().all(|row| row.state == State::Live));
    let log = store.manifest.revisions(store.manifest.collections().unwrap()[0].id).unwrap();
    assert_eq!((log.len(), log[0].kind.as_str(), log[0].added), (1, "rebuild", 3));
}

#[test]
fn filenames_that_were_noted_beside_the_blobs_come_back() {
    let sample = Sample::new();
    let inputs = sample.dir.path().join("more");
    // Two builds that nothing in their bytes tells apart from each other's names.
    let builds: Vec<PathBuf> = ["1", "2"]
        .into_iter()
        .map(|build| {
            let tags = "cp310-cp310-manylinux2014_x86_64.manylinux_2_17_x86_64";
            let path = Wheel::new("triton", "2.0.0").tags(tags).payload(100, build.parse().unwrap()).write_to(&inputs);
            let named = inputs.join(format!("triton-2.0.0-{build}-{tags}.whl"));
            fs::rename(path, &named).unwrap();
            named
        })
        .collect();
    sample.import("shared", &builds);
    // A blob's second name is noted as its first one was.
    let named = inputs.join("demo-1.0-3-py3-none-any.whl");
    fs::copy(sample.dir.path().join("in").join(&sample.filenames[0]), &named).unwrap();
    sample.import("cuda", &[named]);
    let names = sample.listed();
    sample.remove_manifest();
    let list = sample.root.join("filenames/list");
    // What a power cut tore, what others wrote, and what is gone says nothing.
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{text}\n1234 a-1-py3-none-any.whl\n{} gone-1-py3-none-any.whl\nabc", "0".repeat(64)))
        .unwrap();
    let report = sample.rebuild(false).unwrap();
    assert_eq!((report.guessed, report.distributions.len(), report.problems.len()), (0, 6, 0), "{report:?}");
    assert_eq!(sample.listed(), names);
    sample.is_sound();
    // What a store of an earlier version lacks is told, and gc notes it.
    sample.forget_filenames();
    let findings = ops::doctor::doctor(&Store::open(&sample.root).unwrap(), &CONTEXT).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.kind == "filenames"), "{findings:?}");
    sample.gc();
    sample.is_sound();
}

#[test]
fn links_tell_a_filename_that_the_bytes_don_t() {
    let sample = Sample::new();
    // Bytes don't say in which order a filename has its tags; a link that a lookup made does.
    let sorted = "native-1.0+cu121-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl";
    let store = Store::open(&sample.root).unwrap();
    let listed = ops::list::list(&store, &Filter::default()).unwrap();
    let native = listed.iter().find(|entry| entry.project.as_str() == "native").unwrap();
    store.blobs.named(&native.blake3, sorted).unwrap();
    store.blobs.named(&native.blake3, "other-9-py3-none-any.whl").unwrap();
    drop(store);
    sample.forget_filenames();
    sample.remove_manifest();
    let report = sample.rebuild(false).unwrap();
    assert!(report.distributions.iter().any(|name| name == sorted), "{:?}", report.distributions);
    assert_eq!((report.distributions.len(), report.guessed), (3, 2), "a link that contradicts the bytes tells nothing");
}

#[test]
fn a_sound_manifest_is_replaced_only_by_force_and_never_deleted() {
    let sample = Sample::new();
    let refused = sample.rebuild(false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage, "{refused}");
    assert_eq!(sample.listed(), sample.filenames);
    for number in 1..3 {
        let report = sample.rebuild(true).unwrap();
        assert!(report.damaged_manifest.unwrap().ends_with(format!("manifest.sqlite.damaged-{number}")));
        assert_eq!(report.distributions, sample.filenames);
    }
    assert_eq!(sample.damaged(), ["manifest.sqlite.damaged-1", "manifest.sqlite.damaged-2"]);
}

#[test]
fn a_damaged_manifest_is_moved_aside_with_its_log() {
    let sample = Sample::new();
    fs::write(sample.root.join("manifest.sqlite"), b"this is no database, and longer than nothing").unwrap();
    fs::write(sample.root.join("manifest.sqlite-wal"), b"log").unwrap();
    assert!(Store::open(&sample.root).is_err());
    let report = sample.rebuild(false).unwrap();
    assert_eq!(report.distributions, sample.filenames);
    assert_eq!(sample.damaged()[0], "manifest.sqlite.damaged-1");
    sample.is_sound();
}

#[test]
fn a_run_that_was_killed_is_begun_anew() {
    let sample = Sample::new();
    // Killed between two of the last renames: a whole new manifest under its other name, and an old log without its manifest.
    fs::rename(sample.root.join("manifest.sqlite"), sample.root.join("manifest.sqlite.damaged-4")).unwrap();
    fs::write(sample.root.join("manifest.sqlite-wal"), b"log").unwrap();
    fs::write(sample.root.join("manifest.sqlite.rebuilding"), b"half").unwrap();
    fs::write(sample.root.join("manifest.sqlite.rebuilding-wal"), b"half").unwrap();
    assert!(Store::open(&sample.root).is_err());
    let report = sample.rebuild(false).unwrap();
    assert_eq!(report.distributions, sample.filenames);
    assert_eq!(sample.damaged(), ["manifest.sqlite.damaged-4", "manifest.sqlite.damaged-4-wal"]);
    sample.is_sound();
    // Killed after the last rename: nothing else has happened since, so it needs no force.
    assert_eq!(sample.rebuild(false).unwrap().distributions, sample.filenames);
    sample.import("cuda", &[Wheel::new("later", "1.0").write_to(sample.dir.path().join("in"))]);
    assert!(sample.rebuild(false).is_err());
}

#[test]
fn wrong_bytes_and_foreign_files_are_told_and_left() {
    let sample = Sample::new();
    let paths = blobs(&sample.root);
    sample.remove_manifest();
    let mut bytes = fs::read(&paths[0]).unwrap();
    bytes[0] ^= 1;
    fs::remove_file(&paths[0]).unwrap();
    fs::write(&paths[0], &bytes).unwrap();
    let notes = paths[0].with_file_name("notes.txt");
    fs::write(&notes, b"x").unwrap();
    let report = sample.rebuild(false).unwrap();
    assert_eq!((report.blobs, report.distributions.len(), report.problems.len()), (2, 2, 2));
    let reason = |path: &Path| &report.problems.iter().find(|problem| problem.path == *path).unwrap().reason;
    assert!(reason(&paths[0]).starts_with("its bytes are those of "), "{}", reason(&paths[0]));
    assert_eq!(reason(&notes), "not named like a blob");
    assert_eq!(fs::read(&paths[0]).unwrap(), bytes);
}

#[test]
fn what_has_no_place_in_the_collection_is_pinned() {
    let sample = Sample::new();
    let inputs = sample.dir.path().join("in");
    // The same filename with other bytes, in another collection, and a wheel whose WHEEL doesn't tell its tags.
    sample.import("rocm", &[Wheel::new("demo", "1.0").build("2_el9").payload(100, 7).write_to(&inputs)]);
    let silent = Wheel::new("silent", "1.0").member("silent-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n");
    sample.import("rocm", &[silent.write_to(&inputs)]);
    sample.forget_filenames();
    sample.remove_manifest();
    let report = sample.rebuild(false).unwrap();
    assert_eq!((report.blobs, &report.distributions), (5, &sample.filenames));
    assert_eq!((report.unnamed.len(), report.problems.len()), (1, 1));
    assert!(report.problems[0].reason.contains("demo-1.0-2_el9-py3-none-any.whl"), "{:?}", report.problems);
    let pins = ops::pin::pins(&Store::open(&sample.root).unwrap()).unwrap();
    assert!(pins.len() == 2 && pins.iter().all(|pin| pin.owner == "rebuild"), "{pins:?}");
    sample.is_sound();
    assert_eq!(blobs(&sample.root).len(), 5);
}

#[test]
fn a_store_in_use_is_not_rebuilt_and_a_folder_without_one_neither() {
    let sample = Sample::new();
    let store = Store::open(&sample.root).unwrap();
    assert_eq!(sample.rebuild(true).unwrap_err().kind(), ErrorKind::Busy);
    drop(store);
    let options = RebuildOptions::default();
    let absent = ops::rebuild::rebuild(sample.dir.path(), &CONTEXT, &options).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}
