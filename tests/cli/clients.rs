//! pip and uv install what wcas shows: from a page, from trees by path and over HTTP, and with required digests.
//!
//! The interpreter is `$WCAS_TEST_PYTHON`, else the one that `tests/clients.sh` made; without one these tests say so and pass.

use crate::support::{Env, Sdist, Wheel};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Returns the interpreter that has pip and uv.
fn python() -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python");
    let python = std::env::var_os("WCAS_TEST_PYTHON").map_or(made, PathBuf::from);
    if !python.exists() {
        crate::support::skip("no Python with pip and uv; run tests/clients.sh");
        return None;
    }
    Some(python)
}

/// A store with an application and its dependency, each wheel in two versions.
fn filled() -> Env {
    let env = Env::new();
    for version in ["1.0", "2.0"] {
        Wheel::new("demo-app", version).requires("demo-lib>=1").payload(20_000, 1).write_to(env.path("in"));
        Wheel::new("demo-lib", version).requires_python(">=3.8").write_to(env.path("in"));
    }
    Wheel::new("demo-app", "3.0+cu12").build("7_el9").requires("demo-lib").write_to(env.path("in"));
    Wheel::new("demo-lib", "9.0").requires_python(">=99").write_to(env.path("in"));
    Wheel::new("demo-native", "1.0").tags("cp27-cp27mu-win_amd64").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    env
}

/// Runs a client that must succeed, and returns the names in the folder that it installed into.
#[track_caller]
fn install<A: AsRef<OsStr>>(env: &Env, tool: &str, args: &[A]) -> Vec<String> {
    let python = python().expect("asked before");
    let target = env.path("installed");
    drop(fs::remove_dir_all(&target));
    let mut command = Command::new(&python);
    command.env_clear().current_dir(env.path("")).stdin(Stdio::null());
    command.envs([("HOME", env.path("home")), ("TMPDIR", env.path("tmp"))]).env("PATH", "/usr/bin:/bin");
    match tool {
        "pip" => command.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--no-cache-dir"]),
        _ => command.args(["-m", "uv", "--no-config", "--no-cache", "pip", "install", "--python"]).arg(&python),
    };
    let output = command.arg("--target").arg(&target).args(args).output().expect("the client starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {said}");
    let names = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".dist-info").map(str::to_owned)).collect();
    names.sort_unstable();
    names
}

const NEWEST: [&str; 2] = ["demo_app-3.0+cu12", "demo_lib-2.0"];

/// A server that is killed when the test ends.
struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn http_server(dir: &Path) -> Server {
    let mut command = Command::new(python().expect("asked before"));
    command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]).current_dir(dir);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Python starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says where it listens");
    let port = line.split_whitespace().skip_while(|word| *word != "port").nth(1).expect("a port").to_owned();
    Server { child, url: format!("http://127.0.0.1:{port}") }
}

#[test]
fn a_printed_page_is_enough_for_pip_and_uv() {
    if python().is_none() {
        return;
    }
    let env = filled();
    fs::write(env.path("page.html"), env.ok(["view", "--collection", "cuda"]).stdout).unwrap();
    for tool in ["pip", "uv"] {
        assert_eq!(install(&env, tool, &["--no-index", "--find-links", "page.html", "demo-app"]), NEWEST, "{tool}");
        let old = ["--no-index", "--find-links", "page.html", "demo-app<2", "demo-lib==1.0"];
        assert_eq!(install(&env, tool, &old), ["demo_app-1.0", "demo_lib-1.0"], "{tool}");
    }
}

#[test]
fn a_tree_is_an_index_by_path_and_over_http() {
    if python().is_none() {
        return;
    }
    let env = filled();
    for link in ["symlink", "copy"] {
        env.ok(["view", "--collection", "cuda", "--to", "www", "--link", link]);
        let server = http_server(&env.path("www"));
        let by_path = format!("file://{}", env.path("www/simple").display());
        for index in [by_path, format!("{}/simple", server.url)] {
            for tool in ["pip", "uv"] {
                assert_eq!(install(&env, tool, &["--index-url", &index, "demo-app"]), NEWEST, "{tool} {link} {index}");
            }
        }
    }
}

#[test]
fn a_flat_tree_is_a_find_links_folder() {
    if python().is_none() {
        return;
    }
    let env = filled();
    env.ok(["view", "--collection", "cuda", "--to", "flat", "--layout", "flat"]);
    let server = http_server(&env.path("flat"));
    for links in ["flat".to_owned(), format!("{}/", server.url)] {
        for tool in ["pip", "uv"] {
            assert_eq!(
                install(&env, tool, &["--no-index", "--find-links", &links, "demo-app"]),
                NEWEST,
                "{tool} {links}"
            );
        }
    }
}

#[test]
fn printed_requirements_satisfy_required_digests() {
    if python().is_none() {
        return;
    }
    let env = filled();
    env.ok(["invalidate", "demo-app<3", "demo-lib==1.0", "demo-lib==9.0", "demo-native"]);
    fs::write(env.path("page.html"), env.ok(["view", "--collection", "cuda"]).stdout).unwrap();
    let requirements = env.ok(["view", "--collection", "cuda", "--format", "requirements"]).stdout;
    fs::write(env.path("requirements.txt"), &requirements).unwrap();
    let args = ["--no-index", "--find-links", "page.html", "--require-hashes", "-r", "requirements.txt"];
    for tool in ["pip", "uv"] {
        assert_eq!(install(&env, tool, &args), NEWEST, "{tool}");
    }
}

#[test]
fn pip_installs_the_path_that_lookup_prints() {
    if python().is_none() {
        return;
    }
    let env = filled();
    let path = env.ok(["lookup", "demo-lib==2.0", "--collection", "cuda"]).stdout;
    for tool in ["pip", "uv"] {
        assert_eq!(install(&env, tool, &["--no-index", "--no-deps", path.trim_end()]), ["demo_lib-2.0"], "{tool}");
    }
    let python = python().expect("asked before");
    let version =
        Command::new(python).args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let asked = ["lookup", "demo-native", "--collection", "cuda", "--python", version.trim_end()];
    assert_eq!(env.run(asked).code, 4, "what pip can't install here isn't handed out");
}

#[test]
fn an_sdist_is_built_and_installed_from_a_tree() {
    if python().is_none() {
        return;
    }
    let env = Env::new();
    Sdist::new("demo-source", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    env.ok(["view", "--to", "www"]);
    let index = format!("file://{}", env.path("www/simple").display());
    for tool in ["pip", "uv"] {
        assert_eq!(install(&env, tool, &["--index-url", &index, "demo-source"]), ["demo_source-1.0"], "{tool}");
    }
}

#[test]
fn a_tree_can_be_served_by_nginx() {
    if python().is_none() {
        return;
    }
    if Command::new("nginx").arg("-v").output().is_err() {
        crate::support::skip("nginx is not installed");
        return;
    }
    let env = filled();
    env.ok(["view", "--collection", "cuda", "--to", "www"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let user = if fs::read_dir("/root").is_ok() { "user root;" } else { "" };
    let root = env.path("");
    let config = format!(
        "{user} daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log; events {{}}\n\
         http {{ access_log off; types {{ text/html html; application/json json; }}\n\
         client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;\n\
         uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;\n\
         server {{ listen 127.0.0.1:{port}; root {root}/www; index index.html; }} }}\n",
        root = root.display().to_string().trim_end_matches('/'),
    );
    fs::write(env.path("nginx.conf"), config).unwrap();
    // One process only: the workers of a killed master would live on.
    let mut command = Command::new("nginx");
    command.arg("-c").arg(env.path("nginx.conf")).arg("-p").arg(&root).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let server = Server { child, url: format!("http://127.0.0.1:{port}") };
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "{}", fs::read_to_string(env.path("error.log")).unwrap());
        std::thread::yield_now();
    }
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /simple/demo-app/ HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("text/html") && page.contains("demo_app-3.0+cu12-7_el9-py3-none-any.whl"), "{page}");
    for tool in ["pip", "uv"] {
        assert_eq!(
            install(&env, tool, &["--index-url", &format!("{}/simple", server.url), "demo-app"]),
            NEWEST,
            "{tool}"
        );
    }
}
