//! What a page says of a file's digest.
//!
//! A digest that can't be read is not the same as none: to take it for none would make a typing error a way around the check.

use crate::digest::Sha256;

/// What a link says of the digest of its file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing.
    #[default]
    Nothing,
    /// Only digests that are not checked here.
    Other,
    /// The digest.
    Sha256(Sha256),
    /// A SHA-256 digest that can't be read, or two that differ.
    Bad,
}

impl Claim {
    /// Takes in one more digest; `value` is `None` where it is not even a text.
    pub(super) fn add(&mut self, algorithm: &str, value: Option<&str>) {
        let new = if !algorithm.trim().eq_ignore_ascii_case("sha256") {
            Self::Other
        } else {
            value.and_then(|text| text.trim().parse().ok()).map_or(Self::Bad, Self::Sha256)
        };
        *self = match (*self, new) {
            (Self::Nothing, new) | (Self::Other, new) => new,
            (old, Self::Other) => old,
            (old, new) if old == new => old,
            _ => Self::Bad,
        };
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
