//! What a collection's guard may be told: the accelerators that wheels can be bound to.

use crate::error::{Error, Result};

/// The accelerators that a guard knows.
pub const ACCELERATORS: [&str; 4] = ["cuda", "rocm", "oneapi", "gaudi"];

/// Checks names of accelerators; returns each once, in a fixed order.
pub fn check_accelerators(names: Vec<String>) -> Result<Vec<String>> {
    if let Some(unknown) = names.iter().find(|name| !ACCELERATORS.contains(&name.as_str())) {
        let known = ACCELERATORS.join(", ");
        return Err(Error::Refused(format!("{unknown:?} is no accelerator that this wcas knows: {known}")));
    }
    let listed = ACCELERATORS.iter().filter(|known| names.iter().any(|name| name == *known));
    Ok(listed.map(|name| (*name).to_owned()).collect())
}
