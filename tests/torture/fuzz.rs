//! The fuzzers of `cargo test`: first all inputs that are kept in `corpus/`, then changed ones: so many, the same each time, or, when
//! somebody hunts, for a share of time.
//!
//! They are blind to the code, but notice what an input leads to (`targets::saw`), and go on from those that led to something new.
//! `WCAS_TORTURE_SECONDS` says how long each takes, with inputs that nobody had before; `WCAS_TORTURE_SEED` makes one find again what it
//! found. An input that fails is
//! written to `target/torture/`, and `WCAS_TORTURE_INPUT` runs it alone; one that is worth keeping goes into `corpus/`, with a name that
//! says what it did. For hours there is cargo-fuzz, led by coverage: see `fuzz/README.md`.

use crate::mutate::{MOST_BYTES, Random, mutate};
use crate::share::{self, Share};
use crate::targets::{self, Target};
use std::cell::Cell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

/// How many inputs a plain `cargo test` tries, however long they take: a faster machine, or a quieter one, tries no others.
const USUAL_INPUTS: u64 = 4_000;
/// The targets whose inputs take longer, files and stores each, and how many of them are tried.
const SLOW: [(&str, u64); 4] = [("locks", 500), ("osv", 1_000), ("records", 200), ("described", 20)];
/// The most inputs that are gone on from; long ones are tried, but take the time of many others.
const MOST_INPUTS: usize = 2000;
const LONG: usize = 4 << 10;

thread_local! {
    /// Whether this thread's panics are expected, and not worth a word.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

macro_rules! fuzz {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })*

        #[test]
        fn each_target_is_run() {
            let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}
fuzz! { filename zip metadata native sdist html json requirements config token signed requests forms locks osv revisions records described }

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = root().join("tests/torture/corpus").join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "nothing in {}", dir.display());
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn fuzz(name: &str) {
    let target = Target::named(name);
    if let Some(path) = share::variable("WCAS_TORTURE_INPUT") {
        return target.run(&fs::read(path).unwrap());
    }
    let bench = Bench::new(name);
    let mut pool = Vec::new();
    for (path, input) in corpus(name) {
        if let Err(reason) = bench.run(target, &input) {
            panic!("{}: {reason}\n{}", path.display(), replay(name, &path));
        }
        pool.push(input);
    }
    let mut seen = targets::take_seen();
    let seed = share::seed();
    println!("fuzz {name}: seed {seed}");
    let (mut random, mut count, started) = (Random(seed), 0u64, Instant::now());
    let share = Share::start(Duration::ZERO);
    let mut slowest = (Duration::ZERO, Vec::new());
    let usual = SLOW.iter().find(|(slow, _)| *slow == name).map_or(USUAL_INPUTS, |(_, inputs)| *inputs);
    while if share::is_hunt() { share.is_left() } else { count < usual } {
        // Newer ones sooner: they came the farthest.
        let at = random.below(pool.len()).max(random.below(pool.len()));
        let other = random.below(pool.len());
        let input = mutate(&mut random, &pool[at], &pool[other], target.words);
        let before = Instant::now();
        if let Err(reason) = bench.run(target, &input) {
            let path = bench.keep("fails", &smaller(target, input));
            panic!("{reason}\nseed {seed}, after {count} inputs; {}", replay(name, &path));
        }
        let (took, new) = (before.elapsed(), targets::take_seen());
        if took > slowest.0 {
            slowest = (took, input.clone());
        }
        if !new.is_subset(&seen) {
            seen.extend(new);
            if pool.len() < MOST_INPUTS && input.len() < LONG {
                pool.push(input);
            }
        }
        count += 1;
    }
    bench.end(&slowest.1);
    let rest = format!("{} ends seen, the slowest took {:?} for {} bytes", seen.len(), slowest.0, slowest.1.len());
    println!("fuzz {name}: {count} inputs in {:.0?}, {rest}", started.elapsed());
}

fn replay(name: &str, path: &Path) -> String {
    format!("again: WCAS_TORTURE_INPUT={} cargo test --test torture -- --exact fuzz::{name}", path.display())
}

/// Where inputs are kept while they run, so that one which ends the whole process can be found.
struct Bench {
    dir: PathBuf,
    name: String,
    now: File,
}

impl Bench {
    fn new(name: &str) -> Self {
        let dir = root().join("target/torture");
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{name}-now"));
        if path.exists() {
            println!(
                "fuzz {name}: an earlier run ended while it ran what is in {} after the first 8 bytes",
                path.display()
            );
            fs::rename(&path, dir.join(format!("{name}-died"))).unwrap();
        }
        Self { now: File::create(path).unwrap(), dir, name: name.to_owned() }
    }

    /// Runs an input, and returns why it failed.
    fn run(&self, target: &Target, input: &[u8]) -> Result<(), String> {
        self.now.write_all_at(&(input.len() as u64).to_le_bytes(), 0).unwrap();
        self.now.write_all_at(input, 8).unwrap();
        attempt(target, input)
    }

    fn keep(&self, what: &str, input: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let path = self.dir.join(format!("{}-{what}-{:016x}", self.name, hasher.finish()));
        fs::write(&path, input).unwrap();
        fs::remove_file(self.dir.join(format!("{}-now", self.name))).unwrap();
        path
    }

    /// Ends in good order; the slowest input is left for who wonders.
    fn end(&self, slowest: &[u8]) {
        fs::write(self.dir.join(format!("{}-slowest", self.name)), slowest).unwrap();
        fs::remove_file(self.dir.join(format!("{}-now", self.name))).unwrap();
    }
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| target.run(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// Takes away what a failure doesn't need, within some seconds.
fn smaller(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(10);
    quieten();
    IS_QUIET.set(true);
    let mut step = input.len().min(MOST_BYTES) / 2;
    while step > 0 {
        let mut at = 0;
        while at < input.len() && Instant::now() < end {
            let shorter = [&input[..at], &input[(at + step).min(input.len())..]].concat();
            if attempt(target, &shorter).is_err() {
                input = shorter;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    IS_QUIET.set(false);
    input
}

/// Lets panics of quiet threads pass without a word.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                others(panic);
            }
        }));
    });
}

#[test]
fn the_corpora_are_small() {
    let sizes = targets::ALL.iter().flat_map(|target| corpus(target.name)).map(|(_, input)| input.len());
    let sum: usize = sizes.sum();
    assert!(sum < 300_000, "{sum} bytes of corpora: take away what says nothing new");
    let names: HashSet<&str> = targets::ALL.iter().map(|target| target.name).collect();
    for entry in fs::read_dir(root().join("tests/torture/corpus")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(name.as_str()), "a corpus of no target: {name}");
    }
}
