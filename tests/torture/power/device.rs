//! Disks that remember in which order they were written and flushed.
//!
//! A program of its own (this test, started again) serves them as files of a small FUSE filesystem, and loop devices make
//! disks of those: what a filesystem on such a disk writes comes here as WRITE, each flush of the disk's cache as FSYNC.
//! Both go to one log, so that it has one order for all disks. It is a process of its own because one that waits for
//! its own disk could not even be killed.
//!
//! The protocol is that of `linux/fuse.h`, version 7.31, as far as loop devices use it.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Each record of the log begins with so many bytes: kind, disk, two of nothing, size, offset.
pub(super) const HEAD: usize = 16;
/// The kinds of records.
pub(super) const WRITE: u8 = 1;
pub(super) const FLUSH: u8 = 2;
/// What the disks are called below `disks/` (their bytes) and `fuse/` (what loop devices take).
pub(super) const NAMES: [&str; 2] = ["near", "far"];

/// A write has at most so many bytes.
const MOST: u32 = 1 << 20;
/// A request has so many bytes before what belongs to its kind.
const REQUEST: usize = 40;
const ROOT: u64 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENODEV: i32 = 19;
const ENOSYS: i32 = 38;

/// Serves the disks of a folder until they are unmounted.
pub(super) fn serve(folder: &Path) {
    let mut fuse = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse can be opened");
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
    let mut mount = Command::new("mount");
    mount.args(["-i", "-t", "fuse", "-o", options, "recorded"]).arg(folder.join("fuse"));
    mount.stdin(Stdio::from(fuse.try_clone().expect("a handle can be copied")));
    assert!(mount.status().expect("mount runs").success(), "a FUSE filesystem can be mounted");
    let open = |name: &str| File::options().read(true).write(true).open(folder.join("disks").join(name));
    let mut disks = Disks {
        files: NAMES.map(|name| open(name).expect("the disk's file is there")),
        log: File::options().append(true).create(true).open(folder.join("log")).expect("a log can be made"),
    };
    let mut buffer = vec![0; MOST as usize + 4096];
    loop {
        let size = match fuse.read(&mut buffer) {
            Ok(size) => size,
            Err(error) if error.raw_os_error() == Some(ENODEV) => break,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::NotFound) => continue,
            Err(error) => panic!("requests can be read: {error}"),
        };
        let request = &buffer[..size];
        if let Some(answer) = disks.answer(request) {
            let (error, body) = answer.map_or_else(|error| (-error, Vec::new()), |body| (0, body));
            let size = u32::try_from(16 + body.len()).expect("an answer is small");
            let head = [&size.to_ne_bytes()[..], &error.to_ne_bytes(), &request[8..16]].concat();
            // Who asked may have gone meanwhile.
            drop(fuse.write(&[head, body].concat()));
        }
    }
}

struct Disks {
    files: [File; 2],
    log: File,
}

type Answer = Result<Vec<u8>, i32>;

impl Disks {
    /// Answers a request; some want no answer.
    fn answer(&mut self, request: &[u8]) -> Option<Answer> {
        let (kind, node) = (u32_at(request, 4), u64_at(request, 16));
        let body = &request[REQUEST..];
        Some(match kind {
            // FORGET, INTERRUPT, BATCH_FORGET
            2 | 36 | 42 => return None,
            // INIT
            26 => Ok(init(body)),
            // LOOKUP
            1 => self.lookup(body),
            // GETATTR, SETATTR (times)
            3 | 4 => self.attributes(node).map(|attributes| [vec![0; 16], attributes].concat()),
            // OPEN, OPENDIR; what is opened so is not kept in the page cache
            14 | 27 => Ok([&[0; 8][..], &1_u32.to_ne_bytes(), &[0; 4]].concat()),
            // STATFS
            17 => Ok(vec![0; 80]),
            // READDIR, RELEASE, RELEASEDIR, ACCESS, DESTROY
            28 | 18 | 29 | 34 | 38 => Ok(Vec::new()),
            15 => self.read(node, body),
            16 => self.write(node, body),
            // FSYNC
            20 => self.record(FLUSH, node, 0, &[]).map(|()| Vec::new()),
            _ => Err(ENOSYS),
        })
    }

    fn lookup(&self, name: &[u8]) -> Answer {
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let number = NAMES.iter().position(|known| known.as_bytes() == name).ok_or(ENOENT)?;
        let node = ROOT + 1 + number as u64;
        Ok([&node.to_ne_bytes()[..], &[0; 32], &self.attributes(node)?].concat())
    }

    fn attributes(&self, node: u64) -> Answer {
        let size = if node == ROOT { 0 } else { self.file(node)?.metadata().map_err(|_| EIO)?.len() };
        let mode: u32 = if node == ROOT { 0o04_0755 } else { 0o10_0600 };
        let numbers = [node, size, size / 512, 0, 0, 0].map(u64::to_ne_bytes).concat();
        let rest = [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat();
        Ok([numbers, rest].concat())
    }

    fn read(&self, node: u64, body: &[u8]) -> Answer {
        let mut bytes = vec![0; u32_at(body, 16) as usize];
        self.file(node)?.read_exact_at(&mut bytes, u64_at(body, 8)).map_err(|_| EIO)?;
        Ok(bytes)
    }

    fn write(&mut self, node: u64, body: &[u8]) -> Answer {
        let (offset, size) = (u64_at(body, 8), u32_at(body, 16));
        let bytes = &body[40..40 + size as usize];
        // First the log: what somebody was told to be flushed must be in it.
        self.record(WRITE, node, offset, bytes)?;
        self.file(node)?.write_all_at(bytes, offset).map_err(|_| EIO)?;
        Ok([size, 0].map(u32::to_ne_bytes).concat())
    }

    /// Adds a record in one piece, so that the log's length is always the end of one.
    fn record(&mut self, kind: u8, node: u64, offset: u64, bytes: &[u8]) -> Result<(), i32> {
        let disk = u8::try_from(node - ROOT - 1).map_err(|_| EIO)?;
        let size = u32::try_from(bytes.len()).map_err(|_| EIO)?;
        let record = [&[kind, disk, 0, 0][..], &size.to_ne_bytes(), &offset.to_ne_bytes(), bytes].concat();
        self.log.write_all(&record).map_err(|_| EIO)
    }

    fn file(&self, node: u64) -> Result<&File, i32> {
        node.checked_sub(ROOT + 1).and_then(|number| self.files.get(usize::try_from(number).ok()?)).ok_or(ENOENT)
    }
}

/// Agrees on the version, and on large writes.
fn init(body: &[u8]) -> Vec<u8> {
    const BIG_WRITES: u32 = 1 << 5;
    const MAX_PAGES: u32 = 1 << 22;
    let read_ahead = u32_at(body, 8);
    let head = [7, 31, read_ahead, BIG_WRITES | MAX_PAGES].map(u32::to_ne_bytes).concat();
    let background = [16_u16, 12].map(u16::to_ne_bytes).concat();
    let sizes = [MOST, 1].map(u32::to_ne_bytes).concat();
    let pages = [(MOST / 4096) as u16, 0].map(u16::to_ne_bytes).concat();
    [head, background, sizes, pages, vec![0; 32]].concat()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
