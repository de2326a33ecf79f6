//! An upload's form: its fields and its file, in any order, and what can be told of them before the file is looked into.

use super::Piece;
use crate::digest::Sha256;
use crate::fs;
use crate::name::ProjectName;
use crate::server::Answer;
use crate::server::answer::{self, plain};
use crate::wheel::{DistributionFilename, Kind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use sha2::Digest as _;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

/// The fields that decide anything; all others are as the file says, and nobody needs them twice.
const FIELDS: [&str; 12] = [
    ":action",
    "protocol_version",
    "filename",
    "filetype",
    "name",
    "version",
    "md5_digest",
    "sha256_digest",
    "blake2_256_digest",
    "attestations",
    "direct",
    "size",
];
/// So much of a field is kept.
const MAX_FIELD_BYTES: usize = 64 << 10;
/// How new files in staging may be read.
const MODE: u32 = fs::FILE;

/// Why a form is not taken.
#[derive(Debug)]
pub(super) enum Fault {
    /// What is wrong with it, as a status and a text.
    Wrong(StatusCode, String),
    /// The server's disk.
    Disk(fs::Error),
}

impl Fault {
    fn bad(text: impl Into<String>) -> Self {
        Self::Wrong(StatusCode::BAD_REQUEST, text.into())
    }

    /// Says that a file is larger than what is taken.
    pub(super) fn too_large(max_bytes: u64) -> Self {
        let text = format!("the file is larger than the {max_bytes} bytes that are taken here");
        Self::Wrong(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// Returns the answer.
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Wrong(status, text) => plain(status, text),
            Self::Disk(error) => answer::failure(&error.into()),
        }
    }
}

/// A form as it came.
#[derive(Debug, Default)]
pub(super) struct Form {
    fields: HashMap<&'static str, Vec<u8>>,
    content: Option<Content>,
}

/// A file that a form names instead of having it.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) filename: String,
    pub(super) sha256: Sha256,
    /// Its size, where the client would put it into the bucket by itself, or has.
    pub(super) direct: Option<u64>,
}

/// The file of a form.
#[derive(Debug)]
struct Content {
    filename: String,
    size: u64,
    sums: Sums,
    lease: fs::Lease,
}

/// What clients may announce of a file.
#[derive(Debug, Default)]
struct Sums {
    md5: md5::Md5,
    sha256: sha2::Sha256,
    blake2: blake2::Blake2b256,
}

/// What the bytes of a piece belong to.
enum BytesOf {
    Field(&'static str),
    Content(File),
    Nothing,
}

impl Form {
    /// Reads a form; its file goes to `path`.
    pub(super) fn read(
        pieces: &mut dyn Iterator<Item = io::Result<Piece>>,
        path: &Path,
        max_bytes: u64,
    ) -> Result<Self, Fault> {
        let mut form = Self::default();
        let mut place = BytesOf::Nothing;
        for piece in pieces {
            match piece.map_err(|error| broken(&error, max_bytes))? {
                Piece::Field { name, filename } => place = form.begin(&name, filename, path)?,
                Piece::Data(bytes) => match &place {
                    BytesOf::Field(name) => form.add(name, &bytes)?,
                    BytesOf::Content(file) => form.write(file, path, &bytes, max_bytes)?,
                    BytesOf::Nothing => {}
                },
            }
        }
        Ok(form)
    }

    fn begin(&mut self, name: &str, filename: Option<String>, path: &Path) -> Result<BytesOf, Fault> {
        if name == "content" {
            if self.content.is_some() {
                return Err(Fault::bad("the form has more than one file: one upload takes one"));
            }
            let filename = filename.ok_or_else(|| Fault::bad("the form's content has no filename"))?;
            let file = fs::create_new(path, MODE).map_err(Fault::Disk)?;
            self.content =
                Some(Content { filename, size: 0, sums: Sums::default(), lease: fs::Lease::new(fs::parent(path)) });
            return Ok(BytesOf::Content(file));
        }
        let Some(known) = FIELDS.into_iter().find(|known| *known == name) else { return Ok(BytesOf::Nothing) };
        if self.fields.insert(known, Vec::new()).is_some() {
            return Err(Fault::bad(format!("the form has {known} more than once")));
        }
        Ok(BytesOf::Field(known))
    }

    fn add(&mut self, name: &'static str, bytes: &Bytes) -> Result<(), Fault> {
        let value = self.fields.entry(name).or_default();
        // Of attestations it only matters that there are any.
        if name == "attestations" && value.len() > 8 {
            return Ok(());
        }
        if value.len() + bytes.len() > MAX_FIELD_BYTES && name != "attestations" {
            return Err(Fault::bad(format!("the form's {name} is longer than {MAX_FIELD_BYTES} bytes")));
        }
        value.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, file: &File, path: &Path, bytes: &Bytes, max_bytes: u64) -> Result<(), Fault> {
        let content = self.content.as_mut().expect("its field began");
        content.size += bytes.len() as u64;
        if content.size > max_bytes {
            return Err(Fault::too_large(max_bytes));
        }
        content.lease.cover(content.size).map_err(Fault::Disk)?;
        content.sums.update(bytes);
        fs::append(file, path, bytes).map_err(Fault::Disk)
    }

    /// Returns a field's text, if it is there and not empty.
    fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        let text = std::str::from_utf8(value).map_err(|_| Fault::bad(format!("the form's {name} is not UTF-8")))?;
        Ok(Some(text.trim()).filter(|text| !text.is_empty()))
    }

    /// Checks what the form says of its file, and returns the filename.
    pub(super) fn check(mut self) -> Result<String, Fault> {
        self.check_action()?;
        let Some(content) = self.content.take() else { return Err(Fault::bad("the form has no file (content)")) };
        let Content { filename, sums, .. } = content;
        if filename.contains(['/', '\\']) {
            return Err(Fault::bad(format!("{filename:?} is a path: the filename alone is expected")));
        }
        self.check_name(&filename)?;
        sums.check(&self)?;
        if self.text("attestations")?.is_some_and(|text| text != "[]") {
            // PEP 740: who can't verify attestations must not take them.
            return Err(Fault::bad(
                "attestations can't be verified here: upload without them (uv publish --no-attestations; twine without --attestations)",
            ));
        }
        Ok(filename)
    }

    /// Returns the file that the form names by its digest instead of having it, if it is such a form.
    pub(super) fn reference(&self) -> Result<Option<Reference>, Fault> {
        if self.text(":action")? != Some("file_reference") {
            return Ok(None);
        }
        if self.content.is_some() {
            return Err(Fault::bad("a reference has no content: send :action=file_upload with it"));
        }
        let missing = |field: &str| Fault::bad(format!("a reference needs the field {field}"));
        let filename = self.text("filename")?.ok_or_else(|| missing("filename"))?.to_owned();
        self.check_name(&filename)?;
        let sha256 = self.text("sha256_digest")?.ok_or_else(|| missing("sha256_digest"))?;
        let sha256 =
            sha256.parse().map_err(|_| Fault::bad(format!("sha256_digest {sha256:?} is no SHA-256 digest")))?;
        Ok(Some(Reference { filename, sha256, direct: self.direct()? }))
    }

    fn direct(&self) -> Result<Option<u64>, Fault> {
        match self.text("direct")? {
            None | Some("no") => return Ok(None),
            Some("yes") => {}
            Some(other) => return Err(Fault::bad(format!("direct={other} means nothing: expected yes or no"))),
        }
        let size = self.text("size")?.and_then(|text| text.parse().ok());
        size.map(Some).ok_or_else(|| Fault::bad("direct=yes needs the field size, in bytes"))
    }

    fn check_action(&self) -> Result<(), Fault> {
        match self.text(":action")? {
            Some("file_upload") => {}
            Some("submit" | "doc_upload") => {
                let text = "projects need not be registered, and documents are not hosted: upload files";
                return Err(Fault::Wrong(StatusCode::GONE, text.to_owned()));
            }
            Some(other) => return Err(Fault::bad(format!("the form's :action {other:?} is not known here"))),
            None => {
                return Err(Fault::bad(
                    "the form has no :action: expected file_upload, or file_reference without content",
                ));
            }
        }
        match self.text("protocol_version")? {
            None | Some("1") => Ok(()),
            Some(other) => Err(Fault::bad(format!("protocol_version {other:?} is not known here: expected 1"))),
        }
    }

    fn check_name(&self, filename: &str) -> Result<(), Fault> {
        // The form says whose a file is, which an old sdist's name leaves open.
        let name = match self.text("name")?.and_then(|project| project.parse::<ProjectName>().ok()) {
            Some(project) => DistributionFilename::parse_of(filename, &project),
            None => DistributionFilename::parse(filename),
        };
        let name = name.map_err(|error| Fault::bad(crate::words::reason(&error)))?;
        if let DistributionFilename::Sdist(sdist) = &name
            && !sdist.is_of_today()
        {
            return Err(Fault::bad(format!(
                "{filename}: new sdists are .tar.gz or .zip files, as on the public index; an old one can be imported into the store"
            )));
        }
        let kind = match name.kind() {
            Kind::Wheel => "bdist_wheel",
            Kind::Sdist => "sdist",
        };
        let filename = name.as_str();
        if let Some(said) = self.text("filetype")?.filter(|said| *said != kind) {
            return Err(Fault::bad(format!("{filename} is no {said}: its filetype is {kind}")));
        }
        if let Some(said) = self.text("name")? {
            let project =
                said.parse::<ProjectName>().map_err(|error| Fault::bad(format!("the form's name: {error}")))?;
            if project != *name.project() {
                return Err(Fault::bad(format!("the form's name is {said}, and {filename} is {}", name.project())));
            }
        }
        if let Some(said) = self.text("version")? {
            let version = said.parse::<pep440_rs::Version>();
            let version = version.map_err(|error| Fault::bad(format!("the form's version {said:?}: {error}")))?;
            if version != *name.version() {
                let own = name.version();
                return Err(Fault::bad(format!("the form's version is {said}, and {filename} has {own}")));
            }
        }
        Ok(())
    }
}

impl Sums {
    fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
        self.blake2.update(bytes);
    }

    /// Compares each digest that the form gives.
    fn check(self, form: &Form) -> Result<(), Fault> {
        let found: [(&str, Vec<u8>); 3] = [
            ("md5_digest", self.md5.finalize().to_vec()),
            ("sha256_digest", self.sha256.finalize().to_vec()),
            ("blake2_256_digest", self.blake2.finalize().to_vec()),
        ];
        let mut is_vouched_for = false;
        for (field, own) in found {
            let Some(said) = form.text(field)? else { continue };
            is_vouched_for = true;
            // The public index's documents want MD5 in base64, and its clients send it in hexadecimal digits.
            let is_same =
                said.eq_ignore_ascii_case(&hex(&own)) || said.trim_end_matches('=') == URL_SAFE_NO_PAD.encode(&own);
            if !is_same {
                let own = hex(&own);
                return Err(Fault::bad(format!(
                    "the file that came has another {field}, {own}, than announced, {said:?}"
                )));
            }
        }
        if is_vouched_for {
            Ok(())
        } else {
            Err(Fault::bad(
                "the form has no digest of the file: expected sha256_digest, blake2_256_digest or md5_digest",
            ))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tells what went wrong on the way of a form.
fn broken(error: &io::Error, max_bytes: u64) -> Fault {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Fault::too_large(max_bytes),
        io::ErrorKind::TimedOut => {
            Fault::Wrong(StatusCode::REQUEST_TIMEOUT, format!("the upload came to a halt: {error}"))
        }
        io::ErrorKind::InvalidData => Fault::bad(format!("the form can't be read: {error}")),
        _ => Fault::bad(format!("the upload broke off: {error}")),
    }
}
