//! Somebody who does what `wcas doctor` says, and nothing else.

use crate::lab::{Lab, Ran, read};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How often doctor is asked again.
const ROUNDS: usize = 5;

/// A problem that doctor told.
#[derive(Debug)]
struct Problem {
    kind: String,
    path: Option<PathBuf>,
    advice: String,
}

fn problems(ran: &Ran) -> Vec<Problem> {
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let Some(findings) = document["findings"].as_array() else { return Vec::new() };
    let problems = findings.iter().filter(|finding| finding["severity"] == "problem");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let problem = |finding: &Value| Problem {
        kind: text(&finding["kind"]),
        path: finding["path"].as_str().map(PathBuf::from),
        advice: text(&finding["advice"]),
    };
    problems.map(problem).collect()
}

/// Brings a store back: what doctor says, the wheels, the trees. Returns what is still wrong.
pub(crate) fn mend(lab: &Lab) -> Option<String> {
    let mut told = String::new();
    for _ in 0..ROUNDS {
        let doctor = lab.run(&["--json", "doctor"]);
        told = doctor.to_string();
        let found = problems(&doctor);
        if found.is_empty() && doctor.code == 0 {
            break;
        }
        found.iter().for_each(|problem| follow(lab, problem));
        drop(lab.run(&["import", "in", "built", "gone"]));
        drop(lab.run(&["import", "cudas", "--collection", "cuda"]));
        drop(lab.run(&["verify", "--repair"]));
    }
    for line in
        ["import in built gone", "import cudas --collection cuda", "view --to tree", "view --to flat --layout flat"]
    {
        let ran = lab.run(&line.split(' ').collect::<Vec<_>>());
        if ran.code != 0 {
            return Some(format!("afterwards `{line}`: {ran}\n--- doctor before\n{told}"));
        }
    }
    for line in ["verify", "--json doctor", "lookup demo==2.0", "lookup torch --collection cuda", "gc --grace 0"] {
        let ran = lab.run(&line.split(' ').collect::<Vec<_>>());
        // A record that was changed can't be made right by anybody.
        let is_only_the_log = line.ends_with("doctor") && problems(&ran).iter().all(|problem| problem.kind == "log");
        if ran.code != 0 && !is_only_the_log {
            return Some(format!("at the end `{line}`: {ran}\n--- doctor before\n{told}"));
        }
        if line.starts_with("lookup") && !is_right(lab, ran.stdout.trim_end()) {
            return Some(format!("at the end `{line}` leads to something wrong: {ran}"));
        }
    }
    let lost: Vec<_> = lab.lost().into_iter().filter(|name| !lab.kept()[*name].is_empty()).collect();
    // A rebuilt store has only what was there; what was imported again is back.
    let wheels = ["demo-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl", "pure-1.0-py3-none-any.whl"];
    let is_wheel = |name: &str| wheels.iter().any(|wheel| lab.right(wheel).contains(&lab.kept()[name]));
    let lost: Vec<_> = lost.into_iter().filter(|name| is_wheel(name)).collect();
    (!lost.is_empty()).then(|| format!("at the end there is no right blob {lost:?}"))
}

/// Tells whether a path that was handed out has a wheel's bytes.
pub(crate) fn is_right(lab: &Lab, path: &str) -> bool {
    let path = Path::new(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(bytes) = read(path) else { return false };
    // A blob's own name has no project.
    lab.right(&name).contains(&bytes) || lab.kept().get(&name) == Some(&bytes)
}

fn follow(lab: &Lab, problem: &Problem) {
    let advice = &problem.advice;
    // The commands between backticks, each as it stands; what a person has to fill in is passed over.
    for quoted in advice.split('`').skip(1).step_by(2) {
        let Some(args) = quoted.strip_prefix("wcas ") else { continue };
        if !args.contains('…') && !args.contains('<') && !args.starts_with("gc") {
            drop(lab.run(&args.split(' ').collect::<Vec<_>>()));
        }
    }
    let Some(path) = &problem.path else { return };
    let has = |word: &str| advice.split(|c: char| !c.is_alphanumeric()).any(|own| own == word);
    if let Some(rest) = advice.strip_prefix("chmod ") {
        let words: Vec<&str> = rest.split(' ').collect();
        drop(Command::new("chmod").args(&words).status());
    } else if has("remove") || has("move") {
        aside(lab, path);
    } else if has("readable") || has("permissions") || has("rights") {
        let is_dir = path.is_dir();
        drop(fs::set_permissions(path, fs::Permissions::from_mode(if is_dir { 0o755 } else { 0o644 })));
    }
}

/// Puts something out of the way, and keeps it.
fn aside(lab: &Lab, path: &Path) {
    let name = path.file_name().unwrap_or_default();
    let to = lab.outside("aside");
    drop(fs::create_dir(&to));
    let target = (0..)
        .map(|number| to.join(format!("{number}-{}", name.to_string_lossy())))
        .find(|path| !path.exists() && !path.is_symlink());
    drop(fs::rename(path, target.unwrap()));
}
