//! What is said of a test that can't be done here.

#![allow(dead_code, reason = "each test crate uses its own part")]

use std::fmt::Display;
use std::io::Write;
use std::thread;

/// Says that a test, or a part of it, is not done, and why. Not by `eprintln!`, which the test harness swallows when a test passes:
/// then nobody would know.
pub(crate) fn skip(why: impl Display) {
    let thread = thread::current();
    let line = format!("SKIPPED {}: {why}\n", thread.name().unwrap_or("a test"));
    drop(std::io::stderr().write_all(line.as_bytes()));
}
