//! JSON pages: PEP 691 with what PEP 592, 700, 714, 740 and 792 add.
//!
//! Keys that begin with an underscore are ours: PEP 700 leaves them to servers.

use super::{API_VERSION, File, Page, UploadTime};
use crate::digest::{Blake3, Sha256};
use pep440_rs::Version;
use serde::{Serialize, Serializer};
use std::io::{Result, Write};

/// Writes the page of a project.
pub fn project(out: &mut dyn Write, page: &Page<'_>) -> Result<()> {
    let project_status =
        page.status.map(|project| StatusJson { status: project.status.as_str(), reason: project.reason });
    write(
        out,
        &ProjectJson {
            meta: Meta::new(page.serial),
            name: page.name,
            project_status,
            versions: versions(page.offered()),
            files: Files(page),
        },
    )
}

/// Writes the root page: of each project its normalised name and, where it is known, a number that grows with its changes.
pub fn root<'a>(
    out: &mut dyn Write,
    serial: Option<u64>,
    projects: impl IntoIterator<Item = (&'a str, Option<i64>)>,
) -> Result<()> {
    let projects = projects.into_iter().map(|(name, last_serial)| ProjectName { name, last_serial }).collect();
    write(out, &RootJson { meta: Meta::new(serial), projects })
}

/// Writes one document for a whole collection: its projects, as the root page has them, and all files.
pub fn collection(out: &mut dyn Write, page: &Page<'_>) -> Result<()> {
    let mut projects: Vec<_> =
        page.offered().iter().map(|file| ProjectName { name: file.project, last_serial: None }).collect();
    projects.sort_unstable();
    projects.dedup();
    write(out, &CollectionJson { meta: Meta::new(page.serial), name: page.name, projects, files: Files(page) })
}

fn write(out: &mut dyn Write, document: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, document)?;
    out.write_all(b"\n")
}

/// Collects the versions of files, each text once, in the order of PEP 440; a text that is no version goes first.
fn versions<'a>(files: &[File<'a>]) -> Vec<&'a str> {
    let mut texts: Vec<&str> = files.iter().map(|file| file.version).collect();
    texts.sort_unstable();
    texts.dedup();
    // Stable: 1.0 and 1.00 are one version to PEP 440, and both texts stay, in the order of texts.
    texts.sort_by_cached_key(|text| text.parse::<Version>().ok());
    texts
}

#[derive(Serialize)]
struct Meta {
    #[serde(rename = "api-version")]
    api_version: &'static str,
    #[serde(rename = "_last-serial", skip_serializing_if = "Option::is_none")]
    last_serial: Option<u64>,
}

impl Meta {
    fn new(last_serial: Option<u64>) -> Self {
        Self { api_version: API_VERSION, last_serial }
    }
}

#[derive(Serialize)]
struct RootJson<'a> {
    meta: Meta,
    projects: Vec<ProjectName<'a>>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct ProjectName<'a> {
    name: &'a str,
    #[serde(rename = "_last-serial", skip_serializing_if = "Option::is_none")]
    last_serial: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ProjectJson<'a> {
    meta: Meta,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_status: Option<StatusJson<'a>>,
    versions: Vec<&'a str>,
    files: Files<'a>,
}

#[derive(Serialize)]
struct StatusJson<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct CollectionJson<'a> {
    meta: Meta,
    name: &'a str,
    projects: Vec<ProjectName<'a>>,
    files: Files<'a>,
}

struct Files<'a>(&'a Page<'a>);

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.offered().iter().map(FileJson::from))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FileJson<'a> {
    filename: &'a str,
    url: &'a str,
    hashes: Hashes,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_time: Option<UploadTime>,
    #[serde(rename = "_upload-time-source", skip_serializing_if = "Option::is_none")]
    upload_time_source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires_python: Option<&'a str>,
    // Under this name alone: PEP 714 tells servers to leave out the older one, which breaks old pips.
    #[serde(skip_serializing_if = "Option::is_none")]
    core_metadata: Option<CoreMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    yanked: Option<Yanked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<&'a str>,
    #[serde(rename = "_blake3", skip_serializing_if = "Option::is_none")]
    blake3: Option<Blake3>,
}

/// Always there, even when empty: uv refuses a file without it.
#[derive(Serialize)]
struct Hashes {
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256>,
}

/// The digest of the metadata, or `true` where it is there and its digest not known yet.
#[derive(Serialize)]
#[serde(untagged)]
enum CoreMetadata {
    Hashes(Hashes),
    Flag(bool),
}

/// A reason, or `true` for want of one: an empty reason would read as false.
#[derive(Serialize)]
#[serde(untagged)]
enum Yanked<'a> {
    Reason(&'a str),
    Flag(bool),
}

impl<'a> From<&'a File<'a>> for FileJson<'a> {
    fn from(file: &'a File<'a>) -> Self {
        Self {
            filename: file.filename,
            url: &file.url,
            hashes: Hashes { sha256: file.sha256 },
            size: file.size,
            upload_time: file.upload_time.map(UploadTime),
            upload_time_source: (file.is_first_seen && file.upload_time.is_some()).then_some("first-seen"),
            requires_python: file.requires_python,
            core_metadata: file.sidecar.map(|sidecar| match sidecar.sha256 {
                Some(sha256) => CoreMetadata::Hashes(Hashes { sha256: Some(sha256) }),
                None => CoreMetadata::Flag(true),
            }),
            yanked: file
                .yanked
                .map(|reason| if reason.is_empty() { Yanked::Flag(true) } else { Yanked::Reason(reason) }),
            provenance: file.secure_provenance(),
            blake3: file.blake3,
        }
    }
}

impl Serialize for UploadTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{HOSTILE, file, text};
    use super::super::{ProjectStatus, Status};
    use super::*;
    use crate::index::read::Sidecar;
    use serde_json::{Value, json};

    fn parse(page: &str) -> Value {
        serde_json::from_str(page).expect("pages are JSON")
    }

    #[test]
    fn a_project_page_has_exactly_the_keys_that_have_a_value() {
        let mut full = file("demo-1.0-py3-none-any.whl", "demo", "1.0");
        (full.requires_python, full.yanked) = (Some(HOSTILE), Some(HOSTILE));
        full.sidecar = Some(Sidecar { sha256: Some(Sha256::from_bytes([0x0f; 32])) });
        let mut yanked = file("demo-2.0.tar.gz", "demo", "2.0");
        yanked.yanked = Some("");
        let files = [full, file("demo-1.0.zip", "demo", "1.0"), yanked];
        let (sha256, blake3) = ("ab".repeat(32), "cd".repeat(32));
        let page = text(|out| project(out, &Page::new("demo", &files)));
        assert_eq!(
            parse(&page),
            json!({
                "meta": {"api-version": "1.4"},
                "name": "demo",
                "versions": ["1.0", "2.0"],
                "files": [
                    {
                        "filename": "demo-1.0-py3-none-any.whl", "url": "../../files/demo-1.0-py3-none-any.whl",
                        "hashes": {"sha256": sha256}, "size": 1234, "upload-time": "2024-12-31T23:59:59Z",
                        "requires-python": HOSTILE, "core-metadata": {"sha256": "0f".repeat(32)}, "yanked": HOSTILE, "_blake3": blake3,
                    },
                    {
                        "filename": "demo-1.0.zip", "url": "../../files/demo-1.0.zip",
                        "hashes": {"sha256": sha256}, "size": 1234, "upload-time": "2024-12-31T23:59:59Z", "_blake3": blake3,
                    },
                    {
                        "filename": "demo-2.0.tar.gz", "url": "../../files/demo-2.0.tar.gz",
                        "hashes": {"sha256": sha256}, "size": 1234, "upload-time": "2024-12-31T23:59:59Z", "yanked": true, "_blake3": blake3,
                    },
                ],
            })
        );
        assert!(!page.contains("null"));
    }

    #[test]
    fn f1_provenance_is_told_only_as_an_https_url() {
        for (url, is_told) in [("https://index.example/a", true), ("http://index.example/a", false), ("/a", false)] {
            let files = [File { provenance: Some(url), ..file("demo-1.0.zip", "demo", "1.0") }];
            let page = parse(&text(|out| project(out, &Page::new("demo", &files))));
            assert_eq!(page["files"][0].get("provenance"), is_told.then(|| json!(url)).as_ref());
        }
    }

    #[test]
    fn versions_are_unique_and_sorted_as_versions() {
        let texts =
            ["1.10", "1.9", "1.0+cu1", "1.0", "1.10", "1.0rc1", "1!0.1", "1.0.0", "2.0.dev1", "1.0.post1", "1.0"];
        let files: Vec<_> = texts.iter().map(|version| file("demo.zip", "demo", version)).collect();
        let sorted = ["1.0rc1", "1.0", "1.0.0", "1.0+cu1", "1.0.post1", "1.9", "1.10", "2.0.dev1", "1!0.1"];
        assert_eq!(versions(&files), sorted);
    }

    #[test]
    fn a_root_page_names_projects_and_its_serial() {
        let page = text(|out| root(out, Some(41), [("demo", Some(7)), ("torch", None)]));
        assert_eq!(
            page,
            "{\"meta\":{\"api-version\":\"1.4\",\"_last-serial\":41},\"projects\":[{\"name\":\"demo\",\"_last-serial\":7},{\"name\":\"torch\"}]}\n"
        );
        assert_eq!(text(|out| root(out, None, [])), "{\"meta\":{\"api-version\":\"1.4\"},\"projects\":[]}\n");
    }

    #[test]
    fn a_collection_names_each_project_once() {
        let files = [file("b-1.zip", "b", "1"), file("a-1.zip", "a", "1"), file("b-2.zip", "b", "2")];
        let page = parse(&text(|out| collection(out, &Page::new("cuda", &files))));
        assert_eq!(page["name"], "cuda");
        assert_eq!(page["projects"], json!([{"name": "a"}, {"name": "b"}]));
        let names: Vec<_> = page["files"].as_array().unwrap().iter().map(|file| &file["filename"]).collect();
        assert_eq!(names, ["b-1.zip", "a-1.zip", "b-2.zip"]);
    }

    #[test]
    fn a_page_in_quarantine_offers_no_file_and_says_why() {
        let files = [file("demo-1.0.zip", "demo", "1.0")];
        let status = Some(ProjectStatus { status: Status::Quarantined, reason: Some("malware") });
        let page = parse(&text(|out| project(out, &Page { status, ..Page::new("demo", &files) })));
        assert_eq!(page["project-status"], json!({"status": "quarantined", "reason": "malware"}));
        assert_eq!((&page["files"], &page["versions"]), (&json!([]), &json!([])));
    }
}
