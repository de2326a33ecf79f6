//! Uploads by twine, uv and poetry, and by hand where they can't: what is taken is there at once, what isn't is told (INDEX.md G).

use crate::clients::{Desk, Done, interpreter};
use crate::site::{Site, add, sha256, wheels};
use crate::support::{Env, Heard, Sdist, Wheel};
use std::path::{Path, PathBuf};

/// A site whose collection `cuda` takes uploads, with a token.
fn site() -> (Site, String) {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    let site = Site::of(env, &[]);
    let token = site.token(&["--collection", "cuda", "--scope", "upload"]);
    (site, token)
}

/// An uploader with its desk.
struct Uploader<'a> {
    name: &'static str,
    python: PathBuf,
    desk: &'a Desk,
}

impl Uploader<'_> {
    fn upload(&self, url: &str, token: &str, files: &[&Path]) -> Done {
        let mut command = self.desk.command(&self.python);
        match self.name {
            "twine" => {
                command.args(["-m", "twine", "upload", "--non-interactive", "--disable-progress-bar", "--verbose"]);
                command.args(["--repository-url", url, "-u", "__token__", "-p", token]);
            }
            "uv" => {
                command.args(["-m", "uv", "--no-config", "publish", "--trusted-publishing", "never"]);
                command.args(["--publish-url", url, "--token", token]).env("UV_HTTP_RETRIES", "0");
            }
            _ => {
                // It uploads all of a folder, as the project's own.
                let dist = self.desk.path("dist");
                drop(std::fs::remove_dir_all(&dist));
                std::fs::create_dir(&dist).unwrap();
                for file in files {
                    std::fs::copy(file, dist.join(file.file_name().unwrap())).unwrap();
                }
                self.desk.write("pyproject.toml", "[project]\nname = \"demo-up\"\nversion = \"1.0\"\n");
                command.args([
                    "-m",
                    "poetry",
                    "--no-interaction",
                    "publish",
                    "-r",
                    "wcas",
                    "-u",
                    "__token__",
                    "-p",
                    token,
                ]);
                return Desk::finish(command.env("POETRY_REPOSITORIES_WCAS_URL", url));
            }
        }
        Desk::finish(command.args(files))
    }
}

fn uploaders(desk: &Desk) -> Vec<Uploader<'_>> {
    let found = |name| interpreter(name).map(|python| Uploader { name, python, desk });
    ["twine", "uv", "poetry"].into_iter().filter_map(found).collect()
}

#[test]
fn g1_g3_g9_what_clients_upload_is_there_at_once_and_again_is_no_error() {
    for (seed, name) in (10..).zip(["twine", "uv", "poetry"]) {
        let desk = Desk::new();
        let Some(uploader) = uploaders(&desk).into_iter().find(|uploader| uploader.name == name) else { continue };
        let (site, token) = site();
        let wheel = Wheel::new("demo-up", "1.0").payload(300_000, seed);
        let path = wheel.write_to(desk.path("in"));
        let sdist = Sdist::new("demo-up", "1.0").write_to(desk.path("in"));
        let url = site.server.url("/cuda/legacy/");
        let done = uploader.upload(&url, &token, &[&path, &sdist]);
        assert!(done.ok, "{name}: {}", done.said);
        let body = site.server.json("/cuda/simple/demo-up/");
        let rows = body["files"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{name}: {body}");
        assert!(rows.iter().any(|row| row["hashes"]["sha256"] == sha256(&wheel.bytes())), "{body}");
        assert_eq!(
            site.server.get(&crate::site::file_path(&wheel.filename(), &wheel.bytes())).body.len(),
            wheel.bytes().len()
        );
        if interpreter("pip").is_some() {
            let index = site.server.url("/cuda/simple/");
            assert_eq!(desk.install("pip", &index, &["demo-up"]), ["demo_up-1.0"]);
        }
        let revision = || site.server.json("/cuda/simple/")["meta"]["_last-serial"].clone();
        let before = revision();
        let done = uploader.upload(&url, &token, &[&path]);
        assert!(done.ok, "{name}: the same again: {}", done.said);
        assert_eq!(revision(), before, "{name}: nothing changed");
        let other = Wheel::new("demo-up", "1.0").payload(300_000, seed + 100).write_to(desk.path("other"));
        let done = uploader.upload(&url, &token, &[&other]);
        assert!(!done.ok && done.said.contains("already exist"), "{name}: {}", done.said);
        site.end();
    }
}

#[test]
fn g5_g6_clients_tell_people_what_is_wrong() {
    let desk = Desk::new();
    let all = uploaders(&desk);
    if all.is_empty() {
        return;
    }
    let (site, token) = site();
    let reader = site.token(&["--collection", "cuda", "--scope", "read"]);
    let wheel = Wheel::new("demo-up", "1.0").payload(100_000, 1);
    let path = wheel.write_to(desk.path("in"));
    // Named as another version than it is.
    let lying = desk.path("in").join("demo_up-9.0-py3-none-any.whl");
    std::fs::write(&lying, wheel.bytes()).unwrap();
    let legacy = site.server.url("/cuda/legacy/");
    let absent = site.server.url("/absent/legacy/");
    let all_token = site.token(&["--all", "--scope", "upload"]);
    for uploader in &all {
        let name = uploader.name;
        for (url, secret, file, words) in [
            (&legacy, "wcas_nothing", &path, &["401"][..]),
            (&legacy, &*reader, &path, &["403"]),
            (&absent, &*all_token, &path, &["404", "collection"]),
        ] {
            let done = uploader.upload(url, secret, &[file]);
            let told = words.iter().all(|word| done.said.contains(word));
            assert!(!done.ok && told, "{name} {url} {words:?}: {}", done.said);
        }
        // twine and uv compare these for themselves, or send what the file says: either way nobody takes it.
        let done = uploader.upload(&legacy, &token, &[&lying]);
        assert!(!done.ok, "{name}: {}", done.said);
    }
    assert_eq!(site.server.get("/cuda/simple/demo-up/").status, 404, "nothing was taken");
    site.end();
}

#[test]
fn g9_uv_asks_the_index_what_it_has_already() {
    let Some(python) = interpreter("uv") else { return };
    let (site, token) = site();
    let desk = Desk::new();
    let path = Wheel::new("demo-up", "1.0").payload(50_000, 1).write_to(desk.path("in"));
    let other = Wheel::new("demo-up", "1.0").payload(50_000, 2).write_to(desk.path("other"));
    let (url, check) = (site.server.url("/cuda/legacy/"), site.server.url("/cuda/simple/"));
    let publish = |file: &Path| {
        let mut command = desk.command(&python);
        command.args(["-m", "uv", "--no-config", "publish", "--trusted-publishing", "never", "--publish-url", &url]);
        Desk::finish(command.args(["--check-url", &check, "--token", &token]).arg(file))
    };
    let first = publish(&path);
    assert!(first.ok, "{}", first.said);
    let uploads = site.server.metric("wcas_uploads_total");
    let again = publish(&path);
    assert!(again.ok && again.said.contains("already"), "{}", again.said);
    assert!((site.server.metric("wcas_uploads_total") - uploads).abs() < 0.5, "it asked the page instead");
    let wrong = publish(&other);
    assert!(!wrong.ok, "{}", wrong.said);
    site.end();
}

#[test]
fn uploads_to_a_variant_are_routed() {
    let desk = Desk::new();
    let Some(uploader) = uploaders(&desk).into_iter().next() else { return };
    let env = Env::new();
    env.ok(["collection", "create", "shared"]);
    std::fs::write(env.path("cuda.txt"), "demo-up\n").unwrap();
    env.ok(["route", "set", "cuda", "--requirements", "cuda.txt", "--no-detect"]);
    let site = Site::of(env, &[]);
    let own = Wheel::new("demo-up", "1.0").write_to(desk.path("in"));
    let others = Wheel::new("demo-other", "1.0").write_to(desk.path("in"));
    let narrow = site.token(&["--collection", "cuda", "--scope", "upload"]);
    let done = uploader.upload(&site.server.url("/cuda/legacy/"), &narrow, &[&others]);
    assert!(!done.ok && done.said.contains("--into shared"), "{}", done.said);
    let token = site.token(&["--collection", "cuda", "--into", "shared", "--scope", "upload"]);
    let done = uploader.upload(&site.server.url("/cuda/legacy/"), &token, &[&own, &others]);
    assert!(done.ok, "{}", done.said);
    let listed = |collection: &str| -> Vec<String> {
        let list = site.env.json(["list", "--collection", collection]);
        let rows = list["distributions"].as_array().unwrap();
        rows.iter().map(|row| row["project"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((listed("cuda"), listed("shared")), (vec!["demo-up".to_owned()], vec!["demo-other".to_owned()]));
    assert_eq!(site.server.get("/cuda/simple/demo-other/").status, 200, "the variant sees both");
    site.end();
}

/// Makes a form as clients send it.
pub(crate) fn form(filename: &str, bytes: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    let digest = sha256(bytes);
    let fixed = [(":action", "file_upload"), ("protocol_version", "1"), ("sha256_digest", &*digest)];
    for (name, value) in fixed.iter().chain(fields) {
        body.extend(format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    let head = format!(
        "--limit\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.extend(head.bytes());
    body.extend(bytes);
    body.extend(b"\r\n--limit--\r\n");
    body
}

/// The header that says how forms are cut.
pub(crate) const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=limit");

/// The header that a client sends for a token.
pub(crate) fn basic(token: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("__token__:{token}")))
}

#[test]
fn g5_g7_no_upload_is_redirected_and_401_goes_before_403() {
    let (site, token) = site();
    let login = basic(&token);
    let post = |path: &str, headers: &[(&str, &str)], body: &[u8]| -> Heard {
        site.server.connect().post(path, &[&[FORM], headers].concat(), body)
    };
    for (minor, path) in
        (1..).zip(["/cuda", "/cuda/", "/cuda/legacy", "/cuda/legacy/", "/cuda/simple", "/cuda/simple/"])
    {
        let wheel = Wheel::new("demo-up", &format!("1.{minor}"));
        let body = form(&wheel.filename(), &wheel.bytes(), &[]);
        let nobody = post(path, &[], &body);
        assert_eq!(nobody.status, 401, "{path}: {nobody}");
        assert!(nobody.header("www-authenticate").starts_with("Basic"), "{nobody}");
        let taken = post(path, &[("Authorization", &login)], &body);
        assert_eq!(taken.status, 200, "{path}: {taken}");
        let bearer = post(path, &[("Authorization", &format!("Bearer {token}"))], &body);
        assert_eq!(bearer.status, 200, "{path}: {bearer}");
        let asked = site.server.ask("GET", "/cuda/legacy/", &[]);
        assert_eq!((asked.status, asked.header("allow")), (405, "POST"));
    }
    let wheel = Wheel::new("demo-up", "2.0");
    let body = form(&wheel.filename(), &wheel.bytes(), &[]);
    for path in
        ["/cuda/simple/demo-up/", "/cuda@1/legacy/", "/healthz", "/files/x/y", "/absent/legacy/", "/../cuda/legacy/"]
    {
        let heard = post(path, &[("Authorization", &login)], &body);
        assert!((400..500).contains(&heard.status), "{path}: {heard}");
    }
    // Who asks for JSON gets the reason so; the reason phrase has it in any case.
    let wrong = form("demo_up-2.0-py3-none-any.whl", b"no archive", &[]);
    let heard = post("/cuda/legacy/", &[("Authorization", &login), ("Accept", "application/json")], &wrong);
    assert_eq!(heard.status, 400, "{heard}");
    let body: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
    assert!(body["message"].is_string() || body["detail"].is_string(), "{body}");
    assert!(heard.reason.contains("demo_up-2.0"), "{heard}");
    site.end();
}
