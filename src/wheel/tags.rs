//! Which wheels run on a target: an interpreter and a platform, either of which may be left open.
//!
//! The rules and the order of preference are those of `packaging.tags` 26.3 for CPython. A target describes a machine:
//! one with manylinux or musllinux also takes wheels tagged plain `linux_ARCH`, which is what a local build carries.

use super::filename::WheelFilename;
use std::fmt;
use std::str::FromStr;

/// A target that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an interpreter.
    #[error("{0:?} is not a CPython version: expected one like '3.12', '3.13t' or 'cp312'")]
    Python(String),
    /// Not a platform.
    #[error("{0:?} is not a platform: expected one like 'manylinux_2_28_x86_64', 'linux_x86_64', 'win_amd64' or 'any'")]
    Platform(String),
}

/// A CPython interpreter, free-threaded or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PythonTarget {
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
    /// Whether it is a build without the global interpreter lock.
    pub free_threaded: bool,
}

impl FromStr for PythonTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let plain = text.strip_prefix("cp").unwrap_or(text);
        let (plain, free_threaded) = plain.strip_suffix('t').map_or((plain, false), |plain| (plain, true));
        let numbers = match plain.split_once('.') {
            // A patch release has the tags of its minor version.
            Some((major, rest)) => {
                let (minor, patch) = rest.split_once('.').unwrap_or((rest, "0"));
                number(patch).and_then(|_| Some((number(major)?, number(minor)?)))
            }
            None => undotted(plain),
        };
        match numbers {
            Some((major @ 2..=9, minor)) => Ok(Self { major, minor, free_threaded }),
            _ => Err(TargetError::Python(text.to_owned())),
        }
    }
}

impl fmt::Display for PythonTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}{}", self.major, self.minor, if self.free_threaded { "t" } else { "" })
    }
}

/// A platform tag, read as the machine that it describes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlatformTarget {
    text: String,
    family: Family,
    arch: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Family {
    /// `linux_ARCH`: some glibc, of any version.
    Linux,
    Manylinux(u16, u16),
    Musllinux(u16, u16),
    Macosx(u16, u16),
    /// Only the very same tag matches: Windows, `any`, and all that is rare.
    Exact,
}

impl FromStr for PlatformTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        // `linux-x86_64` and `macosx-11.0-arm64` are what Python's sysconfig prints.
        let tag = text.to_ascii_lowercase().replace(['-', '.'], "_");
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let known = match split_platform(&tag) {
            Some((family, arch)) => Some((family, arch.to_owned())),
            None if ["linux", "manylinux", "musllinux", "macosx"].iter().any(|prefix| tag.starts_with(prefix)) => None,
            None if tag == "any" || tag == "win32" || tag.contains('_') => Some((Family::Exact, String::new())),
            None => None,
        };
        match known {
            Some((family, arch)) if tag.bytes().all(word) => Ok(Self { text: tag, family, arch }),
            _ => Err(TargetError::Platform(text.to_owned())),
        }
    }
}

impl PlatformTarget {
    /// Returns the platform's tag.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Ranks a platform tag other than `any`: higher is nearer to this machine.
    fn rank(&self, tag: &str) -> Option<u32> {
        if tag == self.text && matches!(self.family, Family::Linux | Family::Exact) {
            return Some(PLATFORM_MAX);
        }
        let (family, arch) = split_platform(tag)?;
        let version = match (self.family, family) {
            (Family::Macosx(major, minor), Family::Macosx(..)) => {
                return self.rank_macosx((major, minor), family, arch);
            }
            _ if arch != self.arch => return None,
            (Family::Manylinux(..) | Family::Musllinux(..), Family::Linux) => return Some(PLATFORM_MAX),
            (Family::Linux, Family::Manylinux(major, minor)) => Some((major, minor)),
            (Family::Manylinux(top, next), Family::Manylinux(major, minor)) => {
                Some((major, minor)).filter(|version| *version <= (top, next))
            }
            (Family::Musllinux(same, most), Family::Musllinux(major, minor)) => {
                return (major == same && minor <= most).then(|| version_rank(major, minor));
            }
            _ => None,
        };
        let (major, minor) = version.filter(|version| *version >= oldest_glibc(arch))?;
        // An old name stands just behind the version that it names.
        Some(2 * version_rank(major, minor) + u32::from(tag.starts_with("manylinux_")))
    }

    fn rank_macosx(&self, target: (u16, u16), wheel: Family, format: &str) -> Option<u32> {
        let Family::Macosx(major, minor) = wheel else { return None };
        let formats: &[&str] = match self.arch.as_str() {
            "x86_64" => &["x86_64", "intel", "fat64", "fat3", "universal2", "universal"],
            "i386" => &["i386", "intel", "fat3", "fat", "universal"],
            "arm64" => &["arm64", "universal2"],
            other => &[other],
        };
        let place = formats.iter().position(|known| *known == format)?;
        let runs = match (target.0, major) {
            (10, 10) => minor <= target.1 && (self.arch == "arm64" || minor >= 4),
            // Since macOS 11 a release is a new major version, and its wheels say `_0`.
            (11.., 11..) => major <= target.0 && minor == 0,
            // Old binaries run on; of those for arm64 there are none, but the other half of a universal2 may be old.
            (11.., 10) => (4..=16).contains(&minor) && (self.arch == "x86_64" || format == "universal2"),
            _ => false,
        };
        runs.then(|| 8 * version_rank(major, minor) + 7 - place as u32)
    }
}

impl fmt::Display for PlatformTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Where a wheel is to run; a part that is not given matches every wheel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// The interpreter.
    pub python: Option<PythonTarget>,
    /// The platform.
    pub platform: Option<PlatformTarget>,
}

impl Target {
    /// Parses a user's texts, like `3.12` and `manylinux_2_28_x86_64`.
    pub fn parse(python: Option<&str>, platform: Option<&str>) -> Result<Self, TargetError> {
        Ok(Self { python: python.map(str::parse).transpose()?, platform: platform.map(str::parse).transpose()? })
    }

    /// Ranks a wheel for this target: `None` when it doesn't run there, else the higher the more specific its best tag.
    ///
    /// Ranks are comparable for the same target only.
    pub fn rank(&self, wheel: &WheelFilename) -> Option<u32> {
        let tags = wheel.tags().to_ascii_lowercase();
        let mut parts = tags.split('-');
        let (pythons, abis, platforms) = (parts.next()?, parts.next()?, parts.next()?);
        let any = platforms.split('.').any(|tag| tag == "any");
        let specific = match &self.platform {
            Some(platform) => platforms.split('.').filter_map(|tag| platform.rank(tag)).max(),
            None => Some(u32::from(platforms.split('.').any(|tag| tag != "any"))),
        };
        let pairs = pythons.split('.').flat_map(|python| abis.split('.').map(move |abi| (python, abi)));
        pairs.filter_map(|(python, abi)| self.rank_triple(python, abi, specific, any)).max()
    }

    /// Ranks an interpreter and ABI, given the rank of the wheel's best platform tag and whether it's also tagged `any`.
    fn rank_triple(&self, python: &str, abi: &str, specific: Option<u32>, any: bool) -> Option<u32> {
        let fit = match &self.python {
            Some(target) => target.fit(python, abi)?,
            None => Fit { class: Class::Python, minor: 0 },
        };
        // Interpreter before platform, as in packaging; and all that is for `any` platform comes last.
        let pack = |class: u32, platform: u32| (class << 29) | (u32::from(fit.minor.min(MINOR_MAX)) << 19) | platform;
        let (with_platform, with_any) = match fit.class {
            Class::Own => (7, None),
            Class::Stable => (6, None),
            Class::OwnNone => (5, Some(2)),
            Class::OldStable => (4, None),
            Class::Python => (3, Some(1)),
        };
        let with_any = with_any.filter(|_| any).map(|class| pack(class, 0));
        specific.map(|platform| pack(with_platform, platform)).max(with_any)
    }
}

/// How well an interpreter and an ABI fit; the best first.
enum Class {
    Own,
    Stable,
    OwnNone,
    OldStable,
    Python,
}

struct Fit {
    class: Class,
    /// Among tags of one class the newer interpreter is preferred.
    minor: u16,
}

impl PythonTarget {
    fn fit(self, python: &str, abi: &str) -> Option<Fit> {
        let (major, minor) = undotted(python.get(2..)?).unwrap_or((0, 0));
        let own = (major, minor) == (self.major, self.minor);
        let stable = if self.free_threaded { "abi3t" } else { "abi3" };
        // A stable ABI begins with Python 3.2.
        let older = major == self.major && minor < self.minor && (major, minor) >= (3, 2);
        let (class, minor) = match (&python[..2], abi) {
            ("cp", "none") if own => (Class::OwnNone, 0),
            ("cp", _) if own && abi == stable && (major, minor) >= (3, 2) => (Class::Stable, 0),
            ("cp", _) if own && self.is_own_abi(abi) => (Class::Own, 0),
            ("cp", _) if older && abi == stable => (Class::OldStable, minor),
            ("py", "none") if own => (Class::Python, MINOR_MAX),
            ("py", "none") if number(&python[2..]) == Some(self.major) => (Class::Python, MINOR_MAX - 1),
            ("py", "none") if major == self.major && minor < self.minor => (Class::Python, minor),
            _ => return None,
        };
        Some(Fit { class, minor })
    }

    fn is_own_abi(self, abi: &str) -> bool {
        // Before 3.8 the ABI tells the memory allocator, before 3.3 the width of characters as well.
        let flags = match (self.major, self.minor) {
            _ if self.free_threaded => "t",
            (..=2, _) | (3, ..=2) => "mu",
            (3, ..=7) => "m",
            _ => "",
        };
        let digits = abi.strip_prefix("cp").and_then(|abi| abi.strip_suffix(flags));
        digits.and_then(undotted) == Some((self.major, self.minor))
    }
}

/// Takes a platform tag of a family with versions apart: `manylinux2014_x86_64` is glibc 2.17 on `x86_64`.
fn split_platform(tag: &str) -> Option<(Family, &str)> {
    let legacy = [("manylinux1_", 5), ("manylinux2010_", 12), ("manylinux2014_", 17)];
    let (family, arch) = if let Some(arch) = tag.strip_prefix("linux_") {
        (Family::Linux, arch)
    } else if let Some((arch, minor)) = legacy.iter().find_map(|(name, minor)| Some((tag.strip_prefix(name)?, minor))) {
        (Family::Manylinux(2, *minor), arch)
    } else {
        let (name, rest) = tag.split_once('_')?;
        let (major, rest) = rest.split_once('_')?;
        let (minor, arch) = rest.split_once('_')?;
        let (major, minor) = (number(major)?, number(minor)?);
        match name {
            "manylinux" => (Family::Manylinux(major, minor), arch),
            "musllinux" => (Family::Musllinux(major, minor), arch),
            "macosx" => (Family::Macosx(major, minor), arch),
            _ => return None,
        }
    };
    (!arch.is_empty()).then_some((family, arch))
}

/// Returns the oldest glibc that any manylinux of the architecture may ask for.
fn oldest_glibc(arch: &str) -> (u16, u16) {
    if matches!(arch, "x86_64" | "i686") { (2, 5) } else { (2, 17) }
}

/// The rank above those of all platform tags with a version, which take 18 bits.
const PLATFORM_MAX: u32 = (1 << 19) - 1;
/// The largest minor version that is told apart in a rank.
const MINOR_MAX: u16 = (1 << 10) - 1;

fn version_rank(major: u16, minor: u16) -> u32 {
    (u32::from(major.min(63)) << 9) | u32::from(minor.min(511))
}

/// Parses `312` as 3.12: one digit of major version, the rest is the minor.
fn undotted(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_at_checked(1)?;
    Some((number(major)?, number(minor)?))
}

/// Parses a number as tags write it: digits only, without a leading zero.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(python: &str, platform: &str, tags: &str) -> Option<u32> {
        let python = Some(python).filter(|text| !text.is_empty());
        let platform = Some(platform).filter(|text| !text.is_empty());
        let target = Target::parse(python, platform).unwrap();
        target.rank(&format!("demo-1-{tags}.whl").parse().unwrap())
    }

    #[test]
    fn k3_a_wheel_for_another_interpreter_abi_or_platform_has_no_rank() {
        for (python, platform, tags) in [
            ("3.12", "", "cp311-cp311-linux_x86_64"),
            ("3.12", "", "cp313-abi3-linux_x86_64"),
            ("3.12", "", "cp312-cp312t-linux_x86_64"),
            ("3.12", "", "pp310-pypy310_pp73-linux_x86_64"),
            ("3.12", "", "py313-none-any"),
            ("3.12", "", "py2-none-any"),
            ("3.13t", "", "cp313-cp313-linux_x86_64"),
            ("3.13t", "", "cp310-abi3-linux_x86_64"),
            ("3.12", "linux_x86_64", "cp312-cp312-any"),
            ("", "manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_29_x86_64"),
            ("", "manylinux2014_x86_64", "cp312-cp312-manylinux_2_18_x86_64"),
            ("", "manylinux_2_28_aarch64", "cp312-cp312-manylinux1_aarch64"),
            ("", "linux_x86_64", "cp312-cp312-musllinux_1_2_x86_64"),
            ("", "linux_x86_64", "cp312-cp312-linux_aarch64"),
            ("", "musllinux_1_2_x86_64", "cp312-cp312-manylinux_2_17_x86_64"),
            ("", "musllinux_1_2_x86_64", "cp312-cp312-musllinux_1_3_x86_64"),
            ("", "macosx_11_0_arm64", "cp312-cp312-macosx_12_0_arm64"),
            ("", "macosx_11_0_arm64", "cp312-cp312-macosx_10_9_x86_64"),
            ("", "win_amd64", "cp312-cp312-win32"),
            ("", "any", "cp312-cp312-linux_x86_64"),
        ] {
            assert_eq!(rank(python, platform, tags), None, "{python} {platform}: {tags}");
        }
    }

    #[test]
    fn preference_is_in_the_order_of_packaging() {
        let order = |python, platform, all: &[&str]| {
            let ranks: Vec<u32> = all.iter().map(|tags| rank(python, platform, tags).expect(tags)).collect();
            assert!(ranks.is_sorted_by(|better, worse| better > worse), "{all:?} {ranks:?}");
        };
        let linux = [
            "cp312-cp312-linux_x86_64",
            "cp312-cp312-manylinux_2_28_x86_64",
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp312-cp312-manylinux2014_x86_64",
            "cp312-cp312-manylinux1_x86_64",
            "cp312-abi3-linux_x86_64",
            "cp312-none-linux_x86_64",
            "cp311-abi3-linux_x86_64",
            "cp32-abi3-manylinux1_x86_64",
            "py312-none-linux_x86_64",
            "py3-none-linux_x86_64",
            "py311-none-linux_x86_64",
            "cp312-none-any",
            "py312-none-any",
            "py2.py3-none-any",
            "py30-none-any",
        ];
        order("3.12", "manylinux_2_28_x86_64", &linux);
        order("cp312", "linux-x86_64", &linux);
        order(
            "3.15t",
            "musllinux_1_2_aarch64",
            &[
                "cp315-cp315t-linux_aarch64",
                "cp315-cp315t-musllinux_1_2_aarch64",
                "cp315-cp315t-musllinux_1_1_aarch64",
                "cp315-abi3t-musllinux_1_2_aarch64",
                "cp314-abi3.abi3t-musllinux_1_2_aarch64",
                "py3-none-any",
            ],
        );
        order(
            "3.12",
            "macosx_14_5_arm64",
            &[
                "cp312-cp312-macosx_14_0_arm64",
                "cp312-cp312-macosx_11_0_arm64",
                "cp312-cp312-macosx_11_0_universal2",
                "cp312-cp312-macosx_10_9_universal2",
                "py3-none-any",
            ],
        );
    }

    #[test]
    fn what_is_not_given_matches_everything_and_a_specific_wheel_is_preferred() {
        for tags in ["pp310-pypy310_pp73-win_amd64", "cp27-cp27mu-any", "py3-none-any"] {
            assert!(rank("", "", tags).is_some(), "{tags}");
        }
        assert!(rank("", "", "cp312-cp312-linux_x86_64") > rank("", "", "py3-none-any"));
        assert!(rank("", "linux_x86_64", "cp39-cp39-manylinux1_x86_64") > rank("", "linux_x86_64", "py3-none-any"));
        assert!(rank("3.12", "", "cp312-cp312-win_amd64") > rank("3.12", "", "py3-none-any"));
        assert!(rank("", "any", "py3-none-any").is_some());
        assert!(rank("3.7", "", "CP37-cp37m-Linux_x86_64").is_some());
    }

    #[test]
    fn targets_read_back_and_bad_ones_are_refused() {
        for (text, shown) in [("3.12", "3.12"), ("cp313t", "3.13t"), ("312", "3.12"), ("3.13.2", "3.13"), ("27", "2.7")]
        {
            assert_eq!(text.parse::<PythonTarget>().unwrap().to_string(), shown);
        }
        for bad in ["", "3", "t", "cp", "3.x", "3.", "3.012", "pp310", "３.12", "1.0", "cp3é", "3.12.x", "99999999"] {
            assert!(bad.parse::<PythonTarget>().is_err(), "{bad}");
        }
        for bad in
            ["", "linux", "manylinux_2_x86_64", "manylinux2020_x86_64", "macosx_arm64", "a_b/c", "linux_", "x\0_"]
        {
            assert!(bad.parse::<PlatformTarget>().is_err(), "{bad}");
        }
        assert_eq!("macosx-11.0-arm64".parse::<PlatformTarget>().unwrap().as_str(), "macosx_11_0_arm64");
    }
}
