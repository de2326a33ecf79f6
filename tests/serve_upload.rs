//! Uploads and tokens, asked in the process: what a form has to be, who may send one, and what is there afterwards.

#![allow(clippy::unwrap_used, reason = "tests and their helpers may panic")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use http::header::{ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use proptest::prelude::*;
use serde_json::Value;
use sha2::Digest as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use support::{Env, Got, Sdist, Wheel, request};
use wcas::digest::Sha256;
use wcas::remote::{ClientOptions, LazyClient};
use wcas::server::{Anonymous, Piece, Server, ServerOptions};

const MAX_BYTES: u64 = 200_000;

/// A store, and a server on it whose clock the test sets.
struct Site {
    // It ends before the environment looks at what is left.
    server: Server,
    env: Env,
    clock: Arc<AtomicI64>,
}

impl Site {
    /// A server on a store with the collections cuda and shared.
    fn new(anonymous: Anonymous) -> Self {
        let env = Env::new();
        let wheel = Wheel::new("known", "1.0").write_to(env.path("known"));
        for collection in ["cuda", "shared"] {
            env.ok(["import".as_ref(), wheel.as_os_str(), "--collection".as_ref(), collection.as_ref()]);
        }
        let clock = Arc::new(AtomicI64::new(1_800_000_000));
        let own = Arc::clone(&clock);
        let options = ServerOptions {
            store: env.store(),
            anonymous,
            base_path: String::new(),
            max_upload_bytes: MAX_BYTES,
            redirect: None,
            takes_direct: false,
            has_actions: false,
            clock: Arc::new(move || own.load(Ordering::Relaxed)),
            random: || Ok([7; 32]),
            actor: wcas::manifest::Actor::default(),
        };
        let server = Server::new(options, LazyClient::new(ClientOptions::default())).unwrap();
        Self { env, server, clock }
    }

    /// Creates a token and returns its secret.
    fn token(&self, args: &[&str]) -> String {
        let output = self.env.ok(["token", "create"].iter().chain(args));
        output.stdout.trim().to_owned()
    }

    fn get(&self, path: &str, headers: &[(HeaderName, &str)]) -> Got {
        let request = request(Method::GET, path, headers);
        Got::read(self.server.cached(&request).unwrap_or_else(|| self.server.respond(&request)))
    }

    fn post(&self, path: &str, headers: &[(HeaderName, &str)], form: Form) -> Got {
        let request = request(Method::POST, path, headers);
        if let Err(answer) = self.server.admit_upload(&request) {
            return Got::read(answer);
        }
        Got::read(self.server.upload(&request, &mut form.pieces(7000).into_iter()))
    }

    fn upload(&self, path: &str, form: Form) -> Got {
        self.post(path, &[], form)
    }

    /// The filenames that a page lists.
    fn files(&self, view: &str, project: &str) -> Vec<String> {
        let accept = "application/vnd.pypi.simple.v1+json";
        let got = self.get(&format!("/{view}/simple/{project}/"), &[(ACCEPT, accept)]);
        if got.status == 404 {
            return Vec::new();
        }
        let page: Value = serde_json::from_slice(&got.body).unwrap();
        page["files"].as_array().unwrap().iter().map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
    }

    fn revision(&self, collection: &str) -> i64 {
        let list = self.env.json(["collection", "list"]);
        let all = list["collections"].as_array().unwrap();
        all.iter().find(|row| row["name"] == collection).unwrap()["revision"].as_i64().unwrap()
    }

    /// Who made the newest revision.
    fn who(&self, collection: &str) -> String {
        let log = self.env.json(["collection", "log", collection]);
        log["revisions"][0]["who"].as_str().unwrap().to_owned()
    }

    fn staging(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.env.store().join("staging")).unwrap();
        names.map(|entry| entry.unwrap().path()).collect()
    }
}

fn basic(secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("__token__:{secret}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A form as twine sends it: fields first, the file last.
#[derive(Debug, Clone)]
struct Form(Vec<(String, Option<String>, Vec<u8>)>);

impl Form {
    fn of(filename: &str, bytes: &[u8], name: &str, version: &str) -> Self {
        let kind = if filename.ends_with(".whl") { "bdist_wheel" } else { "sdist" };
        let fields = [
            (":action", "file_upload"),
            ("protocol_version", "1"),
            ("metadata_version", "2.1"),
            ("name", name),
            ("version", version),
            ("filetype", kind),
            ("pyversion", "py3"),
            ("sha256_digest", &Sha256::of(bytes).to_string()),
            ("blake2_256_digest", &hex(&blake2::Blake2b256::digest(bytes))),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), None, value.as_bytes().to_vec()));
        let file = ("content".to_owned(), Some(filename.to_owned()), bytes.to_vec());
        Self(fields.chain([file]).collect())
    }

    fn wheel(wheel: &Wheel) -> Self {
        let name = wheel.filename();
        let mut parts = name.split('-');
        Self::of(&name, &wheel.bytes(), parts.next().unwrap(), parts.next().unwrap())
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(known, ..)| known != name);
        self.0.insert(0, (name.to_owned(), None, value.as_bytes().to_vec()));
        self
    }

    fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), None, value.as_bytes().to_vec()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, ..)| known != name);
        self
    }

    fn pieces(self, size: usize) -> Vec<io::Result<Piece>> {
        let mut pieces = Vec::new();
        for (name, filename, value) in self.0 {
            pieces.push(Ok(Piece::Field { name, filename }));
            pieces.extend(value.chunks(size).map(|chunk| Ok(Piece::Data(chunk.to_vec().into()))));
        }
        pieces
    }
}

fn demo() -> Wheel {
    Wheel::new("demo", "1.0").payload(50_000, 1)
}

#[test]
fn g1_g9_a_file_is_listed_and_can_be_had_as_soon_as_it_was_taken() {
    let site = Site::new(Anonymous::Upload);
    assert_eq!(site.files("cuda", "demo"), [""; 0]);
    let wheel = demo();
    let got = site.upload("/cuda/legacy/", Form::wheel(&wheel));
    got.is(200, &[&wheel.filename(), "cuda", &Sha256::of(&wheel.bytes()).to_string()]);
    assert_eq!(got.reason, None, "200 has its own words");
    assert_eq!(site.files("cuda", "demo"), [wheel.filename()]);
    let sdist = Sdist::new("demo", "2.0");
    site.upload("/cuda/legacy/", Form::of(&sdist.filename(), &sdist.bytes(), "demo", "2.0")).is(200, &[]);
    assert_eq!(site.files("cuda", "demo").len(), 2);
    let request = request(Method::GET, &format!("/files/{}/{}", Sha256::of(&wheel.bytes()), wheel.filename()), &[]);
    assert_eq!(site.server.respond(&request).status(), 200);
    assert_eq!(site.who("cuda"), "anonymous at 127.0.0.1");
    assert_eq!(site.staging(), [""; 0].map(PathBuf::from));
}

#[test]
fn g1_fields_come_in_any_order_and_more_than_once_where_they_may() {
    let site = Site::new(Anonymous::Upload);
    let wheel = demo();
    let mut form = Form::wheel(&wheel);
    form.0.reverse();
    let form = ["classifiers", "requires_dist", "project_urls", "unknown"]
        .iter()
        .fold(form, |form, name| form.and(name, "one").and(name, "two"))
        .and("attestations", "[]");
    let mut form = form;
    form.0.push(("gpg_signature".to_owned(), Some("x.asc".to_owned()), b"signed".to_vec()));
    site.upload("/cuda/legacy/", form).is(200, &[]);
    site.upload("/cuda/legacy/", Form::wheel(&wheel).and("name", "demo")).is(400, &["name more than once"]);
    let twice = Form::wheel(&wheel).0.into_iter().chain(Form::wheel(&wheel).0.pop()).collect();
    site.upload("/cuda/legacy/", Form(twice)).is(400, &["more than one file"]);
}

#[test]
fn g2_each_digest_that_is_given_is_checked() {
    let site = Site::new(Anonymous::Upload);
    let (wheel, other) = (demo(), b"other bytes");
    let bytes = wheel.bytes();
    let md5 = md5::Md5::digest(&bytes);
    for (field, right, wrong) in [
        ("md5_digest", hex(&md5), hex(&md5::Md5::digest(other))),
        ("md5_digest", URL_SAFE_NO_PAD.encode(md5), URL_SAFE_NO_PAD.encode(md5::Md5::digest(other))),
        ("sha256_digest", hex(&sha2::Sha256::digest(&bytes)).to_uppercase(), Sha256::of(other).to_string()),
        ("blake2_256_digest", hex(&blake2::Blake2b256::digest(&bytes)), hex(&blake2::Blake2b256::digest(other))),
        ("sha256_digest", Sha256::of(&bytes).to_string(), "nonsense".to_owned()),
    ] {
        site.upload("/cuda/legacy/", Form::wheel(&wheel).with(field, &wrong)).is(400, &[field, "than announced"]);
        let alone = Form::wheel(&wheel).without("sha256_digest").without("blake2_256_digest").with(field, &right);
        site.upload("/cuda/legacy/", alone).is(200, &[]);
    }
    let none = Form::wheel(&wheel).without("sha256_digest").without("blake2_256_digest");
    site.upload("/cuda/legacy/", none.clone()).is(400, &["no digest"]);
    site.upload("/cuda/legacy/", none.with("md5_digest", "")).is(400, &["no digest"]);
}

#[test]
fn g3_the_same_bytes_again_change_nothing_and_others_are_refused() {
    let site = Site::new(Anonymous::Upload);
    let wheel = demo();
    site.upload("/cuda/legacy/", Form::wheel(&wheel)).is(200, &[]);
    let revision = site.revision("cuda");
    site.upload("/cuda/legacy/", Form::wheel(&wheel)).is(200, &["was there"]);
    assert_eq!(site.revision("cuda"), revision);
    let other = Wheel::new("demo", "1.0").payload(10, 2);
    let got = site.upload("/cuda/legacy/", Form::wheel(&other));
    got.is(400, &["File already exists ('demo-1.0-py3-none-any.whl'", &Sha256::of(&wheel.bytes()).to_string()]);
    assert!(got.text().starts_with("File already exists"), "{}", got.text());
    assert_eq!(site.revision("cuda"), revision);
    site.upload("/shared/legacy/", Form::wheel(&other)).is(200, &[]);
    let admin = basic(&site.token(&["--collection", "cuda", "--scope", "admin"]));
    let upload = basic(&site.token(&["--collection", "cuda", "--scope", "upload"]));
    let path = "/cuda/legacy/?on_conflict=replace";
    site.upload(path, Form::wheel(&other)).is(401, &[]);
    site.post(path, &[(AUTHORIZATION, &upload)], Form::wheel(&other)).is(403, &["admin"]);
    site.post(path, &[(AUTHORIZATION, &admin)], Form::wheel(&other)).is(200, &["took the place"]);
    site.upload("/cuda/legacy/?on_conflict=maybe", Form::wheel(&other)).is(400, &["refuse, keep or replace"]);
}

#[test]
fn g4_a_filename_that_was_removed_is_not_given_to_other_bytes() {
    let site = Site::new(Anonymous::Upload);
    let (wheel, other) = (demo(), Wheel::new("demo", "1.0").payload(10, 2));
    site.upload("/cuda/legacy/", Form::wheel(&wheel)).is(200, &[]);
    site.env.ok(["invalidate", "demo", "--collection", "cuda", "--yes"]);
    assert_eq!(site.files("cuda", "demo"), [""; 0]);
    site.upload("/cuda/legacy/", Form::wheel(&other)).is(400, &["other bytes", "--reuse-filenames yes"]);
    site.upload("/cuda/legacy/", Form::wheel(&wheel)).is(200, &[]);
    site.env.ok(["invalidate", "demo", "--collection", "cuda", "--yes"]);
    site.env.ok(["collection", "set", "cuda", "--reuse-filenames", "yes"]);
    site.upload("/cuda/legacy/", Form::wheel(&other)).is(200, &[]);
    let config = site.env.ok(["config", "show"]).stdout;
    assert!(config.contains("reuse-filenames = true"), "{config}");
}

#[test]
fn g5_what_is_wrong_is_told_and_nothing_of_it_stays() {
    let site = Site::new(Anonymous::Upload);
    let wheel = demo();
    let (name, bytes) = (wheel.filename(), wheel.bytes());
    let form = |filename: &str, bytes: &[u8]| Form::of(filename, bytes, "demo", "1.0");
    let info = "demo-1.0.dist-info";
    let without = |member: &str| form(&name, &demo().without(&format!("{info}/{member}")).bytes());
    for (form, words) in [
        (form("demo-1.0.whl", &bytes), "not a wheel's filename"),
        (form("demo-1.0.exe", &bytes), "demo-1.0.exe"),
        (form(&format!("../{name}"), &bytes), "is a path"),
        (form(&format!("a\\{name}"), &bytes), "is a path"),
        (form(&name, b"no zip"), "zip archive"),
        (form(&name, &bytes[..bytes.len() - 10]), "zip archive"),
        (form(&name, b""), "zip archive"),
        (form("other-1.0-py3-none-any.whl", &bytes), "the form's name is demo"),
        (form("demo-2.0-py3-none-any.whl", &bytes), "the form's version is 1.0"),
        (Form::of("other-1.0-py3-none-any.whl", &bytes, "other", "1.0"), "other-1.0.dist-info"),
        (Form::wheel(&wheel).with("name", "de mo"), "name"),
        (Form::wheel(&wheel).with("version", "one"), "version"),
        (Form::wheel(&wheel).with("filetype", "sdist"), "filetype is bdist_wheel"),
        (Form::wheel(&wheel).with("protocol_version", "2"), "protocol_version"),
        (Form::wheel(&wheel).with(":action", "list_classifiers"), "list_classifiers"),
        (Form::wheel(&wheel).without(":action"), ":action"),
        (Form::wheel(&wheel).without("content"), "no file"),
        (Form(Vec::new()), ":action"),
        (without("METADATA"), "METADATA"),
        (without("WHEEL"), "WHEEL"),
        (without("RECORD"), "RECORD"),
        (form(&name, &demo().member("../evil.py", "x").bytes()), "evil"),
        (form(&name, &demo().member("/evil.py", "x").bytes()), "evil"),
        (form(&name, &demo().member("demo/twice.py", "x").member("demo/twice.py", "y").bytes()), "twice"),
        (Form::wheel(&wheel).and("attestations", "[{\"version\":1}]"), "attestations"),
    ] {
        let shown = format!("{:?}", form.0.iter().map(|(name, file, _)| (name, file)).collect::<Vec<_>>());
        let got = site.upload("/cuda/legacy/", form);
        assert_eq!(got.status, 400, "{words}: {got:?} {shown}");
        got.is(400, &[words]);
        assert!(!got.text().contains("staging"), "{}", got.text());
        assert_eq!(site.staging(), [""; 0].map(PathBuf::from), "{words}");
    }
    let nameless = Form(vec![("content".to_owned(), None, bytes)]);
    site.upload("/cuda/legacy/", nameless).is(400, &["no filename"]);
    assert_eq!(site.files("cuda", "demo"), [""; 0]);
    site.upload("/nowhere/legacy/", Form::wheel(&wheel)).is(404, &["wcas collection create nowhere"]);
    let large = Wheel::new("demo", "1.0").payload(MAX_BYTES as usize, 1);
    site.upload("/cuda/legacy/", Form::wheel(&large)).is(413, &["200000 bytes"]);
    assert_eq!(site.staging(), [""; 0].map(PathBuf::from));
}

#[test]
fn g6_who_asks_for_json_gets_the_error_so() {
    let site = Site::new(Anonymous::Upload);
    let accept = [(ACCEPT, "application/json;q=0.9, text/plain;q=0.8")];
    let got = site.post("/cuda/legacy/", &accept, Form::wheel(&demo()).with("sha256_digest", "0"));
    assert_eq!((got.status, got.header(CONTENT_TYPE)), (400, "application/json"));
    let error: Value = serde_json::from_slice(&got.body).unwrap();
    assert!(error["code"].as_str().unwrap().starts_with("400 the file that came has another sha256_digest"), "{error}");
    assert_eq!((&error["title"], error["message"].is_string()), (&"Bad Request".into(), true));
    let got = site.post("/nowhere/legacy/", &accept, Form::wheel(&demo()));
    assert_eq!((got.status, got.header(CONTENT_TYPE)), (404, "application/json"));
}

#[test]
fn g7_each_form_of_the_url_takes_uploads_and_none_redirects() {
    let site = Site::new(Anonymous::Upload);
    for (number, path) in
        ["/cuda", "/cuda/", "/cuda/legacy", "/cuda/legacy/", "/cuda/simple", "/cuda/simple/"].iter().enumerate()
    {
        let wheel = Wheel::new("demo", &format!("{number}.0"));
        site.upload(path, Form::wheel(&wheel)).is(200, &["is there in cuda"]);
    }
    let got = site.upload("/cuda/simple/demo/", Form::wheel(&demo()));
    assert_eq!((got.status, got.header(ALLOW)), (405, "GET, HEAD"));
    site.upload("/cuda@1/legacy/", Form::wheel(&demo())).is(405, &["uploads go to cuda"]);
    site.upload("/", Form::wheel(&demo())).is(405, &[]);
    assert_eq!(site.get("/cuda/legacy/", &[]).status, 405);
}

#[test]
fn g8_what_no_index_does_any_more_is_gone() {
    let site = Site::new(Anonymous::Upload);
    for action in ["submit", "doc_upload"] {
        site.upload("/cuda/legacy/", Form::wheel(&demo()).with(":action", action)).is(410, &["upload files"]);
    }
}

#[test]
fn e3_a_project_that_is_archived_or_in_quarantine_takes_no_uploads() {
    let site = Site::new(Anonymous::Upload);
    for status in ["archived", "quarantined"] {
        site.env.ok(["collection", "status", "cuda", "demo", status, "--reason", "moved away"]);
        site.upload("/cuda/legacy/", Form::wheel(&demo())).is(400, &[status, "moved away", "no uploads"]);
    }
    site.upload("/shared/legacy/", Form::wheel(&demo())).is(200, &[]);
    site.env.ok(["collection", "status", "cuda", "demo", "deprecated"]);
    site.upload("/cuda/legacy/", Form::wheel(&demo())).is(200, &[]);
}

#[test]
fn a_variants_name_routes_and_the_guard_is_asked() {
    let site = Site::new(Anonymous::Upload);
    let requirements = site.env.path("requirements.txt");
    fs::write(&requirements, "torch\n").unwrap();
    site.env.ok([
        "route".as_ref(),
        "set".as_ref(),
        "cuda".as_ref(),
        "--requirements".as_ref(),
        requirements.as_os_str(),
    ]);
    site.upload("/cuda/legacy/", Form::wheel(&Wheel::new("torch", "1.0"))).is(200, &["is there in cuda"]);
    site.upload("/cuda/legacy/", Form::wheel(&demo())).is(200, &["is there in shared"]);
    assert_eq!(site.files("cuda", "demo").len(), 1, "what a variant sees has it");
    site.env.ok(["collection", "set", "shared", "--accelerator", "none"]);
    let bound = Wheel::new("bound", "1.0").tags("cp312-cp312-linux_x86_64");
    let bound = bound.member("bound/x.so", support::elf_needing("libcudart.so.12"));
    site.upload("/shared/legacy/", Form::wheel(&bound)).is(400, &["shared doesn't admit it", "cuda"]);
}

#[test]
fn tokens_say_who_may_do_what_and_end_at_once() {
    let site = Site::new(Anonymous::Read);
    let page = "/cuda/simple/known/";
    let [read, upload, other, all] = [
        &["--collection", "cuda", "--scope", "read"][..],
        &["--collection", "cuda", "--scope", "upload", "--name", "ci", "--expires", "90d"],
        &["--collection", "shared", "--scope", "admin"],
        &["--all", "--scope", "upload"],
    ]
    .map(|args| site.token(args));
    let post = |secret: &str| site.post("/cuda/legacy/", &[(AUTHORIZATION, &basic(secret))], Form::wheel(&demo()));
    let got = site.upload("/cuda/legacy/", Form::wheel(&demo()));
    got.is(401, &["token"]);
    assert_eq!(got.header(WWW_AUTHENTICATE), "Basic realm=\"wcas\"");
    post("password").is(401, &[]);
    post(&format!("wcas_{}", "0".repeat(64))).is(401, &["unknown"]);
    post(&read).is(403, &["allows to read cuda"]);
    post(&other).is(403, &["shared"]);
    site.upload("/nowhere/legacy/", Form::wheel(&demo())).is(401, &[]);
    post(&upload).is(200, &[]);
    post(&all).is(200, &["was there"]);
    let bearer = format!("Bearer {upload}");
    site.post("/cuda/legacy/", &[(AUTHORIZATION, &bearer)], Form::wheel(&demo())).is(200, &[]);
    assert_eq!(site.who("cuda"), "token ci");
    assert_eq!(site.get(page, &[(AUTHORIZATION, &basic("for-another-host"))]).status, 200, "not meant for us");
    assert_eq!(site.get(page, &[(AUTHORIZATION, &basic(&other))]).status, 200, "anybody may read");
    site.env.ok(["token", "revoke", "ci"]);
    post(&upload).is(401, &["revoked"]);
    assert_eq!(site.get(page, &[(AUTHORIZATION, &basic(&upload))]).status, 401, "else nobody would notice");
    let list = site.env.ok(["token", "list"]).stdout;
    assert!(!list.contains("wcas_") && list.contains("revoked"), "{list}");
    assert_eq!(site.env.run(["token", "revoke", "nobody"]).code, 4);
    assert_eq!(site.env.run(["token", "create", "--collection", "nowhere", "--scope", "read"]).code, 4);
    assert_eq!(site.env.run(["token", "create", "--scope", "read"]).code, 2);
}

#[test]
fn a_token_ends_in_time() {
    let site = Site::new(Anonymous::Nothing);
    let secret = site.token(&["--all", "--scope", "read", "--expires", "1h"]);
    let made = site.env.json(["token", "list"])["tokens"][0]["created_at"].as_i64().unwrap();
    let status = || site.get("/cuda/simple/", &[(AUTHORIZATION, &basic(&secret))]).status;
    site.clock.store(made + 3599, Ordering::Relaxed);
    assert_eq!(status(), 200);
    site.clock.store(made + 3600, Ordering::Relaxed);
    assert_eq!(status(), 401);
    site.server.close();
    let used = site.env.json(["token", "list"])["tokens"][0]["used_at"].as_i64();
    assert_eq!(used, Some(made + 3599));
}

#[test]
fn where_nobody_may_read_a_token_reads_what_it_is_for() {
    let site = Site::new(Anonymous::Nothing);
    let own = Wheel::new("own", "1.0").write_to(site.env.path("own"));
    site.env.ok(["import".as_ref(), own.as_os_str(), "--collection".as_ref(), "shared".as_ref()]);
    let [cuda, all] = [&["--collection", "cuda"][..], &["--all"]]
        .map(|args| basic(&site.token(&[args, &["--scope", "read"]].concat())));
    let status = |path: &str, token: Option<&str>| {
        let headers = token.map(|token| (AUTHORIZATION, token));
        site.server.respond(&request(Method::GET, path, headers.as_slice())).status().as_u16()
    };
    for path in ["/", "/cuda/", "/cuda/simple/", "/cuda/simple/known/", "/metrics", "/nowhere/simple/"] {
        assert_eq!(status(path, None), 401, "{path}");
    }
    assert_eq!(status("/healthz", None), 200);
    assert_eq!(status("/cuda/simple/known/", Some(&cuda)), 200);
    assert_eq!(status("/shared/simple/known/", Some(&cuda)), 403);
    assert_eq!(status("/shared/simple/known/", Some(&all)), 200);
    assert_eq!((status("/metrics", Some(&cuda)), status("/metrics", Some(&all))), (403, 200));
    let file = |wheel: &Wheel| format!("/files/{}/{}", Sha256::of(&wheel.bytes()), wheel.filename());
    let (known, own) = (file(&Wheel::new("known", "1.0")), file(&Wheel::new("own", "1.0")));
    for _ in 0..2 {
        assert_eq!(status(&known, None), 401);
        assert_eq!(status(&known, Some(&cuda)), 200);
        assert_eq!(status(&own, Some(&all)), 200);
        let seen = status("/cuda/simple/own/", Some(&cuda));
        assert_eq!(status(&own, Some(&cuda)), seen, "what its pages list can be had, and nothing else");
        assert_eq!(status(&format!("{own}.metadata"), Some(&cuda)), seen);
    }
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let site = Site::new(Anonymous::Upload);
    let pieces = || Form::wheel(&demo()).pieces(1000);
    let request = request(Method::POST, "/cuda/legacy/", &[]);
    for (kind, status) in [
        (io::ErrorKind::ConnectionReset, 400),
        (io::ErrorKind::TimedOut, 408),
        (io::ErrorKind::InvalidData, 400),
        (io::ErrorKind::FileTooLarge, 413),
    ] {
        for at in [0, 1, 10, pieces().len() / 2, pieces().len()] {
            let broken = pieces().into_iter().take(at).chain([Err(kind.into())]);
            let answer = site.server.upload(&request, &mut broken.into_iter());
            assert_eq!(answer.status(), status, "{kind} after {at} pieces");
            assert_eq!(site.staging(), [""; 0].map(PathBuf::from));
        }
    }
    assert_eq!(site.files("cuda", "demo"), [""; 0]);
    let verify = site.env.json(["verify"]);
    assert_eq!(verify["problems"], serde_json::json!([]), "{verify}");
}

#[test]
fn of_many_at_once_each_is_taken_once() {
    let site = Site::new(Anonymous::Upload);
    let wheels: Vec<Wheel> = (0..4).map(|number| Wheel::new("demo", "1.0").payload(2000, number)).collect();
    let statuses: Vec<(usize, u16)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|number| {
                let (site, wheel) = (&site, &wheels[number % 4]);
                scope.spawn(move || (number % 4, site.upload("/cuda/legacy/", Form::wheel(wheel)).status))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let taken: Vec<usize> = statuses.iter().filter(|(_, status)| *status == 200).map(|(number, _)| *number).collect();
    assert_eq!(taken.len(), 3, "the first one's bytes, three times: {statuses:?}");
    assert!(taken.iter().all(|number| *number == taken[0]), "{statuses:?}");
    assert_eq!(site.files("cuda", "demo").len(), 1);
    assert_eq!(site.staging(), [""; 0].map(PathBuf::from));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_form_confuses(
        order in proptest::collection::vec(0..12_usize, 0..14),
        value in "[ -~]{0,12}",
        filename in "[ -~]{0,30}(\\.whl|\\.tar\\.gz)?",
    ) {
        let site = Site::new(Anonymous::Upload);
        let whole = Form::wheel(&demo()).and("attestations", &value).and(&value, "x").0;
        let parts = order.iter().filter_map(|at| whole.get(*at).cloned()).map(|(name, file, bytes)| {
            let file = file.map(|known| if value.len() % 2 == 0 { known } else { filename.clone() });
            (name, file, bytes)
        });
        let got = site.upload("/cuda/legacy/", Form(parts.collect()));
        prop_assert!([200, 400].contains(&got.status), "{got:?}");
        prop_assert!(site.staging().is_empty());
        let is_there = site.files("cuda", "demo").len() == 1;
        prop_assert_eq!(is_there, got.status == 200);
    }
}
