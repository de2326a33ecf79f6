//! `/{view}/pypi/{project}/json`: what mirrors such as bandersnatch read of a project.

use super::render::serial;
use super::{Subject, unknown};
use crate::error::Result;
use crate::fs;
use crate::index::UploadTime;
use crate::index::legacy::{self, LegacyDigests, LegacyFile, LegacyInfo, LegacyProject};
use crate::name::ProjectName;
use crate::server::answer::{Body, failure, plain, set};
use crate::server::endpoint::ViewName;
use crate::server::{Answer, Request, Server, discretion};
use crate::supply::listing::{Listed as ListedProject, ViewFile};
use crate::wheel::DistributionFilename;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use pep440_rs::Version;
use std::collections::BTreeMap;

/// Answers with a project's document.
pub(in crate::server) fn document(
    server: &Server,
    request: &Request,
    view: &ViewName,
    project: &ProjectName,
) -> Answer {
    made(server, request, view, project).unwrap_or_else(|error| failure(&error))
}

fn made(server: &Server, request: &Request, view: &ViewName, project: &ProjectName) -> Result<Answer> {
    let store = server.stores.borrow()?;
    let shown = view.shown();
    // Taken first: what changes while it is made makes it an old one, which mirrors ask for again.
    let last_serial = serial(&store, &shown)?;
    let listing = match server.ask(&store).listing(&shown, project)? {
        ListedProject::Found(listing) => listing,
        ListedProject::Unknown => return Ok(plain(StatusCode::NOT_FOUND, unknown(view, Subject::Project(project)))),
        ListedProject::Unavailable(notes) => return discretion::unasked(server, request, &notes),
    };
    let mut files: BTreeMap<Version, Vec<LegacyFile>> = BTreeMap::new();
    for held in &listing.files {
        if let Some((version, file)) = file(held) {
            files.entry(version).or_default().push(file);
        }
    }
    let newest = files.iter().next_back().map(|(version, files)| (version.to_string(), files.clone()));
    let (version, urls) = newest.unwrap_or_default();
    let requires_python = urls.iter().find_map(|file| file.requires_python.clone());
    let info = LegacyInfo { name: project.to_string(), version, summary: None, requires_python };
    let releases = files.into_iter().map(|(version, files)| (version.to_string(), files)).collect();
    let mut bytes = Vec::new();
    legacy::project(&mut bytes, &LegacyProject { info, last_serial, releases, urls })
        .map_err(fs::Error::at("write", "a page"))?;
    let mut answer = Answer::new(Body::Bytes(Bytes::from(bytes)));
    set(&mut answer, CONTENT_TYPE, "application/json");
    set(&mut answer, CACHE_CONTROL, super::ASK_ALWAYS);
    set(&mut answer, super::SERIAL, &last_serial.to_string());
    Ok(answer)
}

/// Returns what a mirror needs of a file; `None`: a remote doesn't tell all of it.
fn file(held: &ViewFile) -> Option<(Version, LegacyFile)> {
    let name = DistributionFilename::parse(held.filename()).ok()?;
    let (size, time, requires_python, yanked) = match held {
        ViewFile::Local(entry) => {
            (Some(entry.size), Some(entry.uploaded_at), entry.requires_python.clone(), entry.yanked.clone())
        }
        ViewFile::Remote(offer) => {
            let file = &offer.file;
            (file.size, file.uploaded_at, file.requires_python.clone(), file.yanked.clone())
        }
    };
    let (sha256, size, time) = (held.sha256()?, size?, time?);
    let (packagetype, python_version) = match &name {
        DistributionFilename::Wheel(wheel) => ("bdist_wheel", wheel.python_tags().collect::<Vec<_>>().join(".")),
        DistributionFilename::Sdist(_) => ("sdist", "source".to_owned()),
    };
    let file = LegacyFile {
        filename: held.filename().to_owned(),
        url: format!("/packages/{sha256}/{}", crate::index::href(held.filename())),
        digests: LegacyDigests { sha256: sha256.to_string() },
        size,
        packagetype,
        python_version,
        requires_python,
        upload_time_iso_8601: UploadTime(time).to_string(),
        yanked: yanked.is_some(),
        yanked_reason: yanked.filter(|reason| !reason.is_empty()),
    };
    Some((name.version().clone(), file))
}
