//! `wcas serve` through its socket: what standards want byte by byte, what real clients make of it, and what an enemy may try.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod actions;
mod archives;
mod browsers;
mod builders;
mod cache;
mod chains;
mod clients;
mod discretion;
mod downloads;
mod files;
mod issuer;
mod load;
mod log;
mod names;
mod ownership;
mod pages;
mod peers;
mod publishing;
mod readers;
mod replaced;
mod room;
mod shares;
mod signed;
mod signed_remotes;
mod site;
mod tokens;
mod uploads;
mod upstreams;
mod waiting;
mod watch;
mod webhooks;
mod wide;
