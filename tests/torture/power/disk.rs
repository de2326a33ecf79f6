//! Filesystems on disks: made, mounted, recorded, and as they would be after a power cut.

use super::device::{FLUSH, HEAD, NAMES, WRITE, u32_at, u64_at};
use super::random::Random;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A filesystem that a store may lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ext4,
    Xfs,
    Btrfs,
}

pub(super) const KINDS: [Kind; 3] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// What a disk writes whole or not at all. btrfs has its superblock in 4 KiB and no second try at a mount.
    fn sector(self) -> usize {
        if self == Self::Btrfs { 4096 } else { 512 }
    }

    /// Makes one in a file; tells whether that can be done here.
    fn make(self, image: &Path) -> bool {
        let file = File::create(image).expect("a file can be made");
        file.set_len(320 << 20).expect("a file can have holes");
        let args: &[&str] = match self {
            Self::Ext4 => &["-q", "-F", "-J", "size=8", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
            Self::Xfs => &["-q", "-f", "-K", "-m", "reflink=1"],
            Self::Btrfs => &["-q", "-f", "-K", "-m", "single", "-d", "single"],
        };
        let mut make = Command::new(format!("mkfs.{}", self.name()));
        make.args(args).arg(image).stdout(Stdio::null()).stderr(Stdio::null());
        make.status().is_ok_and(|status| status.success())
    }
}

/// Where all of it is: bytes of disks, the log, and where disks are mounted.
pub(super) struct Bench {
    folder: PathBuf,
    mounts: [PathBuf; 2],
    kind: Kind,
}

impl Bench {
    /// Makes two new filesystems; nothing where this machine has no tool for that.
    pub(super) fn new(folder: &Path, mounts: [PathBuf; 2], kind: Kind) -> Option<Self> {
        ["new", "disks", "durable", "cut", "fuse"]
            .iter()
            .for_each(|name| fs::create_dir_all(folder.join(name)).expect("a folder can be made"));
        mounts.iter().for_each(|at| fs::create_dir_all(at).expect("a folder can be made"));
        let bench = Self { folder: folder.to_owned(), mounts, kind };
        NAMES.iter().all(|name| kind.make(&bench.image("new", name))).then_some(bench)
    }

    fn image(&self, folder: &str, name: &str) -> PathBuf {
        self.folder.join(folder).join(name)
    }

    /// Mounts the disks of a folder.
    pub(super) fn mount(&self, folder: &str) -> Result<Mounted, String> {
        let mut mounted = Mounted(Vec::new());
        for (name, at) in NAMES.iter().zip(&self.mounts) {
            let mut mount = Command::new("mount");
            mount.args(["-t", self.kind.name(), "-o", "loop"]).arg(self.image(folder, name)).arg(at);
            let output = mount.output().expect("mount runs");
            if !output.status.success() {
                return Err(format!("{name} can't be mounted: {}", String::from_utf8_lossy(&output.stderr).trim()));
            }
            mounted.0.push(at.clone());
        }
        Ok(mounted)
    }

    /// Starts recorded disks with what the new ones have; fails where this machine has no FUSE.
    pub(super) fn record(&self) -> Result<Recorder, String> {
        copy_all(&self.folder, "new", "disks");
        copy_all(&self.folder, "new", "durable");
        drop(fs::remove_file(self.folder.join("log")));
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args([super::NAME, "--exact", "--nocapture"]).env(super::ROLE, &self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().expect("this program starts");
        let mut recorder = Recorder { process, folder: self.folder.clone() };
        let begin = Instant::now();
        while !self.image("fuse", NAMES[1]).exists() {
            let has_ended = recorder.process.try_wait().is_ok_and(|status| status.is_some());
            if has_ended || begin.elapsed() > Duration::from_secs(60) {
                return Err("the recording disks don't come up".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(recorder)
    }

    /// Reads what was recorded until the log had this length.
    pub(super) fn recording(&self, end: u64) -> Recording {
        let mut log = fs::read(self.folder.join("log")).expect("the log can be read");
        log.truncate(usize::try_from(end).expect("a log fits into memory"));
        let mut records = Vec::new();
        let mut at = 0;
        while at < log.len() {
            let (size, bytes) = (u32_at(&log, at + 4) as usize, at + HEAD);
            let offset = u64_at(&log, at + 8);
            records.push(Record { kind: log[at], disk: log[at + 1].into(), offset, bytes: bytes..bytes + size });
            at = bytes + size;
        }
        let durable = NAMES.map(|name| open(&self.image("durable", name)));
        Recording { log, records, durable, done: [0; 2], folder: self.folder.clone(), sector: self.kind.sector() }
    }
}

/// Filesystems that are mounted, until the value is gone.
pub(super) struct Mounted(Vec<PathBuf>);

impl Drop for Mounted {
    fn drop(&mut self) {
        for at in &self.0 {
            // A command that has just ended may still be on its way out of the filesystem.
            let is_done = || Command::new("umount").arg(at).stderr(Stdio::null()).status().is_ok_and(|it| it.success());
            if !(0..100).any(|_| {
                is_done() || {
                    std::thread::sleep(Duration::from_millis(20));
                    false
                }
            }) {
                drop(Command::new("umount").arg("-l").arg(at).status());
            }
        }
    }
}

/// The process that serves the recorded disks.
pub(super) struct Recorder {
    process: Child,
    folder: PathBuf,
}

impl Recorder {
    /// Returns how long the log is: a moment, for all disks.
    pub(super) fn now(&self) -> u64 {
        fs::metadata(self.folder.join("log")).map_or(0, |metadata| metadata.len())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.folder.join("fuse")).stderr(Stdio::null()).status());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

struct Record {
    kind: u8,
    disk: usize,
    offset: u64,
    bytes: Range<usize>,
}

/// What disks were told, in order.
pub(super) struct Recording {
    log: Vec<u8>,
    records: Vec<Record>,
    durable: [File; 2],
    /// So many records are in the durable image of each disk.
    done: [usize; 2],
    folder: PathBuf,
    sector: usize,
}

/// What a disk keeps of what it was told after its last flush.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    Nothing,
    All,
    /// Some writes, whole.
    Some,
    /// Some sectors of some writes.
    Torn,
}

impl Recording {
    /// Returns the moments at which records end.
    pub(super) fn moments(&self) -> Vec<u64> {
        self.records.iter().map(|record| record.bytes.end as u64).collect()
    }

    /// Makes the disks in `cut` as they are when the power goes at this moment. Moments never go back.
    pub(super) fn cut(&mut self, moment: u64, keep: Keep, random: &mut Random) {
        let count = self.records.partition_point(|record| record.bytes.end as u64 <= moment);
        for (disk, name) in NAMES.iter().enumerate() {
            let of_disk = |record: &&Record| record.disk == disk;
            let flushed = self.records[..count].iter().rposition(|record| record.disk == disk && record.kind == FLUSH);
            let flushed = flushed.unwrap_or(0).max(self.done[disk]);
            for record in self.records[self.done[disk]..flushed].iter().filter(of_disk) {
                self.write(&self.durable[disk], record);
            }
            self.done[disk] = flushed;
            copy_one(&self.folder.join("durable").join(name), &self.folder.join("cut").join(name));
            let image = open(&self.folder.join("cut").join(name));
            for record in self.records[flushed..count].iter().filter(of_disk) {
                let is_kept = match keep {
                    Keep::Nothing => false,
                    Keep::All => true,
                    Keep::Some | Keep::Torn => random.below(2) == 0,
                };
                if is_kept && !(matches!(keep, Keep::Torn) && random.below(2) == 0) {
                    self.write(&image, record);
                } else if is_kept {
                    self.tear(&image, record, random);
                }
            }
        }
    }

    fn write(&self, image: &File, record: &Record) {
        if record.kind == WRITE {
            image.write_all_at(&self.log[record.bytes.clone()], record.offset).expect("an image can be written");
        }
    }

    fn tear(&self, image: &File, record: &Record, random: &mut Random) {
        for (number, sector) in self.log[record.bytes.clone()].chunks(self.sector).enumerate() {
            if random.below(2) == 0 {
                let offset = record.offset + (number * self.sector) as u64;
                image.write_all_at(sector, offset).expect("an image can be written");
            }
        }
    }
}

fn open(image: &Path) -> File {
    File::options().read(true).write(true).open(image).expect("an image can be opened")
}

fn copy_all(folder: &Path, from: &str, to: &str) {
    NAMES.iter().for_each(|name| copy_one(&folder.join(from).join(name), &folder.join(to).join(name)));
}

/// Copies a file with its holes.
fn copy_one(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["--sparse=always"]).arg(from).arg(to).status();
    assert!(status.expect("cp runs").success(), "an image can be copied");
}
