//! What must hold after a power cut.

use super::actors::{self, Act, Actor};
use super::state;
use super::workload::{self, ALONE, BACKUP, Course, NODE, SHARE, STORE, Seen};
use crate::support::env::Env;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What it says of something that was acknowledged and isn't there.
pub(super) const LOST: &str = "though it was acknowledged";

/// Disks that are mounted as a power cut at this moment left them.
pub(super) struct Cut<'a> {
    pub(super) env: &'a Env,
    pub(super) courses: &'a [Course],
    pub(super) moment: u64,
    /// Verify and gc come before what was cut off is done again.
    pub(super) others_first: bool,
}

impl Cut<'_> {
    /// Returns all that is wrong.
    pub(super) fn check(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut note = |what: &str, done: Result<Vec<String>, String>| match done {
            Ok(wrong) => found.extend(wrong.into_iter().map(|wrong| format!("{what}: {wrong}"))),
            Err(error) => found.push(format!("{what}: {error}")),
        };
        let env = self.env;
        let run = |act: &str| caught(|| workload::run(env, STORE, act, false).map(|_| Vec::new()));
        let is_sick = |course: &Course| course.actor.name == "sick" && course.progress(self.moment).0 == 0;
        let were_bad = if self.courses.iter().any(is_sick) { actors::rotten_blobs() } else { BTreeSet::new() };
        note("doctor at first", caught(|| self.problems(&were_bad)));
        note("bytes", caught(|| Ok(state::unsound(&env.path(STORE), &were_bad))));
        let seen = self.look();
        for (course, seen) in self.courses.iter().zip(&seen) {
            note(course.actor.name, self.compare(course, seen));
        }
        note("moved", caught(|| lost_sources(env)));
        if self.others_first {
            note("gc", run("gc"));
            note("verify", caught(|| verified(env, STORE, &were_bad)));
        }
        for (course, seen) in self.courses.iter().zip(&seen) {
            note(course.actor.name, caught(|| self.go_on(course, seen.as_ref().ok()).map(|()| Vec::new())));
        }
        for (course, seen) in self.courses.iter().zip(self.look()) {
            let goal = &course.seen[(course.progress(self.moment).0 + 1).min(course.actor.acts.len())];
            let wrong = |seen| (seen != *goal).then(|| format!("again ends elsewhere: {}", difference(&seen, goal)));
            note(course.actor.name, seen.map(|seen| wrong(seen).into_iter().collect()));
        }
        note("gc", run("gc --grace 0s"));
        note("verify in the end", caught(|| verified(env, STORE, &BTreeSet::new())));
        note("bytes in the end", caught(|| Ok(state::unsound(&env.path(STORE), &BTreeSet::new()))));
        note("left in the end", caught(|| Ok(state::leftovers(&env.path(STORE)))));
        note("doctor in the end", caught(|| Ok(problems(env)?.iter().map(ToString::to_string).collect())));
        note("node", caught(|| workload::run(env, NODE, "verify --bucket", false).map(|_| Vec::new())));
        note("a new node", caught(|| joined(env)));
        for store in [ALONE, BACKUP, NODE].into_iter().filter(|store| env.path(store).join("wcas.json").exists()) {
            note(store, caught(|| verified(env, store, &BTreeSet::new())));
        }
        found
    }

    /// Asks the doctor right after the cut. Of its problems those are right that tell of blobs that were bad before, and of
    /// a tree whose making or removing was cut off: that waits to be run again.
    fn problems(&self, were_bad: &BTreeSet<String>) -> Result<Vec<String>, String> {
        let is_expected = |finding: &serde_json::Value| {
            let path = finding["path"].as_str().unwrap_or_default();
            let is_cut_off = |course: &Course| {
                let (done, begun) = course.progress(self.moment);
                let is_at = |tree: &&&str| path.starts_with(&*self.env.path(tree).to_string_lossy());
                let tree = course.actor.trees.iter().find(is_at).filter(|_| begun > done && finding["kind"] == "view");
                tree.is_some_and(|tree| matches!(&course.actor.acts[done], Act::Run(args) if args.contains(tree)))
            };
            were_bad.iter().any(|blob| path.ends_with(blob.as_str())) || self.courses.iter().any(is_cut_off)
        };
        Ok(problems(self.env)?.iter().filter(|finding| !is_expected(finding)).map(ToString::to_string).collect())
    }

    /// Looks at everybody's work.
    fn look(&self) -> Vec<Result<Seen, String>> {
        let actors: Vec<&Actor> = self.courses.iter().map(|course| &course.actor).collect();
        let of_store = caught(|| workload::look(self.env, &actors));
        let of_alone = caught(|| workload::look_alone(self.env));
        let of_node = caught(|| workload::look_at(self.env, NODE));
        let one = |(number, actor): (usize, &&Actor)| match actor.store {
            ALONE => of_alone.clone(),
            NODE => of_node.clone(),
            _ => of_store.clone().map(|mut it| it.swap_remove(number)),
        };
        actors.iter().enumerate().map(one).collect()
    }

    /// What was acknowledged is there; what had begun is there whole or not at all.
    fn compare(&self, course: &Course, seen: &Result<Seen, String>) -> Result<Vec<String>, String> {
        let (done, begun) = course.progress(self.moment);
        let (old, new) = (&course.seen[done], &course.seen[begun.max(done)]);
        let seen = match seen {
            Ok(seen) => seen,
            // While a manifest is being replaced there may be none.
            Err(_) if begun > done && course.actor.acts[done].is_replacing() => return Ok(Vec::new()),
            Err(error) => return Err(error.clone()),
        };
        let is_listed = [old, new].iter().any(|it| (&it.listing, &it.settings) == (&seen.listing, &seen.settings));
        let is_being_copied = begun > done && matches!(course.actor.acts[done], Act::Backup);
        if is_listed && (is_being_copied || state::is_between(&seen.trees, &old.trees, &new.trees)) {
            return Ok(Vec::new());
        }
        let is_older = course.seen[..done].contains(seen);
        let what = if is_older { LOST } else { "and neither old nor new is there" };
        Err(format!("{done} acts are done, {begun} begun, {what}: {}", difference(seen, old)))
    }

    /// Does again what was cut off or not begun: it must work. What can't be done twice and is done already is left.
    fn go_on(&self, course: &Course, seen: Option<&Seen>) -> Result<(), String> {
        let (done, begun) = course.progress(self.moment);
        let Some(act) = course.actor.acts.get(done) else { return Ok(()) };
        let (old, new) = (&course.seen[done], &course.seen[done + 1]);
        if begun > done && act.is_once() && seen == Some(new) && old != new {
            return Ok(());
        }
        let server = matches!(act, Act::Upload(_)).then(|| workload::serve(self.env));
        let acted = workload::act(self.env, server.as_ref(), &course.actor, act, false);
        server.into_iter().for_each(crate::support::WcasServer::stop);
        acted.or_else(|error| if begun > done && act.is_over(&error) { Ok(()) } else { Err(error) })
    }
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
    let listing = workload::run(env, STORE, "list --collection move --json", false).unwrap_or_default();
    let mut lost = Vec::new();
    for (dir, wheels) in (0..3).map(|batch| actors::sources("move", batch)) {
        for wheel in wheels {
            let source = env.path(&dir).join(wheel.filename());
            let is_at_home = fs::read(source).is_ok_and(|bytes| bytes == wheel.bytes());
            if !is_at_home && !listing.contains(&state::sha256(&wheel.bytes())) {
                lost.push(format!("{} is neither at its source nor in the store", wheel.filename()));
            }
        }
    }
    Ok(lost)
}

/// Lets another node join: what the share has is what the first one knows.
fn joined(env: &Env) -> Result<Vec<String>, String> {
    let late = "near/late";
    workload::run(env, late, &format!("init --share file://{}", env.path(SHARE).display()), false)?;
    let (own, other) = (workload::look_at(env, NODE)?, workload::look_at(env, late)?);
    let wrong = (own != other).then(|| format!("knows otherwise: {}", difference(&other, &own)));
    Ok(wrong.into_iter().chain(verified(env, late, &BTreeSet::new())?).collect())
}

/// Reads all blobs; only these may be bad.
fn verified(env: &Env, store: &str, may_be_bad: &BTreeSet<String>) -> Result<Vec<String>, String> {
    let text = workload::run(env, store, "verify --json", false)?;
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    let problems = document["problems"].as_array().ok_or("no problems listed")?.iter();
    let others = problems.filter(|problem| !problem["blake3"].as_str().is_some_and(|blob| may_be_bad.contains(blob)));
    Ok(others.map(ToString::to_string).collect())
}

/// Asks the doctor; notes are no problems.
fn problems(env: &Env) -> Result<Vec<serde_json::Value>, String> {
    let mut command = env.command(["doctor", "--json"]);
    let output = command.env("WCAS_STORE", env.path(STORE)).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {}", said()))?;
    let findings = document["findings"].as_array().ok_or("no findings listed")?.iter();
    Ok(findings.filter(|finding| finding["severity"] == "problem").cloned().collect())
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
