//! Signatures of revisions, with the texts that they are of.

use super::{CollectionId, Result, Rows, Scope, Transaction};
use crate::digest::Sha256;
use crate::signed::ListedFile;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use rusqlite::{OptionalExtension, Row, named_params};
use std::io::Read as _;

/// A signature of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRow {
    /// The revision.
    pub revision: i64,
    /// The digest of its text.
    pub digest: Sha256,
    /// The signed revision that the text names as the one before.
    pub previous: Option<i64>,
    /// The signature, armoured.
    pub signature: String,
    /// When it came, in seconds since 1970.
    pub signed_at: i64,
    /// The text; only the newest signature keeps it, for gc takes what a revision had.
    pub text: Option<String>,
}

impl SignatureRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let text: Option<Vec<u8>> = row.get("text")?;
        let inflated = text.map(|deflated| {
            let mut text = String::new();
            // What can't be inflated is no text that its digest fits: whoever asks finds out.
            let _ = DeflateDecoder::new(&deflated[..]).read_to_string(&mut text);
            text
        });
        Ok(Self {
            revision: row.get("revision")?,
            digest: row.get("digest")?,
            previous: row.get("previous")?,
            signature: row.get("signature")?,
            signed_at: row.get("signed_at")?,
            text: inflated,
        })
    }
}

impl Rows {
    /// Returns the newest signature of a collection, of no newer revision than this.
    pub fn newest_signature(&self, collection: CollectionId, until: i64) -> Result<Option<SignatureRow>> {
        let sql = "SELECT * FROM revision_signature WHERE collection_id = ?1 AND revision <= ?2
                   ORDER BY revision DESC LIMIT 1";
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.query_row((collection, until), SignatureRow::from_row).optional()?)
    }

    /// Returns the files of a collection, sorted by name.
    pub fn listed_files(&self, collection: CollectionId, scope: Scope) -> Result<Vec<ListedFile>> {
        let revision = match scope {
            Scope::Live => i64::MAX,
            Scope::At(revision) => revision,
        };
        let mut statement = self.conn.prepare_cached(
            "SELECT e.filename, b.sha256, b.size, e.yanked FROM entry e JOIN blob b ON b.id = e.blob_id
             WHERE e.collection_id = ?1 AND e.added <= ?2 AND (e.removed IS NULL OR e.removed > ?2)",
        )?;
        let rows = statement.query_map((collection, revision), |row| {
            Ok(ListedFile {
                filename: row.get(0)?,
                sha256: row.get(1)?,
                size: row.get::<_, i64>(2)?.cast_unsigned(),
                yanked: row.get(3)?,
            })
        })?;
        let mut files: Vec<ListedFile> = rows.collect::<rusqlite::Result<_>>()?;
        files.sort_unstable_by(|a, b| a.filename.cmp(&b.filename));
        Ok(files)
    }
}

impl Transaction<'_> {
    /// Keeps a signature; an earlier one of the same revision goes, and the texts of older ones do.
    pub fn insert_signature(&self, collection: CollectionId, row: &SignatureRow) -> Result<()> {
        let mut deflated = Vec::new();
        let text = row.text.as_deref().unwrap_or_default();
        // Reading from memory doesn't fail.
        let _ = DeflateEncoder::new(text.as_bytes(), Compression::fast()).read_to_end(&mut deflated);
        let sql = "UPDATE revision_signature SET text = NULL WHERE collection_id = ?1 AND text IS NOT NULL";
        self.conn.prepare_cached(sql)?.execute([collection])?;
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO revision_signature(collection_id, revision, digest, previous, signature, signed_at, text)
             VALUES(:collection, :revision, :digest, :previous, :signature, :signed_at, :text)
             ON CONFLICT DO UPDATE SET digest = excluded.digest, previous = excluded.previous,
               signature = excluded.signature, signed_at = excluded.signed_at, text = excluded.text",
        )?;
        statement.execute(named_params! {
            ":collection": collection, ":revision": row.revision, ":digest": row.digest, ":previous": row.previous,
            ":signature": row.signature, ":signed_at": row.signed_at, ":text": deflated,
        })?;
        Ok(())
    }
}
