//! The quick look: names in the archive's directory, METADATA, the version, and what the builder noted beside them.

use super::deep::{MIN_BYTES, begins_native, may_begin_native};
use super::judge::{Findings, build_word, file_name, has_so, is_module, is_shared, is_vendors_own};
use super::{Inspection, Strength, device, elf, evidence, head, pe};
use crate::budget::{self, Excess};
use crate::requirement::{Environment, Marker};
use crate::wheel::zip::{Archive, Entry, ReadAt, ZipError};
use crate::wheel::{DistributionFilename, Metadata, WheelFilename};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::Read;

/// How much is inflated of the heads of native members: of each so much, of all a share of their packed bytes, within these bounds.
const HEAD_BYTES: u64 = 128 * 1024;
const HEADS_SHARE: u64 = 64;
const LEAST_HEADS: u64 = 64 * 1024;
/// Where the table of sections of a Windows library has ended.
const SECTIONS_BYTES: u64 = 4096;
const MOST_HEADS: u64 = 16 * 1024 * 1024;
/// The largest note of a builder that is read.
const MAX_NOTE_BYTES: u64 = 1 << 20;

/// Looks at a distribution's names and metadata, not into its members; of an sdist, at its filename only.
///
/// `metadata` is what [`crate::wheel::read`] gave.
pub fn quick<R: ReadAt + ?Sized>(
    source: &R,
    name: &DistributionFilename,
    metadata: Option<&[u8]>,
) -> Result<Inspection, ZipError> {
    let DistributionFilename::Wheel(wheel) = name else {
        let mut findings = Findings::default();
        add_version(&mut findings, &name.version().to_string());
        return Ok(findings.finish(false, 0));
    };
    quick_in(&Archive::open(source)?, wheel, metadata)
}

/// Looks as [`quick`] does at a wheel that is open already.
pub fn quick_in<R: ReadAt + ?Sized>(
    archive: &Archive<'_, R>,
    name: &WheelFilename,
    metadata: Option<&[u8]>,
) -> Result<Inspection, ZipError> {
    let mut findings = Findings::default();
    let (unread, libraries, natives) = survey(archive, name, metadata, &mut findings)?;
    // What is bound already needs no more of a quick look.
    if !findings.is_bound() {
        add_heads(&mut findings, archive, natives, &libraries);
    }
    Ok(findings.finish(false, unread))
}

/// What a look over a wheel's members leaves: how many it can't judge, the libraries with their sizes, and the ELF files.
type Looked<'a> = (usize, Vec<(&'a str, u64)>, Vec<(&'a str, Entry<'a>)>);

/// Adds what names, METADATA and notes tell.
pub(super) fn survey<'a, R: ReadAt + ?Sized>(
    archive: &'a Archive<'_, R>,
    name: &WheelFilename,
    metadata: Option<&[u8]>,
    findings: &mut Findings,
) -> Result<Looked<'a>, ZipError> {
    add_filename(findings, name);
    if let Some(Ok(metadata)) = metadata.map(Metadata::parse) {
        add_requirements(findings, &metadata, name);
    }
    let mut unread = 0;
    let mut peek = archive.peek();
    let (mut libraries, mut notes, mut natives) = (Vec::new(), Vec::new(), Vec::new());
    for entry in archive.entries() {
        let entry = entry?;
        // Most members are modules in Python, and most wheels have no others: this decides how fast the look is. Native code under such
        // a name is for a deep look alone.
        if entry.size == 0 || entry.name.ends_with(b".py") || entry.name.ends_with(b".pyi") {
            continue;
        }
        let Ok(member) = std::str::from_utf8(entry.name) else {
            unread += 1;
            continue;
        };
        // A name is only what its author calls it: what isn't called native code is known by how it begins.
        let head = if entry.size >= MIN_BYTES { peek.first_bytes(&entry, may_begin_native) } else { Some([0; 8]) };
        unread += usize::from(is_native(member) || head.is_none_or(|head| begins_native(&head)));
        if member.contains(".dist-info/") {
            if member.ends_with("/fromager-elf-requires.txt")
                || member.ends_with("/fromager-elf-provides.txt")
                || member.ends_with("/variant.json")
            {
                if notes.len() as u64 == budget::BUILD_NOTES.limit {
                    findings.exceed(Excess(budget::BUILD_NOTES));
                } else {
                    notes.push((member, entry));
                }
            }
            continue;
        }
        if head.is_some_and(|head| elf::is_elf(&head) || pe::is_pe(&head)) {
            natives.push((member, entry));
        }
        add_member(findings, member, entry.size, &mut libraries);
    }
    add_libraries(findings, &libraries);
    add_notes(findings, archive, &notes);
    Ok((unread, libraries, natives))
}

/// Tells whether a name is that of native code, which only its own headers can judge.
fn is_native(member: &str) -> bool {
    let file = file_name(member);
    let is_object = [".a", ".o", ".cubin", ".fatbin", ".hsaco", ".co"].iter().any(|end| file.ends_with(end));
    let is_program = !file.contains('.') && (member.contains("/bin/") || member.contains(".data/scripts/"));
    has_so(file) || is_object || is_program
}

/// Adds what a project's name, version and build tag say.
fn add_filename(findings: &mut Findings, name: &WheelFilename) {
    if let Some((accelerator, strength)) = evidence::project(name.project().as_str()) {
        // Tools, documents and placeholders for an accelerator are called after it, too; they run anywhere.
        let strength = match (strength, name.platform_tags().all(|tag| tag == "any")) {
            (_, true) => Strength::Mentions,
            (Strength::Carries, false) => Strength::Is,
            (strength, false) => strength,
        };
        findings.add(accelerator, strength, None, format!("project {}", name.project()));
    }
    add_version(findings, &name.version().to_string());
    // A build's suffix tells where it was built; what it is needs not differ there.
    if let Some(suffix) = name.build_tag().map(|tag| tag.suffix.as_str()).filter(|suffix| !suffix.is_empty())
        && let Some(accelerator) = evidence::local_version(&suffix.to_ascii_lowercase())
    {
        findings.add(accelerator, Strength::Mentions, None, format!("build tag with {suffix}"));
    }
}

fn add_version(findings: &mut Findings, version: &str) {
    if let Some((_, local)) = version.split_once('+')
        && let Some(accelerator) = evidence::local_version(local)
    {
        findings.add(accelerator, Strength::Requires, None, format!("local version +{local}"));
    }
}

/// Adds what METADATA requires where the wheel runs, extras aside.
fn add_requirements(findings: &mut Findings, metadata: &Metadata, name: &WheelFilename) {
    for line in &metadata.requires_dist {
        let end = line.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')));
        let project = line[..end.unwrap_or(line.len())].to_ascii_lowercase().replace(['_', '.'], "-");
        let pinned = line.split_once("==").and_then(|(_, pin)| pin.split(';').next()?.split_once('+'));
        let by_pin = || pinned.and_then(|(_, local)| evidence::local_version(local.trim_end_matches([')', ' '])));
        let found = evidence::project(&project).or_else(|| by_pin().map(|own| (own, Strength::Requires)));
        let Some((accelerator, strength)) = found else { continue };
        // Only a line that matters is parsed, since most wheels have many and none that does.
        let marker = line.split_once(';').map_or("", |(_, marker)| marker);
        // What can't be read or known is no reason to overlook the line.
        let is_meant = marker.trim().is_empty()
            || marker.parse::<Marker>().ok().and_then(|marker| marker.evaluate(&environment(name))) != Some(false);
        if is_meant {
            findings.add(
                accelerator,
                strength.min(Strength::Requires),
                Some("METADATA"),
                format!("Requires-Dist: {line}"),
            );
        }
    }
}

/// Returns the environment that a wheel is for, as its tags tell it; Linux, when they don't.
fn environment(name: &WheelFilename) -> Environment {
    let platform = name.platform_tags().next().filter(|tag| *tag != "any").unwrap_or("linux_x86_64");
    let python = name.python_tags().filter_map(|tag| tag.strip_prefix("cp3")?.parse().ok()).next_back();
    Environment::for_target(Some((3, python.unwrap_or(12))), Some(platform))
}

/// Adds what a member's name says; libraries of accelerators are put aside with their sizes.
fn add_member<'a>(findings: &mut Findings, member: &'a str, size: u64, libraries: &mut Vec<(&'a str, u64)>) {
    let file = file_name(member);
    let device_code = [
        (".cubin", super::Accelerator::Cuda),
        (".fatbin", super::Accelerator::Cuda),
        (".ptx", super::Accelerator::Cuda),
        (".hsaco", super::Accelerator::Rocm),
    ];
    if let Some((end, accelerator)) = device_code.iter().find(|(end, _)| file.ends_with(end)) {
        // Compilers bring kernels for their own tests.
        let is_test = member.split('/').any(|part| matches!(part, "test" | "tests" | "testing"));
        let strength = if is_test { Strength::Mentions } else { Strength::Carries };
        findings.add(*accelerator, strength, Some(member), format!("device code, {end}"));
        if !is_test {
            findings.architectures(device::named(file));
        }
        return;
    }
    if let Some(accelerator) = file.strip_suffix(".bc").and_then(evidence::bitcode) {
        findings.add(accelerator, Strength::Carries, Some(member), "device code, .bc".to_owned());
        return;
    }
    if file.ends_with(".co") || file.ends_with(".dat") {
        // Tensile's kernels, which rocBLAS loads: `TensileLibrary_…_gfx90a.co`.
        if let Some(architecture) = device::named(file).filter(|name| name.starts_with("gfx")) {
            findings.add(
                super::Accelerator::Rocm,
                Strength::Carries,
                Some(member),
                "device code, by its name".to_owned(),
            );
            findings.architectures([architecture]);
        }
        return;
    }
    if is_shared(file) {
        libraries.push((member, size));
    }
}

/// Adds the accelerators' libraries among the members: all the wheel is, or something that it brings.
fn add_libraries(findings: &mut Findings, libraries: &[(&str, u64)]) {
    let known = libraries.iter().map(|(member, size)| {
        let file = file_name(member);
        (*member, *size, evidence::library(file), evidence::words(file).find_map(evidence::word))
    });
    let known: Vec<_> = known.collect();
    for accelerator in super::Accelerator::ALL {
        let own =
            is_vendors_own(known.iter().map(|(member, size, own, _)| (*member, *size, *own == Some(accelerator))));
        let strength = if own { Strength::Is } else { Strength::Carries };
        for (member, _, own, named) in &known {
            if *own == Some(accelerator) {
                findings.add(accelerator, strength, Some(member), format!("library {}", file_name(member)));
            } else if *named == Some(accelerator) {
                findings.add(accelerator, Strength::Carries, Some(member), "a library named after it".to_owned());
            }
        }
    }
}

/// Adds what the heads of native members tell, the extension modules' first and the largest of them, as far as the bytes go that may be
/// inflated: a small part of what an import reads. A member called after an accelerator may be one of several builds, which only a deep
/// look tells.
fn add_heads<R: ReadAt + ?Sized>(
    findings: &mut Findings,
    archive: &Archive<'_, R>,
    mut natives: Vec<(&str, Entry<'_>)>,
    libraries: &[(&str, u64)],
) {
    natives
        .retain(|(member, _)| !evidence::is_named_after(file_name(member)) && build_word(file_name(member)).is_none());
    natives.sort_by_key(|(member, entry)| (!is_module(file_name(member)), Reverse(entry.size)));
    let packed: u64 = natives.iter().map(|(_, entry)| entry.packed_size).sum();
    let mut left = (packed / HEADS_SHARE).clamp(LEAST_HEADS, MOST_HEADS);
    let brought: BTreeSet<&str> = libraries.iter().map(|(member, _)| file_name(member)).collect();
    let mut others = natives.len() as u64;
    let mut head = Vec::new();
    for (member, entry) in natives {
        // What the small ones leave the large ones may have.
        let share = (left / others).max(HEAD_BYTES).min(left).min(entry.size);
        others -= 1;
        // What is wrong with it a deep look tells.
        let Some((told, inflated)) =
            archive.reader(&entry, u64::MAX).ok().and_then(|reader| read_head(reader, share, &mut head))
        else {
            continue;
        };
        for (accelerator, library) in told.needed {
            let strength = if brought.contains(library.as_str()) { Strength::Carries } else { Strength::Requires };
            findings.add(
                accelerator,
                strength,
                Some(member),
                format!("names {library} among the libraries that it needs"),
            );
        }
        for (accelerator, symbol) in told.calls {
            findings.add(accelerator, Strength::Carries, Some(member), format!("has {symbol}"));
        }
        left = left.saturating_sub(inflated);
        if left < LEAST_HEADS / 4 {
            return;
        }
    }
}

/// Reads a member's head, at most so many bytes: of an ELF file so far that its names are told, which lie behind all its symbols; of a
/// Windows library the table of sections. Returns what it tells, and how much was inflated.
fn read_head(mut reader: impl Read, most: u64, head: &mut Vec<u8>) -> Option<(head::HeadReport, u64)> {
    /// A name that one piece begins and the next one ends.
    const OVERLAP: usize = 64;
    head.clear();
    let mut seen = 0usize;
    reader.by_ref().take(SECTIONS_BYTES.min(most)).read_to_end(head).ok()?;
    if pe::is_pe(head) {
        return Some((head::read_sections(head), head.len() as u64));
    }
    loop {
        // To the next whole piece.
        let step = (HEAD_BYTES - head.len() as u64 % HEAD_BYTES).min(most - head.len() as u64);
        let len = reader.by_ref().take(step).read_to_end(head).ok()?;
        let is_done = (len as u64) < step || head.len() as u64 == most;
        if is_done || head::has_names(&head[seen.saturating_sub(OVERLAP)..]) {
            return Some((head::read(head), head.len() as u64));
        }
        seen = head.len();
    }
}

/// Adds what the builder noted: the libraries that fromager found needed and provided, and the variant.
fn add_notes<R: ReadAt + ?Sized>(findings: &mut Findings, archive: &Archive<'_, R>, notes: &[(&str, Entry<'_>)]) {
    let mut texts = Vec::new();
    for (member, entry) in notes {
        match archive.read(entry, MAX_NOTE_BYTES) {
            Ok(bytes) => texts.push((*member, String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) => findings.problem(&error.to_string()),
        }
    }
    // A line is `libcudart.so.12()(64bit)`: a library, the version of a symbol, the width.
    let names = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.split('(').next()).map(|name| name.trim().to_owned()).collect()
    };
    let mut provided = BTreeSet::new();
    for (_, text) in texts.iter().filter(|(member, _)| member.ends_with("provides.txt")) {
        provided.extend(names(text));
    }
    for (member, text) in &texts {
        if member.ends_with("requires.txt") {
            for library in names(text).difference(&provided) {
                if let Some(accelerator) = evidence::library(library) {
                    findings.add(accelerator, Strength::Requires, Some(member), format!("needs {library}"));
                }
            }
        } else if member.ends_with("variant.json") {
            add_variant(findings, member, text);
        }
    }
}

/// Adds the accelerators that a wheel variant's properties name.
fn add_variant(findings: &mut Findings, member: &str, text: &str) {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(text) else { return };
    let variants = document.get("variants").and_then(serde_json::Value::as_object);
    for (label, properties) in variants.into_iter().flatten() {
        let namespaces = properties.as_object().into_iter().flatten().map(|(namespace, _)| namespace.as_str());
        for namespace in namespaces {
            let accelerator = match namespace {
                "nvidia" | "cuda" => super::Accelerator::Cuda,
                "amd" | "rocm" => super::Accelerator::Rocm,
                "intel" | "xpu" => super::Accelerator::Oneapi,
                "gaudi" | "habana" => super::Accelerator::Gaudi,
                _ => continue,
            };
            findings.add(accelerator, Strength::Requires, Some(member), format!("variant {label} of {namespace}"));
        }
    }
}
