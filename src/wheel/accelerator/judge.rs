//! Puts findings together: bounded in number, strongest first, and weighed against what the wheel itself brings.

use super::{Accelerator, Finding, Inspection, Strength};
use crate::budget::Excess;
use std::collections::{BTreeMap, BTreeSet};

/// How many findings are kept of each strength, for each accelerator.
const MAX_ALIKE: usize = 6;
const MAX_PROBLEMS: usize = 20;
const MAX_TEXT_BYTES: usize = 240;
const MAX_ARCHITECTURES: usize = 256;

/// Collects what is found.
#[derive(Default)]
pub(super) struct Findings {
    all: BTreeSet<Finding>,
    counts: BTreeMap<(Accelerator, Strength), usize>,
    left_out: usize,
    problems: Vec<String>,
    more_problems: usize,
    exceeded: BTreeMap<&'static str, Excess>,
    architectures: BTreeSet<String>,
}

impl Findings {
    pub(super) fn add(&mut self, accelerator: Accelerator, strength: Strength, member: Option<&str>, evidence: String) {
        let finding = Finding { accelerator, strength, member: member.map(shortened), evidence: shortened(&evidence) };
        if self.all.contains(&finding) {
            return;
        }
        let count = self.counts.entry((accelerator, strength)).or_default();
        if *count == MAX_ALIKE {
            self.left_out += 1;
            return;
        }
        *count += 1;
        self.all.insert(finding);
    }

    /// Tells whether something was found that binds the wheel.
    pub(super) fn is_bound(&self) -> bool {
        self.counts.keys().any(|(_, strength)| *strength >= Strength::Requires)
    }

    pub(super) fn problem(&mut self, text: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(shortened(text));
        } else {
            self.more_problems += 1;
        }
    }

    pub(super) fn architectures(&mut self, found: impl IntoIterator<Item = String>) {
        for architecture in found {
            self.architectures.insert(architecture);
            if self.architectures.len() > MAX_ARCHITECTURES {
                self.architectures.pop_last();
            }
        }
    }

    /// Notes that not all was looked at, since it was too much.
    pub(super) fn exceed(&mut self, excess: Excess) {
        self.exceeded.insert(excess.0.name, excess);
    }

    pub(super) fn finish(mut self, is_deep: bool, unread: usize) -> Inspection {
        if self.more_problems > 0 {
            self.problems.push(format!("{} more problems", self.more_problems));
        }
        let exceeded: Vec<String> = self.exceeded.values().map(Excess::to_string).collect();
        self.problems.extend(exceeded.iter().cloned());
        let mut findings: Vec<Finding> = self.all.into_iter().collect();
        findings.sort_by(|one, other| {
            (one.accelerator, other.strength, &one.member, &one.evidence).cmp(&(
                other.accelerator,
                one.strength,
                &other.member,
                &other.evidence,
            ))
        });
        Inspection {
            is_deep,
            findings,
            more_findings: self.left_out,
            architectures: self.architectures.into_iter().collect(),
            unread,
            problems: self.problems,
            exceeded,
        }
    }
}

/// Cuts a text from an archive to what a report can hold.
fn shortened(text: &str) -> String {
    match text.char_indices().find(|(at, _)| *at > MAX_TEXT_BYTES) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Returns a member's file name.
pub(super) fn file_name(member: &str) -> &str {
    member.rsplit('/').next().unwrap_or(member)
}

/// Tells whether a file's name has the ending of Linux's libraries, a version behind it or none.
pub(super) fn has_so(file: &str) -> bool {
    file.split('.').skip(1).any(|part| part == "so")
}

/// Tells whether a name is that of a shared library or an extension module, with any version behind.
pub(super) fn is_shared(file: &str) -> bool {
    has_so(file) || [".dll", ".pyd", ".dylib"].iter().any(|end| file.ends_with(end))
}

/// Tells whether a name is that of a module that Python itself imports.
pub(super) fn is_module(file: &str) -> bool {
    let is_named = file.contains(".cpython-") || file.contains(".abi3.") || file.ends_with(".pyd");
    // Old and hand-made ones have no tag; libraries begin with `lib`.
    (is_named || file.starts_with('_') && file.ends_with(".so")) && is_shared(file)
}

/// Tells whether the wheel is the vendor's: at least half of its native code is, and Python imports none of it.
pub(super) fn is_vendors_own<'a>(members: impl Iterator<Item = (&'a str, u64, bool)>) -> bool {
    let (mut own, mut all) = (0u64, 0u64);
    for (member, size, is_library) in members {
        if is_module(file_name(member)) {
            return false;
        }
        all = all.saturating_add(size);
        own = own.saturating_add(if is_library { size } else { 0 });
    }
    own > 0 && own >= all - own
}

/// Returns the members that are one of several builds of a library, of which the program picks one when it runs.
///
/// Told by a sibling that needs no accelerator: `libx_cuda118.so` beside `libx_cpu.so` (another build), `libx.sycl.so` beside
/// `libx.so` (an addition to it). One that another member needs is none, since then nothing is left to pick.
pub(super) fn alternatives<'a>(
    members: impl Iterator<Item = &'a str>,
    siblings: &BTreeSet<&str>,
    needed: &BTreeSet<&str>,
) -> BTreeSet<&'a str> {
    let is_alternative = |member: &str| {
        let file = file_name(member);
        let folder = &member[..member.len() - file.len()];
        let Some(at) = build_word(file) else { return false };
        if at == 0 || needed.contains(file) {
            return false;
        }
        let build = format!("{folder}{}cpu", &file[..at]);
        let base = format!("{folder}{}.so", file[..at].trim_end_matches(['_', '-', '.']));
        let next = siblings.range(build.as_str()..).next();
        next.is_some_and(|sibling| sibling.starts_with(&build)) || siblings.contains(base.as_str())
    };
    members.filter(|member| is_alternative(member)).collect()
}

/// Returns where a file's name says which build of a library it is.
pub(super) fn build_word(file: &str) -> Option<usize> {
    ["cuda", "rocm", "hip", "xpu", "sycl"].iter().filter_map(|word| file.find(word)).min()
}
