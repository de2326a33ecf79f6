//! METADATA, and WHEEL: by themselves and in a wheel.

use super::saw;
use wcas::wheel::particulars::Particulars;
use wcas::wheel::{self, DistributionFilename, Kind, Metadata};

pub(super) const WORDS: &[&str] = &[
    "Metadata-Version: 2.1\n",
    "Name: demo\n",
    "Version: 1.0\n",
    "Name: ",
    "Version: ",
    "Summary: UNKNOWN\n",
    "Requires-Python: >=3.9\n",
    "Requires-Dist: a ; extra == 'x'\n",
    "Provides-Extra: x\n",
    "Dynamic: version\n",
    "\n",
    "\r\n",
    "\r",
    "\n ",
    "\n\t",
    "\n\n",
    ": ",
    ":",
    "UNKNOWN",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{b}",
    "\u{1c}",
    "\0",
    "é",
    "1.0.0",
    "1.0+local",
    "Demo",
    "2.2",
    "2.10",
    "name:",
    "NAME:",
];

pub(super) fn check(input: &[u8]) {
    let told = Particulars::read(input);
    assert!(told.description.len() <= input.len() * 3 && told.urls.len() <= 200, "{told:?}");
    let parsed = match Metadata::parse(input) {
        Ok(metadata) => metadata,
        Err(error) => {
            saw(error);
            check_in_a_wheel(input);
            return;
        }
    };
    let lists = [&parsed.requires_dist, &parsed.provides_extra, &parsed.dynamic];
    assert!(told.requires_dist.len() <= parsed.requires_dist.len(), "who tells people reads the same headers");
    assert_eq!(told.version.is_some(), !matches!(parsed.version.as_str(), "" | "UNKNOWN"), "{told:?}");
    saw(format!("{:?} {:?}", parsed.metadata_version.as_deref().map(str::len), lists.map(|list| list.len().min(4))));
    assert!(parsed.may_be_served(Kind::Wheel));
    let values = [Some(&parsed.name), Some(&parsed.version), parsed.summary.as_ref(), parsed.requires_python.as_ref()];
    for value in values.into_iter().flatten().chain(lists.into_iter().flatten()) {
        assert!(!value.contains(['\n', '\r']) && value.trim() == value, "{value:?} is one line");
    }
    // Written anew it reads as it did.
    let mut text = format!("Name: {}\nVersion: {}\n", parsed.name, parsed.version);
    let mut field = |name: &str, value: &str| text += &format!("{name}: {value}\n");
    let some = [
        ("Metadata-Version", &parsed.metadata_version),
        ("Summary", &parsed.summary),
        ("Requires-Python", &parsed.requires_python),
    ];
    some.iter().for_each(|(name, value)| value.iter().for_each(|value| field(name, value)));
    for (name, values) in ["Requires-Dist", "Provides-Extra", "Dynamic"].into_iter().zip(lists) {
        values.iter().for_each(|value| field(name, value));
    }
    assert_eq!(Metadata::parse(text.as_bytes()).as_ref(), Ok(&parsed), "written as {text:?}");
    // What follows an empty line is no header.
    let longer = [text.as_bytes(), b"\nName: other\nRequires-Dist: other\n", input].concat();
    assert_eq!(Metadata::parse(&longer).as_ref(), Ok(&parsed));
    check_in_a_wheel(input);
}

/// In a wheel it is judged as by itself, and so as WHEEL it may be anything without harm.
fn check_in_a_wheel(input: &[u8]) {
    let name = DistributionFilename::parse("demo-1.0-py3-none-any.whl").expect("a good name");
    let DistributionFilename::Wheel(own) = &name else { return };
    let alone = wheel::check_metadata(input, &name);
    let bytes =
        stored(&[("demo-1.0.dist-info/METADATA", input), ("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n")]);
    match (alone, wheel::read_wheel(&bytes[..], own)) {
        (Ok(alone), Ok(inside)) => {
            assert_eq!(alone, inside);
            let requires_python = Metadata::parse(input).ok().and_then(|parsed| parsed.requires_python);
            assert_eq!(inside.requires_python, requires_python);
            assert_eq!(inside.metadata.as_deref(), Some(input), "the exact bytes are kept");
            saw("the wheel's own");
        }
        (Err(alone), Err(inside)) => {
            assert_eq!(alone.to_string(), inside.to_string());
            saw(alone);
        }
        (alone, inside) => panic!("alone {alone:?}, in a wheel {inside:?}"),
    }
    let good = b"Name: demo\nVersion: 1.0\n";
    let bytes = stored(&[("demo-1.0.dist-info/METADATA", good), ("demo-1.0.dist-info/WHEEL", input)]);
    match wheel::read(&super::archive::file_of(&bytes), &name) {
        Ok(contents) => {
            assert!(std::str::from_utf8(input).is_ok(), "WHEEL is UTF-8");
            assert_eq!(contents.metadata.as_deref(), Some(&good[..]));
            saw("a good WHEEL");
        }
        Err(error) => saw(format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))),
    }
}

/// Packs members that aren't compressed into a zip archive.
pub(super) fn stored(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let numbers = [sum(content), content.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 33, 0], &numbers[..], &[name.len() as u8, 0, 0, 0]].concat();
        let offset = (bytes.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &offset, name.as_bytes()].concat());
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let place = [directory.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
    bytes.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &count, &count, &place, &[0, 0]].concat());
    bytes
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
