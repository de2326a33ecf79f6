//! Credentials: sent to the remote's own host, kept and shown nowhere.

use crate::support::{Env, Reply, Server};
use crate::{below, document, notes, wheel};
use std::fs;
use wcas::digest::Sha256;

const FILE: &str = "/files/demo-1.0-py3-none-any.whl";
const SECRET: &str = "hunter2";

/// A server that wants to know who asks for its page, and whose page sends to another host for the file.
fn server() -> Server {
    let server = Server::start();
    let bytes = wheel("demo", "1.0", 1).bytes();
    let link = format!("<a href=\"{}#sha256={}\">x</a>", server.other_url(FILE), Sha256::of(&bytes));
    server.route("/simple/demo/", Reply::html(link)).route(FILE, Reply::file(bytes));
    server
}

/// Checks that the secret is in nothing that wcas says or keeps.
#[track_caller]
fn assert_secret(env: &Env, vars: &[(&str, &str)]) {
    for args in [
        &["remote", "list"][..],
        &["--json", "remote", "list"],
        &["config", "export"],
        &["show", "demo"],
        &["--json", "show", "demo"],
        &["doctor"],
        &["stats"],
        &["--verbose", "remote", "test", "mirror", "--project", "demo"],
        &["--json", "remote", "test", "mirror", "--project", "demo"],
        &["--verbose", "lookup", "absent"],
        &["--verbose", "pull", "absent"],
    ] {
        let output = env.run_with_env(vars, args);
        assert!(!(output.stdout.clone() + &output.stderr).contains(SECRET), "{args:?}: {output}");
    }
    let encoded = "aHVudGVyMg";
    for path in below(env, "").iter().filter(|path| path.is_file()) {
        let bytes = fs::read(path).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has(SECRET) && !has(encoded), "{} has the secret", path.display());
    }
}

#[test]
fn credentials_of_a_variable_go_to_the_own_host_only_and_are_kept_nowhere() {
    for (value, header) in [
        ("joe:hunter2", "Basic am9lOmh1bnRlcjI="),
        ("hunter2", "Bearer hunter2"),
        ("Basic am9lOmh1bnRlcjI=", "Basic am9lOmh1bnRlcjI="),
    ] {
        let server = server();
        let env = crate::with_remote(&server, &["--auth", "env:INDEX_TOKEN"]);
        let vars = [("INDEX_TOKEN", value)];
        let output = env.run_with_env(&vars, ["--json", "lookup", "demo"]);
        document(&output, 0);
        let [page, file] = &server.requests()[..] else { panic!("{:?}", server.paths()) };
        assert_eq!((page.header("Authorization"), file.header("Authorization")), (Some(header), None), "{value}");
        assert_secret(&env, &vars);
    }
}

#[test]
fn no_variable_is_read_that_this_machine_does_not_allow() {
    let server = server();
    let env = crate::with_remote(&server, &["--auth", "env:INDEX_TOKEN"]);
    for allowed in ["", "OTHER", "INDEX_TOKEN_2,INDEX", "index_token"] {
        let vars = [("INDEX_TOKEN", SECRET), ("WCAS_AUTH_VARIABLES", allowed)];
        let output = env.run_with_env(&vars, ["lookup", "demo"]);
        let said = output.stderr.contains("the variable INDEX_TOKEN is not among those that WCAS_AUTH_VARIABLES names");
        assert!(output.code != 0 && said, "{allowed:?}: {output}");
        assert!(server.requests().is_empty(), "{allowed:?}");
    }
    let vars = [("INDEX_TOKEN", SECRET), ("WCAS_AUTH_VARIABLES", "OTHER, INDEX_TOKEN")];
    document(&env.run_with_env(&vars, ["--json", "lookup", "demo"]), 0);
    assert_eq!(server.requests()[0].header("Authorization"), Some("Bearer hunter2"));
}

#[test]
fn credentials_of_the_netrc_file_go_to_the_own_host_only_and_are_kept_nowhere() {
    let server = server();
    let env = crate::with_remote(&server, &["--auth", "netrc"]);
    fs::write(env.path("home/.netrc"), "machine 127.0.0.1 login joe password hunter2\n").unwrap();
    fs::write(env.path("other"), "machine 127.0.0.1 login ann password hunter2\n").unwrap();
    document(&env.run(["--json", "lookup", "demo"]), 0);
    let [page, file] = &server.requests()[..] else { panic!("{:?}", server.paths()) };
    assert_eq!((page.header("Authorization"), file.header("Authorization")), (Some("Basic am9lOmh1bnRlcjI="), None));
    assert_secret(&env, &[]);
    // NETRC names another file.
    let other = env.path("other");
    env.run_with_env(&[("NETRC", other.to_str().unwrap())], ["lookup", "unknown"]);
    assert_eq!(server.requests().pop().unwrap().header("Authorization"), Some("Basic YW5uOmh1bnRlcjI="));
}

#[test]
fn credentials_that_are_refused_or_missing_are_a_note_and_the_next_remote_answers() {
    let (closed, open) = (Server::start(), server());
    closed.route("/simple/demo/", Reply::status(401).header("WWW-Authenticate", "Basic"));
    for vars in [&[("INDEX_TOKEN", SECRET)][..], &[]] {
        let env = Env::new();
        crate::add(&env, "mirror", &closed, &["--auth", "env:INDEX_TOKEN"]);
        crate::add(&env, "open", &open, &["--priority", "1"]);
        let output = env.run_with_env(vars, ["--json", "lookup", "demo"]);
        let report = document(&output, 0);
        assert_eq!(report["remote"], "open");
        let told = notes(&report["remotes"]);
        let said = if vars.is_empty() { "the variable INDEX_TOKEN is not set" } else { "answered with status 401" };
        assert!(told.contains(said), "{told}");
        assert!(!output.to_string().contains(SECRET), "{output}");
        assert_secret(&env, vars);
    }
}

#[test]
fn who_has_no_auth_sends_none_even_where_a_netrc_file_is() {
    let server = server();
    let env = crate::with_remote(&server, &[]);
    fs::write(env.path("home/.netrc"), "default login joe password hunter2\n").unwrap();
    document(&env.run(["--json", "lookup", "demo"]), 0);
    assert!(server.requests().iter().all(|request| request.header("Authorization").is_none()));
}
