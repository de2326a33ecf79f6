//! How what a view's collections have, and their remotes, is put together for each purpose.

use super::remote::{self, RemoteLook};
use super::taken::Taken;
use super::{Ask, Listed, Listing, Purpose, held};
use crate::catalog::merge::Fate;
use crate::catalog::ownership::Ownership;
use crate::catalog::reach::{Matter, Reach};
use crate::catalog::search_order::SearchOrder;
use crate::catalog::statuses::stricter;
use crate::catalog::view_contents::{Shown, fates, strategy_of};
use crate::error::Result;
use crate::index::read::ListedFile;
use crate::manifest::{Entry, RemoteRow, StatusRow, Strategy};
use crate::name::{CollectionName, ProjectName};
use crate::remote::PublicUrl;
use crate::status::Status;
use crate::wheel::Kind;
use std::collections::VecDeque;

/// Returns what a variant's view lists.
pub(crate) fn look(ask: &Ask<'_>, shown: &Shown, project: &ProjectName, purpose: Purpose) -> Result<Listed> {
    let Shown::Variant { name, sense, strategy, own } = shown else { return Ok(Listed::Unknown) };
    let rows = ask.store.manifest.read()?;
    let Some(order) = SearchOrder::of_name(&rows, name, *sense)? else { return Ok(Listed::Unknown) };
    let strategy = strategy_of(&rows, name, *strategy)?;
    let own = Ownership::read(&rows, name, own, Some(project))?;
    let merged = if purpose == Purpose::Index { strategy } else { Strategy::Union };
    let mut fates = fates(&rows, &order, &own, merged, Some(project))?;
    let searched = order.of(project);
    let matter = if purpose == Purpose::Build { Matter::Sources } else { Matter::Files };
    let reach = Reach::read(&rows, &searched, Some(&own), project, matter)?;
    let mut parts = Vec::new();
    for (place, row) in searched.into_iter().enumerate() {
        let is_meant = |(entry, fate): &mut (Entry, Fate)| entry.collection == row.name && !fate.is_foreign();
        let entries = fates.extract_if(.., is_meant).collect();
        let mut remotes = if ask.asking.has_remotes() { rows.remotes_of(row.id)? } else { Vec::new() };
        remotes.retain(|remote| {
            match purpose {
                // What a variant builds itself it still builds from somebody's source.
                Purpose::Build => reach.stranger_objection(place, remote),
                _ => reach.objection(place, remote),
            }
            .is_none()
        });
        let is_foreign = reach.foreign(&row.name).is_some();
        parts.push(Part {
            name: row.name.clone(),
            own: entries,
            remotes,
            status: rows.project_status(row.id, project)?,
            is_foreign,
        });
    }
    // Remotes are asked without a transaction: that could last, and would keep the log from being shortened.
    drop(rows);
    let view = View { ask, project, strategy, variant: name, reach: &reach };
    match purpose {
        Purpose::Index => view.look(parts),
        Purpose::Cache => view.look_for_builders(parts),
        Purpose::Build => view.look_for_sources(parts),
    }
}

/// A collection of a view, and what it has of the project.
struct Part {
    name: CollectionName,
    own: Vec<(Entry, Fate)>,
    remotes: Vec<RemoteRow>,
    status: Option<StatusRow>,
    /// The project is the variant's own, and the collection isn't where it goes.
    is_foreign: bool,
}

impl Part {
    /// Tells whether it has files that would be shown, were nobody nearer.
    fn has_shown(&self) -> bool {
        self.own.iter().any(|(entry, _)| entry.state.is_available())
    }
}

struct View<'a> {
    ask: &'a Ask<'a>,
    project: &'a ProjectName,
    strategy: Strategy,
    variant: &'a CollectionName,
    reach: &'a Reach<'a>,
}

impl View<'_> {
    fn look(&self, parts: Vec<Part>) -> Result<Listed> {
        let is_first_only = self.strategy == Strategy::Nearest;
        let (mut listing, mut names, mut has_project) = (Listing::default(), Taken::default(), false);
        let mut parts = VecDeque::from(parts);
        while let Some(part) = parts.pop_front() {
            let has_own = !part.own.is_empty();
            has_project |= has_own;
            if !listing.add_part(part.own, part.status, &mut names) {
                return Ok(Listed::Found(listing));
            }
            for remote in &part.remotes {
                match self.ask(remote, &mut listing, |file| self.is_offered(remote, file))? {
                    RemoteAnswer::Absent => continue,
                    RemoteAnswer::Files(files) => {
                        has_project = true;
                        listing.add_remote(remote, self.variant, files, &mut names);
                    }
                    RemoteAnswer::Failed => {
                        listing.is_incomplete = true;
                        if remote.settings.is_optional {
                            continue;
                        }
                        if is_first_only && !has_own {
                            let farther = parts.into_iter().filter(|part| part.has_shown()).map(|part| part.name);
                            listing.notes.last_mut().expect("a failure leaves a note").hides = farther.collect();
                            return Ok(Listed::Unavailable(listing.notes));
                        }
                    }
                }
                if is_first_only {
                    break;
                }
            }
            if is_first_only && has_project {
                break;
            }
        }
        listing.settle();
        Ok(match (has_project, listing.is_incomplete) {
            (true, _) => Listed::Found(listing),
            (false, true) => Listed::Unavailable(listing.notes),
            (false, false) => Listed::Unknown,
        })
    }

    /// Our own caches are asked along the whole order: an old version near by is no reason to build a new one that somebody has.
    /// Strangers are asked for what nobody of ours has, and of them the nearest.
    fn look_for_builders(&self, parts: Vec<Part>) -> Result<Listed> {
        let (mut listing, mut names, mut is_ours) = (Listing::default(), Taken::default(), false);
        let (mut ours, mut strangers) = (Vec::new(), Vec::new());
        for part in parts {
            is_ours |= part.own.iter().any(|(entry, _)| entry.origin.is_none());
            if !listing.add_part(part.own, part.status, &mut names) {
                return Ok(Listed::Found(listing));
            }
            let (own, others): (Vec<_>, Vec<_>) = part.remotes.into_iter().partition(|row| row.settings.is_ours);
            ours.extend(own);
            strangers.push(others);
        }
        let has_own = !names.is_empty();
        is_ours |= self.offer(&ours, &names, &mut listing)?;
        let mut is_found = is_ours;
        for remotes in &strangers {
            is_found = is_found || self.offer(remotes, &names, &mut listing)?;
        }
        listing.settle();
        Ok(if has_own || is_found { Listed::Found(listing) } else { Listed::Unknown })
    }

    /// Adds what remotes have under names that the store hasn't; each remote's, since one may lie. Returns whether any has the project.
    fn offer(&self, remotes: &[RemoteRow], names: &Taken, listing: &mut Listing) -> Result<bool> {
        let mut is_found = false;
        for remote in remotes {
            if let RemoteAnswer::Files(files) = self.ask(remote, listing, |file| self.is_offered(remote, file))? {
                is_found = true;
                let files = files.into_iter().filter_map(|mut file| names.admits(&mut file).then_some(file));
                listing.files.extend(files.map(|file| held(remote, self.variant, file)));
            }
        }
        Ok(is_found)
    }

    /// Of builds, ours; sources from anybody, strangers included where the project has an upstream.
    fn look_for_sources(&self, parts: Vec<Part>) -> Result<Listed> {
        let (mut listing, mut names, mut remotes) = (Listing::default(), Taken::default(), Vec::new());
        for part in parts {
            if !listing.add_part(part.own, part.status, &mut names) {
                return Ok(Listed::Found(listing));
            }
            remotes.extend(part.remotes.into_iter().map(|remote| (remote, part.is_foreign)));
        }
        // Ours first, and of strangers the nearest that has it.
        remotes.sort_by_key(|(remote, _)| !remote.settings.is_ours);
        let (mut is_found, mut has_stranger) = (!names.is_empty(), false);
        for (remote, is_foreign) in &remotes {
            let is_ours = remote.settings.is_ours;
            if !is_ours && has_stranger {
                continue;
            }
            let is_builder = is_ours && !is_foreign;
            let is_meant = |file: &ListedFile| match file.name.kind() {
                Kind::Sdist => self.reach.block(remote, file).is_none(),
                Kind::Wheel => is_builder && self.is_offered(remote, file),
            };
            match self.ask(remote, &mut listing, is_meant)? {
                RemoteAnswer::Absent => {}
                RemoteAnswer::Files(files) => {
                    has_stranger |= !is_ours;
                    is_found = true;
                    listing.add_remote(remote, self.variant, files, &mut names);
                }
                RemoteAnswer::Failed => listing.is_incomplete = true,
            }
        }
        listing.settle();
        Ok(match (is_found, listing.is_incomplete) {
            (true, _) => Listed::Found(listing),
            (false, true) => Listed::Unavailable(listing.notes),
            (false, false) => Listed::Unknown,
        })
    }

    /// Tells whether a remote's file is for the variant.
    fn is_offered(&self, remote: &RemoteRow, file: &ListedFile) -> bool {
        self.reach.file_objection(remote, file).is_none()
    }

    /// Asks a remote for the files that are meant, and adds what it says beside them. A page without any is no project: groups of
    /// repositories answer so for every name that they lack, and it must not hide what somebody farther away has.
    fn ask(
        &self,
        remote: &RemoteRow,
        listing: &mut Listing,
        is_meant: impl Fn(&ListedFile) -> bool,
    ) -> Result<RemoteAnswer> {
        Ok(match remote::look(self.ask, remote, self.project)? {
            RemoteLook::Excluded => RemoteAnswer::Absent,
            RemoteLook::Absent { until } => {
                listing.until(until);
                RemoteAnswer::Absent
            }
            RemoteLook::Files { mut files, until, note, status, has_changed } => {
                listing.is_outdated |= has_changed;
                let refusals = self.ask.store.manifest.refusals(remote.id, self.variant, self.ask.context.now)?;
                let is_refused = |file: &ListedFile| {
                    !refusals.is_empty() && {
                        let link = PublicUrl::from(&file.url).to_string();
                        refusals.iter().any(|row| row.is_about(file.name.as_str(), file.sha256.as_ref(), &link))
                    }
                };
                files.retain(|file| is_meant(file) && !is_refused(file));
                let is_quarantined = status.as_ref().is_some_and(|row| row.status == Status::Quarantined);
                listing.until(until);
                listing.notes.extend(note);
                if is_quarantined {
                    // It speaks for its own files, those that were pulled before included, and for no others.
                    listing.quarantined.push((remote.name.clone(), status));
                    return Ok(RemoteAnswer::Files(Vec::new()));
                }
                if files.is_empty() {
                    return Ok(RemoteAnswer::Absent);
                }
                listing.status = stricter(listing.status.take(), status);
                RemoteAnswer::Files(files)
            }
            RemoteLook::Failed { note, until } => {
                listing.until(until);
                listing.notes.push(note);
                RemoteAnswer::Failed
            }
        })
    }
}

/// What came of asking a remote.
enum RemoteAnswer {
    Absent,
    Files(Vec<ListedFile>),
    Failed,
}
