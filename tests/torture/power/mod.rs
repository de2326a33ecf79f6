//! Power cuts on real filesystems.
//!
//! Everybody works at once on two disks that record what they are told (`device`): the store, its sources and some trees
//! on one, more of them on the other. Then the power goes at chosen moments: the disks are made as they would be, which is
//! all that was flushed, and of what came after the last flush nothing, all, some writes, or some sectors of some writes.
//! They are mounted, so that the filesystem replays its journal, and looked at: what was acknowledged is there, what was not is
//! there whole or not at all, and all goes on.
//!
//! The control does the same with a program whose syncs do nothing. Losses must be found in it, else nothing was proved.
//!
//! All of it runs in a mount namespace of its own, where nothing stays mounted.

mod actors;
mod check;
mod device;
mod disk;
mod random;
#[path = "../../crash/state.rs"]
mod state;
mod workload;

use crate::share::Share;
use crate::support::env::Env;
use crate::support::skip;
use actors::Act;
use check::Cut;
use disk::{Bench, KINDS, Keep, Kind};
use random::Random;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The test, which also is the program that works and the one that serves the disks.
const NAME: &str = "power::what_was_acknowledged_outlives_a_power_cut";
/// What it is: unset, the test; `inside`, what works; else the folder of the disks to be served.
const ROLE: &str = "WCAS_TORTURE_POWER";
/// The control's cuts, until one has lost something.
const CONTROLS: usize = 8;
/// What `cargo test` takes.
const USUAL: Duration = Duration::from_secs(45);

#[test]
fn what_was_acknowledged_outlives_a_power_cut() {
    match std::env::var_os(ROLE) {
        None => start_inside(),
        Some(role) if role == "inside" => torture(),
        Some(folder) => device::serve(Path::new(&folder)),
    }
}

/// Starts this program again where its mounts are its own, and end with it.
fn start_inside() {
    let apart = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if !Command::new("unshare").args(apart).arg("true").output().is_ok_and(|output| output.status.success()) {
        skip("this user may not mount filesystems, so no power cut was tried");
        return;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(apart).arg(std::env::current_exe().expect("this program has a path"));
    let inside = unshare.args([NAME, "--exact", "--nocapture"]).env(ROLE, "inside").stdin(Stdio::piped()).spawn();
    let mut inside = inside.expect("unshare starts");
    // It reads to the end of this, which comes when this process ends in any way.
    let alive = inside.stdin.take();
    let status = inside.wait().expect("unshare ends");
    drop(alive);
    assert!(status.success(), "power cuts found something: see above");
}

/// Rounds over the filesystems that there are, until the time is over; one in any case.
fn torture() {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        // Signals don't reach the first process of a namespace.
        std::process::exit(130);
    });
    let share = Share::start(USUAL);
    let is_long = std::env::var_os("WCAS_TORTURE_SECONDS").is_some();
    let seed = crate::share::seed();
    let mut tables: Vec<Table> = Vec::new();
    for kind in if is_long { &KINDS[..] } else { &KINDS[..1] } {
        match Table::new(*kind) {
            Ok(table) => tables.push(table),
            Err(error) => skip(format_args!("{error}, so no power cut was tried on {}", kind.name())),
        }
    }
    // It may be there and not be allowed to trace.
    if Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|output| output.status.success()) {
        tables.iter_mut().for_each(|table| table.control(seed));
    } else {
        skip("strace is not here, or may not trace, so there is no control: a program without syncs was not tried");
    }
    let mut found = 0;
    for round in 0.. {
        for table in &mut tables {
            if round == 0 || share.is_left() {
                found += table.round(share, seed.wrapping_add(round), if is_long { 24 } else { 12 }).len();
            }
        }
        if !share.is_left() || !is_long || tables.is_empty() {
            break;
        }
    }
    for table in &tables {
        println!(
            "power cuts on {}: {} cuts; without syncs {} of {} lost something",
            table.kind.name(),
            table.cuts,
            table.losses,
            table.controls
        );
    }
    assert_eq!(found, 0, "so many things were wrong after power cuts");
}

/// One filesystem with all that belongs to it.
struct Table {
    kind: Kind,
    bench: Bench,
    env: Env,
    cuts: usize,
    controls: usize,
    losses: usize,
}

impl Table {
    /// Makes the filesystems with what lies ready on them; an error tells what this machine can't do.
    fn new(kind: Kind) -> Result<Self, String> {
        let env = Env::new();
        // Images and logs are in memory, which goes with the namespace.
        let folder = env.path("work");
        std::fs::create_dir(&folder).expect("a new folder can be written");
        let mut memory = Command::new("mount");
        let is_mounted = memory.args(["-t", "tmpfs", "-o", "size=8g", "tmpfs"]).arg(&folder).status();
        if !is_mounted.is_ok_and(|status| status.success()) {
            return Err("no filesystem in memory can be mounted".to_owned());
        }
        let mounts = ["near", "far"].map(|name| env.path(name));
        let bench = Bench::new(&folder, mounts, kind).ok_or_else(|| format!("no mkfs.{} here", kind.name()))?;
        {
            let _mounted = bench.mount("new")?;
            actors::prepare(&env);
        }
        let recorder = bench.record()?;
        drop(bench.mount("fuse")?);
        drop(recorder);
        Ok(Self { kind, bench, env, cuts: 0, controls: 0, losses: 0 })
    }

    /// Works once and cuts the power at several moments; returns what was wrong.
    fn round(&mut self, share: Share, seed: u64, count: usize) -> Vec<String> {
        let go_on = |found: &[Vec<String>]| found.is_empty() || share.is_left();
        let cuts = self.cut(false, seed, count, &go_on);
        self.cuts += cuts.len();
        let name = self.kind.name();
        let tell = |(number, wrong): (usize, Vec<String>)| {
            wrong.into_iter().map(move |wrong| format!("{name}, seed {seed}, cut {number}: {wrong}"))
        };
        let found: Vec<String> = cuts.into_iter().enumerate().flat_map(tell).collect();
        found.iter().for_each(|wrong| println!("FOUND {wrong}"));
        found
    }

    /// The same without syncs, where losses must be found: of what was acknowledged, or of bytes at a name.
    fn control(&mut self, seed: u64) {
        let is_loss = |wrong: &String| wrong.contains(": bytes: ") || wrong.contains(check::LOST);
        let losses = |found: &[Vec<String>]| found.iter().filter(|wrong| wrong.iter().any(is_loss)).count();
        let found = self.cut(true, seed, CONTROLS, &|found| losses(found) == 0);
        (self.controls, self.losses) = (found.len(), losses(&found));
        let first = found.iter().flatten().find(|wrong| is_loss(wrong)).map_or("nothing", String::as_str);
        let first: String = first.chars().take(300).collect();
        println!(
            "without syncs, {} of {} cuts on {} lost something: {first}",
            self.losses,
            found.len(),
            self.kind.name()
        );
        assert!(self.losses > 0, "without syncs nothing was lost on {}: this test proves nothing", self.kind.name());
    }

    fn cut(
        &self,
        is_control: bool,
        seed: u64,
        count: usize,
        go_on: &dyn Fn(&[Vec<String>]) -> bool,
    ) -> Vec<Vec<String>> {
        let (mut random, begin) = (Random(seed), Instant::now());
        let (courses, end) = {
            let recorder = self.bench.record().unwrap_or_else(|error| panic!("{error}"));
            let mounted = self.bench.mount("fuse").unwrap_or_else(|error| panic!("{error}"));
            let courses = workload::work(&self.env, &recorder, is_control, seed);
            let end = recorder.now();
            drop(mounted);
            (courses, end)
        };
        let worked = begin.elapsed();
        let mut recording = self.bench.recording(end);
        let moments = recording.moments();
        let acknowledged: Vec<u64> =
            courses.iter().flat_map(|course| course.times.iter().map(|times| times.1)).collect();
        let choose = |number: usize, random: &mut Random| {
            // Right after somebody was told that it is done, or anywhere.
            let from = if number.is_multiple_of(2) { &acknowledged } else { &moments };
            from[random.below(from.len() as u64) as usize]
        };
        let mut chosen: Vec<(u64, bool)> = (0..count).map(|number| (choose(number, &mut random), false)).collect();
        // What writes the least besides itself, so that nothing else makes it durable: looked at in each round.
        let removals = courses.iter().flat_map(|course| course.actor.acts.iter().zip(&course.times));
        let removals =
            removals.filter(|(act, _)| !is_control && matches!(act, Act::Run(args) if args.contains("--remove")));
        chosen.extend(removals.map(|(_, times)| (times.1, true)));
        chosen.sort_unstable();
        let mut found = Vec::new();
        for (number, (moment, is_wanted)) in chosen.into_iter().enumerate() {
            if !is_wanted && !go_on(&found) {
                continue;
            }
            let keep = [Keep::Nothing, Keep::Torn, Keep::Some, Keep::All][random.below(4) as usize];
            let keep = if is_wanted { Keep::Nothing } else { keep };
            recording.cut(moment, keep, &mut random);
            let wrong = match self.bench.mount("cut") {
                Ok(_mounted) => {
                    let others_first = random.below(2) == 0;
                    Cut { env: &self.env, courses: &courses, moment, others_first }.check()
                }
                Err(error) => vec![error],
            };
            if !wrong.is_empty() && !is_control {
                self.keep_images(&format!("{}-{seed}-{number}", self.kind.name()));
            }
            found.push(wrong.into_iter().map(|wrong| format!("at {moment} of {end}, {keep:?}: {wrong}")).collect());
        }
        println!(
            "{}: {worked:.1?} of work, {:.1?} of {} cuts",
            self.kind.name(),
            begin.elapsed() - worked,
            found.len()
        );
        found
    }

    /// Keeps the disks of a cut that showed something, where the build's files are.
    fn keep_images(&self, name: &str) {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("power").join(name);
        std::fs::create_dir_all(&target).expect("a folder can be made");
        let mut copy = Command::new("cp");
        copy.args(["-r", "--sparse=always"]).arg(self.env.path("work/cut")).arg(&target);
        println!("its disks, as they are after all was tried: {} ({:?})", target.display(), copy.status());
    }
}
