//! A filled store with a server on it, which tests that only read share.

use crate::support::{Env, Sdist, WcasServer, Wheel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use wcas::digest::{Digests, Sha256};

/// A store and its server.
pub(crate) struct Site {
    // It ends before the environment looks at what is left.
    pub(crate) server: WcasServer,
    pub(crate) env: Env,
}

/// What pip asks for pages with.
pub(crate) const PIP: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";
/// What uv asks with.
pub(crate) const UV: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";
/// What poetry asks with.
pub(crate) const POETRY: &str = "application/vnd.pypi.simple.v1+json, */*;q=0.1";
/// What fromager, by pypi-simple, asks with.
pub(crate) const FROMAGER: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.01";
/// What browsers ask with.
pub(crate) const BROWSER: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

pub(crate) const JSON: &str = "application/vnd.pypi.simple.v1+json";
pub(crate) const HTML_V1: &str = "application/vnd.pypi.simple.v1+html";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

impl Site {
    /// Serves an environment's store.
    pub(crate) fn of(env: Env, args: &[&str]) -> Self {
        let server = WcasServer::start(&env, args);
        Self { env, server }
    }

    /// Imports wheels into a collection.
    pub(crate) fn add(&self, collection: &str, wheels: &[Wheel]) {
        add(&self.env, collection, wheels);
    }

    /// Makes a token and returns it.
    pub(crate) fn token(&self, args: &[&str]) -> String {
        token(&self.env, args)
    }

    /// Ends the server well, and checks that the store is as it says it is.
    #[track_caller]
    pub(crate) fn end(self) -> Env {
        self.server.stop();
        whole(&self.env);
        self.env
    }
}

/// Makes a token and returns it.
pub(crate) fn token(env: &Env, args: &[&str]) -> String {
    let all = [&["token", "create"], args].concat();
    env.json(&all)["secret"].as_str().expect("a new token is shown").to_owned()
}

/// Imports wheels into a collection.
pub(crate) fn add(env: &Env, collection: &str, wheels: &[Wheel]) {
    let dir = env.path("wheels");
    let paths: Vec<String> =
        wheels.iter().map(|wheel| wheel.write_to(dir.join(collection)).to_str().unwrap().to_owned()).collect();
    let fixed = ["import", "--collection", collection].map(str::to_owned);
    env.ok(fixed.into_iter().chain(paths));
}

/// Checks that nothing is half done.
#[track_caller]
pub(crate) fn whole(env: &Env) {
    env.ok(["verify"]);
    env.ok(["doctor"]);
    let staged: Vec<_> = std::fs::read_dir(env.store().join("staging"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(staged.is_empty(), "staging is not empty: {staged:?}");
}

/// Returns a file's path on any server.
pub(crate) fn file_path(filename: &str, bytes: &[u8]) -> String {
    format!("/files/{}/{filename}", Sha256::of(bytes))
}

/// Returns the SHA-256 of bytes as hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digests::of(bytes).sha256.to_string()
}

/// The wheels of the shared site's collection `cuda`.
pub(crate) fn wheels() -> Vec<Wheel> {
    vec![
        Wheel::new("demo-app", "1.0").requires("demo-lib>=1").payload(60_000, 1),
        Wheel::new("demo-app", "2.0").requires("demo-lib>=1").payload(60_000, 2),
        Wheel::new("demo-app", "3.0+cu12").build("7_el9").requires("demo-lib").payload(60_000, 3),
        Wheel::new("demo-lib", "1.0").requires_python(">=3.8"),
        Wheel::new("demo-lib", "2.0").requires_python(">=3.8, <99"),
        Wheel::new("demo-lib", "2.5"),
        Wheel::new("demo-lib", "3.0rc1"),
        Wheel::new("demo-lib", "9.0").requires_python(">=99"),
        Wheel::new("Demo.Odd", "1.0").header("Summary", "<script>alert(1)</script>").requires_python(">=3.7,'<&\""),
        Wheel::new("demo-native", "1.0").tags("cp39-abi9-haiku_3_vax"),
        Wheel::new("demo-native", "1.0").build("2"),
        Wheel::new("demo-native", "1.0").build("10"),
    ]
}

/// Returns the site that tests share which change nothing.
pub(crate) fn shared() -> Arc<Site> {
    // Held weakly: nothing drops a static, and the server is to end with the last test.
    static SHARED: Mutex<Weak<Site>> = Mutex::new(Weak::new());
    let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(site) = known.upgrade() {
        return site;
    }
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let sdist = Sdist::new("demo-app", "0.5").write_to(env.path("wheels"));
    let old = Sdist::new("demo-lib", "0.1").write_to(env.path("wheels"));
    env.ok(["import", "--collection", "cuda", sdist.to_str().unwrap(), old.to_str().unwrap()]);
    env.ok(["yank", "demo-lib==2.5", "--reason", "bad <link> & \"quotes\"", "--collection", "cuda"]);
    add(&env, "rocm", &[Wheel::new("demo-app", "1.0").requires("demo-lib>=1").payload(60_000, 77)]);
    let site = Arc::new(Site::of(env, &[]));
    *known = Arc::downgrade(&site);
    site
}
