//! What another process does at the worst moment: between two steps of a command, where its progress is told.

use crate::sandbox::{KILLED, Sandbox};
use crate::state;
use crate::support::Wheel;
use std::collections::BTreeSet;
use std::fs;
use wcas::context::{Context, Progress};
use wcas::intake::ImportOptions;
use wcas::manifest::Retention;
use wcas::ops;
use wcas::ops::gc::GcOptions;
use wcas::ops::verify::VerifyOptions;

/// Does something when a command starts its long work.
struct Meanwhile<F>(F);

impl<F: Fn() + Sync> Progress for Meanwhile<F> {
    fn start(&self, _what: &str, _total: u64) {
        self.0();
    }

    fn add(&self, _done: u64) {}

    fn finish(&self) {}
}

fn check_sound(sandbox: &Sandbox) {
    let none = BTreeSet::new();
    assert_eq!(state::unsound(&sandbox.store(), &none), Vec::<String>::new());
    assert_eq!(state::problems(&sandbox.store()), none);
}

/// Makes a store with one wheel, which is in the collection `shared`.
fn prepare(sandbox: &Sandbox) -> String {
    Wheel::new("alpha", "1.0").payload(2000, 1).write_to(sandbox.path("src/one"));
    Wheel::new("alpha", "1.0").payload(2000, 2).write_to(sandbox.path("src/two"));
    sandbox.ok(&["import", "src/one"]);
    state::blob_files(&sandbox.store()).into_keys().next().expect("the wheel was imported")
}

/// Takes the wheel away and lets another one have its row's number, if numbers are used again.
fn put_another_in_its_place(sandbox: &Sandbox) {
    sandbox.ok(&["invalidate", "alpha"]);
    state::collect(&sandbox.store(), 0);
    sandbox.ok(&["import", "src/two"]);
}

#[test]
fn gc_spares_a_blob_that_came_back_after_a_killed_gc_had_condemned_it() {
    if cfg!(not(debug_assertions)) {
        crate::support::skip("there are no fault points in a release build");
        return;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    sandbox.ok(&["invalidate", "alpha"]);
    sandbox.save();
    let is_condemned = |number: &i32| {
        sandbox.restore();
        let killed = sandbox.run(Some(&format!("kill@{number}")), &["gc", "--grace", "0s"]);
        assert_eq!(killed.code, KILLED, "gc condemns the blob at some point");
        let store = state::open(&sandbox.store()).expect("there is a store");
        !store.manifest.deleting().expect("rows can be read").is_empty()
    };
    let _ = (1..).find(is_condemned);
    let progress = Meanwhile(|| sandbox.ok(&["import", "src/one"]));
    let store = state::open(&sandbox.store()).expect("there is a store");
    let rules = Retention::default();
    let options =
        GcOptions { dry_run: false, grace: 0, rules, collections: Vec::new(), cache_size: None, max_duration: None };
    ops::gc::gc(&store, &Context { progress: &progress, ..state::context() }, &options).expect("gc succeeds");
    assert_eq!(state::listing(&sandbox.store()).len(), 1);
    check_sound(&sandbox);
}

#[test]
fn verify_takes_no_other_blob_for_one_that_gc_took_meanwhile() {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let store = state::open(&sandbox.store()).expect("there is a store");
    let progress = Meanwhile(|| put_another_in_its_place(&sandbox));
    let context = Context { progress: &progress, ..state::context() };
    let report = ops::verify::verify(&store, &context, &VerifyOptions::default()).expect("verify succeeds");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    check_sound(&sandbox);
}

#[test]
fn an_import_takes_no_other_blob_for_one_that_gc_took_meanwhile() {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let source = sandbox.path("src/one/alpha-1.0-py3-none-any.whl");
    // A file that changed just now is not recognised: its times prove nothing.
    let age =
        || fs::metadata(&source).expect("it is there").modified().expect("it has a time").elapsed().unwrap_or_default();
    while age().as_millis() < 300 {
        std::thread::yield_now();
    }
    sandbox.ok(&["import", "src/one"]);
    let store = state::open(&sandbox.store()).expect("there is a store");
    let progress = Meanwhile(|| put_another_in_its_place(&sandbox));
    let context = Context { progress: &progress, ..state::context() };
    let options = ImportOptions {
        target: wcas::intake::Target::Collection("cuda".parse().expect("it is a name")),
        link: wcas::blobs::LinkMode::Copy,
        keep_existing: false,
        trust: wcas::wheel::Trust::Neither,
    };
    let (sources, ..) = wcas::intake::find_sources(std::slice::from_ref(&source), None);
    let report = wcas::intake::import(&store, &context, sources, &options).expect("the import succeeds");
    let sha256 = state::sha256(&fs::read(&source).expect("it is there"));
    assert_eq!(report.distributions[0].sha256.to_string(), sha256);
    let listing = state::listing(&sandbox.store());
    assert!(listing.iter().any(|line| line.starts_with("cuda ") && line.contains(&sha256)), "{listing:?}");
    check_sound(&sandbox);
}

#[test]
fn a_tree_that_another_store_made_is_taken_over() {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    Wheel::new("beta", "1.0").write_to(sandbox.path("src/two"));
    for layout in ["simple", "flat"] {
        let args = ["view", "--to", "views/x", "--layout", layout];
        sandbox.ok(&args);
        fs::remove_dir_all(sandbox.store()).expect("a store can be removed");
        sandbox.ok(&["import", "src/two"]);
        sandbox.ok(&args);
        assert!(state::tree(&sandbox.path("views/x")).keys().any(|path| path.contains("beta")));
        sandbox.ok(&["view", "--remove", "views/x"]);
        assert!(state::tree(&sandbox.path("views/x")).is_empty());
    }
}
