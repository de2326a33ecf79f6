//! Sdists: tar archives in gzip, and what is taken for one.

use super::archive::file_of;
use super::saw;
use flate2::write::GzEncoder;
use flate2::{Compression, read::MultiGzDecoder};
use std::io::{Read as _, Write as _};
use wcas::wheel::{self, DistributionFilename, Metadata};

pub(super) const WORDS: &[&str] = &[
    "demo-1.0/PKG-INFO",
    "demo-1.0/",
    "PKG-INFO",
    "./",
    "../",
    "././@LongLink",
    "././@PaxHeader",
    "ustar\0",
    "ustar  \0",
    "19 path=demo-1.0/PKG-INFO\n",
    "11 size=20\n",
    "0000644\0",
    "00000000024\0",
    "77777777777\0",
    "-1\0",
    "L",
    "x",
    "g",
    "K",
    "S",
    "0",
    "1",
    "5",
    "7",
    "\0",
    "\u{1f}",
    "Metadata-Version: 2.2\nName: demo\nVersion: 1.0\n",
    "Name: UNKNOWN\n",
    "\0\0\0\0\0\0\0\0",
];

/// How much an archive may unpack to here.
const MOST: u64 = 8 << 20;

/// An input that is no gzip file is taken for the tar archive in one, so that changes get past the checksums.
pub(super) fn check(input: &[u8]) {
    if input.starts_with(&[0x1f, 0x8b]) {
        return check_file(input);
    }
    let mut tar = input.to_vec();
    mend(&mut tar);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(&tar).expect("memory takes it");
    check_file(&gzip.finish().expect("memory takes it"));
}

/// Gives each header where one may be the checksum that it needs.
fn mend(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        if block[257..].starts_with(b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
}

fn check_file(bytes: &[u8]) {
    let name = DistributionFilename::parse("demo-1.0.tar.gz").expect("a good name");
    let file = file_of(bytes);
    let whole = wheel::check_whole(&file, &name);
    let contents = match wheel::read(&file, &name) {
        Ok(contents) => contents,
        Err(error) => {
            saw(format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string)));
            return;
        }
    };
    assert!(whole.is_ok(), "what is read goes to its end: {whole:?}");
    wheel::members::members(&file, &name).expect("what is read can be listed").expect("a tar archive");
    saw(format!(
        "{:?} {}",
        contents.metadata.as_ref().map(|bytes| bytes.len().min(3)),
        contents.metadata_may_be_served
    ));
    let Some(second) = by_another(bytes) else { return };
    if let Some(metadata) = &contents.metadata {
        assert_eq!(Some(metadata), second.as_ref(), "another reader finds another PKG-INFO");
        let parsed = Metadata::parse(metadata).expect("it was parsed before");
        assert!(
            parsed.name.parse().is_ok_and(|project: wcas::name::ProjectName| project.as_str() == "demo"),
            "{parsed:?}"
        );
        assert!(
            parsed
                .version
                .parse()
                .is_ok_and(|version: pep440_rs::Version| version.to_string() == "1.0" || version.release().len() != 2),
            "{parsed:?}"
        );
    } else if let Some(second) = second {
        saw(format!("another reader sees {} bytes", second.len().min(3)));
    }
    // Cut anywhere it is refused, or says nothing.
    for at in [bytes.len() / 2, bytes.len().saturating_sub(9)] {
        let cut = wheel::read(&file_of(&bytes[..at]), &name);
        assert!(cut.is_err(), "cut after {at} of {} bytes", bytes.len());
    }
}

/// Reads PKG-INFO as who unpacks the archive finds it: the file that is at its path in the end. `None`: it can't be unpacked.
fn by_another(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut tar = Vec::new();
    MultiGzDecoder::new(bytes).take(MOST).read_to_end(&mut tar).ok()?;
    let mut archive = tar::Archive::new(&tar[..]);
    let (mut first, mut found) = (None, None);
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        if entry.header().entry_type().is_gnu_longname() {
            // It takes no notice of a name that stands apart where the header's magic isn't right; extractors do.
            return None;
        }
        let path = entry.path_bytes().into_owned();
        // Python's tarfile ends a name at its first NUL.
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        let path = path.strip_prefix(b"./").unwrap_or(path).to_vec();
        let top = path.strip_suffix(b"/PKG-INFO").filter(|top| !top.is_empty() && !top.contains(&b'/'));
        let is_file = entry.header().entry_type().is_file();
        if top.is_none_or(|top| matches!(top, b"." | b"..")) || !is_file {
            continue;
        }
        if *first.get_or_insert_with(|| path.clone()) == path {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).ok()?;
            found = Some(content);
        }
    }
    Some(found)
}
