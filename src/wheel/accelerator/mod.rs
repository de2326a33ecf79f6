//! What a wheel is bound to: CUDA, ROCm, oneAPI or Gaudi, how strongly, and which member or line gives it away.
//!
//! Two depths. [`quick`] reads names, METADATA, what the builder noted, and which members begin like native code; [`deep`] reads the
//! headers of every ELF file and Windows library, as a stream, and finds device code. Neither unpacks to disk, runs anything, or trusts
//! a size. macOS libraries are judged by their names only. Nothing here decides what a collection takes: that is the guard's business.

mod deep;
mod device;
mod elf;
mod evidence;
mod examine;
mod head;
mod judge;
mod needs;
mod pe;
mod quick;

pub use deep::{Counted, deep, inflation};
pub use needs::{Needs, needs};
pub use quick::{quick, quick_in};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The version of the rules: a kept [`Inspection`] of an older one is worth repeating.
pub const ENGINE: i64 = 3;

/// A family of accelerators, by the software that drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// NVIDIA's CUDA.
    Cuda,
    /// AMD's ROCm.
    Rocm,
    /// Intel's oneAPI and SYCL.
    Oneapi,
    /// Intel's Gaudi, formerly Habana.
    Gaudi,
}

impl Accelerator {
    /// All of them, in the order that reports use.
    pub const ALL: [Self; 4] = [Self::Cuda, Self::Rocm, Self::Oneapi, Self::Gaudi];

    /// Returns the name that commands and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Oneapi => "oneapi",
            Self::Gaudi => "gaudi",
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no accelerator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no accelerator: expected cuda, rocm, oneapi or gaudi")]
pub struct AcceleratorError(pub String);

impl FromStr for Accelerator {
    type Err = AcceleratorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|own| own.as_str() == text).ok_or_else(|| AcceleratorError(text.to_owned()))
    }
}

/// Returns the accelerator that a label of a version or a build names: `cu126`, `rocm6.2`, `_el9_rocm6`.
pub fn named_by_label(label: &str) -> Option<Accelerator> {
    evidence::local_version(label)
}

/// Returns the accelerator that a word names: `cuda`, `cu126`, `rocm6`, `gaudi`.
pub fn named_by_word(word: &str) -> Option<Accelerator> {
    evidence::word(word)
}

/// How strongly a wheel is bound to an accelerator, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// It speaks of the accelerator; alone that proves nothing.
    Mentions,
    /// It has device code or a runtime inside, and works without the accelerator too.
    Carries,
    /// It needs a library of the accelerator that it doesn't bring.
    Requires,
    /// It is the accelerator's own library.
    Is,
}

impl Strength {
    /// Returns the name that commands and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mentions => "mentions",
            Self::Carries => "carries",
            Self::Requires => "requires",
            Self::Is => "is",
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that gives an accelerator away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Which one.
    pub accelerator: Accelerator,
    /// How strongly this thing alone binds the wheel.
    pub strength: Strength,
    /// The member of the archive where it is; none when the filename says it.
    pub member: Option<String>,
    /// What it is: `NEEDED libcudart.so.12`, `section .nv_fatbin`, `local version +cu126`.
    pub evidence: String,
}

/// What is known about a wheel's accelerators; small enough to be kept for each blob.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// Whether the members themselves were read, not only their names.
    pub is_deep: bool,
    /// What was found, strongest first for each accelerator; a few of each kind.
    pub findings: Vec<Finding>,
    /// The findings that were left out because there were many like them.
    pub more_findings: usize,
    /// The GPU architectures that the headers of device code tell: `sm_80`, `compute_90`, `gfx90a`.
    pub architectures: Vec<String>,
    /// The members that were not looked into: only a deep look can judge them, or none could.
    pub unread: usize,
    /// What is wrong with members: truncated, contradicting itself, a bomb.
    pub problems: Vec<String>,
    /// The budgets that a deep look went beyond, with what they count: there may be more to find.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceeded: Vec<String>,
}

impl Inspection {
    /// Returns how strongly the wheel is bound to an accelerator, as far as was looked.
    pub fn strength(&self, accelerator: Accelerator) -> Option<Strength> {
        let own = self.findings.iter().filter(|finding| finding.accelerator == accelerator);
        own.map(|finding| finding.strength).max()
    }

    /// Returns the accelerators that were found, with the strength of each.
    pub fn strengths(&self) -> Vec<(Accelerator, Strength)> {
        Accelerator::ALL.into_iter().filter_map(|own| Some((own, self.strength(own)?))).collect()
    }

    /// Returns the accelerators that the wheel requires or is.
    pub fn bound(&self) -> Vec<Accelerator> {
        let strengths = self.strengths().into_iter();
        strengths.filter(|(_, strength)| *strength >= Strength::Requires).map(|(own, _)| own).collect()
    }

    /// Returns whether a deeper look could find nothing more.
    pub fn is_conclusive(&self) -> bool {
        self.is_deep || self.unread == 0
    }
}

#[cfg(test)]
pub(super) mod build;
#[cfg(test)]
mod tests;
