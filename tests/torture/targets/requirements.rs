//! Requirements files, which may include one another.

use super::saw;
use std::io;
use std::path::Path;
use wcas::requirement::{Environment, Marker, ProjectPattern, Requirement, Requirements, Spec, read};

pub(super) const WORDS: &[&str] = &[
    "==1.0",
    ">=1,<2",
    "~=1.4.2",
    "!=1.*",
    "===1",
    "<2rc1",
    "[a,b]",
    " @ https://index.example/demo-1.0-py3-none-any.whl",
    "#sha256=",
    "#egg=demo",
    " ; ",
    "python_version < \"3.12\"",
    "sys_platform == 'linux'",
    " and ",
    " or ",
    " not in ",
    " in ",
    "(",
    ")",
    "((((",
    "extra == \"x\"",
    "'a' in extras",
    "os.name",
    "-r two.txt\n",
    "-c one.txt\n",
    "-r one.txt\n",
    "--hash=sha256:",
    "--pre",
    "-e .",
    "--index-url https://u:p@h/",
    "-i",
    "--requirement=",
    "\\\n",
    " #",
    "# -*- coding: latin-1 -*-\n",
    "${HOME}",
    "\u{feff}",
    "\r",
    "\u{c}",
    "\u{2028}",
    "'",
    "\"",
    "demo",
    "Flask_RESTful",
    "torch",
    "\n--- two.txt\n",
    "git+https://",
    "./demo-1.0.tar.gz",
    "file:///",
    "nvidia-*",
    "*",
];

pub(super) fn check(input: &[u8]) {
    let files = files(input);
    let requirements = match read(Path::new("one.txt"), &mut |path| open(&files, path)) {
        Ok(requirements) => requirements,
        Err(error) => return saw(format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))),
    };
    let Requirements { requirements, constraints, notes, refused } = &requirements;
    saw(format!(
        "{} {} {} {}",
        requirements.len().min(9),
        constraints.len().min(9),
        notes.len().min(9),
        refused.len().min(9)
    ));
    notes.iter().chain(refused).for_each(|(_, text)| saw(text));
    for requirement in requirements.iter().chain(constraints) {
        check_requirement(requirement);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        text.lines().take(20).for_each(check_pattern);
    }
}

/// The input's parts, each under its own name.
fn files(input: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mark = b"\n--- two.txt\n";
    match input.windows(mark.len()).position(|window| window == mark) {
        Some(at) => vec![("one.txt", input[..at].to_vec()), ("two.txt", input[at + mark.len()..].to_vec())],
        None => vec![("one.txt", input.to_vec())],
    }
}

fn open(files: &[(&str, Vec<u8>)], path: &Path) -> io::Result<Vec<u8>> {
    let found = files.iter().find(|(name, _)| Path::new(name) == path);
    found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A requirement's text reads as that requirement.
fn check_requirement(requirement: &Requirement) {
    let text = &requirement.text;
    // A comment keeps a backslash at the end from joining lines.
    let line = format!("{text} # {}", requirement.place);
    let again = read(Path::new("x"), &mut |_| Ok(line.clone().into_bytes())).expect("text is UTF-8");
    let [same] = &again.requirements[..] else { panic!("{text:?} reads as {again:?}") };
    assert!(again.refused.is_empty() && again.constraints.is_empty(), "{text:?} reads as {again:?}");
    assert_eq!((&same.name, &same.extras), (&requirement.name, &requirement.extras), "{text:?}");
    // A file without a name of its own brings its version; with the name before it the version is nobody's business.
    let is_files = requirement.url.is_some() && same.specifiers.is_empty();
    assert!(is_files || same.specifiers == requirement.specifiers, "{text:?}: {:?}", requirement.specifiers);
    assert_eq!((&same.url, &same.marker, &same.text), (&requirement.url, &requirement.marker, text), "{text:?}");
    let spec = requirement.spec();
    // A project that is called as a digest is written can't be told from one: what is typed means the digest.
    let again = spec.to_string().parse();
    assert!(matches!(again, Ok(Spec::Digest(_))) || again.as_ref() == Ok(&spec), "{text:?}: {again:?}");
    if let Some(version) = requirement.pinned() {
        assert!(spec.matches(&requirement.name, version), "{text:?} takes what it pins");
    }
    saw(format!("{} {:?}", requirement.url.is_some(), requirement.specifiers.iter().map(|one| *one.operator()).next()));
    check_marker(&requirement.marker);
}

fn check_marker(marker: &Marker) {
    if marker.is_always() {
        return;
    }
    let printed = marker.to_string();
    assert_eq!(printed.parse::<Marker>().as_ref(), Ok(marker), "it prints as {printed:?}");
    let targets = [(None, None), (Some((3, 12)), Some("manylinux_2_28_x86_64")), (Some((3, 9)), Some("win32"))];
    let environments = targets.map(|(python, platform)| Environment::for_target(python, platform));
    let answers = environments.each_ref().map(|environment| marker.evaluate(environment));
    saw(format!("{answers:?}"));
    // Where nothing is known, what is sure holds everywhere.
    for answer in &answers[1..] {
        assert!(answers[0].is_none() || *answer == answers[0], "{printed:?}: {answers:?}");
    }
}

fn check_pattern(line: &str) {
    let Ok(pattern) = line.parse::<ProjectPattern>() else { return };
    assert_eq!(pattern.to_string().parse().as_ref(), Ok(&pattern), "{line:?}");
    let project = pattern.as_str().replace('*', "x").parse().expect("a name with stars is one without");
    assert!(pattern.matches(&project), "{pattern} takes {project}");
}
