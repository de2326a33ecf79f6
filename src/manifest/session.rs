//! Sessions of running writers, their holds, and what was hashed before.

use super::{BlobId, Result, Rows, State, Transaction};
use crate::digest::{Blake3, Sha256};
use crate::fs::Signature;
use rusqlite::{OptionalExtension, Row, named_params};

/// A running (or dead) writer.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Its identity: the name of its lock file and staging folder.
    pub id: String,
    /// The machine that it runs on.
    pub host: String,
    /// The boot of that machine.
    pub boot_id: String,
    /// Its process.
    pub pid: u32,
    /// Its command.
    pub command: String,
    /// When it started.
    pub started_at: i64,
}

/// A blob that was hashed from an unchanged file.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The row.
    pub blob: BlobId,
    /// The blob.
    pub blake3: Blake3,
    /// Its other digest.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// The state of its file.
    pub state: State,
    /// The inode of the blob's file.
    pub inode: Option<i64>,
    /// The modification time of the blob's file.
    pub modified_ns: Option<i64>,
    /// When the blob's bytes were last read: by verify, by an import, or when it came.
    pub read_at: i64,
}

impl Seen {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            blob: row.get(0)?,
            blake3: row.get(1)?,
            sha256: row.get(2)?,
            size: row.get::<_, i64>(3)?.cast_unsigned(),
            state: row.get(4)?,
            inode: row.get(5)?,
            modified_ns: row.get(6)?,
            read_at: row.get(7)?,
        })
    }
}

impl Rows {
    /// Returns all sessions.
    pub fn sessions(&self) -> Result<Vec<SessionRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM session ORDER BY started_at, id")?;
        let rows = statement.query_map([], |row| {
            Ok(SessionRow {
                id: row.get("id")?,
                host: row.get("host")?,
                boot_id: row.get("boot_id")?,
                pid: row.get("pid")?,
                command: row.get("command")?,
                started_at: row.get("started_at")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the blob that a file with this stat had when it was hashed.
    pub fn find_seen(&self, file: &Signature) -> Result<Option<Seen>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT b.id, b.blake3, b.sha256, b.size, f.state, f.inode, f.modified_ns, coalesce(f.verified_at, b.created_at)
             FROM seen s JOIN blob b ON b.id = s.blob_id JOIN file f ON f.id = s.blob_id
             WHERE s.device = :device AND s.inode = :inode AND s.size = :size AND s.modified_ns = :modified_ns
               AND s.changed_ns = :changed_ns",
        )?;
        let file = named_params! {
            ":device": file.device, ":inode": file.inode, ":size": file.size.cast_signed(),
            ":modified_ns": file.modified_ns, ":changed_ns": file.changed_ns,
        };
        Ok(statement.query_row(file, Seen::from_row).optional()?)
    }

    /// Returns the blob whose own file has this stat, if one has: what was imported by a hard link has it under two names. The
    /// device is the caller's to compare.
    pub fn find_own(&self, file: &Signature) -> Result<Option<Seen>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT b.id, b.blake3, b.sha256, b.size, f.state, f.inode, f.modified_ns, coalesce(f.verified_at, b.created_at)
             FROM file f JOIN blob b ON b.id = f.id
             WHERE f.size = :size AND f.inode = :inode AND f.modified_ns = :modified_ns AND f.state = 'live'",
        )?;
        let file = named_params! {
            ":size": file.size.cast_signed(), ":inode": file.inode, ":modified_ns": file.modified_ns,
        };
        Ok(statement.query_row(file, Seen::from_row).optional()?)
    }
}

impl Transaction<'_> {
    /// Records a running writer.
    pub fn insert_session(&self, session: &SessionRow) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO session(id, host, boot_id, pid, command, started_at) VALUES(:id, :host, :boot_id, :pid, :command, :at)",
        )?;
        statement.execute(named_params! {
            ":id": session.id, ":host": session.host, ":boot_id": session.boot_id, ":pid": session.pid,
            ":command": session.command, ":at": session.started_at,
        })?;
        Ok(())
    }

    /// Deletes a session; its holds go with it.
    pub fn delete_session(&self, id: &str) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM session WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Keeps a file for as long as the session lives.
    pub fn insert_hold(&self, session: &str, blob: BlobId) -> Result<()> {
        let sql =
            "INSERT INTO hold(session_id, blake3) SELECT ?1, blake3 FROM file WHERE id = ?2 ON CONFLICT DO NOTHING";
        let mut insert = self.conn.prepare_cached(sql)?;
        if insert.execute((session, blob))? == 0 && self.insert_absent_file(blob)? {
            insert.execute((session, blob))?;
        }
        Ok(())
    }

    /// Lets all blobs of a session go.
    pub fn delete_holds(&self, session: &str) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM hold WHERE session_id = ?1")?.execute([session])?;
        Ok(())
    }

    /// Remembers which blob an unchanged file has.
    pub fn set_seen(&self, file: &Signature, blob: BlobId) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO seen(device, inode, size, modified_ns, changed_ns, blob_id)
             VALUES(:device, :inode, :size, :modified_ns, :changed_ns, :blob)
             ON CONFLICT DO UPDATE SET size = excluded.size, modified_ns = excluded.modified_ns,
               changed_ns = excluded.changed_ns, blob_id = excluded.blob_id",
        )?;
        statement.execute(named_params! {
            ":device": file.device, ":inode": file.inode, ":size": file.size.cast_signed(),
            ":modified_ns": file.modified_ns, ":changed_ns": file.changed_ns, ":blob": blob,
        })?;
        Ok(())
    }
}
