//! What a project needs, and whether it is there; and who needs the project. No remote is asked: what they said before counts.

use super::frame::scrolling;
use super::{outline, projects, words};
use crate::error::Result;
use crate::name::{ProjectName, RemoteName};
use crate::requirement::Dependency;
use crate::server::discretion::Discretion;
use crate::server::endpoint::ViewName;
use crate::server::{Server, pages};
use crate::store::Store;
use crate::supply::listing::{Ask, Asking, Listed, Recall, ViewFile};
use crate::wheel::DistributionFilename;
use crate::wheel::particulars::Particulars;
use maud::{Markup, html};
use pep440_rs::Version;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many requirements are judged.
const NEEDS: usize = 100;
/// So many projects that need one are told.
const NEEDED_BY: usize = 100;
/// What is known of a project's versions holds so long, in seconds, while no collection changes: remotes may say more meanwhile.
const SECONDS: i64 = 60;

/// A version that a view has.
#[derive(Debug, Clone)]
pub(super) struct Had {
    version: Version,
    /// The remote that alone has it.
    remote: Option<RemoteName>,
    is_yanked: bool,
}

/// The versions of a project, newest first, when they were looked up, and at which stamp of the view.
pub(super) type Versions = (u64, i64, Arc<Vec<Had>>);

/// What became of a requirement.
enum Met {
    Here(Version),
    Remote(Version, RemoteName),
    Wrong(Version),
    Missing,
    Address,
}

/// Shows what the newest version needs.
pub(super) fn section(
    server: &Server,
    store: &Store,
    view: &ViewName,
    said: &Particulars,
    discretion: &Discretion,
) -> Result<Markup> {
    let mut rows = Vec::new();
    let recall = Recall::default();
    for text in said.requires_dist.iter().take(NEEDS) {
        let Ok(dependency) = text.parse::<Dependency>() else {
            rows.push((text, None));
            continue;
        };
        let met = judge(server, store, view, &dependency, &recall)?;
        rows.push((text, Some((dependency, met))));
    }
    let body = html! {
        table {
            caption { "As its METADATA has it, judged by what " (view) " has" }
            thead {
                tr { th scope="col" { "Project" } th scope="col" { "State" } th scope="col" { "Versions" } th scope="col" { "Where" } }
            }
            tbody {
                @for (text, judged) in &rows {
                    tr {
                        @match judged {
                            Some((dependency, met)) => (row(dependency, met, discretion)),
                            None => { th.wrap scope="row" { (text) } td { span.mark.warn { "not understood" } } td {} td {} }
                        }
                    }
                }
            }
        }
    };
    Ok(html! {
        section aria-labelledby="needs" {
            h2 #needs { "Needs" }
            @if rows.is_empty() { p.quiet { "Nothing else." } } @else {
                (scrolling("dependencies", "What it needs", body))
                p.quiet { "Remotes are not asked for this page: what they said before counts." }
            }
            @if said.requires_dist.len() > NEEDS { p.quiet { (said.requires_dist.len() - NEEDS) " more" } }
        }
    })
}

fn row(dependency: &Dependency, met: &Met, discretion: &Discretion) -> Markup {
    let name = &dependency.name;
    let versions = dependency.specifiers.to_string();
    html! {
        th.wrap scope="row" {
            @if matches!(met, Met::Missing | Met::Address) { (name) } @else { a href={ "../" (name) "/" } { (name) } }
            @if !dependency.extras.is_empty() { "[" (dependency.extras.join(", ")) "]" }
        }
        td {
            @match met {
                Met::Here(version) => { span.mark.good { "here" } " " (version) }
                Met::Remote(version, remote) => { span.mark.plain { "remote" } " " (version) ", at " (discretion.subject(remote)) }
                Met::Wrong(version) => { span.mark.bad { "wrong version" } " " (version) " is the newest" }
                Met::Missing => span.mark.bad { "missing" },
                Met::Address => span.mark.warn { "from an address" },
            }
            @if dependency.is_extra() { " " span.mark.quiet { "only with an extra" } }
        }
        td { @if let Some(url) = &dependency.url { "at " (url) } @else if versions.is_empty() { "any" } @else { (versions) } }
        td.text { @if dependency.marker.is_always() { "everywhere" } @else { (dependency.marker) } }
    }
}

fn judge(server: &Server, store: &Store, view: &ViewName, dependency: &Dependency, recall: &Recall) -> Result<Met> {
    if dependency.url.is_some() {
        return Ok(Met::Address);
    }
    let had = versions(server, store, view, &dependency.name, recall)?;
    let spec = dependency.spec();
    let fits = |had: &&Had| spec.matches(&dependency.name, &had.version);
    // As installers choose: no yanked one and no pre-release, where there is another.
    let good = |had: &&Had| !had.is_yanked && !had.version.any_prerelease();
    let chosen = had.iter().filter(fits).find(good).or_else(|| had.iter().find(fits));
    Ok(match chosen {
        Some(Had { version, remote: None, .. }) => Met::Here(version.clone()),
        Some(Had { version, remote: Some(remote), .. }) => Met::Remote(version.clone(), remote.clone()),
        None => had.first().map_or(Met::Missing, |had| Met::Wrong(had.version.clone())),
    })
}

/// Returns the versions that a view has of a project, as far as is known without asking anybody; newest first, each once.
fn versions(
    server: &Server,
    store: &Store,
    view: &ViewName,
    project: &ProjectName,
    recall: &Recall,
) -> Result<Arc<Vec<Had>>> {
    let stamp = pages::stamp(server, view, server.stores.version()?)?.unwrap_or_default();
    let (now, key) = (server.now(), (view.clone(), project.clone()));
    let is_fresh = |(of, at, _): &Versions| *of == stamp && (0..SECONDS).contains(&(now - at));
    if let Some((_, _, had)) = server.people.versions.get(&key).filter(is_fresh) {
        return Ok(had);
    }
    let ask = Ask { asking: Asking::Remembered(recall), ..server.ask(store) };
    let files = match ask.listing(&view.shown(), project)? {
        Listed::Found(listing) => listing.files,
        Listed::Unknown | Listed::Unavailable(_) => Vec::new(),
    };
    let mut found: BTreeMap<Version, Had> = BTreeMap::new();
    for held in &files {
        let Ok(name) = DistributionFilename::parse(held.filename()) else { continue };
        let (remote, is_yanked) = match held {
            ViewFile::Local(entry) => (None, entry.yanked.is_some()),
            ViewFile::Remote(offer) => (Some(offer.remote.name.clone()), offer.file.yanked.is_some()),
        };
        let had = Had { version: name.version().clone(), remote, is_yanked };
        let before = found.entry(had.version.clone()).or_insert_with(|| had.clone());
        // One file that is here and offered is enough.
        if (had.is_yanked, had.remote.is_some()) < (before.is_yanked, before.remote.is_some()) {
            *before = had;
        }
    }
    let had: Arc<Vec<Had>> = Arc::new(found.into_values().rev().collect());
    server.people.versions.insert(key, (stamp, now, had.clone()));
    Ok(had)
}

/// Shows who needs a project, of what the view has.
pub(super) fn needed_by(server: &Server, store: &Store, view: &ViewName, project: &ProjectName) -> Result<Markup> {
    let outlines = outline::of_view(server, store, view)?;
    let listed = projects(server, view)?.unwrap_or_default();
    let mut found: BTreeMap<&ProjectName, (&Version, &str, bool)> = BTreeMap::new();
    for outline in &outlines {
        for (other, version, gist) in &outline.projects {
            let Some(need) = gist.needs.iter().filter(|need| need.project == *project).min_by_key(|need| need.is_extra)
            else {
                continue;
            };
            // A nearer collection's project counts, and one that the view hides is not told.
            if other != project && listed.binary_search(other).is_ok() {
                found.entry(other).or_insert((version, &need.text, need.is_extra));
            }
        }
    }
    let is_cut = outlines.iter().any(|outline| outline.is_cut);
    let body = html! {
        table {
            caption { "Projects of " (view) " whose newest version asks for it" }
            thead { tr { th scope="col" { "Project" } th scope="col" { "Version" } th scope="col" { "It asks for" } } }
            tbody {
                @for (other, (version, text, is_extra)) in found.iter().take(NEEDED_BY) {
                    tr {
                        th.wrap scope="row" { a href={ "../" (other) "/" } { (other) } }
                        td { (version) }
                        td.text { (text) @if *is_extra { " " span.mark.quiet { "only with an extra" } } }
                    }
                }
            }
        }
    };
    Ok(html! {
        section aria-labelledby="needed" {
            h2 #needed { "Needed by" }
            @if found.is_empty() { p.quiet { "No project here, as far as its newest version says." } }
            @else { (scrolling("needed-by", "Who needs it", body)) }
            @if found.len() > NEEDED_BY { p.quiet { (words::number((found.len() - NEEDED_BY) as u64)) " more" } }
            @if is_cut { p.quiet { "Not all projects were looked at: a collection has too many." } }
        }
    })
}
