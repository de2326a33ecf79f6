//! `route`: where a variant's new distributions go.

mod decide;

pub use decide::{Accepting, Considered, Decision, Router, Rule};
