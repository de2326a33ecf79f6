//! How a node of a shared store does.

use super::Examination;
use crate::keep::objects::{Fault, compare};
use crate::manifest::{BlobRow, version};
use crate::words::{counted, reason};
use serde::Serialize;

/// How a node does.
#[derive(Debug, Serialize)]
pub struct NodeState {
    /// Where the share is.
    pub url: String,
    /// Where the log is, if it isn't in the bucket.
    pub log: Option<String>,
    /// The node's number; `None`: it has not joined yet.
    pub node: Option<i64>,
    /// The newest record of the share's log that is known here.
    pub records: i64,
    /// The schema that its records are written in.
    pub schema: i64,
    /// Why the log can't be followed, if it can't.
    pub behind: Option<String>,
    /// How many objects of blobs the share has; `None`: they weren't listed.
    pub objects: Option<usize>,
    /// How many blobs have no object there, or one of another size.
    pub missing: Option<usize>,
}

impl Examination<'_> {
    /// Tells how a node does, whether it can follow its share, and whether that has what it should; `None`: it is none.
    pub(super) fn share(&mut self) -> Option<NodeState> {
        let share = self.store.share()?;
        let manifest = &self.store.manifest;
        let mut state = NodeState {
            url: share.url().to_owned(),
            log: share.log().map(str::to_owned),
            node: manifest.node().ok()?,
            records: manifest.place().ok()?.number,
            schema: manifest.log_schema().ok()?,
            behind: self.store.behind().map(str::to_owned),
            objects: None,
            missing: None,
        };
        if state.schema < version() {
            let detail =
                format!("the share's records have schema {} still, and this wcas has {}", state.schema, version());
            let advice = "what the older one can't say is refused; run `wcas upgrade` once all nodes have this version";
            self.note("share", None, detail, advice);
        }
        if let Some(why) = self.store.behind() {
            let detail = format!("the shared store's log can't be followed: {why}");
            let advice = "what is here can be read, and nothing can be written before the log can be followed again";
            self.problem("share", None, detail, advice);
        } else if self.store.is_writable() {
            // Who can't write doesn't follow the log: rows may be older than what is listed.
            match compare(self.store, share) {
                Ok(compared) => {
                    (state.objects, state.missing) = (Some(compared.objects), Some(compared.bad.len()));
                    self.objects(&compared.bad);
                }
                Err(error) => {
                    let detail = format!("the share can't be compared with what it should have: {}", reason(&error));
                    self.problem("share", None, detail, "see whether its objects can be listed with these credentials");
                }
            }
        }
        Some(state)
    }

    /// Tells of blobs that the share hasn't got.
    fn objects(&mut self, bad: &[(BlobRow, Fault)]) {
        let Some((first, _)) = bad.first() else { return };
        let names = self.store.manifest.filenames(first.id).unwrap_or_default().join(", ");
        let first = if names.is_empty() { first.blake3.to_string() } else { names };
        let detail = format!("{} that the share hasn't got whole: {first}", counted(bad.len(), "blob"));
        let advice = "`wcas verify --bucket --repair` on each node puts there again what that node has";
        self.problem("object", None, detail, advice);
    }
}
