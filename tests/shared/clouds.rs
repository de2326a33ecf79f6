//! A share at Azure, by its own emulator, and at Google, by a stand-in of what a share asks of it: no emulator knows Google's conditions.

use super::bucket::{Between, assert_lost_answers_count_once, message};
use super::support::bucket::{end_with_us, free_ports};
use super::support::{Env, Wheel, skip, until};
use super::{Team, blobs};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::SystemTime;

/// The emulator's only account and its key, as its documentation has them.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Starts the emulator that all tests here have in common, with a container `wcas`; returns its endpoint.
pub(super) fn azurite() -> Option<&'static str> {
    static ENDPOINT: OnceLock<Option<String>> = OnceLock::new();
    ENDPOINT.get_or_init(start_azurite).as_deref()
}

#[expect(clippy::zombie_processes, reason = "the process that waits for our end ends it")]
fn start_azurite() -> Option<String> {
    let found = std::env::var_os("WCAS_TEST_PEERS")
        .and_then(|python| Some(PathBuf::from(python).parent()?.with_file_name("npm/node_modules/.bin/azurite-blob")))
        .filter(|program| program.exists());
    let Some(program) = found else {
        skip("WCAS_TEST_PEERS has no Azurite: containers are not tested");
        return None;
    };
    let port = free_ports(1)[0];
    let dir = std::env::temp_dir().join(format!("wcas-azurite-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let mut command = Command::new(program);
    command.args(["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]);
    command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]).current_dir(&dir);
    let log = File::create(dir.join("log")).unwrap();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    end_with_us(child.id(), &dir);
    let address = format!("127.0.0.1:{port}");
    until("the container is there", || create_container(&address).is_some_and(|line| line.contains(" 201 ")));
    Some(format!("http://{address}/{ACCOUNT}"))
}

/// Makes the container, signed by the account's key; returns the answer's first line.
fn create_container(address: &str) -> Option<String> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let path = format!("/{ACCOUNT}/wcas");
    let said = format!("PUT{}x-ms-date:{date}\nx-ms-version:2021-08-06\n", "\n".repeat(12));
    let signed = format!("{said}/{ACCOUNT}{path}\nrestype:container");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64_STANDARD.decode(KEY).unwrap());
    let signature = BASE64_STANDARD.encode(ring::hmac::sign(&key, signed.as_bytes()));
    let mut server = TcpStream::connect(address).ok()?;
    let request = format!(
        "PUT {path}?restype=container HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nx-ms-date: {date}\r\n\
         x-ms-version: 2021-08-06\r\nauthorization: SharedKey {ACCOUNT}:{signature}\r\n\r\n"
    );
    server.write_all(request.as_bytes()).ok()?;
    let answer = message(&mut server, false).ok()??;
    String::from_utf8_lossy(&answer).lines().next().map(str::to_owned)
}

/// Makes a team whose share is at an endpoint, by this variable of the environment.
fn team(count: usize, scheme: &str, endpoint: &str, (variable, value): (&'static str, &str)) -> Team {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nodes = (0..count).map(|_| {
        let mut env = Env::new();
        env.set(variable, value);
        env
    });
    let url = format!("{scheme}://wcas/team{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Team::at(nodes.collect(), &["--share", &url, "--endpoint", endpoint])
}

pub(super) fn azure_team(count: usize, endpoint: &str) -> Team {
    team(count, "az", endpoint, ("AZURE_STORAGE_ACCOUNT_KEY", KEY))
}

/// Makes sure that two nodes have one store: what one imports the other has, and what goes is gone.
pub(super) fn assert_one_store(team: &Team) {
    let [one, two] = &team.nodes[..] else { panic!() };
    // One is larger than a part of an upload.
    let large = Wheel::new("large", "1.0").payload(20_000_000, 7);
    team.import(0, &[Wheel::new("demo", "1.0"), large]);
    let path = two.json(["lookup", "large"])["path"].as_str().unwrap().to_owned();
    assert!(fs::read(path).unwrap() == fs::read(one.path("dist/large-1.0-py3-none-any.whl")).unwrap());
    two.ok(["lookup", "demo"]);
    two.ok(["verify"]);
    assert_eq!(two.json(["verify", "--bucket"])["checked"], 2);
    two.ok(["invalidate", "large", "--yes"]);
    assert_eq!(one.json(["gc", "--grace", "0"])["swept"], 1);
    two.ok(["gc", "--grace", "0"]);
    assert_eq!((blobs(one).len(), blobs(two).len()), (1, 1));
    team.assert_equal();
}

#[test]
fn nodes_of_a_container_have_one_store() {
    let Some(endpoint) = azurite() else { return };
    assert_one_store(&azure_team(2, endpoint));
}

#[test]
fn imports_into_a_container_at_once_all_count() {
    let Some(endpoint) = azurite() else { return };
    let team = azure_team(3, endpoint);
    team.import_at_once(4);
    team.assert_equal();
    assert_eq!(team.nodes[0].json(["list"])["distributions"].as_array().unwrap().len(), 16);
}

#[test]
fn an_answer_of_azure_that_is_lost_counts_once() {
    let Some(endpoint) = azurite() else { return };
    let (address, _) = endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let between = Between::start(address);
    assert_lost_answers_count_once(&between, &azure_team(2, &format!("http://{}/{ACCOUNT}", between.address)));
}

#[test]
fn what_is_wrong_with_a_container_is_told() {
    let Some(endpoint) = azurite() else { return };
    let env = Env::new();
    let init = |url: &str, key: &str| {
        env.run_with_env(&[("AZURE_STORAGE_ACCOUNT_KEY", key)], ["init", "--share", url, "--endpoint", endpoint])
    };
    let absent = init("az://absent/wheels", KEY);
    assert!(absent.code == 1 && absent.stderr.contains("ContainerNotFound"), "{absent}");
    let wrong = init("az://wcas/wrong", &BASE64_STANDARD.encode("wrong"));
    assert!(wrong.code == 1 && wrong.stderr.contains("403"), "{wrong}");
    assert!(!env.store().exists());
}

#[test]
fn what_is_said_wrongly_of_a_share_is_a_usage_error() {
    let env = Env::new();
    let cases: &[(&[&str], &str)] = &[
        (&["az://"], "az://container/wheels"),
        (&["gs://"], "gs://bucket/wheels"),
        (&["gs://wcas/../x"], "gs://bucket/wheels"),
        (&["gcs://wcas"], "az://container/prefix"),
        (&["gs://wcas", "--region", "eu"], "region"),
        (&["az://wcas", "--endpoint", "https://team.blob.core.windows.net?sig=secret"], "without credentials"),
        (&["s3://wcas", "--endpoint", "https://key:secret@s3.example"], "without credentials"),
        (&["az://wcas"], "AZURE_STORAGE_ACCOUNT_NAME"),
    ];
    for (args, told) in cases {
        let output = env.run([&["init", "--share"], *args].concat());
        assert!(output.code == 2 && output.stderr.contains(told), "{args:?}: {output}");
        assert!(!env.store().exists());
    }
}

#[test]
fn that_there_are_no_credentials_is_told() {
    let env = Env::new();
    let none = format!("127.0.0.1:{}", free_ports(1)[0]);
    let (http, account) = (format!("http://{none}"), format!("http://{none}/{ACCOUNT}"));
    let cases = [
        ("s3://wcas", &http, "AWS_ACCESS_KEY_ID", "AWS_METADATA_ENDPOINT"),
        ("gs://wcas", &http, "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_IP"),
        ("az://wcas", &account, "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_MSI_ENDPOINT"),
    ];
    for (url, endpoint, told, metadata) in cases {
        // Nobody is asked but who isn't there.
        let at = if metadata.starts_with("GCE") { &none } else { &http };
        let variables = [(metadata, at.as_str()), ("GCE_METADATA_HOST", none.as_str())];
        let output = env.run_with_env(&variables, ["init", "--share", url, "--endpoint", endpoint]);
        assert!(output.code == 1 && output.stderr.contains(told), "{output}");
    }
}

/// What a share asks of Google's storage: its XML interface, with the condition that an object isn't there yet.
pub(super) struct Google {
    pub(super) endpoint: String,
    state: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    /// What each object has until it is made again.
    generations: BTreeMap<String, u64>,
    /// Parts of uploads that aren't finished, by the object's key.
    parts: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// Whether conditions are taken and not kept.
    forgets: bool,
    /// How many objects were made.
    made: u64,
    /// The requests that would make a record, and whether they had the condition.
    records: Vec<bool>,
}

impl Google {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<Kept>> = Arc::default();
        let kept = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, kept) = (client.unwrap(), kept.clone());
                thread::spawn(move || {
                    while let Ok(Some(request)) = message(&mut client, false) {
                        let answer = kept.lock().unwrap().answer(&request);
                        client.write_all(&answer).unwrap();
                    }
                });
            }
        });
        Self { endpoint, state }
    }
}

impl Kept {
    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let end = request.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let (head, body) = (std::str::from_utf8(&request[..end]).unwrap(), request[end + 4..].to_vec());
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let url = url::Url::parse(&format!("http://host{target}")).unwrap();
        let path = percent_encoding::percent_decode_str(url.path()).decode_utf8().unwrap().into_owned();
        let key = path.strip_prefix("/wcas").unwrap_or_default().trim_start_matches('/').to_owned();
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        if !path.starts_with("/wcas") {
            return answer(404, "<Error><Code>NoSuchBucket</Code></Error>".into(), true);
        }
        let is_signed = query.contains_key("X-Goog-Signature") && method == "GET";
        if !is_signed && !head.to_ascii_lowercase().contains("authorization: bearer secret") {
            return answer(401, "<Error><Code>AuthenticationRequired</Code></Error>".into(), true);
        }
        let header = |name: &str| {
            let found = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(found, _)| found.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_owned())
        };
        let condition: Option<u64> = header("x-goog-if-generation-match").map(|value| value.parse().unwrap());
        let is_conditional = condition == Some(0);
        match (method, query.get("partNumber"), query.contains_key("uploadId")) {
            ("GET", ..) if query.contains_key("list-type") => {
                self.list(&query["prefix"], query.contains_key("delimiter"))
            }
            ("PUT", Some(number), true) => {
                self.parts.entry(key).or_default().insert(number.parse().unwrap(), body);
                answer(200, Vec::new(), true)
            }
            ("PUT", ..) => {
                if key.contains("/log/") {
                    self.records.push(is_conditional);
                }
                let known = self.generations.get(&key).copied().unwrap_or(0);
                if condition.is_some_and(|wanted| wanted != known) && !self.forgets {
                    return answer(412, "<Error><Code>PreconditionFailed</Code></Error>".into(), true);
                }
                let source = header("x-goog-copy-source").map(|source| {
                    let source = percent_encoding::percent_decode_str(&source).decode_utf8().unwrap().into_owned();
                    source.trim_start_matches('/').strip_prefix("wcas/").unwrap().to_owned()
                });
                let body = match source.map(|source| self.objects.get(&source).cloned()) {
                    Some(None) => return answer(404, Vec::new(), true),
                    copied => copied.flatten().unwrap_or(body),
                };
                self.made += 1;
                self.generations.insert(key.clone(), self.made);
                self.objects.insert(key, body);
                answer_of(200, Vec::new(), true, self.made)
            }
            ("POST", _, true) => {
                let parts = self.parts.remove(&key).unwrap();
                self.made += 1;
                self.generations.insert(key.clone(), self.made);
                self.objects.insert(key, parts.into_values().flatten().collect());
                let done = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
                answer(200, done.into(), true)
            }
            ("POST", ..) => {
                let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
                answer(200, begun.into(), true)
            }
            ("DELETE", ..) => {
                self.generations.remove(&key);
                answer(if self.objects.remove(&key).is_some() { 204 } else { 404 }, Vec::new(), false)
            }
            ("GET" | "HEAD", ..) => match self.objects.get(&key) {
                Some(bytes) => answer_of(200, bytes.clone(), method == "GET", self.generations[&key]),
                None => answer(404, Vec::new(), false),
            },
            _ => answer(400, Vec::new(), true),
        }
    }

    fn list(&self, prefix: &str, by_folder: bool) -> Vec<u8> {
        let mut text = "<ListBucketResult>".to_owned();
        for (key, bytes) in self.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let folder = key[prefix.len()..].split_once('/').filter(|_| by_folder).map(|(folder, _)| folder);
            match folder {
                Some(folder) => {
                    write!(text, "<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>").unwrap();
                }
                None => write!(
                    text,
                    "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>\"{}\"</ETag></Contents>",
                    bytes.len(),
                    self.generations[key]
                )
                .unwrap(),
            }
        }
        answer(200, format!("{text}</ListBucketResult>").into(), true)
    }
}

/// Returns an answer; one to a HEAD, or without a body, has none.
fn answer(status: u16, body: Vec<u8>, has_body: bool) -> Vec<u8> {
    answer_of(status, body, has_body, 0)
}

/// Returns one about an object.
fn answer_of(status: u16, body: Vec<u8>, has_body: bool, generation: u64) -> Vec<u8> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nlast-modified: {date}\r\netag: \"{generation}\"\r\nx-goog-generation: {generation}\r\n\r\n",
        body.len()
    );
    let mut bytes = head.into_bytes();
    if has_body {
        bytes.extend(body);
    }
    bytes
}

pub(super) fn google_team(count: usize, google: &Google) -> Team {
    team(count, "gs", &google.endpoint, ("GOOGLE_BEARER_TOKEN", "secret"))
}

#[test]
fn nodes_of_googles_bucket_have_one_store() {
    let google = Google::start();
    assert_one_store(&google_team(2, &google));
    let records = google.state.lock().unwrap().records.clone();
    assert!(records.len() > 3 && records.iter().all(|is_conditional| *is_conditional), "{records:?}");
}

#[test]
fn imports_into_googles_bucket_at_once_all_count() {
    let google = Google::start();
    let team = google_team(3, &google);
    team.import_at_once(2);
    team.assert_equal();
    assert_eq!(team.nodes[0].json(["list"])["distributions"].as_array().unwrap().len(), 8);
}

#[test]
fn an_answer_of_google_that_is_lost_counts_once() {
    let google = Google::start();
    let between = Between::start(google.endpoint.strip_prefix("http://").unwrap());
    let through = Google { endpoint: format!("http://{}", between.address), state: google.state.clone() };
    assert_lost_answers_count_once(&between, &google_team(2, &through));
}

#[test]
fn what_is_wrong_with_googles_bucket_is_told() {
    let google = Google::start();
    let env = Env::new();
    let init = |url: &str, token: &str| {
        let args = ["init", "--share", url, "--endpoint", &google.endpoint];
        env.run_with_env(&[("GOOGLE_BEARER_TOKEN", token)], args)
    };
    let absent = init("gs://absent/wheels", "secret");
    assert!(absent.code == 1 && absent.stderr.contains("NoSuchBucket"), "{absent}");
    let wrong = init("gs://wcas/wrong", "wrong");
    assert!(wrong.code == 1 && wrong.stderr.contains("401"), "{wrong}");
    google.state.lock().unwrap().forgets = true;
    let forgetful = init("gs://wcas/forgetful", "secret");
    assert!(forgetful.code == 1 && forgetful.stderr.contains("made again"), "{forgetful}");
    assert!(!env.store().exists());
}
