//! How a node of a shared store does.

use super::Examination;
use crate::error::Result;
use crate::store::Store;
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
    /// Why the log can't be followed, if it can't.
    pub behind: Option<String>,
}

/// Tells how a node does; `None`: it is none.
pub(super) fn state(store: &Store) -> Result<Option<NodeState>> {
    let Some(share) = store.share() else { return Ok(None) };
    Ok(Some(NodeState {
        url: share.url().to_owned(),
        log: share.log().map(str::to_owned),
        node: store.manifest.node()?,
        records: store.manifest.place()?.number,
        behind: store.behind().map(str::to_owned),
    }))
}

impl Examination<'_> {
    /// Tells of a node that can't follow its share.
    pub(super) fn share(&mut self) {
        if let Some(why) = self.store.behind() {
            let detail = format!("the shared store's log can't be followed: {why}");
            let advice = "what is here can be read, and nothing can be written before the log can be followed again";
            self.problem("share", None, detail, advice);
        }
    }
}
