//! Filenames of distributions, and specs, which may be filenames.

use super::saw;
use url::Url;
use wcas::index;
use wcas::name::ProjectName;
use wcas::requirement::{Spec, SpecError};
use wcas::wheel::{BuildTag, DistributionFilename, FilenameError, Kind, WheelFilename};

pub(super) const WORDS: &[&str] = &[
    "-",
    "_",
    ".",
    "..",
    "/",
    "\\",
    "!",
    "+",
    "~",
    "*",
    ",",
    ";",
    "[",
    "]",
    " ",
    "\0",
    "\u{a0}",
    "é",
    "ı",
    "K",
    ".whl",
    ".WHL",
    ".tar.gz",
    ".tgz",
    ".zip",
    ".tar.bz2",
    ".tar.xz",
    " (1)",
    "(2)",
    "py3",
    "none",
    "any",
    "cp312",
    "abi3",
    "-py3-none-any.whl",
    "manylinux_2_28_x86_64",
    "win32",
    "linux_x86_64",
    "cu126",
    "post1",
    "rc1",
    "dev0",
    "1!",
    "18446744073709551615",
    "18446744073709551616",
    "0000000000001",
    "==",
    ">=",
    "<",
    "~=",
    "!=",
    "===",
    "sha256:",
    "blake3:",
];

pub(super) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    check_filename(text);
    check_spec(text);
}

fn check_filename(text: &str) {
    let name = match DistributionFilename::parse(text) {
        Ok(name) => name,
        Err(error) => {
            if let FilenameError::Copy { right, .. } = &error {
                assert!(right.len() < text.len(), "{right:?} is no better than {text:?}");
            }
            return saw(error);
        }
    };
    saw(format!("{:?} {}", name.kind(), name.as_str().len() / 32));
    assert_eq!((name.as_str(), name.to_string().as_str()), (text, text), "a filename stays as it was given");
    assert!(
        !text.contains(['/', '\\', '\0', '\n']) && !text.starts_with('.') && text.len() <= 255,
        "{text:?} is one segment"
    );
    assert_eq!(Kind::meant_by(text), Some(name.kind()), "{text:?}");
    let project = name.project().as_str();
    assert_eq!(project.parse::<ProjectName>().as_ref(), Ok(name.project()), "a normalised name is normalised");
    assert_eq!(name.version().to_string().parse().as_ref(), Ok(name.version()), "{text:?}: a version reads back");
    assert_eq!(DistributionFilename::parse_of(text, name.project()).as_ref(), Ok(&name), "{text:?}");
    let readings = DistributionFilename::readings(text).expect("what parses has a reading");
    assert!(readings[0] == name && readings.iter().all(|reading| reading.as_str() == text), "{text:?}: {readings:?}");
    // Named by its own project, each reading is found.
    for reading in &readings {
        let found = DistributionFilename::parse_of(text, reading.project()).expect("it parses");
        assert_eq!(found.project(), reading.project(), "{text:?}");
    }
    // A page's link to it leads to it.
    let base = Url::parse("https://index.example/simple/demo/").expect("a URL");
    let link = base.join(&index::href(text)).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let segment = link.path().rsplit('/').next().unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
    assert_eq!(decoded.as_deref(), Ok(text), "the last segment of {link}");
    if let DistributionFilename::Wheel(wheel) = &name {
        check_wheel(wheel);
    }
}

/// The name that is made of a wheel's parts means the same.
fn check_wheel(wheel: &WheelFilename) {
    let build = wheel.build_tag().map(|tag| format!("-{tag}")).unwrap_or_default();
    let label = wheel.variant().map(|label| format!("-{}", label.as_str())).unwrap_or_default();
    let project = wheel.project().as_str().replace('-', "_");
    let plain = format!("{project}-{}{build}-{}{label}.whl", wheel.version(), wheel.tags());
    match DistributionFilename::parse(&plain) {
        Ok(plain) => {
            let own = DistributionFilename::Wheel(wheel.clone());
            assert_eq!(plain.identity(), own.identity(), "{wheel} and {plain} are one file");
        }
        // Normalised texts may be longer.
        Err(error) => assert!(plain.len() > 255, "{wheel} is {plain}: {error}"),
    }
    let tags =
        [wheel.python_tags(), wheel.abi_tags(), wheel.platform_tags()].map(|part| part.collect::<Vec<_>>().join("."));
    assert_eq!(tags.join("-"), wheel.tags());
    if let Some(tag) = wheel.build_tag() {
        assert_eq!(tag.to_string().parse::<BuildTag>().as_ref(), Ok(tag));
    }
    let spec = wheel.as_str().parse::<Spec>();
    assert_eq!(spec, Ok(Spec::Filename(wheel.as_str().to_owned())), "what a file is called it is named by");
}

fn check_spec(text: &str) {
    let spec = match text.parse::<Spec>() {
        Ok(spec) => spec,
        Err(SpecError::Specifier { reason, .. }) => return saw(reason),
        Err(error) => return saw(error),
    };
    let printed = spec.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(&spec), "{text:?} prints as {printed:?}");
    if let Spec::Project { name, specifiers } = &spec {
        saw(format!("spec of {}", specifiers.len()));
        for specifier in specifiers.iter() {
            let is_exact = spec.is_exact(specifier.version());
            assert!(!is_exact || spec.matches(name, specifier.version()), "{text:?}: what is exact is taken");
        }
    }
}
