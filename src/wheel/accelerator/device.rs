//! Finds device code in a stream of bytes, and the GPU architectures that its headers tell.
//!
//! Two containers say what they hold: CUDA's fat binary (a header, then an entry for each architecture, as PTX or machine code) and
//! clang's offload bundle (a list of targets). Both lie at multiples of eight in real files, so one compare in eight bytes finds
//! them while the member streams by. Of a compressed bundle (`CCOB`) the first bytes are unpacked, which list the targets. What is for
//! one architecture alone (`sm_90a`) says so in the flags of its machine code.

mod packed;

use super::Accelerator::{self, Cuda, Oneapi, Rocm};
use super::elf;
use std::collections::BTreeSet;

/// The first eight bytes of a fat binary: magic, version 1, a header of 16 bytes.
const FATBIN: u64 = 0x0010_0001_ba55_ed50;
/// The first eight bytes of an offload bundle, and all of its magic.
const BUNDLE: u64 = u64::from_le_bytes(*b"__CLANG_");
const BUNDLE_MAGIC: &[u8] = b"__CLANG_OFFLOAD_BUNDLE__";
/// The first four bytes of a compressed bundle, and how many of a member are unpacked: each library has one, and they are alike.
const COMPRESSED: u32 = u32::from_le_bytes(*b"CCOB");
const MAX_UNPACKED: usize = 64;
/// How much of one is kept: the first block of Zstandard, which comes out only whole, has at most 128 KiB.
pub(super) const BUNDLE_BYTES: usize = 132 << 10;
/// How many bytes from its start a header is looked at.
const LOOK_BYTES: usize = 4096;
/// More targets than this in one bundle are none.
const MAX_TARGETS: u64 = 128;
/// More architectures than this are not kept.
const MAX_ARCHITECTURES: usize = 128;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct DeviceCode {
    /// Containers of device code, by accelerator and what they are called.
    pub(super) containers: BTreeSet<(Accelerator, &'static str)>,
    /// Architectures as the headers tell them.
    pub(super) architectures: BTreeSet<String>,
    /// Bytes that may begin a header which the next piece ends; they begin at `base` in the file.
    kept: Vec<u8>,
    base: u64,
    /// The first bytes of the compressed bundle that was found last.
    bundle: Option<Vec<u8>>,
    /// How many compressed bundles were looked into.
    unpacked: usize,
    /// Where the fat binary that was found last has its next entry, and where it ends.
    entry: Option<(u64, u64)>,
}

impl DeviceCode {
    /// Looks at the next piece of the stream.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        if self.kept.is_empty() {
            self.scan_window(piece, false);
        } else {
            let mut window = std::mem::take(&mut self.kept);
            window.extend_from_slice(piece);
            self.scan_window(&window, false);
        }
    }

    /// Looks at what is left when the stream has ended.
    pub(super) fn finish(&mut self) {
        let window = std::mem::take(&mut self.kept);
        self.scan_window(&window, true);
        self.unpack();
    }

    fn scan_window(&mut self, window: &[u8], is_last: bool) {
        let end = if is_last { window.len() } else { window.len().saturating_sub(LOOK_BYTES) / 8 * 8 };
        self.walk(window, end);
        for at in (0..end).step_by(8) {
            let Some(word) = window.get(at..at + 8).and_then(|bytes| bytes.first_chunk()) else {
                self.collect(window, at);
                break;
            };
            match u64::from_le_bytes(*word) {
                FATBIN => self.start(window, at, end),
                BUNDLE => self.read_bundle(&window[at..]),
                word if word as u32 == COMPRESSED && self.unpacked < MAX_UNPACKED => {
                    self.unpack();
                    self.unpacked += 1;
                    self.bundle = Some(Vec::new());
                }
                _ => {}
            }
            self.collect(window, at);
        }
        self.kept = window[end..].to_vec();
        self.base += end as u64;
    }

    /// Keeps a piece of the compressed bundle that was found last.
    fn collect(&mut self, window: &[u8], at: usize) {
        let Some(kept) = &mut self.bundle else { return };
        kept.extend_from_slice(&window[at..window.len().min(at + 8)]);
        if kept.len() >= BUNDLE_BYTES {
            self.unpack();
        }
    }

    /// Reads the targets of the compressed bundle that was found last, as far as what was kept of it tells them.
    fn unpack(&mut self) {
        if let Some(start) = self.bundle.take().and_then(|kept| packed::bundle(&kept, LOOK_BYTES)) {
            self.read_bundle(&start);
        }
    }

    /// Begins to walk a fat binary's entries.
    fn start(&mut self, window: &[u8], at: usize, end: usize) {
        let Some(size) = number(&window[at..], 8, 8).filter(|size| *size > 0) else { return };
        let first = self.base + at as u64 + 16;
        self.entry = first.checked_add(size).map(|last| (first, last));
        self.containers.insert((Cuda, "fat binary"));
        self.walk(window, end);
    }

    /// Reads the headers of entries that begin before `end`.
    fn walk(&mut self, window: &[u8], end: usize) {
        while let Some((next, last)) = self.entry {
            let Some(at) = next.checked_sub(self.base).filter(|at| *at < end as u64) else { return };
            self.entry = self.read_entry(&window[at as usize..]).and_then(|bytes| {
                let next = next.checked_add(bytes)?;
                (next < last).then_some((next, last))
            });
        }
    }

    /// Reads an entry's header, and returns the number of bytes to the next one.
    fn read_entry(&mut self, header: &[u8]) -> Option<u64> {
        let (kind, bytes, payload) = (number(header, 0, 2)?, number(header, 4, 4)?, number(header, 8, 8)?);
        let kind = match kind {
            1 => "compute",
            2 => "sm",
            // Others (an intermediate form for link-time optimisation, an index) have no architecture that runs.
            _ => return bytes.checked_add(payload).filter(|_| bytes >= 32 && kind < 1024),
        };
        let architecture = number(header, 28, 4)?;
        if bytes < 32 || !(10..1000).contains(&architecture) {
            return None;
        }
        let flags = number(header, 40, 8)?;
        let code = header.get(bytes as usize..).unwrap_or_default();
        let code = &code[..code.len().min(payload as usize)];
        let letter = if kind == "sm" { packed::start(code, flags).map_or("", |start| letter(&start)) } else { "" };
        self.add(format!("{kind}_{architecture}{letter}"));
        bytes.checked_add(payload)
    }

    /// Reads the targets of an offload bundle.
    fn read_bundle(&mut self, header: &[u8]) {
        if !header.starts_with(BUNDLE_MAGIC) {
            return;
        }
        let mut at = BUNDLE_MAGIC.len() + 8;
        for _ in 0..number(header, at - 8, 8).filter(|count| *count <= MAX_TARGETS).unwrap_or(0) {
            let Some(len) = number(header, at + 16, 8).filter(|len| *len < 256) else { return };
            let Some(target) = header.get(at + 24..at + 24 + len as usize) else { return };
            self.read_target(&String::from_utf8_lossy(target));
            at += 24 + len as usize;
        }
    }

    fn read_target(&mut self, target: &str) {
        let (_, processor) = target.rsplit_once("--").unwrap_or((target, ""));
        let processor = processor.split(':').next().unwrap_or_default();
        if processor.starts_with("gfx") && processor.len() < 16 {
            self.containers.insert((Rocm, "offload bundle"));
            self.add(processor.to_owned());
        } else if processor.starts_with("sm_") && processor.len() < 16 {
            self.containers.insert((Cuda, "offload bundle"));
            self.add(processor.to_owned());
        } else if target.starts_with("sycl-") {
            self.containers.insert((Oneapi, "offload bundle"));
        }
    }

    /// Notes an architecture.
    pub(super) fn add(&mut self, architecture: String) {
        let is_plain = architecture.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_plain && self.architectures.len() < MAX_ARCHITECTURES {
            self.architectures.insert(architecture);
        }
    }
}

/// Returns the letter of CUDA machine code that runs on one architecture alone, by the flags in the header of its ELF file (LLVM's
/// `EF_CUDA_ACCELERATORS`): the eighth version of the ABI moved the number by a byte, and that flag with it.
fn letter(header: &[u8]) -> &'static str {
    let (version, flags) = (header.get(8).copied().unwrap_or(0), number(header, 48, 4).unwrap_or(0));
    let is_alone = if version >= 8 { flags & 0x8 } else { flags & 0x800 } != 0;
    if elf::is_elf(header) && is_alone { "a" } else { "" }
}

/// Returns the architecture of a file of CUDA machine code by its header.
pub(super) fn of_cubin(flags: u32, abi_version: u8) -> Option<String> {
    let (number, alone) = if abi_version >= 8 { (flags >> 8, 0x8) } else { (flags, 0x800) };
    let number = number & 0xff;
    (20..=130).contains(&number).then(|| format!("sm_{number}{}", if flags & alone != 0 { "a" } else { "" }))
}

/// Returns the little-endian number in `bytes` bytes.
fn number(record: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let field = record.get(at..at + bytes)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Returns the architecture that a file's name tells: `Kernels.so-000-gfx90a.hsaco`, `kernel_sm_80.cubin`.
pub(super) fn named(file: &str) -> Option<String> {
    let words = || file.split(['-', '.', '_', '/']);
    let is_hex = |text: &str| (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(gfx) = words().find(|word| word.strip_prefix("gfx").is_some_and(is_hex)) {
        return Some(gfx.to_owned());
    }
    let is_number = |text: &str| {
        // `90a`, `100f`: for one architecture alone, or for a family.
        let digits = text.strip_suffix(['a', 'f']).unwrap_or(text);
        (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let sm = words().zip(words().skip(1)).find(|(first, second)| *first == "sm" && is_number(second));
    let sm = sm
        .map(|(_, number)| number)
        .or_else(|| words().filter_map(|word| word.strip_prefix("sm")).find(|rest| is_number(rest)));
    sm.map(|number| format!("sm_{number}"))
}
