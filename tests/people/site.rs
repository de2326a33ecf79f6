//! A store with something of everything, and a server on it.

use crate::support::{Env, Got, Reply, Sdist, Server as Upstream, Wheel, elf_needing, request};
use http::Method;
use http::header::{ACCEPT, HOST};
use std::sync::Arc;
use wcas::remote::{ClientOptions, LazyClient};
use wcas::server::{Anonymous, Server, ServerOptions};

/// Text of others that would do harm if it weren't escaped.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;";

const LINUX: &str = "cp312-cp312-manylinux_2_28_x86_64";

/// A store, and a server on it.
pub(crate) struct Site {
    // It ends before the environment looks at what is left.
    pub(crate) server: Server,
    pub(crate) env: Env,
    /// The index that the store pulls from.
    _upstream: Upstream,
}

impl Site {
    /// Serves an environment's store.
    pub(crate) fn of(env: Env, upstream: Upstream, anonymous: Anonymous) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let options = ServerOptions {
            store: env.store(),
            anonymous,
            base_path: String::new(),
            max_upload_bytes: 1 << 20,
            redirect: None,
            takes_direct: false,
            clock: Arc::new(move || now.cast_signed()),
            random: || Ok([7; 32]),
            actor: wcas::manifest::Actor::default(),
        };
        let server = Server::new(options, LazyClient::new(ClientOptions::default())).unwrap();
        Self { env, server, _upstream: upstream }
    }

    /// Serves a store with something of everything.
    pub(crate) fn full() -> Self {
        let (env, upstream) = (Env::new(), upstream());
        fill(&env, &upstream);
        Self::of(env, upstream, Anonymous::Read)
    }

    pub(crate) fn ask(&self, path: &str, headers: &[(http::HeaderName, &str)]) -> Got {
        let mut request = request(Method::GET, path, headers);
        request.body_mut().is_secure = true;
        Got::read(self.server.respond(&request))
    }

    /// Asks as a browser does.
    pub(crate) fn browse(&self, path: &str) -> Got {
        self.ask(path, &[(HOST, "wheels.example"), (ACCEPT, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")])
    }

    /// Returns a page that there is.
    pub(crate) fn page(&self, path: &str) -> String {
        let got = self.browse(path);
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        got.text().to_owned()
    }
}

/// An index with a project that nobody pulled yet, and one that says harmful things.
fn upstream() -> Upstream {
    let upstream = Upstream::start();
    let wheel = Wheel::new("einops", "0.8.0").payload(3000, 7);
    let link = upstream.wheel(&wheel.filename(), &wheel.bytes());
    upstream.route("/simple/einops/", Reply::html(format!("<!DOCTYPE html><title>x</title>{link}")));
    let bad = Wheel::new("evil", "1.0").payload(300, 8);
    let link = upstream.wheel(&bad.filename(), &bad.bytes());
    let yanked = HOSTILE.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let link = link.replace("<a ", &format!("<a data-yanked=\"{yanked}\" "));
    upstream.route("/simple/evil/", Reply::html(format!("<!DOCTYPE html><title>x</title>{link}")));
    upstream
}

fn import(env: &Env, collection: &str, wheels: &[Wheel]) {
    let dir = format!("in-{collection}-{}", wheels[0].filename());
    for wheel in wheels {
        wheel.write_to(env.path(&dir));
    }
    env.ok(["import", &dir, "--collection", collection]);
}

fn fill(env: &Env, upstream: &Upstream) {
    let common = || {
        vec![
            Wheel::new("numpy", "2.1.3").tags(LINUX).payload(300_000, 1),
            Wheel::new("idna", "3.10").payload(70_000, 2),
        ]
    };
    import(env, "shared", &common());
    import(env, "cuda", &common());
    import(env, "rocm", &[Wheel::new("idna", "3.10").payload(70_000, 3), common().remove(0)]);
    let torch = |version: &str, seed| {
        Wheel::new("torch", version)
            .tags(LINUX)
            .requires_python(">=3.9")
            .header("Summary", "Tensors and dynamic neural networks")
            .member("torch/_C.so", elf_needing("libcudart.so.12"))
            .payload(900_000, seed)
    };
    import(env, "cuda", &[torch("2.5.1+cu121", 4), torch("2.5.1+cu121", 5).build("2"), torch("2.4.0+cu121", 6)]);
    Sdist::new("torch", "2.5.1").payload(40_000, 9).write_to(env.path("in-sdist"));
    env.ok(["import", "in-sdist", "--collection", "cuda"]);
    import(env, "cuda", &[Wheel::new("gone", "1.0").payload(1000, 10)]);
    env.ok(["invalidate", "gone", "--collection", "cuda"]);
    let hostile = Wheel::new("hostile", "1.0").header("Summary", HOSTILE).payload(500, 11);
    import(env, "cuda", &[hostile, Wheel::new("closed", "1.0").payload(500, 12)]);
    env.ok(["yank", "hostile", "--reason", HOSTILE, "--collection", "cuda"]);
    env.ok(["collection", "status", "cuda", "hostile", "deprecated", "--reason", HOSTILE]);
    env.ok(["collection", "status", "cuda", "closed", "quarantined", "--reason", "it steals keys"]);
    let many: Vec<Wheel> =
        (0..130).map(|number| Wheel::new(&format!("plain-{number:03}"), "1.0").payload(200, 100 + number)).collect();
    import(env, "shared", &many);
    env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
    env.ok(["collection", "snapshot", "cuda", "release"]);
    env.ok(["route", "set", "cpu"]);
    env.ok(["remote", "add", "mirror", &upstream.url("/simple/"), "--collection", "cuda"]);
    env.ok(["remote", "add", "broken", &format!("{}/simple/", Upstream::nobody()), "--collection", "rocm"]);
    for _ in 0..3 {
        env.run(["lookup", "torch==2.5.1+cu121", "--collection", "cuda"]);
        env.run(["lookup", "nothing", "--collection", "cuda"]);
        env.run(["lookup", "numpy", "--collection", "shared"]);
    }
}
