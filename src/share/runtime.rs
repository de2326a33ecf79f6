//! What waits for the answers of buckets and databases, for all of this process.

use super::{Error, Result};
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

/// Returns the runtime; it is started by the first who asks.
pub(super) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    let start = || {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("share").enable_all().build();
        runtime.map_err(|error| error.to_string())
    };
    RUNTIME.get_or_init(start).as_ref().map_err(|why| Error::Client(why.clone()))
}
