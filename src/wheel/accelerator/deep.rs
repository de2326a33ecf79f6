//! The deep look: the headers of every native member, each inflated once as a stream, several members at a time.
//!
//! What is kept is what was found, not what was looked at, and all of it has budgets: members, inflated bytes, evidence. Where one is
//! exceeded the look ends, and says so; it is the guard's business to take such a wheel for one that nobody knows.

use super::device;
use super::elf::{self, Elf};
use super::examine::{self, Examined, examine};
use super::judge::{Findings, alternatives, build_word, file_name, is_module};
use super::pe;
use super::{Accelerator, Inspection, Strength, evidence, quick};
use crate::budget::{self, Account, Excess, Gate};
use crate::wheel::zip::{Archive, Entry, ReadAt, ZipError};
use crate::wheel::{DistributionFilename, Metadata};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Read};

/// The most that is inflated of one member, and of one wheel: several times what the largest real ones hold.
pub(super) const MAX_MEMBER_BYTES: u64 = 16 << 30;
const MAX_WHEEL_BYTES: u64 = 64 << 30;
/// A header of an ELF file is no shorter.
pub(super) const MIN_BYTES: u64 = 52;
/// What keeping a member costs besides its texts.
const NATIVE_BYTES: usize = size_of::<Native>() + 64;
/// Lets no more members be examined at a time, in all looks together, than there is memory for.
pub(super) static EXAMINING: Gate = Gate::new(budget::DEEP_AT_ONCE.limit);

/// What a look may spend.
struct Accounts {
    inflated: Account,
    evidence: Account,
}

/// What is known of every member that is native code.
#[derive(Clone, Copy)]
struct Glance {
    is_library: bool,
    /// The framework whose operators it has.
    framework: Option<&'static str>,
    /// The accelerator whose library it calls itself.
    own: Option<Accelerator>,
}

/// A native member that has something to tell.
struct Native {
    member: String,
    examined: Examined,
}

/// Looks into every native member of a wheel, and at all that [`quick`](super::quick()) looks at; of an sdist, at its filename only.
///
/// Members are read in parallel by rayon's current pool, within the budgets `deep-…` and `elf-…`; what goes beyond one is told in
/// [`Inspection::exceeded`].
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
    quick::survey(&archive, wheel, metadata, &mut findings)?;
    let size = source.size().unwrap_or(0);
    let Some(entries) = candidates(&archive, size, &mut findings)? else { return Ok(findings.finish(true, 1)) };
    let accounts = Accounts {
        inflated: inflation(size),
        evidence: Account::new(budget::DEEP_EVIDENCE, budget::DEEP_EVIDENCE.limit),
    };
    let looked: Vec<_> =
        entries.iter().par_bridge().map(|entry| (entry, examine_member(&archive, entry, &accounts))).collect();
    let (mut glances, mut natives, mut unread) = (Vec::new(), Vec::new(), 0);
    for (entry, found) in looked {
        match found {
            Ok(Some((glance, native))) => {
                glances.push((entry, glance));
                natives.extend(native);
            }
            Ok(None) => {}
            Err(error) => {
                unread += 1;
                match error.get_ref().and_then(|inner| inner.downcast_ref::<Excess>()) {
                    Some(excess) => findings.exceed(*excess),
                    None => findings.problem(&told(entry, &error)),
                }
                if entry.packs_too_well() || entry.size > MAX_MEMBER_BYTES {
                    findings.exceed(Excess(budget::DEEP_BYTES));
                }
            }
        }
    }
    natives.sort_by(|one, other| one.member.cmp(&other.member));
    let asked = metadata.and_then(|bytes| Metadata::parse(bytes).ok()).map(|own| own.requires_dist).unwrap_or_default();
    judge(&glances, &natives, &asked, &mut findings);
    Ok(findings.finish(true, unread))
}

/// Returns the members that may be native code, the largest first, so that none is left alone at the end; `None` where there are too
/// many, or where they lie over one another.
fn candidates<'a, R: ReadAt + ?Sized>(
    archive: &'a Archive<'_, R>,
    size: u64,
    findings: &mut Findings,
) -> Result<Option<Vec<Entry<'a>>>, ZipError> {
    let (mut entries, mut packed) = (Vec::new(), 0u64);
    for entry in archive.entries() {
        let entry = entry?;
        if entry.size < MIN_BYTES {
            continue;
        }
        if entries.len() as u64 == budget::DEEP_MEMBERS.limit {
            findings.exceed(Excess(budget::DEEP_MEMBERS));
            return Ok(None);
        }
        packed = packed.saturating_add(entry.packed_size);
        entries.push(entry);
    }
    if packed > size {
        findings.problem(&format!("members of {packed} packed bytes in a file of {size}: they overlap"));
        findings.exceed(Excess(budget::DEEP_BYTES));
        return Ok(None);
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.size));
    Ok(Some(entries))
}

/// How native code and containers of it begin: besides ELF and PE an archive of objects, a CUDA fat binary, and a bundle of device code,
/// plain and compressed.
const BEGINNINGS: [&[u8]; 6] =
    [elf::MAGIC, pe::MAGIC, b"!<arch>\n", b"\x50\xed\x55\xba\x01\0\x10\0", b"__CLANG_", b"CCOB"];

/// Tells whether a member begins like native code or a container of it, whatever its name: whoever loads it by its path needs no other.
pub(super) fn begins_native(head: &[u8]) -> bool {
    BEGINNINGS.iter().any(|own| head.starts_with(own))
}

/// Tells whether something that [`begins_native`] knows has such first bytes.
pub(super) fn may_begin_native(first: &[u8]) -> bool {
    BEGINNINGS.iter().any(|own| own.starts_with(first))
}

/// Examines a member, if it is native code. It comes back only when there is something to tell of it.
fn examine_member<R: ReadAt + ?Sized>(
    archive: &Archive<'_, R>,
    entry: &Entry<'_>,
    accounts: &Accounts,
) -> io::Result<Option<(Glance, Option<Native>)>> {
    let open = || {
        let inner = archive.reader(entry, MAX_MEMBER_BYTES).map_err(io::Error::other)?;
        Ok(Counted { inner, account: &accounts.inflated })
    };
    let mut magic = [0; 8];
    open()?.read_exact(&mut magic)?;
    if !begins_native(&magic) {
        return Ok(None);
    }
    let mut examined = {
        let _memory = EXAMINING.hold(examine::memory(entry.size));
        examine(entry.size, open)?
    };
    if let Some(excess) = examined.elf.as_ref().and_then(|elf| elf.excess) {
        return Err(io::Error::other(Excess(excess)));
    }
    let own = examined.elf.as_ref().and_then(|elf| evidence::library(elf.soname.as_deref()?));
    let framework = examined.elf.as_ref().and_then(|elf| elf.needed.iter().find_map(|name| evidence::framework(name)));
    let glance = Glance { is_library: examined.elf.is_some(), framework, own };
    let cost = keep_evidence(&mut examined);
    if cost == 0 {
        return Ok(Some((glance, None)));
    }
    accounts.evidence.spend((cost + NATIVE_BYTES + entry.name.len()) as u64).map_err(io::Error::other)?;
    Ok(Some((glance, Some(Native { member: text(entry).into_owned(), examined }))))
}

/// Drops what tells nothing, and returns how many bytes the rest takes.
fn keep_evidence(examined: &mut Examined) -> usize {
    let device = &examined.device;
    let mut cost =
        device.containers.len() * 32 + device.architectures.iter().map(|name| name.len() + 48).sum::<usize>();
    let Some(elf) = &mut examined.elf else { return cost };
    elf.needed.retain(|library| {
        let file = file_name(library);
        evidence::library(library).is_some() || build_word(file).is_some() || evidence::is_named_after_framework(file)
    });
    elf.soname.take_if(|soname| evidence::library(soname).is_none());
    elf.search_paths.retain(|path| evidence::search_path(path).is_some());
    let lists = [&mut elf.needed, &mut elf.search_paths, &mut elf.sections, &mut elf.faults];
    for list in lists {
        list.shrink_to_fit();
        cost += list.iter().map(|text| text.len() + 48).sum::<usize>();
    }
    let is_device_object = matches!(elf.machine, EM_CUDA | EM_AMDGPU);
    cost + elf.soname.as_ref().map_or(0, |soname| soname.len() + 48) + usize::from(is_device_object)
}

/// Opens the account for what may be inflated of a wheel of so many bytes.
pub fn inflation(size: u64) -> Account {
    let most = budget::DEEP_BYTES.limit.saturating_add(size.saturating_mul(budget::DEEP_RATIO.limit));
    Account::new(budget::DEEP_BYTES, most.min(MAX_WHEEL_BYTES))
}

/// Counts what is inflated.
pub struct Counted<'a, R> {
    inner: R,
    account: &'a Account,
}

impl<'a, R: Read> Counted<'a, R> {
    /// Counts what is read of `inner`.
    pub fn new(inner: R, account: &'a Account) -> Self {
        Self { inner, account }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(out)?;
        self.account.spend(len as u64).map_err(io::Error::other)?;
        Ok(len)
    }
}

fn text<'a>(entry: &Entry<'a>) -> Cow<'a, str> {
    String::from_utf8_lossy(entry.name)
}

fn told(entry: &Entry<'_>, error: &io::Error) -> String {
    match error.get_ref() {
        Some(refused) => refused.to_string(),
        None => format!("{}: {error}", text(entry)),
    }
}

/// Weighs what all members need against what they bring, and against what METADATA asks for.
fn judge(glances: &[(&Entry<'_>, Glance)], natives: &[Native], asked: &[String], findings: &mut Findings) {
    let names: Vec<(Cow<'_, str>, Glance, u64)> =
        glances.iter().map(|(entry, glance)| (text(entry), *glance, entry.size)).collect();
    let elves = || natives.iter().filter_map(|native| Some((native, native.examined.elf.as_ref()?)));
    let files = names.iter().filter(|(_, glance, _)| glance.is_library).map(|(member, _, _)| file_name(member));
    let mut brought: BTreeSet<&str> = files.filter(|file| evidence::library(file).is_some()).collect();
    brought.extend(elves().filter_map(|(_, elf)| elf.soname.as_deref()));
    let is_bound =
        |elf: &Elf| elf.needed.iter().any(|library| evidence::library(library).is_some()) || !elf.sections.is_empty();
    let bound = elves().filter(|(_, elf)| is_bound(elf)).map(|(native, _)| native.member.as_str());
    let siblings: BTreeSet<&str> = names.iter().map(|(member, _, _)| member.as_ref()).collect();
    let needed: BTreeSet<&str> = elves().flat_map(|(_, elf)| elf.needed.iter().map(String::as_str)).collect();
    let bound: Vec<&str> = bound.collect();
    let mut alternatives = alternatives(bound.iter().copied(), &siblings, &needed);
    alternatives.extend(optional(&names, &bound, &needed, asked));
    let owned = Accelerator::ALL.map(|accelerator| is_vendors_own(&names, accelerator));
    for native in natives {
        let member = native.member.as_str();
        if let Some(elf) = &native.examined.elf {
            let needs = if alternatives.contains(member) { Strength::Carries } else { Strength::Requires };
            for library in &elf.needed {
                let Some(accelerator) = evidence::library(library) else { continue };
                let strength = if brought.contains(library.as_str()) { Strength::Carries } else { needs };
                findings.add(accelerator, strength, Some(member), format!("NEEDED {library}"));
            }
            add_names(findings, member, elf, owned);
            add_device_object(findings, member, elf);
        }
        let device = &native.examined.device;
        for (accelerator, container) in &device.containers {
            findings.add(*accelerator, Strength::Carries, Some(member), (*container).to_owned());
        }
        findings.architectures(device.architectures.iter().cloned());
    }
}

/// Returns the bound members that the rest does without, in a package with modules that are bound to none: modules called after an
/// accelerator, and operators called after a framework (PyTorch, TensorFlow) that METADATA doesn't ask for, where no other member needs
/// them. Where all modules are bound nothing would be left to work without it.
fn optional<'a>(
    names: &'a [(Cow<'_, str>, Glance, u64)],
    bound: &[&'a str],
    needed: &BTreeSet<&str>,
    asked: &[String],
) -> Vec<&'a str> {
    fn package(member: &str) -> &str {
        member.split('/').next().unwrap_or_default()
    }
    let bound_names: BTreeSet<&str> = bound.iter().copied().collect();
    let plain = names.iter().filter(|(member, glance, _)| {
        glance.is_library && glance.framework.is_none() && !bound_names.contains(member.as_ref())
    });
    let packages: BTreeSet<&str> =
        plain.map(|(member, ..)| member.as_ref()).filter(|member| is_module(file_name(member))).map(package).collect();
    let is_asked = |framework: &str| asked.iter().any(|line| !line.contains("extra") && line.starts_with(framework));
    let operators: BTreeSet<&str> = names
        .iter()
        .filter(|(_, glance, _)| glance.framework.is_some_and(|framework| !is_asked(framework)))
        .map(|(member, ..)| member.as_ref())
        .collect();
    let is_optional = |member: &&str| {
        let file = file_name(member);
        let is_operators = || operators.contains(member) && evidence::is_named_after_framework(file);
        let is_apart = evidence::is_named_after(file) || is_operators();
        is_apart && !needed.contains(file) && packages.contains(package(member))
    };
    bound.iter().copied().filter(is_optional).collect()
}

/// Tells whether the wheel is the vendor's, by what its members call themselves.
fn is_vendors_own(names: &[(Cow<'_, str>, Glance, u64)], accelerator: Accelerator) -> bool {
    let elves = names.iter().filter(|(_, glance, _)| glance.is_library);
    super::judge::is_vendors_own(
        elves.map(|(member, glance, size)| (member.as_ref(), *size, glance.own == Some(accelerator))),
    )
}

/// Adds what an ELF file calls itself and its sections, and where it searches.
fn add_names(findings: &mut Findings, member: &str, elf: &Elf, owned: [bool; 4]) {
    if let Some((soname, accelerator)) = elf.soname.as_ref().and_then(|own| Some((own, evidence::library(own)?))) {
        let is_own = owned[Accelerator::ALL.iter().position(|one| *one == accelerator).unwrap_or(0)];
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
    for fault in &elf.faults {
        findings.problem(&format!("{member}: {fault}"));
    }
}

const EM_CUDA: u16 = 190;
const EM_AMDGPU: u16 = 224;

/// Adds an ELF file that is itself for a GPU.
fn add_device_object(findings: &mut Findings, member: &str, elf: &Elf) {
    match elf.machine {
        EM_CUDA => {
            findings.add(Accelerator::Cuda, Strength::Carries, Some(member), "machine code for CUDA".to_owned());
            findings.architectures(device::of_cubin(elf.flags, elf.abi_version));
        }
        EM_AMDGPU => {
            findings.add(Accelerator::Rocm, Strength::Carries, Some(member), "machine code for ROCm".to_owned());
            findings.architectures(device::named(file_name(member)));
        }
        _ => {}
    }
}
