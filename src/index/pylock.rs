//! A lock file (PEP 751): of each project one version, with the URL and digest of each of its files.

use super::{File, rfc3339};
use pep440_rs::{Version, VersionSpecifiers};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Result, Write};

/// Writes a lock file. An installer takes one version of a project, so the newest is locked: a release before others, one that isn't
/// yanked before one that is. Returns how many files are left out: of other versions, or of a kind that a lock has no place for.
pub fn pylock(out: &mut dyn Write, files: &[File<'_>]) -> Result<usize> {
    let mut projects: BTreeMap<&str, BTreeMap<Rank<'_>, Vec<&File<'_>>>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.sha256.is_some() && is_lockable(file)) {
        let version = file.version.parse::<Version>().ok();
        let is_final = version.as_ref().is_some_and(|version| !version.any_prerelease());
        let rank = Rank { is_given: file.yanked.is_none(), is_final, version, text: file.version };
        projects.entry(file.project).or_default().entry(rank).or_default().push(file);
    }
    writeln!(out, "lock-version = \"1.0\"")?;
    writeln!(out, "created-by = \"wcas\"")?;
    let mut locked = 0;
    for (project, versions) in projects {
        let Some((rank, files)) = versions.into_iter().next_back() else { continue };
        locked += package(out, project, rank.text, &files)?;
    }
    if locked == 0 {
        // Without a package the array must be there all the same.
        writeln!(out, "packages = []")?;
    }
    Ok(files.len() - locked)
}

/// Which version is locked: the greatest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    is_given: bool,
    is_final: bool,
    version: Option<Version>,
    text: &'a str,
}

/// Tells whether installers know such a name: five or six parts of a wheel, or an sdist of today.
fn is_lockable(file: &File<'_>) -> bool {
    match file.filename.strip_suffix(".whl") {
        Some(stem) => match stem.split('-').collect::<Vec<_>>()[..] {
            [_, _, _, _, _] => true,
            // The sixth is a build tag, which begins with a digit; or the label of a variant, which installers mistake for tags.
            [_, _, build, _, _, _] => build.starts_with(|c: char| c.is_ascii_digit()),
            _ => false,
        },
        None => file.filename.ends_with(".tar.gz") || file.filename.ends_with(".zip"),
    }
}

/// Writes a package, and returns how many files it has.
fn package(out: &mut dyn Write, project: &str, version: &str, files: &[&File<'_>]) -> Result<usize> {
    let (wheels, sdists): (Vec<&File<'_>>, Vec<&File<'_>>) =
        files.iter().partition(|file| file.filename.ends_with(".whl"));
    let sdist = sdists.iter().find(|file| file.filename.ends_with(".tar.gz")).or(sdists.first());
    writeln!(out, "\n[[packages]]\nname = {}\nversion = {}", quoted(project), quoted(version))?;
    let python = files.iter().find_map(|file| file.requires_python);
    if let Some(python) = python.filter(|text| text.parse::<VersionSpecifiers>().is_ok()) {
        writeln!(out, "requires-python = {}", quoted(python))?;
    }
    if let Some(sdist) = sdist {
        writeln!(out, "sdist = {}", inline(sdist))?;
    }
    if !wheels.is_empty() {
        writeln!(out, "wheels = [")?;
        for wheel in &wheels {
            writeln!(out, "    {},", inline(wheel))?;
        }
        writeln!(out, "]")?;
    }
    Ok(wheels.len() + usize::from(sdist.is_some()))
}

fn inline(file: &File<'_>) -> String {
    let mut text = format!("{{ name = {}, url = {}", quoted(file.filename), quoted(&file.url));
    if let Some(time) = file.upload_time {
        text.push_str(&format!(", upload-time = {}", rfc3339(time)));
    }
    if let Some(size) = file.size {
        text.push_str(&format!(", size = {size}"));
    }
    if let Some(sha256) = file.sha256 {
        text.push_str(&format!(", hashes = {{ sha256 = \"{sha256}\" }}"));
    }
    text.push_str(" }");
    text
}

/// Returns a text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{HOSTILE, file};
    use super::*;

    fn locked(files: &[File<'_>]) -> (toml::Table, usize) {
        let mut bytes = Vec::new();
        let left_out = pylock(&mut bytes, files).unwrap();
        (std::str::from_utf8(&bytes).unwrap().parse().unwrap(), left_out)
    }

    #[test]
    fn of_a_project_the_newest_release_is_locked_with_all_its_files() {
        let files = [
            file("demo-1.9-py3-none-any.whl", "demo", "1.9"),
            file("demo-1.10-py3-none-any.whl", "demo", "1.10"),
            file("demo-1.10-1-py3-none-any.whl", "demo", "1.10"),
            file("demo-1.10-py3-none-any-x86_64_v3.whl", "demo", "1.10"),
            file("demo-1.10.zip", "demo", "1.10"),
            file("demo-1.10.tar.gz", "demo", "1.10"),
            file("demo-2.0rc1-py3-none-any.whl", "demo", "2.0rc1"),
            File { yanked: Some(""), ..file("demo-3.0-py3-none-any.whl", "demo", "3.0") },
        ];
        let (table, left_out) = locked(&files);
        assert_eq!((table["lock-version"].as_str(), left_out), (Some("1.0"), 5));
        let packages = table["packages"].as_array().unwrap();
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0]["version"].as_str(), Some("1.10"));
        assert_eq!(packages[0]["sdist"]["name"].as_str(), Some("demo-1.10.tar.gz"));
        let wheels = packages[0]["wheels"].as_array().unwrap();
        assert_eq!(wheels.len(), 2);
        assert_eq!(wheels[0]["hashes"]["sha256"].as_str(), Some("ab".repeat(32).as_str()));
        assert!(wheels[0]["upload-time"].as_datetime().is_some() && wheels[0]["size"].as_integer() == Some(1234));
    }

    #[test]
    fn strangers_texts_stay_texts_and_nothing_is_a_list_too() {
        let hostile = File {
            requires_python: Some(HOSTILE),
            url: HOSTILE.into(),
            ..file("demo-1-py3-none-any.whl", "demo", "1")
        };
        let (table, _) = locked(&[hostile]);
        assert_eq!(table["packages"][0]["wheels"][0]["url"].as_str(), Some(HOSTILE));
        assert!(
            table["packages"][0].get("requires-python").is_none(),
            "what is no specifier would refuse the whole file"
        );
        assert_eq!(locked(&[]).0["packages"].as_array().map(Vec::len), Some(0));
    }
}
