//! The pages for people: what they say, that they are sound HTML, that foreign text stays text, and how they look.

#![allow(clippy::unwrap_used, reason = "tests and their helpers may panic")]

#[path = "../support/mod.rs"]
mod support;

mod acts;
mod axe;
mod files;
mod found;
mod looks;
mod numbers;
mod projects;
mod shape;
mod site;
mod words;
