//! What people set, and what doesn't go with it: remotes that fail, routes that lead elsewhere, guards that came late.

use super::Examination;
use crate::catalog::guard;
use crate::catalog::ownership::find_override;
use crate::error::Result;
use crate::manifest::Scope;
use crate::ops::push;
use crate::words::counted;

/// Two clocks may differ by so much.
const CLOCK_SECONDS: i64 = 60;

/// Returns a time as people read it.
fn time(at: i64) -> String {
    crate::index::rfc3339(at)
}

impl Examination<'_> {
    /// Tells of times that a clock that was ahead left in the manifest.
    pub(super) fn clock(&mut self, now: i64) -> Result<()> {
        let ahead = self.store.manifest.times_after(now.saturating_add(CLOCK_SECONDS))?;
        if ahead > 0 {
            let rows = counted(usize::try_from(ahead).unwrap_or(usize::MAX), "row");
            let detail = format!("{rows} with times later than now, which is {}", time(now));
            let advice = "see whether the clock is right; if it is, it was ahead once: such times count as never, and `wcas gc` \
                          lets what was dropped then have been dropped now";
            self.note("clock", None, detail, advice);
        }
        Ok(())
    }

    /// Tells of remotes whose last answer was a failure.
    pub(super) fn remotes(&mut self) -> Result<()> {
        for remote in self.store.manifest.remotes()?.iter().filter(|remote| remote.is_failing()) {
            let at = time(remote.failed_at.unwrap_or(0));
            let failure = remote.failure.as_deref().unwrap_or("it gave no usable answer");
            let detail = format!("{} ({}) last failed at {at}: {failure}", remote.name, remote.settings.url);
            let list = self.store.manifest.remote_list(remote.id)?;
            let meanwhile = match list.and_then(|row| row.refusal) {
                Some(_) => "nothing of it is listed or taken, and what is here stays",
                None => "pages that were seen before are used",
            };
            let advice = format!("`wcas remote test {}` asks it; meanwhile {meanwhile}", remote.name);
            self.note("remote", None, detail, &advice);
        }
        Ok(())
    }

    /// Tells of what waits to be sent to remotes, and why it does.
    pub(super) fn write_backs(&mut self) -> Result<()> {
        for (name, waits) in push::waiting(&self.store.manifest)? {
            let waiting = usize::try_from(waits.waiting).unwrap_or(usize::MAX);
            let mut detail = format!("{} to be sent to {name}", counted(waiting, "distribution"));
            if waits.given_up > 0 {
                detail += &format!(", {} of which it refused too often", waits.given_up);
            }
            if let (Some(at), Some(failure)) = (waits.failed_at, &waits.failure) {
                detail += &format!("; the last failure, at {}: {failure}", time(at));
            }
            let mut advice = format!("`wcas push {name}` sends now, and `wcas serve` by itself");
            if waits.given_up > 0 {
                advice += &format!("; `wcas push {name} --retry` tries all again, `--forget` drops what it refused");
            }
            self.note("write-back", None, detail, &advice);
        }
        Ok(())
    }

    /// Tells of projects that a variant requires and an override sends elsewhere.
    pub(super) fn routes(&mut self) -> Result<()> {
        let overrides = self.store.manifest.overrides()?;
        for variant in self.store.manifest.variants()? {
            for row in self.store.manifest.variant_requirements(&variant.name)? {
                let Some(found) = find_override(&overrides, &variant.name, &row.project) else { continue };
                if found.collection == variant.name {
                    continue;
                }
                let (project, option) = (&row.project, found.variant.as_ref().map(|name| format!(" --variant {name}")));
                let detail =
                    format!("variant {} requires {project}, which is sent to {}", variant.name, found.collection);
                let option = option.unwrap_or_default();
                let advice = format!("`wcas route override {project} --remove{option}`, if that isn't meant");
                self.note("route", None, detail, &advice);
            }
        }
        Ok(())
    }

    /// Tells of what guarded collections have and their guards would refuse. No file is looked into: what is kept is asked.
    pub(super) fn guards(&mut self) -> Result<()> {
        for row in self.store.manifest.collections()? {
            if row.settings.guard.accelerators.is_none() || row.settings.guard.is_warning {
                continue;
            }
            let mut foreign = Vec::new();
            for entry in self.store.manifest.entries(row.id, Scope::Live)? {
                let Some(inspection) = guard::known(&self.store.manifest, entry.blob)? else { continue };
                if let Some(why) = guard::objection(&row.settings.guard, &inspection) {
                    foreign.push(format!("{}: {why}", entry.filename));
                }
            }
            if let Some(first) = foreign.first() {
                let files = counted(foreign.len(), "distribution");
                let detail = format!("{} has {files} that its guard would refuse, such as {first}", row.name);
                self.note(
                    "guard",
                    None,
                    detail,
                    "they came before the guard: `wcas invalidate` drops them, if they should go",
                );
            }
        }
        Ok(())
    }
}
