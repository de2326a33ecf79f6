//! A content-addressed store for Python wheels.
//!
//! Each wheel is stored once, as a *blob* named by the BLAKE3 digest of its bytes. A *collection* is a set of references to
//! blobs, kept in a SQLite manifest; an index page, a directory tree or a list is only a *view* of a collection.
//!
//! The modules stand on floors: each imports only from floors below its own, which a test enforces (`tests/floors.rs`).
//! `docs/design.md` gives the words, the invariants and the protocol.

// Floor 0: vocabulary, and how much is taken from outside.
pub mod budget;
pub mod digest;
pub mod meter;
pub mod name;
pub mod requirement;
pub mod status;
pub mod units;
pub(crate) mod words;
// Floor 1: what is in a wheel; tokens; the only module that changes the disk.
pub mod fs;
pub mod signed;
pub(crate) mod tls;
pub mod token;
pub mod wheel;
// Floor 2: bytes; what is true; trees; pages.
pub mod blobs;
pub mod index;
pub mod manifest;
pub mod parallel;
pub mod share;
pub mod view;
// Floor 3: a store, opened; the client of other indexes.
pub mod remote;
pub mod store;
// Floor 4: one error for all commands; what every command is told.
pub mod context;
pub mod error;
// Floor 5: the protocol of the bytes.
pub mod keep;
// Floor 6: what views contain.
pub mod catalog;
// Floor 7: a file comes in.
pub mod intake;
// Floor 8: what remotes have.
pub mod supply;
// Floor 9: one verb a file.
pub mod ops;
// Floor 10: the index server.
pub mod server;

pub use error::{Error, ErrorKind};
pub use store::Store;
