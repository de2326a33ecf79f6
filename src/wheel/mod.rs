//! What a distribution is: its filename, the targets it runs on, and the metadata inside it.
//!
//! Reads wheels and sdists, judges them, and never writes. [`read`] is the gate: a file whose name and contents tell
//! different stories does not pass. Unpacking, digests and where files are kept are the business of other modules.

pub mod accelerator;
mod check;
pub mod compare;
pub mod fields;
pub mod filename;
mod format;
pub mod guess;
mod identity;
pub mod members;
pub mod metadata;
pub mod particulars;
pub mod sdist;
pub mod tags;
pub mod variant;
pub mod zip;

pub use check::{check_bytes, check_headers, check_sent, check_whole};
pub use filename::{BuildTag, DistributionFilename, FilenameError, Kind, SdistFilename, WheelFilename};
pub use identity::Identity;
pub use metadata::{Metadata, MetadataError};
pub use tags::{PlatformTarget, PythonTarget, Target, TargetError};

use crate::budget::{self, Excess};
use crate::name::ProjectName;
use accelerator::Inspection;
pub use format::FormatError;
use pep440_rs::Version;
use sdist::SdistError;
use std::fs::File;
use variant::VariantError;
pub use variant::VariantLabel;
use zip::{Archive, Entry, ReadAt, ZipError};

/// Why a file is not the distribution that its name says.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a zip archive, or a bad one.
    #[error("expected a wheel, which is a zip archive")]
    Zip(#[from] ZipError),
    /// Not an archive of its extension, or a bad one.
    #[error("expected an sdist, which is a .tar.gz or .zip archive")]
    Sdist(#[from] SdistError),
    /// No `.dist-info` directory, or several.
    #[error("expected one .dist-info directory at the top of the wheel, found {0}")]
    DistInfo(String),
    /// The `.dist-info` directory of some other wheel.
    #[error("expected the directory {expected:?} in the wheel, found {found:?}")]
    DirectoryName {
        /// The directory's name, had it been made from the filename.
        expected: String,
        /// Its name.
        found: String,
    },
    /// A member that every wheel has once.
    #[error("expected the member {member:?} once in the wheel, found it {found} times")]
    Member {
        /// The member.
        member: String,
        /// How often it is there.
        found: usize,
    },
    /// A member that is there twice: which one is unpacked is anybody's guess.
    #[error("expected each member once in the wheel, found {0:?} twice")]
    Twice(String),
    /// Metadata without a name or version.
    #[error("expected core metadata in {file}")]
    Metadata {
        /// METADATA or PKG-INFO.
        file: &'static str,
        /// What is missing.
        source: MetadataError,
    },
    /// Metadata of some other project or version.
    #[error("expected {field} {expected:?} in {file}, as the filename says, found {found:?}")]
    Mismatch {
        /// METADATA or PKG-INFO.
        file: &'static str,
        /// The field.
        field: &'static str,
        /// What the filename says.
        expected: String,
        /// What the metadata says.
        found: String,
    },
    /// Metadata without the local version that the filename has.
    #[error(
        "expected Version {expected:?} in METADATA, as the filename says, found {found:?}: `wcas import --trust-filename` takes a wheel \
         that was renamed"
    )]
    Renamed {
        /// What the filename says.
        expected: String,
        /// What the metadata says.
        found: String,
    },
    /// WHEEL is of no format that installers know.
    #[error("expected WHEEL as PEP 427 has it")]
    Format(#[from] FormatError),
    /// A variant wheel that doesn't say what its variant is.
    #[error("expected a variant wheel, as the filename says")]
    Variant(#[from] VariantError),
}

/// What the store keeps of a distribution's contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The exact bytes of METADATA or PKG-INFO; an old sdist may have none.
    pub metadata: Option<Vec<u8>>,
    /// The interpreters that it runs on, as its metadata says.
    pub requires_python: Option<String>,
    /// Whether `metadata` may be served as the distribution's `.metadata` file: see [`Metadata::may_be_served`].
    pub metadata_may_be_served: bool,
    /// The exact bytes of a variant wheel's `variant.json`.
    pub variant: Option<Vec<u8>>,
}

/// Which of a wheel's two versions counts, where its filename adds a local version (`+cu126`) that its METADATA lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trust {
    /// The wheel is refused.
    #[default]
    Neither,
    /// The filename: who renamed it meant that.
    Filename,
}

impl Trust {
    /// Tells whether a version that a wheel contains will do for the filename's.
    fn fits(self, found: &Version, named: &Version) -> bool {
        found == named || self == Self::Filename && named.is_local() && *found == named.clone().without_local()
    }
}

/// Reads a distribution's metadata and makes sure that the file is what `name` says.
///
/// The file's cursor is neither used nor moved.
pub fn read(file: &File, name: &DistributionFilename) -> Result<Contents, Error> {
    read_trusting(file, name, Trust::Neither)
}

/// Reads a distribution as [`read`] does, on other terms.
pub fn read_trusting(file: &File, name: &DistributionFilename, trust: Trust) -> Result<Contents, Error> {
    match name {
        DistributionFilename::Wheel(wheel) => read_archive(&Archive::open(file)?, wheel, trust),
        DistributionFilename::Sdist(sdist) => read_sdist(file, sdist),
    }
}

/// Reads a wheel's metadata from any bytes, and no other member of it: each may cost a request.
pub fn read_wheel<R: ReadAt + ?Sized>(source: &R, name: &WheelFilename) -> Result<Contents, Error> {
    let archive = Archive::open(source)?;
    read_found(&archive, &DistInfo::find(&archive)?, name, Trust::Neither)
}

/// Reads a distribution as [`read_trusting`] does, and takes a quick look at what a wheel is bound to, in one go.
pub fn read_and_inspect(
    file: &File,
    name: &DistributionFilename,
    trust: Trust,
) -> Result<(Contents, Option<Inspection>), Error> {
    let DistributionFilename::Wheel(wheel) = name else { return Ok((read(file, name)?, None)) };
    let archive = Archive::open(file)?;
    let contents = read_archive(&archive, wheel, trust)?;
    // What a quick look stumbles over, a deep one tells; the wheel is sound as far as an index goes.
    let inspection = accelerator::quick_in(&archive, wheel, contents.metadata.as_deref()).ok();
    Ok((contents, inspection))
}

fn read_archive<R: ReadAt + ?Sized>(
    archive: &Archive<'_, R>,
    name: &WheelFilename,
    trust: Trust,
) -> Result<Contents, Error> {
    let found = DistInfo::find(archive)?;
    let contents = read_found(archive, &found, name, trust)?;
    for entry in &found.wheel {
        format::check(&archive.read(entry, format::MAX_BYTES)?)?;
    }
    Ok(contents)
}

/// Reads METADATA, and `variant.json` where the filename has a label.
fn read_found<R: ReadAt + ?Sized>(
    archive: &Archive<'_, R>,
    found: &DistInfo<'_>,
    name: &WheelFilename,
    trust: Trust,
) -> Result<Contents, Error> {
    // Of a wheel that was renamed METADATA tells it better, below.
    check_directory(&found.directory, name, Trust::Filename)?;
    let wheel = (found.wheel.as_slice(), "WHEEL");
    let metadata = (found.metadata.as_slice(), "METADATA");
    for (entries, member) in [wheel, metadata] {
        if entries.len() != 1 {
            let member = format!("{}/{member}", found.directory);
            return Err(Error::Member { member, found: entries.len() });
        }
    }
    let bytes = archive.read(&found.metadata[0], budget::METADATA_BYTES.limit)?;
    let contents = judge(bytes, Kind::Wheel, name.project(), name.version(), trust)?;
    check_directory(&found.directory, name, trust)?;
    // Without a label it is a plain wheel, whatever else is in it.
    let variant = name.variant().map(|label| read_variant(archive, found, label)).transpose()?;
    Ok(Contents { variant, ..contents })
}

fn read_variant<R: ReadAt + ?Sized>(
    archive: &Archive<'_, R>,
    found: &DistInfo<'_>,
    label: &VariantLabel,
) -> Result<Vec<u8>, Error> {
    let [entry] = found.variant.as_slice() else {
        let member = format!("{}/{}", found.directory, variant::MEMBER);
        return Err(Error::Member { member, found: found.variant.len() });
    };
    if entry.size > budget::VARIANT_BYTES.limit {
        return Err(ZipError::TooMuch(Excess(budget::VARIANT_BYTES)).into());
    }
    let bytes = archive.read(entry, budget::VARIANT_BYTES.limit)?;
    variant::check(&bytes, label)?;
    Ok(bytes)
}

/// Tells whether fromager built a wheel: its dist-info lists what building it took.
pub fn is_built_by_fromager(file: &File) -> bool {
    let is_list = |name: &[u8]| {
        std::str::from_utf8(name)
            .ok()
            .and_then(|name| name.split_once(".dist-info/fromager-build-"))
            .is_some_and(|(dir, rest)| !dir.contains('/') && !rest.contains('/') && rest.ends_with("-requirements.txt"))
    };
    Archive::open(file).is_ok_and(|archive| archive.entries().map_while(Result::ok).any(|entry| is_list(entry.name)))
}

/// Reads a filename, and asks the file what an sdist's name leaves open: which dash parts project and version.
pub fn name_of(file: impl FnOnce() -> Option<File>, text: &str) -> Result<DistributionFilename, FilenameError> {
    let mut readings = DistributionFilename::readings(text)?;
    let place = match (readings.as_slice(), readings.len() > 1) {
        ([DistributionFilename::Sdist(first), ..], true) => {
            let said = file().and_then(|file| sdist::pkg_info(&file, first.packing()).ok().flatten());
            let said = said.and_then(|bytes| Metadata::parse(&bytes).ok());
            said.and_then(|said| readings.iter().position(|name| is_project(&said.name, name.project())))
        }
        _ => None,
    };
    Ok(readings.swap_remove(place.unwrap_or(0)))
}

/// Makes sure that the bytes of a METADATA file are of the project and version that `name` says.
pub fn check_metadata(bytes: &[u8], name: &DistributionFilename) -> Result<Contents, Error> {
    judge(bytes.to_vec(), name.kind(), name.project(), name.version(), Trust::Neither)
}

fn read_sdist(file: &File, name: &SdistFilename) -> Result<Contents, Error> {
    let none = Contents { metadata: None, requires_python: None, metadata_may_be_served: false, variant: None };
    match sdist::pkg_info(file, name.packing())? {
        // Installers read it since Metadata 2.2; of before, what can't be read is as good as none.
        Some(bytes) if !metadata::says_nothing(&bytes) => {
            let contents = judge(bytes, Kind::Sdist, name.project(), name.version(), Trust::Neither)?;
            // PKG-INFO of this format and an archive of that time were not made in one go.
            let metadata_may_be_served = contents.metadata_may_be_served && name.is_of_today();
            Ok(Contents { metadata_may_be_served, ..contents })
        }
        _ => Ok(none),
    }
}

/// The members of a wheel's `.dist-info` directory that matter here.
struct DistInfo<'a> {
    directory: String,
    metadata: Vec<Entry<'a>>,
    wheel: Vec<Entry<'a>>,
    variant: Vec<Entry<'a>>,
}

impl<'a> DistInfo<'a> {
    /// Walks the whole directory, so that a bad member name anywhere is found.
    fn find<R: ReadAt + ?Sized>(archive: &'a Archive<'_, R>) -> Result<Self, Error> {
        let mut directory: Option<&[u8]> = None;
        let (mut metadata, mut wheel, mut variant) = (Vec::new(), Vec::new(), Vec::new());
        for entry in archive.entries() {
            let entry = entry?;
            entry.check_installable()?;
            let Some(slash) = entry.name.iter().position(|byte| *byte == b'/') else { continue };
            let (top, rest) = (&entry.name[..slash], &entry.name[slash + 1..]);
            if !top.ends_with(b".dist-info") {
                continue;
            }
            if *directory.get_or_insert(top) != top {
                let names = [directory.unwrap_or_default(), top].map(String::from_utf8_lossy);
                return Err(Error::DistInfo(format!("{:?} and {:?}", names[0], names[1])));
            }
            match rest {
                b"METADATA" => metadata.push(entry),
                b"WHEEL" => wheel.push(entry),
                member if member == variant::MEMBER.as_bytes() => variant.push(entry),
                _ => {}
            }
        }
        let directory = directory.ok_or_else(|| Error::DistInfo("none".to_owned()))?;
        Ok(Self { directory: String::from_utf8_lossy(directory).into_owned(), metadata, wheel, variant })
    }
}

/// Checks the `.dist-info` directory's name: the project normalised, the version as PEP 440 compares it.
fn check_directory(directory: &str, name: &WheelFilename, trust: Trust) -> Result<(), Error> {
    let stem = directory.strip_suffix(".dist-info").unwrap_or(directory);
    let expected = format!("{}-{}", name.project().as_str().replace('-', "_"), name.version());
    // Old tools leave dashes in the project's name, but none in the version.
    let parts = stem.rsplit_once('-').and_then(|(project, version)| Some((project, version.parse::<Version>().ok()?)));
    let good = match parts {
        Some((project, version)) => is_project(project, name.project()) && trust.fits(&version, name.version()),
        // They also write a version's `+` as `_` or `.`, after which it is no version.
        None => squash(stem) == squash(&expected),
    };
    if good {
        return Ok(());
    }
    Err(Error::DirectoryName { expected: format!("{expected}.dist-info"), found: directory.to_owned() })
}

fn squash(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

fn is_project(text: &str, project: &ProjectName) -> bool {
    text.parse::<ProjectName>().is_ok_and(|found| found == *project)
}

/// Compares the metadata with what the filename says.
fn judge(
    bytes: Vec<u8>,
    kind: Kind,
    project: &ProjectName,
    version: &Version,
    trust: Trust,
) -> Result<Contents, Error> {
    let file = if kind == Kind::Wheel { "METADATA" } else { "PKG-INFO" };
    let metadata = Metadata::parse(&bytes).map_err(|source| Error::Metadata { file, source })?;
    if !is_project(&metadata.name, project) {
        let expected = project.to_string();
        return Err(Error::Mismatch { file, field: "Name", expected, found: metadata.name });
    }
    match metadata.version.parse::<Version>() {
        Ok(found) if trust.fits(&found, version) => {}
        Ok(found) if Trust::Filename.fits(&found, version) && kind == Kind::Wheel => {
            return Err(Error::Renamed { expected: version.to_string(), found: metadata.version });
        }
        _ => {
            let expected = version.to_string();
            return Err(Error::Mismatch { file, field: "Version", expected, found: metadata.version });
        }
    }
    let metadata_may_be_served = metadata.may_be_served(kind);
    let requires_python = metadata.requires_python;
    Ok(Contents { requires_python, metadata: Some(bytes), metadata_may_be_served, variant: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::tests::zip as make_zip;

    const METADATA: &[u8] =
        b"Metadata-Version: 2.1\nName: Demo.Pkg\nVersion: 1.0.0\nRequires-Python: >=3.9\n\nlong text";

    fn wheel(directory: &str, metadata: &[u8]) -> Vec<u8> {
        let names = ["METADATA", "WHEEL", "RECORD"].map(|name| format!("{directory}/{name}"));
        make_zip(&[
            ("demo/__init__.py", b""),
            (&names[0], metadata),
            (&names[1], b"Wheel-Version: 1.0"),
            (&names[2], b""),
        ])
    }

    fn judged(bytes: &[u8]) -> Result<Contents, String> {
        read_wheel(bytes, &"demo_pkg-1.0-1-py3-none-any.whl".parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_wheel_that_is_what_its_name_says_gives_its_exact_metadata() {
        for directory in ["demo_pkg-1.0", "Demo.Pkg-1.0.0", "demo-pkg-v1.0"] {
            let contents = judged(&wheel(&format!("{directory}.dist-info"), METADATA)).unwrap();
            assert_eq!(contents.metadata.as_deref(), Some(METADATA));
            assert_eq!(contents.requires_python.as_deref(), Some(">=3.9"));
            assert!(contents.metadata_may_be_served);
        }
        let name = "demo-1.0+cu121-py3-none-any.whl".parse().unwrap();
        let bytes = wheel("demo-1.0_cu121.dist-info", b"Name: demo\nVersion: 1.0+cu121\n");
        read_wheel(&bytes[..], &name).expect("old tools replace the plus");
    }

    #[test]
    fn a_refusal_tells_what_was_expected_and_what_was_found() {
        let good = "demo_pkg-1.0.dist-info";
        for (bytes, message) in [
            (make_zip(&[("demo.py", b"")]), "expected one .dist-info directory at the top of the wheel, found none"),
            (
                make_zip(&[("a-1.dist-info/METADATA", b""), ("b-1.dist-info/WHEEL", b"")]),
                r#"expected one .dist-info directory at the top of the wheel, found "a-1.dist-info" and "b-1.dist-info""#,
            ),
            (
                wheel("demo_pkg-1.0.1.dist-info", METADATA),
                r#"expected the directory "demo_pkg-1.0.dist-info" in the wheel, found "demo_pkg-1.0.1.dist-info""#,
            ),
            (
                wheel("demo_pkg_x-1.0.dist-info", METADATA),
                r#"expected the directory "demo_pkg-1.0.dist-info" in the wheel, found "demo_pkg_x-1.0.dist-info""#,
            ),
            (
                make_zip(&[("demo_pkg-1.0.dist-info/METADATA", METADATA)]),
                r#"expected the member "demo_pkg-1.0.dist-info/WHEEL" once in the wheel, found it 0 times"#,
            ),
            (
                wheel(good, b"Name: other\nVersion: 1.0"),
                r#"expected Name "demo-pkg" in METADATA, as the filename says, found "other""#,
            ),
            (
                wheel(good, b"Name: demo-pkg\nVersion: 1.0.post1"),
                r#"expected Version "1.0" in METADATA, as the filename says, found "1.0.post1""#,
            ),
            (wheel(good, b"no headers"), "expected core metadata in METADATA"),
            (b"text".to_vec(), "expected a wheel, which is a zip archive"),
        ] {
            assert_eq!(judged(&bytes), Err(message.to_owned()));
        }
    }

    #[test]
    fn sdists_are_judged_by_their_pkg_info_and_the_files_cursor_stays() {
        use std::io::{self, Seek as _, Write as _};
        let read_zip = |name: &str, members: &[(&str, &[u8])]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&make_zip(members)).unwrap();
            file.seek(io::SeekFrom::Start(3)).unwrap();
            let contents = read(&file, &DistributionFilename::parse(name).unwrap());
            assert_eq!(file.stream_position().unwrap(), 3);
            contents
        };
        let none = read_zip("demo.pkg-1.0.zip", &[("demo/PKG-INFO/x", METADATA)]).unwrap();
        assert_eq!(
            none,
            Contents { metadata: None, requires_python: None, metadata_may_be_served: false, variant: None }
        );
        let old = read_zip("demo.pkg-1.0.zip", &[("demo/PKG-INFO", METADATA)]).unwrap();
        assert_eq!((old.metadata.as_deref(), old.metadata_may_be_served), (Some(METADATA), false));
        assert!(read_zip("demo.pkg-2.zip", &[("demo/PKG-INFO", METADATA)]).is_err());
        assert!(matches!(read_zip("demo.pkg-1.0.tar.gz", &[("demo/PKG-INFO", METADATA)]), Err(Error::Sdist(_))));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let good = wheel("demo_pkg-1.0.dist-info", METADATA);
        for at in 0..good.len() {
            judged(&good[..at]).unwrap_err();
            for flip in [1, 0x80, 0xff, good[at]] {
                let mut flipped = good.clone();
                flipped[at] ^= flip;
                if let Ok(contents) = judged(&flipped) {
                    assert_eq!(contents.metadata.as_deref(), Some(METADATA), "byte {at}");
                }
            }
        }
    }
}
