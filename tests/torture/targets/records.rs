//! The log of a shared store, and its snapshots: what is in a bucket that others write to.

use super::saw;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use wcas::digest::{Blake3, Digests, Sha256};
use wcas::manifest::{Access, LogError, Manifest, SharedLog};
use wcas::share::{Location, Share};

pub(super) const WORDS: &[&str] = &[
    "\n",
    "{\"number\":NUMBER,\"before\":\"BEFORE\",\"id\":\"x\",\"at\":1,\"node\":1,\"who\":\"a\",\"origin\":\"b\",\"command\":\"c\",\"schema\":SCHEMA,\"changes\":[]}",
    "{\"table\":\"collection\",\"row\":{\"id\":9,\"name\":\"cuda\",\"created_at\":1}}",
    "{\"table\":\"meta\",\"row\":{\"key\":\"k\",\"value\":\"v\"}}",
    "{\"table\":\"meta\",\"key\":{\"key\":\"k\"}}",
    "\"table\":\"blob\"",
    "\"table\":\"entry\"",
    "\"table\":\"file\"",
    "\"table\":\"sqlite_master\"",
    "\"table\":\"node\"",
    "\"row\":{}",
    "\"key\":{}",
    "\"row\":null",
    "\"key\":null",
    "\"id\":1",
    "\"id\":9223372036854775807",
    "1.5",
    "true",
    "[]",
    "null",
    "-1",
    "\"ab\"",
    "\"\"",
    "NUMBER",
    "BEFORE",
    "SCHEMA",
    ",",
    "'",
    ";--",
    "\\u0000",
    "BLAKE3",
    "00000000000000000001.",
    ".",
];

/// A log whose records are given, and which takes no others.
#[derive(Debug)]
struct Given(Vec<Vec<u8>>);

impl SharedLog for Given {
    fn read(&self, number: i64) -> Result<Option<Vec<u8>>, LogError> {
        Ok(usize::try_from(number - 1).ok().and_then(|at| self.0.get(at).cloned()))
    }

    fn newest(&self) -> Result<Option<i64>, LogError> {
        Ok(Some(self.0.len() as i64).filter(|newest| *newest > 0))
    }

    fn kept_digest(&self, _: i64) -> Result<Option<Sha256>, LogError> {
        Ok(None)
    }

    fn append(&self, _: i64, _: &[u8]) -> Result<bool, LogError> {
        Ok(false)
    }
}

struct Bench {
    dir: TempDir,
    /// A manifest that is no replica yet.
    bare: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).expect("a folder");
        let path = dir.path().join("bare");
        drop(Manifest::open(&path, Access::Create, Duration::ZERO).expect("a manifest"));
        let bare = fs::read(&path).expect("it is there");
        fs::create_dir_all(dir.path().join("share/snapshots")).expect("a folder");
        Self { dir, bare }
    }

    fn replica(&self) -> (PathBuf, Manifest) {
        let path = self.dir.path().join("replica");
        for end in ["-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{end}", path.display())));
        }
        fs::write(&path, &self.bare).expect("a file");
        let manifest = Manifest::open(&path, Access::Write, Duration::ZERO).expect("it is one");
        (path, manifest)
    }
}

pub(super) fn check(input: &[u8]) {
    thread_local! {
        static BENCH: Bench = Bench::new();
    }
    BENCH.with(|bench| match input.split_first() {
        Some((b'S', rest)) => check_snapshot(bench, rest),
        _ => check_records(bench, input),
    });
}

/// Makes records of lines; a record's number, its schema and the digest of the one before are filled in where a word asks for them.
fn records(input: &[u8]) -> Vec<Vec<u8>> {
    let (mut records, mut before): (Vec<Vec<u8>>, _) = (Vec::new(), "0".repeat(64));
    for line in input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(6) {
        let record = match std::str::from_utf8(line) {
            Ok(text) => {
                let number = (records.len() + 1).to_string();
                let text = text.replace("NUMBER", &number).replace("SCHEMA", &wcas::manifest::version().to_string());
                text.replace("BEFORE", &before).into_bytes()
            }
            Err(_) => line.to_vec(),
        };
        before = Sha256::of(&record).to_string();
        records.push(record);
    }
    records
}

/// What a replica takes of a log it takes whole, in order, and another one takes the same; what it refuses leaves no trace.
fn check_records(bench: &Bench, input: &[u8]) {
    let log = Arc::new(Given(records(input)));
    let (path, mut replica) = bench.replica();
    let told = match replica.follow(log.clone()) {
        Ok(None) => "all".to_owned(),
        Ok(Some(error)) | Err(error) => error.to_string(),
    };
    saw(&told);
    let place = replica.place().expect("it has one");
    assert!((0..=log.0.len() as i64).contains(&place.number), "{place:?}");
    if told == "all" {
        assert_eq!(place.number, log.0.len() as i64, "it knows all");
    }
    if let Some(last) = usize::try_from(place.number - 1).ok().map(|at| &log.0[at]) {
        assert_eq!(place.digest, Sha256::of(last));
    }
    saw("one more ".repeat(usize::try_from(place.number).unwrap_or_default()));
    let names = |replica: &Manifest| {
        let transaction = replica.read().map_err(|error| error.to_string())?;
        transaction.collections().map(|rows| format!("{rows:?}")).map_err(|error| error.to_string())
    };
    let before = names(&replica);
    saw(before.as_ref().map_or_else(ToString::to_string, |_| String::new()));
    drop(replica);
    // The one that is opened again, and follows only what was taken, is the same.
    let mut again = Manifest::open(&path, Access::Write, Duration::ZERO).expect("it is one still");
    let taken = log.0.iter().take(usize::try_from(place.number).expect("no less than none")).cloned().collect();
    if let Ok(None) = again.follow(Arc::new(Given(taken))) {
        assert_eq!(names(&again), before);
    }
    let complaints = again.complaints().expect("it can be asked");
    assert!(complaints.is_empty(), "{complaints:?} after {told}");
}

/// Whatever lies among the snapshots, the newest whole one is found, or none.
fn check_snapshot(bench: &Bench, input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (name, packed) = (String::from_utf8_lossy(&input[..end]), input.get(end + 1..).unwrap_or_default());
    let blake3: Blake3 = Digests::of(packed).blake3;
    let name = name.replace("BLAKE3", &blake3.to_string());
    let dir = bench.dir.path().join("share/snapshots");
    for old in fs::read_dir(&dir).expect("it is there") {
        fs::remove_file(old.expect("an entry").path()).expect("a file");
    }
    if name.contains(['/', '\0']) || matches!(&*name, "" | "." | "..") || fs::write(dir.join(&name), packed).is_err() {
        return;
    }
    let url = format!("file://{}", bench.dir.path().join("share").display());
    let share = Share::at(&Location { url, endpoint: None, region: None, log: None }).expect("a place");
    let found = share.snapshots().expect("a folder");
    for snapshot in &found {
        assert_eq!(snapshot.key(), format!("snapshots/{name}"));
        saw(format!("{} {}", snapshot.at() > 0, snapshot.number > 0));
    }
    let to = bench.dir.path().join("unpacked");
    match share.unpack_newest_snapshot(&to) {
        Ok(Some(_)) => assert!(found.len() == 1 && name.contains(&blake3.to_string())),
        Ok(None) => assert!(found.is_empty()),
        Err(error) => saw(error),
    }
}
