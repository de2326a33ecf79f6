//! A store with a few files, and a server on it, in this process.

use super::metadata::stored;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use wcas::Store;
use wcas::blobs::LinkMode;
use wcas::context::Context;
use wcas::intake::{ImportOptions, Target};
use wcas::manifest::Actor;
use wcas::name::CollectionName;
use wcas::remote::{ClientOptions, LazyClient};
use wcas::server::{Anonymous, Server, ServerOptions};
use wcas::wheel::Trust;

/// A moment, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

pub(super) struct Site {
    pub(super) server: Arc<Server>,
    dir: TempDir,
}

impl Site {
    /// Makes a store whose collection `cuda` has a wheel and an sdist of demo.
    pub(super) fn new(anonymous: Anonymous) -> Self {
        let dir = TempDir::new().expect("a folder");
        let (root, source) = (dir.path().join("store"), dir.path().join("source"));
        std::fs::create_dir(&source).expect("a folder");
        std::fs::write(source.join("demo-1.0+cu121-py3-none-any.whl"), wheel()).expect("a file");
        std::fs::write(source.join("demo-0.9.zip"), stored(&[("demo-0.9/setup.py", b"x")])).expect("a file");
        Store::create(&root, None).expect("a store");
        let store = Store::open(&root).expect("a store");
        let target = Target::Collection("cuda".parse::<CollectionName>().expect("a name"));
        let options = ImportOptions { target, link: LinkMode::Copy, keep_existing: false, trust: Trust::Neither };
        let context = Context { now: NOW, who: "torture", jobs: 1, progress: &(), client: None };
        let (sources, _, _) = wcas::intake::find_sources(&[source], None);
        let report = wcas::intake::import(&store, &context, sources, &options).expect("an import");
        assert_eq!((report.distributions.len(), report.refused.len()), (2, 0));
        drop(store);
        Self { server: serve(root, anonymous), dir }
    }

    /// Returns the store.
    pub(super) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Returns the folder that its files came from.
    pub(super) fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }
}

fn serve(store: PathBuf, anonymous: Anonymous) -> Arc<Server> {
    let options = ServerOptions {
        store,
        anonymous,
        base_path: String::new(),
        max_upload_bytes: 1 << 20,
        redirect: None,
        takes_direct: false,
        has_actions: false,
        clock: Arc::new(|| NOW),
        random: || Ok([7; 32]),
        actor: Actor::default(),
    };
    Arc::new(Server::new(options, LazyClient::new(ClientOptions::default())).expect("a server"))
}

/// The wheel's bytes.
pub(super) fn wheel() -> Vec<u8> {
    let info = "demo-1.0+cu121.dist-info";
    stored(&[
        ("demo/__init__.py", b"version = '1.0'\n"),
        (&format!("{info}/METADATA"), b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0+cu121\n"),
        (&format!("{info}/WHEEL"), b"Wheel-Version: 1.0\n"),
        (&format!("{info}/RECORD"), b""),
    ])
}
