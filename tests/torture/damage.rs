//! The damage matrix: each way in which a file or folder of a store goes wrong × each command.
//!
//! Whatever the damage, a command ends within a bound with a code of the contract and a message that names the thing or what to do;
//! blobs that were right are right afterwards; nothing wrong is handed out as right; doctor or verify tells; and who does what doctor
//! says, and imports the wheels again, has a sound store.

use crate::commands::{ALL, Command, Does};
use crate::damage_kinds::{self, Damage, Kind};
use crate::lab::{Faults, Lab, Ran, Random, give, is_root};
use crate::operator;
use crate::share::{self, Share};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use walkdir::WalkDir;

/// How many cells a plain `cargo test` tries at most.
const USUAL: usize = 500;

/// A user whom permissions bind.
const NOBODY: u32 = 65533;

/// One cell of the matrix, done.
struct Cell<'a> {
    lab: &'a Lab,
    damage: &'a Damage,
    command: Command,
    ran: Ran,
    faults: &'a Faults,
}

impl Cell<'_> {
    fn fault(&self, what: impl std::fmt::Display) {
        let what = what.to_string();
        self.faults.note(format!("{} × {}: {what}\n{}", self.damage, self.command.line, self.ran));
    }

    fn check(&self) {
        if !matches!(self.ran.code, 0..=5) {
            self.fault("no code of the contract");
        }
        if self.ran.stderr.contains("panicked") {
            self.fault("a panic");
        }
        let name = self.damage.path.file_name().unwrap().to_str().unwrap();
        let is_told = self.ran.stderr.contains(name) || self.ran.stderr.contains("`wcas ");
        if self.ran.code == 1 && self.command.code != 1 && !is_told {
            self.fault("neither the thing nor what to do is named");
        }
        self.nothing_right_is_lost();
        self.nothing_wrong_is_handed_out();
    }

    /// Blobs that the damage left alone are there, and right.
    fn nothing_right_is_lost(&self) {
        let was_left = |name: &str| {
            let place = format!("store/blobs/b3/{}/{name}", &name[..2]);
            !Path::new(&place).starts_with(&self.damage.path)
        };
        // Below a damaged folder there may be nothing any more; below its own file neither.
        let lost: Vec<_> = self.lab.lost().into_iter().filter(|name| was_left(name)).collect();
        if !lost.is_empty() {
            self.fault(format!("lost {lost:?}"));
        }
    }

    fn nothing_wrong_is_handed_out(&self) {
        let line = self.command.line;
        if line.starts_with("lookup") && !line.contains("--metadata") && self.ran.code == 0 {
            let path = self.ran.stdout.trim_end();
            if !operator::is_right(self.lab, path) {
                self.fault("something wrong was handed out");
            }
        }
        if line.contains("view --to new") {
            for path in wheels(&self.lab.work().join("new")) {
                if !operator::is_right(self.lab, path.to_str().unwrap()) {
                    self.fault(format!("a wrong copy {}", path.display()));
                }
            }
        }
    }

    /// What made a command fail, doctor or verify tells.
    fn is_told(&self) {
        let run = |line: &str| self.lab.run(&line.split(' ').collect::<Vec<_>>());
        if self.ran.code == 1 && self.command.code != 1 && self.command.does != Does::Nothing {
            let (doctor, verify) = (run("doctor"), run("verify --quick"));
            // What SQLite leaves of a log is gone with the first who met it.
            if doctor.code == 0 && verify.code == 0 && run(self.command.line).code == 1 {
                self.fault(format!("neither doctor nor verify tells why: {doctor}"));
            }
        }
    }
}

fn wheels(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = WalkDir::new(dir).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    entries
        .map(|entry| entry.path().to_owned())
        .filter(|path| path.extension().is_some_and(|end| end == "whl"))
        .collect()
}

/// Does one cell; with `mended`, all is brought back at the end.
fn cell(lab: &Lab, damage: &Damage, command: Command, number: u64, mended: bool, faults: &Faults) {
    lab.renew();
    if !damage.apply(lab, number) {
        return;
    }
    let args = command.args();
    let ran = if damage.kind == Kind::NoMode && is_root() {
        give(&lab.work(), NOBODY);
        let ran = lab.finish(&mut lab.command_as(NOBODY, &args));
        give(&lab.work(), 0);
        ran
    } else {
        lab.run(&args)
    };
    let cell = Cell { lab, damage, command, ran, faults };
    cell.check();
    if damage.kind == Kind::NoMode {
        // Root isn't bound by it: that it is told is another test's matter.
        drop(fs::set_permissions(lab.work().join(&damage.path), fs::Permissions::from_mode(0o755)));
        return;
    }
    cell.is_told();
    // Without its folder, a store is gone.
    let is_gone = damage.path == Path::new("store") && !lab.store().join("wcas.json").exists();
    if let Some(wrong) = (mended && !is_gone).then(|| operator::mend(lab)).flatten() {
        cell.fault(format!("not mended: {wrong}"));
    }
}

/// Goes through cells in an order of the seed's until the time is over.
fn go_round(share: Share, threads: usize) {
    let mut random = Random::new("damage");
    let mut cells: Vec<(Damage, Command, u64)> = {
        let lab = Lab::new();
        let mut damages = damage_kinds::all(&lab);
        if is_root() && !lab.may_change_user() {
            damages.retain(|damage| damage.kind != Kind::NoMode);
        }
        damages.iter().flat_map(|damage| ALL.iter().map(|command| (damage.clone(), *command, 0))).collect()
    };
    if let Some(only) = share::variable("WCAS_TORTURE_ONLY") {
        cells.retain(|(damage, command, _)| format!("{damage} × {}", command.line).contains(&only));
    }
    random.shuffle(&mut cells);
    cells.iter_mut().for_each(|cell| cell.2 = random.next());
    println!("{} cells", cells.len());
    let begin = std::time::Instant::now();
    let (next, tried, faults) = (AtomicUsize::new(0), AtomicUsize::new(0), Faults::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let lab = Lab::new();
                damage_kinds::prepare(&lab);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((damage, command, number)) = cells.get(index).filter(|_| share.goes_on(index, USUAL))
                    else {
                        break;
                    };
                    cell(&lab, damage, *command, *number, number % 4 == 0, &faults);
                    if tried.fetch_add(1, Ordering::Relaxed) % 500 == 499 {
                        println!("{} after {:?}", index + 1, begin.elapsed());
                    }
                }
            });
        }
    });
    faults.none(tried.into_inner());
}

/// Returns the damage that once made a command hang, or that doctor couldn't tell, with a command that meets it.
fn worst(lab: &Lab) -> Vec<(Damage, &'static str)> {
    use damage_kinds::Bytes;
    let demo = &lab.right("demo-1.0-py3-none-any.whl")[0];
    let digest = lab.kept().iter().find(|(_, bytes)| *bytes == demo).unwrap().0;
    let named = format!("named/{}", &digest[..2]);
    let link = format!("{named}/demo-1.0-py3-none-any.whl");
    let beside = |end| Kind::Beside("beside", end);
    let cells = [
        ("manifest.sqlite-journal", beside(Bytes::Fifo), "route set rocm --detect"),
        ("manifest.sqlite-journal", beside(Bytes::Folder), "list"),
        ("manifest.sqlite-wal", beside(Bytes::Dangling), "doctor"),
        ("manifest.sqlite-shm", beside(Bytes::Fifo), "import in2"),
        ("manifest.sqlite", Kind::Dangling, "rebuild"),
        ("manifest.sqlite", Kind::LinkToItself, "list"),
        ("manifest.sqlite", Kind::Folder, "import in2"),
        ("wcas.json", Kind::Link, "verify"),
        ("wcas.json", Kind::Folder, "rebuild"),
        ("blobs", Kind::Dangling, "import in2"),
        ("blobs/b3", Kind::LinkToItself, "verify"),
        ("locks", Kind::LinkToItself, "gc"),
        ("locks/store", Kind::Link, "list"),
        ("locks/sessions", Kind::Other, "import in2"),
        (&named, Kind::Link, "lookup demo==1.0"),
        (&named, Kind::Fifo, "view --format paths"),
        (&link, Kind::Folder, "lookup demo==1.0"),
    ];
    let cell =
        |(name, kind, line): (&str, Kind, &'static str)| (Damage { path: Path::new("store").join(name), kind }, line);
    cells.into_iter().map(cell).collect()
}

#[test]
fn the_worst_damage_is_told_and_mended() {
    let (lab, faults) = (Lab::new(), Faults::default());
    let cells = worst(&lab);
    for (damage, line) in &cells {
        let command = *ALL.iter().find(|command| command.line == *line).unwrap();
        cell(&lab, damage, command, 1, true, &faults);
        lab.renew();
        assert!(damage.apply(&lab, 1), "{damage}");
        let doctor = lab.run(&["--json", "doctor"]);
        let name = damage.path.file_name().unwrap().to_str().unwrap();
        if doctor.code != 3 || !doctor.stdout.contains(&format!("{name}\"")) {
            faults.note(format!("{damage}: doctor names it not: {doctor}"));
        }
    }
    faults.none(cells.len());
}

#[test]
fn no_damage_makes_a_command_hang_lie_or_lose() {
    go_round(Share::start(Duration::from_secs(10)), 2);
}
