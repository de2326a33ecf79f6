//! `/{view}/pypi/{project}/json`, or of a version `/{view}/pypi/{project}/{version}/json`: what mirrors and tools read of a project.

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
use crate::store::Store;
use crate::supply::listing::{Listed as ListedProject, ViewFile};
use crate::wheel::DistributionFilename;
use crate::wheel::fields::Fields;
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
    (project, version): (&ProjectName, Option<&Version>),
) -> Answer {
    made(server, request, view, project, version).unwrap_or_else(|error| failure(&error))
}

fn made(
    server: &Server,
    request: &Request,
    view: &ViewName,
    project: &ProjectName,
    asked: Option<&Version>,
) -> Result<Answer> {
    let store = server.stores.borrow()?;
    let shown = view.shown();
    // Taken first: what changes while it is made makes it an old one, which mirrors ask for again.
    let last_serial = serial(&store, &shown)?;
    let listing = match server.ask(&store).listing(&shown, project)? {
        ListedProject::Found(listing) => listing,
        ListedProject::Unknown => return Ok(plain(StatusCode::NOT_FOUND, unknown(view, Subject::Project(project)))),
        ListedProject::Unavailable(notes) => return discretion::unasked(server, request, &notes),
    };
    let _turn = server.wide_reads.hold(1);
    let mut files: BTreeMap<Version, Vec<LegacyFile>> = BTreeMap::new();
    for held in &listing.files {
        if let Some((version, file)) = file(held) {
            files.entry(version).or_default().push(file);
        }
    }
    let told = match asked {
        Some(asked) => files.get_key_value(asked),
        None => files.iter().next_back(),
    };
    if told.is_none() && asked.is_some() {
        return Ok(plain(StatusCode::NOT_FOUND, unknown(view, Subject::Project(project))));
    }
    let (version, urls) = told.map(|(version, files)| (version.to_string(), files.clone())).unwrap_or_default();
    let info = info(&store, project, version, &urls, &listing.files)?;
    let of_all = || files.into_iter().map(|(version, files)| (version.to_string(), files)).collect();
    let releases = asked.is_none().then(of_all);
    let document = LegacyProject { info, last_serial, releases, urls, vulnerabilities: [] };
    let mut bytes = Vec::new();
    legacy::project(&mut bytes, &document).map_err(fs::Error::at("write", "a page"))?;
    let mut answer = Answer::new(Body::Bytes(Bytes::from(bytes)));
    set(&mut answer, CONTENT_TYPE, "application/json");
    set(&mut answer, CACHE_CONTROL, super::ASK_ALWAYS);
    set(&mut answer, super::SERIAL, &last_serial.to_string());
    Ok(answer)
}

/// Returns what is said of a version: what the METADATA of one of its files says that the store has.
fn info(
    store: &Store,
    project: &ProjectName,
    version: String,
    urls: &[LegacyFile],
    held: &[ViewFile],
) -> Result<LegacyInfo> {
    let is_of_it = |held: &&ViewFile| urls.iter().any(|file| file.filename == held.filename());
    let digest = held.iter().filter(is_of_it).find_map(|held| match held {
        ViewFile::Local(entry) => entry.metadata_sha256,
        ViewFile::Remote(_) => None,
    });
    let bytes = digest.map(|digest| store.manifest.metadata(&digest)).transpose()?.flatten();
    let info = LegacyInfo {
        name: project.to_string(),
        version,
        requires_python: urls.iter().find_map(|file| file.requires_python.clone()),
        yanked: !urls.is_empty() && urls.iter().all(|file| file.yanked),
        yanked_reason: urls.iter().find_map(|file| file.yanked_reason.clone()),
        ..LegacyInfo::default()
    };
    Ok(match bytes {
        Some(bytes) => said(&Fields::read(&bytes), info),
        None => info,
    })
}

/// Adds what METADATA says.
fn said(fields: &Fields, info: LegacyInfo) -> LegacyInfo {
    let one = |name: &str| fields.one(name).map(str::to_owned);
    let all = |name: &str| Some(fields.all(name).to_vec()).filter(|values| !values.is_empty());
    let urls = fields.urls().into_iter().map(|(label, url)| (label.to_owned(), url.to_owned()));
    LegacyInfo {
        summary: one("summary"),
        requires_dist: all("requires-dist"),
        provides_extra: all("provides-extra"),
        author: one("author"),
        author_email: one("author-email"),
        maintainer: one("maintainer"),
        maintainer_email: one("maintainer-email"),
        license: one("license"),
        license_expression: one("license-expression"),
        license_files: all("license-file"),
        classifiers: fields.all("classifier").to_vec(),
        keywords: one("keywords"),
        home_page: one("home-page"),
        download_url: one("download-url"),
        project_urls: Some(urls.collect()).filter(|urls: &BTreeMap<_, _>| !urls.is_empty()),
        platform: one("platform"),
        dynamic: all("dynamic"),
        description: fields.description().unwrap_or_default().to_owned(),
        description_content_type: one("description-content-type"),
        ..info
    }
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
        upload_time: UploadTime(time).to_string().trim_end_matches('Z').to_owned(),
        upload_time_iso_8601: UploadTime(time).to_string(),
        yanked: yanked.is_some(),
        yanked_reason: yanked.filter(|reason| !reason.is_empty()),
    };
    Some((name.version().clone(), file))
}
