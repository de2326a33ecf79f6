//! Zip archives, and the wheels that they may be.

use super::saw;
use super::second_zip::{self, Member};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use wcas::wheel::zip::Archive;
use wcas::wheel::{self, DistributionFilename, Metadata, Trust};

pub(super) const WORDS: &[&str] = &[
    "PK\u{1}\u{2}",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "PK\u{6}\u{6}",
    "PK\u{6}\u{7}",
    "PK\u{7}\u{8}",
    "\u{1}\0\u{10}\0",
    "demo-1.0.dist-info/METADATA",
    "demo-1.0.dist-info/WHEEL",
    "demo-1.0.dist-info/RECORD",
    "demo/__init__.py",
    "../",
    "\\",
    "/",
    "Name: demo\nVersion: 1.0\n",
    "Wheel-Version: 1.0\n",
    "\0\0\0\0",
    "\u{8}\0",
    "]\0",
    "\0\u{8}",
];

/// The largest member that is unpacked here.
const MOST: usize = 1 << 20;

pub(super) fn check(input: &[u8]) {
    check_archive(input);
    // CRCs would keep nearly all that is changed out, and an enemy reckons them.
    if let Some(mended) = second_zip::with_right_sums(input, MOST) {
        check_archive(&mended);
    }
}

fn check_archive(bytes: &[u8]) {
    let archive = match Archive::open(bytes) {
        Ok(archive) => archive,
        Err(error) => return saw(error),
    };
    let mut read = Vec::new();
    let mut is_good = true;
    for entry in archive.entries() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                saw(error);
                is_good = false;
                break;
            }
        };
        assert!(is_inside(entry.name), "{:?} leads out", String::from_utf8_lossy(entry.name));
        // Both ways of the library give the same bytes, or neither any.
        let whole = archive.read(&entry, MOST as u64);
        let mut streamed = Vec::new();
        let stream = archive.reader(&entry, MOST as u64).map_err(std::io::Error::other);
        let stream = stream.and_then(|mut reader| reader.read_to_end(&mut streamed));
        match (whole, stream) {
            (Ok(whole), Ok(_)) => {
                assert!(whole == streamed && whole.len() as u64 == entry.size, "two readings of {entry:?}");
                read.push((entry.name.to_vec(), whole));
            }
            (Err(error), Err(_)) => {
                saw(error);
                is_good = false;
            }
            (whole, stream) => {
                panic!("{entry:?}: read at once {:?}, as a stream {stream:?}", whole.map(|bytes| bytes.len()))
            }
        }
        assert!(streamed.len() as u64 <= entry.size.max(64 * 1024), "{entry:?} gave {} bytes", streamed.len());
    }
    let sound = archive.check_headers().and_then(|()| archive.check_all(true));
    match &sound {
        Ok(()) => saw(format!("sound, with {} members", read.len())),
        Err(error) => saw(error),
    }
    if is_good {
        compare_by_directory(bytes, &read);
    }
    check_wheel(bytes, sound.is_ok());
}

fn is_inside(name: &[u8]) -> bool {
    let is_plain = !name.is_empty() && !name.starts_with(b"/") && !name.contains(&b'\\') && !name.contains(&0);
    is_plain && name.split(|byte| *byte == b'/').all(|part| part != b"..")
}

/// Who goes by the directory, as pip does, unpacks the same.
fn compare_by_directory(bytes: &[u8], read: &[(Vec<u8>, Vec<u8>)]) {
    let second = second_zip::by_directory(bytes, MOST).expect("what the library reads another reader does, too");
    let second: Vec<(Vec<u8>, Vec<u8>)> = second.into_iter().map(|member| (member.name, member.content)).collect();
    assert!(second == read, "another reader of the directory has {} members: {}", second.len(), told(&second, read));
}

fn told(one: &[(Vec<u8>, Vec<u8>)], other: &[(Vec<u8>, Vec<u8>)]) -> String {
    let names = |all: &[(Vec<u8>, Vec<u8>)]| {
        let lines: Vec<String> = all
            .iter()
            .map(|(name, content)| format!("{:?} of {}", String::from_utf8_lossy(name), content.len()))
            .collect();
        lines.join(", ")
    };
    format!("{} and {}", names(one), names(other))
}

/// What is taken as a wheel is to pip and to who unpacks while it downloads the same wheel.
fn check_wheel(bytes: &[u8], is_sound: bool) {
    let name = "demo-1.0-py3-none-any.whl";
    let DistributionFilename::Wheel(wheel) = DistributionFilename::parse(name).expect("a good name") else { return };
    let contents = match wheel::read_wheel(bytes, &wheel) {
        Ok(contents) => contents,
        Err(error) => return saw(error),
    };
    let metadata = contents.metadata.expect("a wheel has METADATA");
    let parsed = Metadata::parse(&metadata).expect("it was parsed before");
    saw(format!("a wheel of metadata {:?}", parsed.metadata_version));
    assert!(parsed.name.parse().is_ok_and(|project: wcas::name::ProjectName| project.as_str() == "demo"), "{parsed:?}");
    let file = file_of(bytes);
    let name = DistributionFilename::Wheel(wheel);
    // From a file a wheel is read on one more condition.
    match wheel::read_and_inspect(&file, &name, Trust::Neither) {
        Ok((same, inspection)) => {
            assert_eq!(same.metadata.as_deref(), Some(&metadata[..]));
            saw(format!("inspected: {:?}", inspection.map(|inspection| inspection.unread)));
        }
        Err(error) => return saw(error),
    }
    let listed = wheel::members::members(&file, &name).expect("what is read can be listed").expect("a wheel is a zip");
    assert!(listed.count > 1 && listed.record.is_some(), "{listed:?}");
    let sent = wheel::check_sent(&file, &name);
    match sent {
        Ok(()) => assert!(is_sound, "a wheel that is taken from strangers is sound"),
        Err(error) => return saw(error),
    }
    let directory = second_zip::by_directory(bytes, MOST).expect("it was read before");
    let names: HashSet<&[u8]> = directory.iter().map(|member| &member.name[..]).collect();
    assert_eq!(names.len(), directory.len(), "a stranger's wheel has no member twice");
    assert!(names.contains(&b"demo-1.0.dist-info/RECORD"[..]) || names.len() > 2, "a stranger's wheel has a RECORD");
    let found = directory.iter().find(|member| member.name.ends_with(b".dist-info/METADATA"));
    assert_eq!(found.map(|member| &member.content[..]), Some(&metadata[..]), "the METADATA that pip finds");
    if let Some(front) = second_zip::from_the_front(bytes, MOST) {
        let mut directory = directory;
        directory.sort_by_key(|member| member.offset);
        let told = |members: &[Member]| {
            members.iter().map(|member| format!("{:?} ", String::from_utf8_lossy(&member.name))).collect::<String>()
        };
        assert!(front == directory, "from the front it has {}and by its directory {}", told(&front), told(&directory));
        saw("alike from both ends");
    }
}

/// Returns a file of these bytes that has no name.
pub(super) fn file_of(bytes: &[u8]) -> File {
    let made = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC).expect("memory takes a file");
    let file = File::from(made);
    file.write_all_at(bytes, 0).expect("memory takes the bytes");
    file
}
