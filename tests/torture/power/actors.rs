//! Who works while the power goes, and what lies ready for them.

use super::state;
use super::workload::{ALONE, NODE, SHARE, STORE, run};
use crate::support::env::Env;
use crate::support::wheels::Wheel;
use std::collections::BTreeSet;
use std::fs;

/// One thing that is done and acknowledged.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A command, which ends with 0.
    Run(String),
    /// An upload of this project, which is answered with 200.
    Upload(String),
    /// What docs/operations.md says of a backup, and of one that is put back.
    Backup,
    Restore,
}

impl Act {
    /// Tells that it can't be done twice.
    pub(super) fn is_once(&self) -> bool {
        matches!(self, Self::Run(args) if ["undo", "invalidate", "collection"].iter().any(|verb| args.starts_with(verb)))
    }

    /// Tells whether an error of it says that there was nothing left to do: it may have been done to its end, and only not told.
    pub(super) fn is_over(&self, error: &str) -> bool {
        let signs = [("view --remove", "there is no view at"), ("collection snapshot", "has a snapshot")];
        signs
            .iter()
            .any(|(verb, sign)| matches!(self, Self::Run(args) if args.starts_with(verb)) && error.contains(sign))
    }

    /// Tells that it puts another manifest in the place of one.
    pub(super) fn is_replacing(&self) -> bool {
        matches!(self, Self::Restore) || matches!(self, Self::Run(args) if args.starts_with("rebuild"))
    }
}

/// Somebody who does one thing after the other.
#[derive(Debug)]
pub(super) struct Actor {
    /// Its store, seen from the environment's folder.
    pub(super) store: &'static str,
    /// Collections are called so, or begin so.
    pub(super) name: &'static str,
    pub(super) acts: Vec<Act>,
    pub(super) trees: &'static [&'static str],
}

/// Everybody.
pub(super) fn actors() -> Vec<Actor> {
    let actor = |name, trees, acts: &[&str]| {
        let act = |act: &&str| match (*act, act.strip_prefix("upload ")) {
            (_, Some(project)) => Act::Upload(project.to_owned()),
            ("backup", _) => Act::Backup,
            ("restore", _) => Act::Restore,
            _ => Act::Run((*act).to_owned()),
        };
        let store = match name {
            "alone" => ALONE,
            "node" => NODE,
            _ => STORE,
        };
        Actor { store, name, trees, acts: acts.iter().map(act).collect() }
    };
    vec![
        actor(
            "copy",
            &["near/views/copy", "far/views/copy"],
            &[
                "import near/src/copy-0 --collection copy --link copy",
                "view --collection copy --to near/views/copy",
                "view --collection copy --to far/views/copy",
                "import far/src/copy-1 --collection copy --link copy",
                "view --collection copy --to far/views/copy",
                "import near/src/copy-2 --collection copy",
                "view --collection copy --to near/views/copy",
                "view --collection copy --to far/views/copy",
            ],
        ),
        actor(
            "hard",
            &["near/views/hard", "far/views/hard"],
            &[
                "import near/src/hard-0 --collection hard --link hardlink",
                "view --collection hard --to near/views/hard --link hardlink",
                "view --collection hard --to far/views/hard --layout flat",
                "import near/src/hard-1 --collection hard --link hardlink",
                "view --collection hard --to near/views/hard --link hardlink",
                "view --collection hard --to far/views/hard --layout flat",
                "import near/src/hard-2 --collection hard --link hardlink",
            ],
        ),
        actor(
            "clone",
            &["near/views/clone", "far/views/clone"],
            &[
                "import near/src/clone-0 --collection clone --link auto",
                "view --collection clone --to near/views/clone --layout flat --link reflink",
                "view --collection clone --to far/views/clone --link copy",
                "import near/src/clone-1 --collection clone --link auto",
                "view --collection clone --to near/views/clone --layout flat --link reflink",
                "view --remove far/views/clone",
                "view --remove near/views/clone",
                "import near/src/clone-2 --collection clone",
            ],
        ),
        actor(
            "move",
            &[],
            &[
                "import near/src/move-0 --collection move --link move",
                "import far/src/move-1 --collection move --link move",
                "import near/src/move-2 --collection move --link move",
            ],
        ),
        actor(
            "sent",
            &[],
            &["upload sent-0-0", "upload sent-0-1", "upload sent-0-2", "upload sent-0-3", "upload sent-0-4"],
        ),
        actor(
            "refs",
            &["near/views/refs"],
            &[
                "invalidate refs-0-0 --collection refs",
                "undo",
                "collection promote refs refs-two refs-0-1",
                "gc --grace 0s",
                "config apply near/one.toml",
                "invalidate refs-0-2 --collection refs",
                "gc --grace 0s",
                "view --collection refs --to near/views/refs",
                "yank refs-0-3 --collection refs",
                "collection snapshot refs good",
                "config apply near/two.toml",
                "gc --grace 0s",
            ],
        ),
        actor(
            "alone",
            &[],
            &[
                "import near/src/alone-0 --collection alone",
                "backup",
                "import near/src/alone-1 --collection alone --link hardlink",
                "restore",
                "import near/src/alone-2 --collection alone",
                "rebuild --force --collection alone",
                "import near/src/alone-1 --collection alone",
            ],
        ),
        actor(
            "node",
            &[],
            &[
                "import near/src/node-0 --collection node",
                "import near/src/node-1 --collection node --link hardlink",
                "invalidate node-0-0 --collection node",
                "undo",
                "invalidate node-0-1 --collection node",
                "gc --grace 0s --cache-size 0",
                "import near/src/node-2 --collection node",
                "yank node-1-0 --collection node",
            ],
        ),
        actor(
            "sick",
            &["far/views/sick"],
            &["verify --repair", "view --collection sick --to far/views/sick --link copy"],
        ),
    ]
}

/// Whose sources there are; each has three batches.
const SOURCES: [&str; 10] = ["copy", "hard", "clone", "move", "sent", "refs", "sick", "waste", "alone", "node"];

/// Returns where a batch of sources is, and what is in it.
pub(super) fn sources(name: &str, batch: u64) -> (String, Vec<Wheel>) {
    let number = SOURCES.iter().position(|known| *known == name).expect("a source is known") as u64;
    let disk = if (name == "copy" || name == "move") && batch == 1 { "far" } else { "near" };
    // Some small ones and one of several pieces, or so many that the filesystem is synced as a whole.
    let many = if batch == 2 { 40 } else { 0 };
    let sizes = [3000, 70_000, 12_000, 900_000, 400].into_iter().chain((0..many).map(|size| 100 * size));
    let wheel = |(file, size)| {
        Wheel::new(&format!("{name}-{batch}-{file}"), "1.0").payload(size, number * 1000 + batch * 100 + file)
    };
    (format!("{disk}/src/{name}-{batch}"), (0..).zip(sizes).map(wheel).collect())
}

/// Prepares the disks that all rounds begin with: sources, a store with some collections, one with rotten blobs.
pub(super) fn prepare(env: &Env) {
    for (dir, wheels) in SOURCES.iter().flat_map(|name| (0..3).map(|batch| sources(name, batch))) {
        wheels.iter().for_each(|wheel| drop(wheel.write_to(env.path(&dir))));
    }
    for (file, keep) in [("one", 50), ("two", 60)] {
        let text = format!("[collections.refs]\nkeep-builds = {keep}\n");
        fs::write(env.path(format!("near/{file}.toml")), text).expect("a file can be written");
    }
    for act in [
        "collection create sent",
        "import near/src/refs-0 --collection refs",
        "import near/src/sick-0 --collection sick",
        "view --collection sick --to far/views/sick --link copy",
        "import near/src/waste-0 near/src/waste-1 --collection waste",
        "invalidate --all --yes --collection waste",
    ] {
        run(env, STORE, act, false).unwrap_or_else(|error| panic!("{error}"));
    }
    let share = format!("init --share file://{}", env.path(SHARE).display());
    run(env, NODE, &share, false).unwrap_or_else(|error| panic!("{error}"));
    for blob in rotten_blobs() {
        let path = state::blob_path(&env.path(STORE), &blob);
        let mut bytes = fs::read(&path).expect("a blob can be read");
        bytes[200] ^= 1;
        fs::write(&path, bytes).expect("a blob can be written");
    }
}

/// Returns the digests of the blobs that are rotten from the beginning.
pub(super) fn rotten_blobs() -> BTreeSet<String> {
    let wheels = sources("sick", 0).1;
    [1, 3].iter().map(|number| blake3::hash(&wheels[*number].bytes()).to_hex().to_string()).collect()
}
