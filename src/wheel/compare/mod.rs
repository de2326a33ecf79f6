//! What differs between two wheels, as one who unpacks them sees it: members by content and mode, METADATA and WHEEL by field, RECORD by
//! row, and what native members need. Dates and packing of the archive are told apart from that.
//!
//! Members are inflated as streams, within the budgets of a deep look; nothing is unpacked to disk.

mod profile;

use crate::digest::Sha256;
use crate::wheel::accelerator::Needs;
use crate::wheel::zip::{Archive, ReadAt, ZipError};
use profile::{Fields, Member, Opened};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Why wheels can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One is no archive, or a bad one.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// Which of two members is unpacked is anybody's guess.
    #[error("expected each member once in the wheel, found {0:?} twice")]
    Twice(String),
    /// A member's bytes can't be unpacked.
    #[error("a member can't be unpacked: {0}")]
    Damaged(String),
}

/// The least that two wheels differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// In nothing: they are the same bytes.
    None,
    /// In members' dates only.
    Timestamps,
    /// In how members are packed, or in which order; maybe in their dates.
    Packing,
    /// In what is unpacked.
    Content,
}

/// A member that one wheel alone has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneMember {
    /// Its name.
    pub name: String,
    /// Its size when it is unpacked.
    pub size: u64,
    /// The digest of its content.
    pub sha256: Sha256,
}

/// A member that both have, with other content or another mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedMember {
    /// Its name.
    pub name: String,
    /// The sizes when it is unpacked, of A and B.
    pub sizes: [u64; 2],
    /// The digests of its content.
    pub sha256: [Sha256; 2],
    /// Its modes, as octal numbers are written.
    pub modes: [String; 2],
}

/// A field with other values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedField {
    /// Its name.
    pub field: String,
    /// The values that A alone has.
    pub gone: Vec<String>,
    /// The values that B alone has.
    pub added: Vec<String>,
}

/// What a native member needs in A and in B; `None`: it isn't there, or no native code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedNative {
    /// The member.
    pub name: String,
    /// In A.
    pub a: Option<Needs>,
    /// In B.
    pub b: Option<Needs>,
}

/// Rows of RECORD that differ, by member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChangedRecord {
    /// Of members that B's alone lists.
    pub added: Vec<String>,
    /// Of members that A's alone lists.
    pub gone: Vec<String>,
    /// Of members that both list, with another digest or size.
    pub changed: Vec<String>,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The most that differs.
    pub difference: Difference,
    /// How many members both have alike.
    pub same: usize,
    /// What B has and A hasn't.
    pub added: Vec<OneMember>,
    /// What A has and B hasn't.
    pub gone: Vec<OneMember>,
    /// What both have otherwise.
    pub changed: Vec<ChangedMember>,
    /// How many members have another date.
    pub dates: usize,
    /// Fields of METADATA.
    pub metadata: Vec<ChangedField>,
    /// Fields of WHEEL, the tags among them.
    pub wheel: Vec<ChangedField>,
    /// Rows of RECORD.
    pub record: ChangedRecord,
    /// Native members whose needs differ.
    pub natives: Vec<ChangedNative>,
    /// The version of glibc that each wheel needs at least.
    pub glibc: [Option<String>; 2],
    /// The GPU architectures that members of each have code for.
    pub architectures: [BTreeSet<String>; 2],
}

/// Compares two wheels; `is_same_bytes` tells that their files are alike.
pub fn compare<R: ReadAt + Sync + ?Sized>(a: &R, b: &R, is_same_bytes: bool) -> Result<Comparison, Error> {
    let size = |source: &R| source.size().unwrap_or_default();
    let archives = [Archive::open(a)?, Archive::open(b)?];
    let one = Opened::read(&archives[0], size(a))?;
    let other = Opened::read(&archives[1], size(b))?;
    let (added, gone) = (missing(&other.members, &one.members), missing(&one.members, &other.members));
    let both = || one.members.iter().filter_map(|(name, own)| Some((name, own, other.members.get(name)?)));
    let changed: Vec<ChangedMember> =
        both().filter(|(_, own, its)| !own.is_same(its)).map(|(name, own, its)| changed(name, own, its)).collect();
    let dates = both().filter(|(_, own, its)| own.modified != its.modified).count();
    let is_alike = added.is_empty() && gone.is_empty() && changed.is_empty();
    // What both have alike needs the same in both.
    let needs = one.needs(one.members.keys(), size(a))?;
    let is_same = |name: &&String| one.members.get(*name).is_some_and(|own| own.sha256 == other.members[*name].sha256);
    let mut others = other.needs(other.members.keys().filter(|name| !is_same(name)), size(b))?;
    let alike = needs.iter().filter(|(name, _)| other.members.contains_key(*name) && is_same(name));
    others.extend(alike.map(|(name, needs)| (name.clone(), needs.clone())));
    Ok(Comparison {
        difference: match (is_same_bytes, is_alike) {
            (true, _) => Difference::None,
            (_, true) if dates > 0 && one.layout == other.layout => Difference::Timestamps,
            (_, true) => Difference::Packing,
            _ => Difference::Content,
        },
        same: both().count() - changed.len(),
        added,
        gone,
        dates,
        changed,
        metadata: fields(&one.fields("METADATA")?, &other.fields("METADATA")?),
        wheel: fields(&one.fields("WHEEL")?, &other.fields("WHEEL")?),
        record: record(&one.record()?, &other.record()?),
        glibc: [floor(&needs), floor(&others)],
        architectures: [architectures(&needs), architectures(&others)],
        natives: natives(&needs, &others),
    })
}

fn missing(of: &BTreeMap<String, Member>, from: &BTreeMap<String, Member>) -> Vec<OneMember> {
    let own = of.iter().filter(|(name, _)| !from.contains_key(*name));
    own.map(|(name, own)| OneMember { name: name.clone(), size: own.size, sha256: own.sha256 }).collect()
}

fn changed(name: &str, one: &Member, other: &Member) -> ChangedMember {
    ChangedMember {
        name: name.to_owned(),
        sizes: [one.size, other.size],
        sha256: [one.sha256, other.sha256],
        modes: [one, other].map(|member| format!("{:o}", member.mode)),
    }
}

fn fields(a: &Fields, b: &Fields) -> Vec<ChangedField> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let none = Vec::new();
    let differs = names.into_iter().filter_map(|name| {
        let (one, other) = (a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none));
        let without = |list: &[String], from: &[String]| {
            let known: BTreeSet<&String> = from.iter().collect();
            list.iter().filter(|value| !known.contains(value)).cloned().collect::<Vec<_>>()
        };
        let (gone, added) = (without(one, other), without(other, one));
        // The order of values says nothing.
        (!gone.is_empty() || !added.is_empty()).then(|| ChangedField { field: name.clone(), gone, added })
    });
    differs.collect()
}

fn record(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> ChangedRecord {
    let without = |of: &BTreeMap<String, String>, from: &BTreeMap<String, String>| {
        of.keys().filter(|name| !from.contains_key(*name)).cloned().collect()
    };
    let is_other = |(name, row): &(&String, &String)| b.get(*name).is_some_and(|other| other != *row);
    let changed = a.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
    ChangedRecord { added: without(b, a), gone: without(a, b), changed }
}

fn natives(a: &BTreeMap<String, Needs>, b: &BTreeMap<String, Needs>) -> Vec<ChangedNative> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differs = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    differs.map(|name| ChangedNative { name: name.clone(), a: a.get(name).cloned(), b: b.get(name).cloned() }).collect()
}

fn floor(natives: &BTreeMap<String, Needs>) -> Option<String> {
    natives.values().filter_map(Needs::glibc).max().map(|(major, minor)| format!("{major}.{minor}"))
}

fn architectures(natives: &BTreeMap<String, Needs>) -> BTreeSet<String> {
    natives.values().flat_map(|needs| needs.architectures.iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
