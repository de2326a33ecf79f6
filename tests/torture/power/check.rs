//! What must hold after a power cut.

use super::state;
use super::workload::{self, Act, Actor, Course, STORE, Seen};
use crate::support::env::Env;
use crate::support::wheels::Wheel;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What it says of something that was acknowledged and isn't there.
pub(super) const LOST: &str = "though it was acknowledged";

/// Looks at disks that are mounted as a power cut at this moment left them; returns all that is wrong.
pub(super) fn check(env: &Env, actors: &[Actor], courses: &[Course], moment: u64, others_first: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |what: &str, done: Result<Vec<String>, String>| match done {
        Ok(wrong) => found.extend(wrong.into_iter().map(|wrong| format!("{what}: {wrong}"))),
        Err(error) => found.push(format!("{what}: {error}")),
    };
    let is_repaired = |course: &Course| course.times[0].1 <= moment;
    let sick = actors.iter().zip(courses).find(|(actor, _)| actor.name == "sick");
    let were_bad = match sick {
        Some((_, course)) if !is_repaired(course) => workload::rotten_blobs(),
        _ => BTreeSet::new(),
    };
    note("doctor at first", caught(|| problems(env, &were_bad)));
    note("bytes", caught(|| Ok(state::unsound(&env.path(STORE), &were_bad))));
    let everybody: Vec<&Actor> = actors.iter().collect();
    let seen = caught(|| workload::look(env, &everybody));
    for (number, (actor, course)) in actors.iter().zip(courses).enumerate() {
        note(actor.name, seen.clone().map(|seen| compare(&seen[number], course, moment).err().into_iter().collect()));
    }
    note("moved", caught(|| lost_sources(env)));
    if others_first {
        note("gc", caught(|| workload::run(env, "gc", false).map(|_| Vec::new())));
        note("verify", caught(|| verified(env, &were_bad)));
    }
    for (number, (actor, course)) in actors.iter().zip(courses).enumerate() {
        let seen = seen.as_ref().ok().map(|seen| &seen[number]);
        note(actor.name, caught(|| go_on(env, actor, course, moment, seen).map(|()| Vec::new())));
    }
    let seen = caught(|| workload::look(env, &everybody));
    for (number, (actor, course)) in actors.iter().zip(courses).enumerate() {
        let goal = &course.seen[(progress(course, moment).0 + 1).min(actor.acts.len())];
        let wrong = |seen: &Seen| (seen != goal).then(|| format!("again ends elsewhere: {}", difference(seen, goal)));
        note(actor.name, seen.clone().map(|seen| wrong(&seen[number]).into_iter().collect()));
    }
    note("gc", caught(|| workload::run(env, "gc --grace 0s", false).map(|_| Vec::new())));
    note("verify in the end", caught(|| verified(env, &BTreeSet::new())));
    note("bytes in the end", caught(|| Ok(state::unsound(&env.path(STORE), &BTreeSet::new()))));
    note("left in the end", caught(|| Ok(state::leftovers(&env.path(STORE)))));
    note("doctor in the end", caught(|| problems(env, &BTreeSet::new())));
    found
}

/// Returns the number of acts that were acknowledged at a moment, and of those that had begun.
pub(super) fn progress(course: &Course, moment: u64) -> (usize, usize) {
    let count = |is: &dyn Fn(&(u64, u64)) -> bool| course.times.iter().take_while(|times| is(times)).count();
    (count(&|times| times.1 <= moment), count(&|times| times.0 < moment))
}

/// What was acknowledged is there; what had begun is there whole or not at all.
fn compare(seen: &Seen, course: &Course, moment: u64) -> Result<(), String> {
    let (done, begun) = progress(course, moment);
    let (old, new) = (&course.seen[done], &course.seen[begun.max(done)]);
    let is_listed = [old, new].iter().any(|it| (&it.listing, &it.settings) == (&seen.listing, &seen.settings));
    if is_listed && state::is_between(&seen.trees, &old.trees, &new.trees) {
        return Ok(());
    }
    let is_older = |it: &Seen| it.listing == seen.listing && it.settings == seen.settings && it.trees == seen.trees;
    let what = if course.seen[..done].iter().any(is_older) { LOST } else { "and neither old nor new is there" };
    Err(format!("{done} acts are done, {begun} begun, {what}: {}", difference(seen, old)))
}

/// Tells what is there too much, and too little.
fn difference(seen: &Seen, wanted: &Seen) -> String {
    let lines = |seen: &Seen| -> BTreeSet<String> {
        let files = |(tree, files): (&String, &BTreeMap<String, String>)| -> Vec<String> {
            files.iter().map(|(file, digest)| format!("{tree}/{file} {}", &digest[..8])).collect()
        };
        let listed = seen.listing.iter().cloned().chain([seen.settings.clone()]);
        listed.chain(seen.trees.iter().flat_map(files)).collect()
    };
    let (seen, wanted) = (lines(seen), lines(wanted));
    let [more, less] =
        [(&seen, &wanted), (&wanted, &seen)].map(|(these, those)| these.difference(those).collect::<Vec<_>>());
    format!("too much: {more:#?}, too little: {less:#?}")
}

/// What was to be moved is where it was, or listed and in the store (whose bytes are looked at elsewhere).
fn lost_sources(env: &Env) -> Result<Vec<String>, String> {
    let listing = workload::run(env, "list --collection move --json", false).unwrap_or_default();
    let mut lost = Vec::new();
    for (disk, batch) in [("near", 0), ("far", 1), ("near", 2)] {
        for (file, size) in [3000, 70_000, 12_000, 900_000, 400].into_iter().enumerate() {
            let seed = (300 + batch * 10 + file) as u64;
            let wheel = Wheel::new(&format!("move-{batch}-{file}"), "1.0").payload(size, seed);
            let source = env.path(format!("{disk}/src/move-{batch}")).join(wheel.filename());
            let is_at_home = fs::read(source).is_ok_and(|bytes| bytes == wheel.bytes());
            if !is_at_home && !listing.contains(&state::sha256(&wheel.bytes())) {
                lost.push(format!("{} is neither at its source nor in the store", wheel.filename()));
            }
        }
    }
    Ok(lost)
}

/// Reads all blobs; only these may be bad.
fn verified(env: &Env, may_be_bad: &BTreeSet<String>) -> Result<Vec<String>, String> {
    let text = workload::run(env, "verify --json", false)?;
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    let problems = document["problems"].as_array().ok_or("no problems listed")?.iter();
    let others = problems.filter(|problem| !problem["blake3"].as_str().is_some_and(|blob| may_be_bad.contains(blob)));
    Ok(others.map(ToString::to_string).collect())
}

/// Asks the doctor; notes are no problems, and these blobs may be bad.
fn problems(env: &Env, may_be_bad: &BTreeSet<String>) -> Result<Vec<String>, String> {
    let mut command = env.command(["doctor", "--json"]);
    let output = command.env("WCAS_STORE", env.path(STORE)).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {}", said()))?;
    let findings = document["findings"].as_array().ok_or("no findings listed")?.iter();
    let is_of_bad = |finding: &serde_json::Value| {
        finding["path"].as_str().is_some_and(|path| may_be_bad.iter().any(|blob| path.ends_with(blob.as_str())))
    };
    Ok(findings.filter(|it| it["severity"] == "problem" && !is_of_bad(it)).map(ToString::to_string).collect())
}

/// Does again what was cut off or not begun: it must work. What can't be done twice and is done already is left.
fn go_on(env: &Env, actor: &Actor, course: &Course, moment: u64, seen: Option<&Seen>) -> Result<(), String> {
    let (done, begun) = progress(course, moment);
    let Some(act) = actor.acts.get(done) else { return Ok(()) };
    let (old, new) = (&course.seen[done], &course.seen[done + 1]);
    let is_once =
        matches!(act, Act::Run(args) if ["undo", "invalidate", "collection"].iter().any(|it| args.starts_with(it)));
    if begun > done && is_once && seen == Some(new) && old != new {
        return Ok(());
    }
    match act {
        Act::Run(args) => workload::run(env, args, false).map(drop),
        Act::Upload(project) => {
            let server = workload::serve(env);
            let done = workload::upload(env, &server, project);
            server.stop();
            done
        }
    }
}

/// Runs something that asserts; what it would have said is returned.
fn caught<T>(act: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let done = catch_unwind(AssertUnwindSafe(act));
    std::panic::set_hook(hook);
    done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
    })
}
