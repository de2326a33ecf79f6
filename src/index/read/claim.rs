//! What a page says of a file's digest.
//!
//! A digest that can't be read is not the same as none: to take it for none would make a typing error a way around the check.

use super::digest::OtherDigest;
use crate::digest::Sha256;

/// What a link says of the digests of its file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// The SHA-256 digest.
    pub(super) sha256: Option<Sha256>,
    /// Digests of other kinds, which are checked, too.
    pub(super) others: Vec<OtherDigest>,
    /// Whether it says any digest, one that nobody checks included.
    pub(super) is_any: bool,
    /// Whether the SHA-256 digest can't be read, or there are two.
    pub(super) is_bad: bool,
    /// Whether another one can't be read, or there are two of a kind.
    pub(super) is_other_bad: bool,
}

impl Claim {
    /// A digest that can't be read.
    pub(super) fn bad() -> Self {
        Self { is_any: true, is_bad: true, ..Self::default() }
    }

    /// Takes in one more digest; `value` is `None` where it is not even a text.
    pub(super) fn add(&mut self, algorithm: &str, value: Option<&str>) {
        let algorithm = algorithm.trim();
        self.is_any = true;
        if algorithm.eq_ignore_ascii_case("sha256") {
            match (value.and_then(|text| text.trim().parse().ok()), self.sha256) {
                (Some(new), None) => self.sha256 = Some(new),
                (Some(new), Some(old)) if new == old => {}
                _ => self.is_bad = true,
            }
            return;
        }
        match OtherDigest::parse(algorithm, value.unwrap_or_default()) {
            None => {}
            Some(Err(())) => self.is_other_bad = true,
            Some(Ok(new)) => match self.others.iter().find(|old| old.algorithm() == new.algorithm()) {
                None => self.others.push(new),
                Some(old) => self.is_other_bad |= *old != new,
            },
        }
    }

    /// Tells whether another link to the file says something else.
    pub(super) fn contradicts(&self, sha256: Option<Sha256>, others: &[OtherDigest]) -> bool {
        let is_other = |own: &OtherDigest| others.iter().any(|one| one.algorithm() == own.algorithm() && one != own);
        (self.sha256.is_some() && sha256.is_some() && self.sha256 != sha256) || self.others.iter().any(is_other)
    }

    /// Takes in a fragment: `name=value`, several with `&` between them.
    pub(super) fn add_fragment(&mut self, fragment: &str) {
        for part in fragment.split('&') {
            match part.split_once('=') {
                Some((name, value)) if is_algorithm(name) => self.add(name, Some(value)),
                // `#sha256:…` and `#sha256` are meant as a digest.
                _ if part.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("sha256")) => {
                    self.add("sha256", None)
                }
                _ => {}
            }
        }
    }
}

/// Returns whether a key of a fragment names a digest, as `egg` and `subdirectory` do not.
fn is_algorithm(name: &str) -> bool {
    let starts = |with: &str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    ["md5", "sha", "blake"].iter().any(|with| starts(with))
}
