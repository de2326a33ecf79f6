//! A small web server, as one stands before a bucket or a folder, and clients that install from it.

use super::support::{Env, skip};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a path has: its headers, and its bytes.
pub(super) type Found = Option<(Vec<(String, String)>, Vec<u8>)>;

/// Shows what a function finds; a path that ends with a slash is its `index.html`.
pub(super) struct Web {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Web {
    pub(super) fn start(find: impl Fn(&str) -> Found + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<(String, u16)>>> = Arc::default();
        let (find, noted) = (Arc::new(find), seen.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let (find, noted) = (find.clone(), noted.clone());
                thread::spawn(move || drop(answer(client.unwrap(), &*find, &noted)));
            }
        });
        Self { url, seen }
    }

    pub(super) fn of_folder(dir: PathBuf) -> Self {
        Self::start(move |path| {
            let kind = if path.ends_with(".html") { "text/html" } else { "application/octet-stream" };
            Some((vec![("content-type".to_owned(), kind.to_owned())], fs::read(dir.join(path)).ok()?))
        })
    }

    /// Returns the paths that were asked for in vain.
    pub(super) fn missed(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(_, status)| *status == 404).map(|(path, _)| path.clone()).collect()
    }
}

fn answer(
    mut client: TcpStream,
    find: &dyn Fn(&str) -> Found,
    seen: &Mutex<Vec<(String, u16)>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut header = String::from("…");
    while header.trim_end() != "" {
        header.clear();
        reader.read_line(&mut header)?;
    }
    let path = line.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let path = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path };
    let found = find(&path);
    seen.lock().unwrap().push((path, if found.is_some() { 200 } else { 404 }));
    let (status, (headers, bytes)) = found.map_or(("404 Not Found", Default::default()), |found| ("200 OK", found));
    write!(client, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", bytes.len())?;
    for (name, value) in headers {
        write!(client, "{name}: {value}\r\n")?;
    }
    client.write_all(b"\r\n")?;
    client.write_all(&bytes)
}

/// Lets pip and uv install from an index, if they are there, which must bring these distributions. Returns whether they are.
#[track_caller]
pub(super) fn install(env: &Env, index: &str, project: &str, expected: &[&str]) -> bool {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python");
    let python = std::env::var_os("WCAS_TEST_PYTHON").map_or(made, PathBuf::from);
    if !python.exists() {
        skip("no Python with pip and uv; run tests/clients.sh");
        return false;
    }
    for tool in ["pip", "uv"] {
        let target = env.path("installed");
        drop(fs::remove_dir_all(&target));
        let mut command = Command::new(&python);
        command.env_clear().current_dir(env.path("")).stdin(Stdio::null()).env("PATH", "/usr/bin:/bin");
        command.envs([("HOME", env.path("home")), ("TMPDIR", env.path("tmp"))]);
        match tool {
            "pip" => command.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "install"]),
            _ => command.args(["-m", "uv", "--no-config", "pip", "install", "--python"]).arg(&python),
        };
        command.args(["--index-url", index, project, if tool == "pip" { "--no-cache-dir" } else { "--no-cache" }]);
        let output = command.arg("--target").arg(&target).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tool}: {said}");
        let names = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter_map(|name| name.strip_suffix(".dist-info").map(str::to_owned)).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{tool}: {said}");
    }
    true
}
