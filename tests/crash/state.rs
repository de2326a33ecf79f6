//! What a store and its trees hold, read without the code that is tested as far as that can be: bytes are hashed here.

#![allow(dead_code, reason = "each test crate uses its own part")]

use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use wcas::catalog::search::Filter;
use wcas::context::Context;
use wcas::manifest::State;
use wcas::ops::gc::GcOptions;
use wcas::ops::verify::VerifyOptions;
use wcas::{Store, ops};

/// How large the reserve of a store is.
const RESERVE_BYTES: u64 = 8 << 20;

/// Opens a store; one that was not finished is none.
pub(crate) fn open(store: &Path) -> Option<Store> {
    match Store::open(store) {
        Ok(store) => Some(store),
        Err(wcas::store::Error::Absent(_)) => None,
        Err(error) => panic!("the store must open: {error:?}"),
    }
}

/// A context some seconds from now: triggers read the clock themselves, and nothing may be too young for gc without grace.
pub(crate) fn context() -> Context<'static> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
    Context { now: now.cast_signed() + 5, who: "test", jobs: 2, progress: &(), client: None }
}

/// Returns what `list` shows, without revisions.
pub(crate) fn listing(store: &Path) -> Vec<String> {
    let Some(store) = open(store) else { return Vec::new() };
    let listed = ops::list::list(&store, &Filter::default()).expect("a store can be listed");
    let line =
        |entry: ops::list::Listed| format!("{} {} {} {}", entry.collection, entry.filename, entry.sha256, entry.size);
    listed.into_iter().map(line).collect()
}

/// Returns the files below `blobs/b3`: names with the digests of their bytes (`None`: no regular file).
pub(crate) fn blob_files(store: &Path) -> BTreeMap<String, Option<String>> {
    let mut files = BTreeMap::new();
    for shard in names(&store.join("blobs/b3")) {
        let shard = store.join("blobs/b3").join(shard);
        for name in names(&shard) {
            let path = shard.join(&name);
            let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            assert_eq!(
                Some(&name[..2]),
                shard.file_name().and_then(|shard| shard.to_str()),
                "{name} is in a wrong shard"
            );
            let digest =
                is_file.then(|| blake3::hash(&fs::read(&path).expect("a blob can be read")).to_hex().to_string());
            files.insert(name, digest);
        }
    }
    files
}

/// Returns the blobs that are bad: a name with other bytes, a live or lost row without a file.
pub(crate) fn bad_blobs(store: &Path) -> BTreeSet<String> {
    let files = blob_files(store);
    let mut bad: BTreeSet<String> =
        files.iter().filter(|(name, digest)| digest.as_ref() != Some(name)).map(|(name, _)| name.clone()).collect();
    for row in open(store).iter().flat_map(|store| store.manifest.blobs().expect("rows can be read")) {
        if matches!(row.state, State::Live | State::Lost) && !files.contains_key(&row.blake3.to_string()) {
            bad.insert(row.blake3.to_string());
        }
    }
    bad
}

/// Returns all that is unsound, but for the blobs that were bad before.
pub(crate) fn unsound(root: &Path, were_bad: &BTreeSet<String>) -> Vec<String> {
    let mut found: Vec<String> = bad_blobs(root).difference(were_bad).map(|blob| format!("{blob} is bad")).collect();
    let files = blob_files(root);
    let Some(store) = open(root) else {
        found.extend(files.keys().map(|blob| format!("{blob} is in no store")));
        return found;
    };
    let mut rows = BTreeSet::new();
    for row in store.manifest.blobs().expect("rows can be read") {
        let (name, state) = (row.blake3.to_string(), row.state);
        if state == State::Lost && !were_bad.contains(&name) {
            found.push(format!("{name} is lost"));
        }
        if state == State::Live && !were_bad.contains(&name) {
            let bytes = fs::read(store.blobs.path(&row.blake3)).unwrap_or_default();
            if (sha256(&bytes), bytes.len() as u64) != (row.sha256.to_string(), row.size) {
                found.push(format!("{name} has other bytes than its row says"));
            }
        }
        // The store has no blob before its bytes are there, nor after gc decided that they go.
        if matches!(state, State::Staged | State::Deleting) {
            found.push(format!("{name} is a blob, and {state:?}"));
        }
        rows.insert(name);
    }
    // A publisher inserts the file's row before the name and gc deletes it after: a kill leaves no name without a row.
    let has_row = |name: &&String| {
        let blake3 = name.parse().expect("a digest");
        rows.contains(*name) || store.manifest.has_file(&blake3).expect("rows can be read")
    };
    found.extend(files.keys().filter(|name| !has_row(name)).map(|name| format!("{name} has no row")));
    found.extend(store.manifest.complaints().expect("the manifest can be checked"));
    found
}

/// Returns what commands that are over should have taken away.
pub(crate) fn leftovers(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["staging", "locks/sessions"] {
        found.extend(names(&root.join(folder)).into_iter().map(|name| format!("{folder}/{name} is left")));
    }
    let Some(store) = open(root) else { return found };
    found.extend(
        store.manifest.sessions().expect("rows can be read").into_iter().map(|row| format!("a row is left: {row:?}")),
    );
    let unwanted = store.manifest.unwanted().expect("rows can be read");
    found.extend(unwanted.into_iter().map(|file| format!("{} is still staged", file.blake3)));
    let deleting = store.manifest.deleting().expect("rows can be read");
    found.extend(deleting.into_iter().map(|file| format!("{} is still deleting", file.blake3)));
    let files = blob_files(root);
    for (path, blob) in store.blobs.all_links().expect("links can be listed") {
        if blob.is_none_or(|blob| !files.contains_key(&blob.to_string())) {
            found.push(format!("{} leads to what is gone", path.display()));
        }
    }
    for (path, digest) in store.blobs.sidecars().expect("sidecars can be listed") {
        let bytes = fs::read(&path).expect("a sidecar can be read");
        if digest != Some(wcas::digest::Sha256::of(&bytes)) {
            found.push(format!("{} has other bytes than its name says", path.display()));
        }
        if !digest.is_some_and(|digest| store.manifest.has_metadata(&digest).expect("rows can be read")) {
            found.push(format!("{} belongs to nothing", path.display()));
        }
    }
    let reserve = fs::metadata(root.join("reserve")).map_or(0, |metadata| metadata.len());
    if reserve != RESERVE_BYTES {
        found.push(format!("the reserve has {reserve} bytes"));
    }
    let known = "blobs filenames locks manifest.sqlite manifest.sqlite-shm manifest.sqlite-wal metadata named quarantine reserve staging wcas.json";
    let known: Vec<&str> = known.split(' ').collect();
    found.extend(
        names(root).into_iter().filter(|name| !known.contains(&name.as_str())).map(|name| format!("{name} is left")),
    );
    found
}

/// Runs gc without grace, which must succeed.
pub(crate) fn collect(root: &Path, grace: i64) {
    let Some(store) = open(root) else { return };
    let options = GcOptions {
        dry_run: false,
        grace,
        rules: wcas::manifest::Retention::default(),
        collections: Vec::new(),
        cache_size: None,
        max_duration: None,
    };
    let report = ops::gc::gc(&store, &context(), &options).expect("gc must succeed");
    assert!(report.problems.is_empty() && !report.is_unfinished, "gc must have no problems: {report:?}");
}

/// Runs verify and returns the blobs with problems.
pub(crate) fn problems(root: &Path) -> BTreeSet<String> {
    let Some(store) = open(root) else { return BTreeSet::new() };
    let report = ops::verify::verify(&store, &context(), &VerifyOptions::default()).expect("verify must succeed");
    report.problems.iter().map(|problem| problem.blake3.to_string()).collect()
}

/// Returns what readers see of a tree: paths with digests. Whatever its pages list must be there with the right bytes.
pub(crate) fn tree(dir: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    match (dir.join("simple").symlink_metadata().is_ok(), dir.join(".wcas-view").exists()) {
        (true, _) => read_tree(&dir.join("simple"), "", &mut files),
        (false, true) => read_flat(dir, &mut files),
        (false, false) => {}
    }
    files
}

/// A flat tree changes file by file, its page last: whatever the page lists is there, whole.
fn read_flat(dir: &Path, files: &mut BTreeMap<String, String>) {
    for name in names(dir).into_iter().filter(|name| !name.starts_with('.')) {
        let bytes = fs::read(dir.join(&name)).unwrap_or_else(|error| panic!("{name} must be readable: {error}"));
        files.insert(name, sha256(&bytes));
    }
    let page = fs::read_to_string(dir.join("index.html")).unwrap_or_default();
    for (name, _) in links(&page) {
        assert!(files.contains_key(&name), "{name}, which {} lists, is there", dir.display());
    }
}

/// Tells whether a tree shows the state before a change or after it; a flat one, for each of its files.
pub(crate) fn is_between(
    seen: &BTreeMap<String, BTreeMap<String, String>>,
    before: &BTreeMap<String, BTreeMap<String, String>>,
    after: &BTreeMap<String, BTreeMap<String, String>>,
) -> bool {
    let names: BTreeSet<&String> = seen.keys().chain(before.keys()).chain(after.keys()).collect();
    let empty = BTreeMap::new();
    names.into_iter().all(|name| {
        let [seen, before, after] = [seen, before, after].map(|trees| trees.get(name).unwrap_or(&empty));
        let is_flat = [before, after].into_iter().any(|tree| tree.contains_key("index.html"))
            && !before.keys().chain(after.keys()).any(|file| file.contains('/') || file == "index.json");
        let each = || {
            before.keys().chain(after.keys()).chain(seen.keys()).all(|file| {
                let found = seen.get(file);
                found == before.get(file) || found == after.get(file)
            })
        };
        seen == before || seen == after || is_flat && each()
    })
}

fn read_tree(dir: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for name in names(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            read_tree(&path, &format!("{prefix}{name}/"), files);
        } else {
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{} must be readable: {error}", path.display()));
            files.insert(format!("{prefix}{name}"), sha256(&bytes));
        }
    }
    let page = fs::read_to_string(dir.join("index.html")).expect("a folder that is shown has a page");
    let mut listed = BTreeSet::from(["index.html".to_owned()]);
    for (name, digest) in links(&page) {
        if let Some(digest) = digest {
            assert_eq!(files.get(&format!("{prefix}{name}")), Some(&digest), "{name} as {} lists it", dir.display());
        }
        listed.insert(name);
    }
    let is_extra = |name: &str| name == "index.json" || name.ends_with(".metadata");
    let shown: BTreeSet<String> =
        names(dir).into_iter().filter(|name| listed.contains(name) || !is_extra(name)).collect();
    assert_eq!(shown, listed, "{} holds what its page lists", dir.display());
}

/// Returns the names that a page links to, with their SHA-256 digests.
pub(crate) fn links(page: &str) -> Vec<(String, Option<String>)> {
    let hrefs = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let link = |href: &str| match href.split_once("#sha256=") {
        Some((name, digest)) => (name.to_owned(), Some(digest.to_owned())),
        None => (href.trim_end_matches('/').to_owned(), None),
    };
    hrefs.map(link).collect()
}

/// Returns the names in a folder, sorted; an absent one has none.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let list = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Vec::new(),
        list => list.unwrap_or_else(|error| panic!("{} must be listable: {error}", dir.display())),
    };
    let mut names: Vec<String> = list
        .map(|entry| entry.expect("a folder can be read").file_name().into_string().expect("names are UTF-8"))
        .collect();
    names.sort();
    names
}

/// Returns the SHA-256 digest of bytes, as text.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the path of a blob by its name.
pub(crate) fn blob_path(store: &Path, name: &str) -> PathBuf {
    store.join("blobs/b3").join(&name[..2]).join(name)
}

/// Returns what tells the filesystem of a path from others.
pub(crate) fn device(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).expect("the path exists").dev()
}
