//! The protocol of the bytes: how files become blobs, and what is done about blobs whose bytes are missing or wrong.

pub(crate) mod deletion;
pub(crate) mod elsewhere;
pub(crate) mod evict;
pub mod health;
pub(crate) mod objects;
pub(crate) mod prune;
pub(crate) mod publish;
pub(crate) mod snapshot;
pub(crate) mod sweep;
