//! The torture: what breaks stores in the world, done to this one on purpose, again and again.
//!
//! In `cargo test` each part takes a small share, so that it stays alive; `tests/torture/run.sh` takes as long as it is told.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

mod clocks;
mod commands;
mod damage;
mod damage_kinds;
mod documents;
mod fuzz;
mod lab;
mod limits;
mod mutate;
mod operator;
mod power;
mod room;
mod served;
mod share;
mod stopped;
mod targets;
