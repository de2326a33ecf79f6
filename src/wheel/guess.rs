//! Guesses a distribution's filename from its own bytes, for a blob whose name was lost.
//!
//! A wheel says all that its name is made of in the `.dist-info` directory's name and in WHEEL; of tags with alternatives it
//! doesn't say the order, so a guess may order them unlike the name that was lost. An sdist is named like the one directory that
//! holds all of it. What comes out has passed [`super::read`]; what is not plain is no guess at all.

use super::zip::Archive;
use super::{DistInfo, DistributionFilename, Metadata, sdist, variant};
use crate::budget;
use flate2::bufread::MultiGzDecoder;
use pep440_rs::Version;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use tar::EntryType;

/// The largest WHEEL that is read.
const MAX_WHEEL_BYTES: u64 = 256 * 1024;
/// More alternatives than this in one tag fit no filename.
const MAX_ALTERNATIVES: usize = 256;

/// Returns the filename that the bytes of a wheel or sdist tell; `None` when they tell none, or not plainly.
///
/// The file's cursor is neither used nor moved.
pub fn filename(file: &File) -> Option<String> {
    let mut magic = [0; 2];
    file.read_exact_at(&mut magic, 0).ok()?;
    if magic == *b"\x1f\x8b" {
        return checked(file, format!("{}.tar.gz", top_of_tar(file)?));
    }
    let archive = Archive::open(file).ok()?;
    match wheel(&archive) {
        Some(name) => checked(file, name),
        None => checked(file, format!("{}.zip", top_of_zip(&archive)?)),
    }
}

/// Makes sure that a file would be let in under this name, and that its metadata agrees.
fn checked(file: &File, text: String) -> Option<String> {
    let name = DistributionFilename::parse(&text).ok()?;
    super::read(file, &name).ok()?.metadata.is_some().then_some(text)
}

fn wheel(archive: &Archive<'_>) -> Option<String> {
    let found = DistInfo::find(archive).ok()?;
    let ([wheel], [metadata]) = (found.wheel.as_slice(), found.metadata.as_slice()) else { return None };
    let (project, version) = found.directory.strip_suffix(".dist-info")?.rsplit_once('-')?;
    let project = project.replace('-', "_");
    // Old tools write a version's `+` as `_`, after which it is no version; METADATA has it as it was.
    let version = match version.parse::<Version>() {
        Ok(_) => version.to_owned(),
        Err(_) => Metadata::parse(&archive.read(metadata, budget::METADATA_BYTES.limit).ok()?).ok()?.version,
    };
    let text = archive.read(wheel, MAX_WHEEL_BYTES).ok()?;
    let text = String::from_utf8_lossy(&text);
    let values = |field: &'static str| {
        let headers = text.lines().take_while(|line| !line.trim().is_empty()).filter_map(|line| line.split_once(':'));
        headers.filter(move |(name, _)| name.eq_ignore_ascii_case(field)).map(|(_, value)| value.trim())
    };
    let build = values("Build").next().filter(|tag| !tag.is_empty()).map(|tag| format!("-{tag}")).unwrap_or_default();
    // Without its label a variant wheel would pass for a plain one.
    let label = match found.variant.as_slice() {
        [] => String::new(),
        [entry] => format!("-{}", variant::only_label(&archive.read(entry, budget::VARIANT_BYTES.limit).ok()?)?),
        _ => return None,
    };
    Some(format!("{project}-{version}{build}-{}{label}.whl", compress(values("Tag"))?))
}

/// Compresses tags into one set of alternatives for each of their parts, as a filename carries them; `None` when that would name
/// tags that are not among them.
fn compress<'a>(tags: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut parts: [Vec<&str>; 3] = Default::default();
    let mut all = BTreeSet::new();
    for tag in tags {
        let mut split = tag.split('-');
        let (python, abi, platform) = (split.next()?, split.next()?, split.next()?);
        if split.next().is_some() {
            return None;
        }
        // Some tools write a compressed tag here, too.
        let alternatives = [python, abi, platform].map(|part| part.split('.').collect::<Vec<_>>());
        for (known, found) in parts.iter_mut().zip(&alternatives) {
            for part in found {
                if !known.contains(part) {
                    known.push(part);
                }
            }
            if found.len().max(known.len()) > MAX_ALTERNATIVES {
                return None;
            }
        }
        if parts.iter().map(Vec::len).product::<usize>() > MAX_ALTERNATIVES {
            return None;
        }
        for python in &alternatives[0] {
            for abi in &alternatives[1] {
                all.extend(alternatives[2].iter().map(|platform| (*python, *abi, *platform)));
            }
        }
    }
    let is_product = !all.is_empty() && all.len() == parts.iter().map(Vec::len).product::<usize>();
    is_product.then(|| parts.map(|part| part.join(".")).join("-"))
}

/// Returns the one directory that holds all of a `.tar.gz`.
fn top_of_tar(file: &File) -> Option<String> {
    let source = BufReader::with_capacity(64 * 1024, At { file, offset: 0 });
    // Cut short there, a bomb is no archive.
    let mut archive = tar::Archive::new(MultiGzDecoder::new(source).take(sdist::most(file)));
    let mut top = None;
    // Raw, because otherwise tar reads a long name of any size into memory. A long name's beginning, all that matters here, stands
    // in its member's own header as well.
    for entry in archive.entries().ok()?.raw(true) {
        let entry = entry.ok()?;
        let kind = entry.header().entry_type();
        if !matches!(
            kind,
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
        ) {
            let is_dir = kind.is_dir();
            add_top(&mut top, &entry.path_bytes(), is_dir)?;
        }
    }
    String::from_utf8(top?).ok()
}

/// Returns the one directory that holds all of a zip archive.
fn top_of_zip(archive: &Archive<'_>) -> Option<String> {
    let mut top = None;
    for entry in archive.entries() {
        add_top(&mut top, entry.ok()?.name, false)?;
    }
    String::from_utf8(top?).ok()
}

/// Compares a member's top directory with that of the members before; `None` when it is another, or when there is none.
fn add_top(top: &mut Option<Vec<u8>>, name: &[u8], is_dir: bool) -> Option<()> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    if is_dir && matches!(name, b"" | b".") {
        return Some(());
    }
    let slash = name.iter().position(|byte| *byte == b'/').or(is_dir.then_some(name.len()))?;
    let found = &name[..slash];
    (top.get_or_insert_with(|| found.to_vec()).as_slice() == found).then_some(())
}

/// Reads a file from an offset of its own, so that the file's cursor stays where it is.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(bytes, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::zip::tests::zip;
    use super::*;
    use std::io::Write as _;

    const METADATA: &[u8] = b"Metadata-Version: 2.1\nName: Demo.Pkg\nVersion: 1.0+cu121\n";

    fn guessed(bytes: &[u8]) -> Option<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        filename(&file)
    }

    fn wheel(directory: &str, wheel: &str) -> Vec<u8> {
        let names = ["METADATA", "WHEEL"].map(|name| format!("{directory}.dist-info/{name}"));
        let wheel = format!("Wheel-Version: 1.0\n{wheel}");
        zip(&[("demo/__init__.py", b""), (&names[0], METADATA), (&names[1], wheel.as_bytes())])
    }

    #[test]
    fn a_wheel_tells_its_whole_name() {
        let plain = "Tag: py3-none-any\n";
        for (directory, text, name) in [
            ("demo_pkg-1.0+cu121", plain, "demo_pkg-1.0+cu121-py3-none-any.whl"),
            ("Demo-Pkg-1.0_cu121", plain, "Demo_Pkg-1.0+cu121-py3-none-any.whl"),
            (
                "demo_pkg-1.0+cu121",
                "Tag: cp310-abi3-manylinux_2_17_x86_64\r\nTag: cp310-abi3-manylinux2014_x86_64\r\nBUILD: 2_el9\r\n",
                "demo_pkg-1.0+cu121-2_el9-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            ),
            (
                "demo_pkg-1.0+cu121",
                "Tag: py2.py3-none-win32\nTag: py3-none-any\nTag: py2-none-any\n\nTag: body",
                "demo_pkg-1.0+cu121-py2.py3-none-win32.any.whl",
            ),
        ] {
            assert_eq!(guessed(&wheel(directory, text)).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_not_plain_is_no_guess() {
        let directory = "demo_pkg-1.0+cu121";
        for text in [
            "",
            "Tag: py3-none\n",
            "Tag: py3-none-any-x\n",
            "Tag: cp310-cp310-win32\nTag: cp311-cp311-win32\n",
            &format!("Tag: {0}-{0}-{0}\n", vec!["a"; 300].join(".")),
            &(0..300).map(|number| format!("Tag: py3-none-p{number}\n")).collect::<String>(),
        ] {
            assert_eq!(guessed(&wheel(directory, text)), None, "{text:?}");
        }
        assert_eq!(guessed(&wheel("other-1.0+cu121", "Tag: py3-none-any\n")), None);
        assert_eq!(guessed(b""), None);
        assert_eq!(guessed(b"\x1f\x8bnot gzip"), None);
        assert_eq!(guessed(b"plain text"), None);
    }

    #[test]
    fn an_sdist_is_named_like_its_one_directory() {
        let tar_gz = |members: &[(&str, &[u8])]| {
            let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            let mut tar = tar::Builder::new(gzip);
            for (name, bytes) in members {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                header.set_entry_type(if name.ends_with('/') { EntryType::Directory } else { EntryType::Regular });
                tar.append_data(&mut header, name, *bytes).unwrap();
            }
            tar.into_inner().and_then(|gzip| gzip.finish()).unwrap()
        };
        let long = format!("demo.pkg-1.0+cu121/{}", "d".repeat(150));
        let good: &[(&str, &[u8])] =
            &[("demo.pkg-1.0+cu121/", b""), ("demo.pkg-1.0+cu121/PKG-INFO", METADATA), (&long, b"x")];
        assert_eq!(guessed(&tar_gz(good)).as_deref(), Some("demo.pkg-1.0+cu121.tar.gz"));
        assert_eq!(guessed(&zip(&good[1..])).as_deref(), Some("demo.pkg-1.0+cu121.zip"));
        let two = [good, &[("other/file", b"")]].concat();
        assert_eq!((guessed(&tar_gz(&two)), guessed(&zip(&two[1..]))), (None, None));
        assert_eq!(guessed(&tar_gz(&good[..1])), None, "no PKG-INFO");
        assert_eq!(guessed(&tar_gz(&[("demo.pkg-2/PKG-INFO", METADATA)])), None, "another version");
        assert_eq!(guessed(&tar_gz(&[("PKG-INFO", METADATA)])), None, "no directory");
    }
}
