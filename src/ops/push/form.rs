//! The form that goes with a file: the fields that twine sends, as far as the store knows them.

use crate::digest::Sha256;
use crate::fs;
use crate::manifest::Entry;
use crate::wheel::{Kind, Metadata};
use sha2::Digest as _;
use std::fs::File;
use std::path::Path;

/// The format of metadata that is claimed where none is known.
const METADATA_VERSION: &str = "2.1";

/// The digests that a form carries, of the bytes as they are now.
#[derive(Debug)]
pub(super) struct Sums {
    md5: String,
    pub(super) sha256: Sha256,
    blake2: String,
}

impl Sums {
    /// Reads a file to its end.
    pub(super) fn of(file: &File, path: &Path) -> fs::Result<Self> {
        let (mut md5, mut sha256, mut blake2) =
            (md5::Md5::default(), sha2::Sha256::default(), blake2::Blake2b256::default());
        fs::read_parts(file, path, |part| {
            md5.update(part);
            sha256.update(part);
            blake2.update(part);
            Ok(())
        })?;
        let (md5, blake2) = (hex(&md5.finalize()), hex(&blake2.finalize()));
        Ok(Self { md5, sha256: Sha256::from_bytes(sha256.finalize().into()), blake2 })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A form's fields, in order; a name may be there several times.
pub(super) type Fields = Vec<(&'static str, String)>;

/// Returns the fields of the question whether a server has a file.
pub(super) fn reference(entry: &Entry) -> Fields {
    vec![
        (":action", "file_reference".to_owned()),
        ("protocol_version", "1".to_owned()),
        ("filename", entry.filename.clone()),
        ("name", entry.project.to_string()),
        ("version", entry.version.clone()),
        ("sha256_digest", entry.sha256.to_string()),
    ]
}

/// Returns the fields that go before a file.
pub(super) fn upload(entry: &Entry, metadata: Option<&Metadata>, sums: &Sums) -> Fields {
    let (filetype, pyversion) = match entry.kind {
        Kind::Wheel => ("bdist_wheel", entry.tags.split('-').next().unwrap_or_default()),
        Kind::Sdist => ("sdist", "source"),
    };
    let known = |text: Option<&String>, default: &str| text.cloned().unwrap_or_else(|| default.to_owned());
    let mut fields = vec![
        (":action", "file_upload".to_owned()),
        ("protocol_version", "1".to_owned()),
        ("filetype", filetype.to_owned()),
        ("pyversion", pyversion.to_owned()),
        ("metadata_version", known(metadata.and_then(|metadata| metadata.metadata_version.as_ref()), METADATA_VERSION)),
        ("name", known(metadata.map(|metadata| &metadata.name), entry.project.as_str())),
        ("version", known(metadata.map(|metadata| &metadata.version), &entry.version)),
    ];
    if let Some(metadata) = metadata {
        fields.extend(metadata.summary.clone().map(|summary| ("summary", summary)));
        fields.extend(metadata.requires_python.clone().map(|python| ("requires_python", python)));
        fields.extend(metadata.requires_dist.iter().map(|requirement| ("requires_dist", requirement.clone())));
        fields.extend(metadata.provides_extra.iter().map(|extra| ("provides_extra", extra.clone())));
    }
    let Sums { md5, sha256, blake2 } = sums;
    fields.extend([
        ("md5_digest", md5.clone()),
        ("sha256_digest", sha256.to_string()),
        ("blake2_256_digest", blake2.clone()),
    ]);
    fields
}
