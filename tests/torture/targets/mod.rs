//! Targets of the fuzzers: each does with any bytes what a stranger could have done, and panics where something is wrong.
//!
//! A target asserts what must hold for all bytes, not only that nothing panics: what is read prints back as what it is, two readers of
//! one thing agree, and memory stays within so much for each byte of the input. Two fuzzers call them: `fuzz.rs`, which runs in
//! `cargo test`, and cargo-fuzz by `fuzz/`, which is led by coverage.

mod archive;
mod config;
mod counted;
mod described;
mod filename;
mod forms;
mod locks;
mod metadata;
mod native;
mod osv;
mod pages;
mod records;
mod requests;
mod requirements;
mod revisions;
mod sdist;
mod second_zip;
mod signed;
mod site;
mod token;

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A target.
pub(crate) struct Target {
    /// What it is called, in `corpus/` and in `fuzz/`.
    pub(crate) name: &'static str,
    check: fn(&[u8]),
    /// The memory that an input may take: so many bytes in any case, and so many for each of its own.
    memory: (u64, u64),
    /// What inputs are made of.
    pub(crate) words: &'static [&'static str],
}

const MIB: u64 = 1 << 20;

/// All targets.
pub(crate) const ALL: &[Target] = &[
    Target { name: "filename", check: filename::check, memory: (MIB / 4, 256), words: filename::WORDS },
    Target { name: "zip", check: archive::check, memory: (20 * MIB, 64), words: archive::WORDS },
    Target { name: "metadata", check: metadata::check, memory: (MIB, 256), words: metadata::WORDS },
    Target { name: "native", check: native::check, memory: (32 * MIB, 64), words: native::WORDS },
    Target { name: "sdist", check: sdist::check, memory: (32 * MIB, 64), words: sdist::WORDS },
    Target { name: "html", check: pages::check_html, memory: (MIB, 256), words: pages::HTML_WORDS },
    Target { name: "json", check: pages::check_json, memory: (MIB, 256), words: pages::JSON_WORDS },
    Target { name: "requirements", check: requirements::check, memory: (MIB, 512), words: requirements::WORDS },
    Target { name: "config", check: config::check, memory: (MIB, 512), words: config::WORDS },
    Target { name: "token", check: token::check, memory: (MIB, 256), words: token::WORDS },
    Target { name: "signed", check: signed::check, memory: (MIB, 256), words: signed::WORDS },
    Target { name: "requests", check: requests::check, memory: (16 * MIB, 256), words: requests::WORDS },
    Target { name: "forms", check: forms::check, memory: (16 * MIB, 256), words: forms::WORDS },
    Target { name: "locks", check: locks::check, memory: (2 * MIB, 512), words: locks::WORDS },
    Target { name: "osv", check: osv::check, memory: (4 * MIB, 512), words: osv::WORDS },
    Target { name: "revisions", check: revisions::check, memory: (4 * MIB, 256), words: revisions::WORDS },
    Target { name: "records", check: records::check, memory: (16 * MIB, 512), words: records::WORDS },
    Target { name: "described", check: described::check, memory: (32 * MIB, 512), words: described::WORDS },
];

impl Target {
    /// Finds a target.
    pub(crate) fn named(name: &str) -> &'static Self {
        ALL.iter().find(|target| target.name == name).expect("it is one of the targets")
    }

    /// Does with an input all that the target does, and panics where anything is wrong.
    pub(crate) fn run(&self, input: &[u8]) {
        let held = counted::most_held(|| (self.check)(input));
        let most = self.memory.0 + self.memory.1 * input.len() as u64;
        assert!(held <= most, "{held} bytes of memory for an input of {}: at most {most}", input.len());
    }
}

thread_local! {
    static SEEN: RefCell<HashSet<u64>> = RefCell::default();
}

/// How much of a text counts.
const LETTERS: usize = 60;

/// Notes what an input led to: one that led to something new is worth keeping. Digits and what stands in quotes don't count.
pub(crate) fn saw(what: impl ToString) {
    let (what, mut hasher, mut quote) = (what.to_string(), DefaultHasher::new(), None);
    let mut letters = what.chars().filter(|letter| !letter.is_ascii_digit()).take(LETTERS);
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', Some(_)) => _ = letters.next(),
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '`', None) => quote = Some(letter),
            (_, None) => letter.hash(&mut hasher),
        }
    }
    SEEN.with_borrow_mut(|seen| seen.insert(hasher.finish()));
}

/// Takes all that was noted on this thread.
pub(crate) fn take_seen() -> HashSet<u64> {
    SEEN.take()
}
