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
        Self::with(env, upstream, anonymous, |_| {})
    }

    /// The same, with other options.
    pub(crate) fn with(
        env: Env,
        upstream: Upstream,
        anonymous: Anonymous,
        set: impl FnOnce(&mut ServerOptions),
    ) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut options = ServerOptions {
            store: env.store(),
            anonymous,
            base_path: String::new(),
            max_upload_bytes: 1 << 20,
            redirect: None,
            takes_direct: false,
            has_actions: false,
            clock: Arc::new(move || now.cast_signed()),
            random: || Ok([7; 32]),
            actor: wcas::manifest::Actor::default(),
        };
        set(&mut options);
        let server = Server::new(options, LazyClient::new(ClientOptions::default())).unwrap();
        Self { env, server, _upstream: upstream }
    }

    /// Serves a store with something of everything.
    pub(crate) fn full() -> Self {
        let (env, upstream) = Self::filled();
        Self::of(env, upstream, Anonymous::Read)
    }

    /// Makes a store with something of everything.
    pub(crate) fn filled() -> (Env, Upstream) {
        let (env, upstream) = (Env::new(), upstream());
        fill(&env, &upstream);
        (env, upstream)
    }

    /// Ends the server, and gives the store back.
    pub(crate) fn into_env(self) -> Env {
        drop(self.server);
        self.env
    }

    pub(crate) fn ask(&self, path: &str, headers: &[(http::HeaderName, &str)]) -> Got {
        let mut request = request(Method::GET, path, headers);
        request.body_mut().is_secure = true;
        Got::read(self.server.respond(&request))
    }

    /// Asks over a way that nothing encrypts.
    pub(crate) fn ask_plainly(&self, path: &str, headers: &[(http::HeaderName, &str)]) -> Got {
        Got::read(self.server.respond(&request(Method::GET, path, headers)))
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
    atlas(env);
    for _ in 0..3 {
        env.run(["lookup", "torch==2.5.1+cu121", "--collection", "cuda"]);
        env.run(["lookup", "nothing", "--collection", "cuda"]);
        env.run(["lookup", "numpy", "--collection", "shared"]);
    }
}

/// A description with all that Markdown has, and what must not pass.
const README: &str = "# Atlas\n\n[![Build](https://ci.example/badge.svg)](https://ci.example/atlas) ![Logo](https://x.example/logo.png)\n\n\
<p align=\"center\"><img src=\"https://spy.example/pixel.gif\" onerror=\"alert(1)\"> <b>Maps of tensors</b></p>\n\n\
Read the [documentation](https://docs.example/atlas), write to <team@atlas.example>, and don't click [this](javascript:alert(1)).\n\n\
## Install\n\n```console\n$ pip install atlas  # with a line that is much, much, much longer than any telephone is wide, so that it has to be broken\n```\n\n\
| Platform | CUDA | ROCm | What else there is to say of a platform in a column that is wide |\n|---|---|---|---|\n| Linux | yes | `6.2` | much |\n| Windows | no | no | |\n\n\
### Features\n\n- *quick* and **small**\n- [x] done\n- [ ] to do\n  1. nested\n  2. lists\n\n> A quotation.\n\n<script>alert(2)</script>\n\nEnd.\n";

/// A project with builds for many platforms, requirements of every kind, and others that need it.
fn atlas(env: &Env) {
    let headers = [
        "Metadata-Version: 2.4",
        "Name: atlas",
        "Summary: Maps of tensors",
        "Author-email: Ann Atlas <ann@atlas.example>, team@atlas.example",
        "License-Expression: Apache-2.0 OR MIT",
        "License-File: LICENSE",
        "Keywords: maps,tensors",
        "Project-URL: Source, https://code.example/atlas",
        "Project-URL: Odd, javascript:alert(3)",
        "Home-page: https://atlas.example/",
        "Classifier: Topic :: Scientific/Engineering :: GIS",
        "Classifier: Programming Language :: Python :: 3",
        "Requires-Python: >=3.9",
        "Requires-Dist: numpy>=2",
        "Requires-Dist: idna==99; sys_platform == 'linux'",
        "Requires-Dist: none-such[fast]<2; extra == 'all'",
        "Requires-Dist: direct @ https://x.example/direct-1.0.tar.gz",
        "Requires-Dist: not a requirement",
        "Provides-Extra: all",
        "Description-Content-Type: text/markdown",
    ];
    let wheel = |version: &str, tags: &str, seed: u64| {
        let metadata = format!("{}\nVersion: {version}\n\n{README}", headers.join("\n"));
        Wheel::new("atlas", version)
            .tags(tags)
            .member(&format!("atlas-{version}.dist-info/METADATA"), metadata)
            .member(&format!("atlas-{version}.dist-info/sboms/atlas.cdx.json"), "{}")
            .payload(30_000, seed)
    };
    let mac = "cp312-cp312-macosx_11_0_arm64";
    import(
        env,
        "cuda",
        &[
            wheel("2.0+cu126", LINUX, 500).member("atlas/_C.so", elf_needing("libcudart.so.12")),
            wheel("2.0", LINUX, 509),
            wheel("2.0", "cp313-cp313-manylinux_2_28_x86_64", 501),
            wheel("2.0", mac, 502),
            wheel("2.0", "cp312-cp312-win_amd64", 503),
            wheel("1.1", LINUX, 504).build("3"),
            wheel("1.1", LINUX, 505),
            wheel("1.0", "py3-none-any", 506),
            Wheel::new("guide", "1.0").requires("atlas>=1; python_version >= '3.9'").payload(300, 507),
            Wheel::new("tour", "0.3").requires("atlas ; extra == 'maps'").payload(300, 508),
        ],
    );
    Sdist::new("atlas", "2.0").payload(20_000, 510).write_to(env.path("atlas-sdist"));
    env.ok(["import", "atlas-sdist", "--collection", "cuda"]);
    import(env, "rocm", &[wheel("2.1", "cp312-cp312-musllinux_1_2_x86_64", 511)]);
    env.ok(["yank", "atlas==1.0", "--reason", "its maps are wrong", "--collection", "cuda"]);
    env.ok(["block", "atlas==1.1", "--reason", "it leaks", "--collection", "cuda"]);
}
