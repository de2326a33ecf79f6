//! The deep look: the headers of every native member, each inflated once as a stream, several members at a time.

use super::device;
use super::examine::{Examined, examine};
use super::judge::{Findings, alternatives, file_name, is_vendors_own};
use super::{Accelerator, Inspection, Strength, evidence, quick};
use crate::wheel::DistributionFilename;
use crate::wheel::zip::{Archive, Entry, ReadAt, ZipError};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::{self, Read};

/// The most that is inflated of one member, and of one wheel: several times what the largest real ones hold.
const MAX_MEMBER_BYTES: u64 = 16 << 30;
const MAX_WHEEL_BYTES: u64 = 64 << 30;
/// A header of an ELF file is no shorter.
const MIN_BYTES: u64 = 52;
/// Text, which nobody loads as native code.
const TEXT: &str = ".py .pyi .pyc .h .hpp .hxx .cuh .inc .txt .md .rst .json .yaml .yml .toml .cfg .ini .c .cc .cpp .cu .hip .f90 .pyx .pxd \
                    .cmake .html .css .js .map .svg .png .jpg .gz .zip .csv .xml .typed .pc .ptx .bc .npz .npy .whl";

/// A native member, examined.
struct Native {
    member: String,
    size: u64,
    examined: Examined,
}

/// Looks into every native member of a wheel, and at all that [`quick`](super::quick()) looks at; of an sdist, at its filename only.
///
/// Members are read in parallel by rayon's current pool; each takes at most about 20 MiB of memory.
pub fn deep<R: ReadAt + Sync + ?Sized>(
    source: &R,
    name: &DistributionFilename,
    metadata: Option<&[u8]>,
) -> Result<Inspection, ZipError> {
    let DistributionFilename::Wheel(wheel) = name else {
        return Ok(Inspection { is_deep: true, ..quick::quick(source, name, metadata)? });
    };
    let archive = Archive::open(source)?;
    let mut findings = Findings::default();
    quick::look(&archive, wheel, metadata, &mut findings)?;
    let mut entries = archive.entries().collect::<Result<Vec<_>, _>>()?;
    entries.retain(|entry| entry.size >= MIN_BYTES && !is_text(entry.name));
    // The largest first, so that none is left alone at the end.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.size));
    let mut unread = drop_overlong(&mut entries, source.size().unwrap_or(u64::MAX), &mut findings);
    let looked: Vec<_> = entries.iter().par_bridge().map(|entry| (entry, look(&archive, entry))).collect();
    let mut natives = Vec::new();
    for (entry, native) in looked {
        match native {
            Ok(native) => natives.extend(native),
            Err(error) => {
                unread += 1;
                findings.problem(&told(entry, &error));
            }
        }
    }
    natives.sort_by(|one, other| one.member.cmp(&other.member));
    judge(&natives, &mut findings);
    Ok(findings.finish(true, unread))
}

fn is_text(name: &[u8]) -> bool {
    let end = name.iter().rposition(|byte| *byte == b'.').map(|at| &name[at..]).unwrap_or_default();
    TEXT.split(' ').any(|own| own.as_bytes() == end)
}

/// Leaves out what would inflate to more than a wheel may, and all of an archive whose members overlap.
fn drop_overlong(entries: &mut Vec<Entry<'_>>, size: u64, findings: &mut Findings) -> usize {
    let packed = entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.packed_size));
    let mut room = MAX_WHEEL_BYTES;
    let count = entries.len();
    if packed > size {
        findings.problem(&format!("members of {packed} packed bytes in a file of {size}: they overlap"));
        entries.clear();
    }
    // The smallest first, so that one giant doesn't hide the others.
    entries.reverse();
    entries.retain(|entry| {
        let fits = room.checked_sub(entry.size);
        room = fits.unwrap_or(room);
        fits.is_some()
    });
    entries.reverse();
    if packed <= size && entries.len() < count {
        findings.problem(&format!("more than {MAX_WHEEL_BYTES} bytes in all members: the largest were not read"));
    }
    count - entries.len()
}

/// Examines a member, if it is native code.
fn look<R: ReadAt + ?Sized>(archive: &Archive<'_, R>, entry: &Entry<'_>) -> io::Result<Option<Native>> {
    let open = || archive.reader(entry, MAX_MEMBER_BYTES).map_err(io::Error::other);
    let mut magic = [0; 8];
    open()?.read_exact(&mut magic)?;
    let is_native = super::elf::is_elf(&magic)
        || magic.starts_with(b"!<arch>\n")
        || magic == *b"\x50\xed\x55\xba\x01\0\x10\0"
        || magic == *b"__CLANG_";
    if !is_native {
        return Ok(None);
    }
    let member = String::from_utf8_lossy(entry.name).into_owned();
    Ok(Some(Native { member, size: entry.size, examined: examine(entry.size, open)? }))
}

fn told(entry: &Entry<'_>, error: &io::Error) -> String {
    match error.get_ref() {
        Some(refused) => refused.to_string(),
        None => format!("{}: {error}", String::from_utf8_lossy(entry.name)),
    }
}

/// Weighs what all members need against what they bring.
fn judge(natives: &[Native], findings: &mut Findings) {
    let elves = || natives.iter().filter_map(|native| Some((native, native.examined.elf.as_ref()?)));
    let brought: BTreeSet<&str> =
        elves().flat_map(|(native, elf)| [Some(file_name(&native.member)), elf.soname.as_deref()]).flatten().collect();
    let mut bound: Vec<(&str, Accelerator)> = Vec::new();
    for (native, elf) in elves() {
        let library = elf.needed.iter().find_map(|library| evidence::library(library));
        let section = elf.sections.iter().find_map(|section| evidence::section(section));
        bound.extend(library.or(section).map(|accelerator| (native.member.as_str(), accelerator)));
    }
    let siblings: Vec<&str> = natives.iter().map(|native| native.member.as_str()).collect();
    let needed: BTreeSet<&str> = elves().flat_map(|(_, elf)| elf.needed.iter().map(String::as_str)).collect();
    let alternatives = alternatives(&bound, &siblings, &needed);
    let own = Accelerator::ALL.map(|accelerator| {
        let is_own = |soname: &Option<String>| soname.as_deref().and_then(evidence::library) == Some(accelerator);
        is_vendors_own(elves().map(|(native, elf)| (native.member.as_str(), native.size, is_own(&elf.soname))))
    });
    for native in natives {
        let member = native.member.as_str();
        if let Some(elf) = &native.examined.elf {
            let needs = if alternatives.contains(member) { Strength::Carries } else { Strength::Requires };
            for library in &elf.needed {
                let Some(accelerator) = evidence::library(library) else { continue };
                let strength = if brought.contains(library.as_str()) { Strength::Carries } else { needs };
                findings.add(accelerator, strength, Some(member), format!("NEEDED {library}"));
            }
            if let Some((soname, accelerator)) =
                elf.soname.as_ref().and_then(|own| Some((own, evidence::library(own)?)))
            {
                let is_own = own[Accelerator::ALL.iter().position(|one| *one == accelerator).unwrap_or(0)];
                let strength = if is_own { Strength::Is } else { Strength::Carries };
                findings.add(accelerator, strength, Some(member), format!("SONAME {soname}"));
            }
            for section in &elf.sections {
                if let Some(accelerator) = evidence::section(section) {
                    findings.add(accelerator, Strength::Carries, Some(member), format!("section {section}"));
                }
            }
            for path in &elf.search_paths {
                if let Some(accelerator) = evidence::search_path(path) {
                    findings.add(accelerator, Strength::Mentions, Some(member), format!("library search path {path}"));
                }
            }
            add_device_object(findings, member, elf);
            for fault in &elf.faults {
                findings.problem(&format!("{member}: {fault}"));
            }
        }
        let device = &native.examined.device;
        for (accelerator, container) in &device.containers {
            findings.add(*accelerator, Strength::Carries, Some(member), (*container).to_owned());
        }
        findings.architectures(device.architectures.iter().cloned());
    }
}

/// Adds an ELF file that is itself for a GPU.
fn add_device_object(findings: &mut Findings, member: &str, elf: &super::elf::Elf) {
    const EM_CUDA: u16 = 190;
    const EM_AMDGPU: u16 = 224;
    match elf.machine {
        EM_CUDA => {
            findings.add(Accelerator::Cuda, Strength::Carries, Some(member), "machine code for CUDA".to_owned());
            // The eighth version of the ABI moved the number by a byte.
            let number = if elf.abi_version >= 8 { elf.flags >> 8 } else { elf.flags } & 0xff;
            findings.architectures((20..=130).contains(&number).then(|| format!("sm_{number}")));
        }
        EM_AMDGPU => {
            findings.add(Accelerator::Rocm, Strength::Carries, Some(member), "machine code for ROCm".to_owned());
            findings.architectures(device::named(file_name(member)));
        }
        _ => {}
    }
}
