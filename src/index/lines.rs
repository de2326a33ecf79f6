//! Plain lines: requirements with their digests, and paths.

use super::File;
use crate::digest::Sha256;
use pep440_rs::Version;
use std::io::{Result, Write};
use std::path::Path;

/// Writes pinned requirements as `pip-compile` lays them out: `name==version`, then the SHA-256 digest of each of its files.
///
/// They are sorted by project, version and digest. Of a project with several versions there are as many requirements, of which an
/// installer takes only one.
pub fn requirements(out: &mut dyn Write, files: &[File<'_>]) -> Result<()> {
    // What nobody vouches for can't be pinned.
    let mut pins: Vec<Pin<'_>> = files.iter().filter_map(Pin::of).collect();
    pins.sort_unstable();
    pins.dedup_by(|a, b| a.release() == b.release() && a.sha256 == b.sha256);
    for pins in pins.chunk_by(|a, b| a.release() == b.release()) {
        write!(out, "{}=={}", pins[0].project, pins[0].text)?;
        for pin in pins {
            write!(out, " \\\n    --hash=sha256:{}", pin.sha256)?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A file as a requirement sees it, in the order of its fields.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pin<'a> {
    project: &'a str,
    // 1.0 and 1.0.0 are one version, and would be a double requirement; what is no version stands for itself.
    version: std::result::Result<Version, &'a str>,
    sha256: Sha256,
    text: &'a str,
}

impl<'a> Pin<'a> {
    fn of(file: &File<'a>) -> Option<Self> {
        let version = file.version.parse().map_err(|_| file.version);
        Some(Self { project: file.project, version, sha256: file.sha256?, text: file.version })
    }

    fn release(&self) -> impl PartialEq + use<'_, 'a> {
        (self.project, &self.version)
    }
}

/// Writes one path a line, byte for byte.
pub fn paths(out: &mut dyn Write, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<()> {
    for path in paths {
        out.write_all(path.as_ref().as_os_str().as_encoded_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{file, text};
    use super::*;

    #[test]
    fn requirements_are_sorted_and_hold_each_digest_once() {
        let with = |project, version, byte| File {
            sha256: Some(Sha256::from_bytes([byte; 32])),
            ..file("x.whl", project, version)
        };
        let files = [
            with("torch", "2.10", 3),
            with("torch", "2.9+cu121", 2),
            with("idna", "3.0.0", 9),
            with("idna", "3.0", 8),
            with("idna", "3.0", 9),
        ];
        let digest = |digits: &str| digits.repeat(32);
        let expected = format!(
            "idna==3.0 \\\n    --hash=sha256:{} \\\n    --hash=sha256:{}\n\
             torch==2.9+cu121 \\\n    --hash=sha256:{}\n\
             torch==2.10 \\\n    --hash=sha256:{}\n",
            digest("08"),
            digest("09"),
            digest("02"),
            digest("03"),
        );
        assert_eq!(text(|out| requirements(out, &files)), expected);
    }

    #[test]
    fn paths_are_one_a_line() {
        assert_eq!(text(|out| paths(out, ["/store/a b.whl", "/store/é.whl"])), "/store/a b.whl\n/store/é.whl\n");
    }
}
