//! Patterns of project names, such as `nvidia-*`: which projects a rule is for.

use crate::name::ProjectName;
use std::fmt;
use std::str::FromStr;

/// A text that is no pattern of project names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a pattern of project names: a name such as torch, or a part with '*' for the rest, such as nvidia-*"
)]
pub struct PatternError(pub String);

/// A project name, normalised, in which `*` stands for any letters, maybe none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectPattern(String);

impl ProjectPattern {
    /// Returns the pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the pattern takes this project.
    pub fn matches(&self, project: &ProjectName) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == project.as_str() };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let inside = project.as_str().strip_prefix(first).and_then(|name| name.strip_suffix(last));
        // The leftmost place of each part leaves the most room for the next.
        let found = |name: &'_ str, part: &str| name.find(part).map(|at| at + part.len());
        inside.is_some_and(|mut name| {
            middle.split('*').all(|part| found(name, part).map(|end| name = &name[end..]).is_some())
        })
    }
}

impl FromStr for ProjectPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let bad = || PatternError(text.to_owned());
        let mut pattern = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '-' | '_' | '.' if pattern.ends_with('-') => {}
                '*' if pattern.ends_with('*') => {}
                '-' | '_' | '.' => pattern.push('-'),
                '*' => pattern.push('*'),
                other if other.is_ascii_alphanumeric() => pattern.push(other.to_ascii_lowercase()),
                _ => return Err(bad()),
            }
        }
        // No name has a dash at its end: such a pattern would take nothing.
        if pattern.is_empty() || pattern.starts_with('-') || pattern.ends_with('-') {
            return Err(bad());
        }
        Ok(Self(pattern))
    }
}

impl fmt::Display for ProjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl serde::Serialize for ProjectPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ProjectPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters_and_the_rest_is_compared_normalised() {
        for (pattern, taken, not_taken) in [
            ("torch", "torch", "torchvision"),
            ("Flask_RESTful", "flask-restful", "flask"),
            ("nvidia-*", "nvidia-cublas-cu12", "nvidia"),
            ("NVIDIA.*", "nvidia-nccl-cu12", "pynvidia-x"),
            ("*-cu12", "nvidia-nccl-cu12", "nvidia-nccl-cu12-x"),
            ("nvidia-*-cu12", "nvidia-nccl-cu12", "nvidia-cu12"),
            ("a*a", "aa", "a"),
            ("a*ab*b", "a-ab-b", "ab"),
            ("*a*b*", "xaxbx", "ba"),
            ("torch*", "torch", "pytorch"),
        ] {
            let parsed: ProjectPattern = pattern.parse().unwrap();
            assert!(parsed.matches(&taken.parse().unwrap()), "{pattern} takes {taken}");
            assert!(!parsed.matches(&not_taken.parse().unwrap()), "{pattern} does not take {not_taken}");
        }
        assert!("*".parse::<ProjectPattern>().unwrap().matches(&"anything".parse().unwrap()));
    }

    #[test]
    fn a_pattern_prints_as_it_reads_back() {
        for (text, printed) in [("NVIDIA_*", "nvidia-*"), ("**", "*"), ("a.-_b", "a-b"), ("*", "*")] {
            let pattern: ProjectPattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), printed);
            assert_eq!(printed.parse(), Ok(pattern));
        }
    }

    #[test]
    fn what_no_name_can_match_is_refused() {
        for bad in ["", "-a", "a-", "a b", "a/b", "nvidia-?", "[ab]", "é", ".", "a==1"] {
            assert!(bad.parse::<ProjectPattern>().is_err(), "{bad:?}");
        }
    }
}
