//! The table of what a remote can do wrong: each time the next remote answers, and nothing stays behind.

use crate::support::{Env, Reply, Server};
use crate::{PATIENCE, add, assert_whole, counts, notes, offer, wheel};
use std::time::Duration;

const PAGE: &str = "/simple/demo/";
const FILE: &str = "/files/demo-1.0-py3-none-any.whl";

/// A fault: its name, the path that has it, what that path answers, and a part of what the lookup says of it.
type Row = (&'static str, &'static str, Reply, &'static str);

fn page_faults(good: &str) -> Vec<Row> {
    let text = || Reply::html(good);
    vec![
        ("403", PAGE, Reply::status(403), "answered with status 403"),
        ("500", PAGE, Reply::status(500), "answered with status 500"),
        ("503, later", PAGE, Reply::status(503).header("Retry-After", "3600"), "answered with status 503"),
        ("no answer", PAGE, Reply::hang_up(), "cannot reach"),
        ("no HTTP", PAGE, Reply::raw("SSH-2.0-OpenSSH\r\n\r\n"), "invalid HTTP"),
        ("hangs", PAGE, Reply::hang(), "took too long: no answer came"),
        ("stalls", PAGE, text().stall_at(10), "took too long"),
        ("drips", PAGE, text().drip(1, Duration::from_millis(20)), "took too long"),
        ("cut", PAGE, text().cut_at(10), "broke off after 10 bytes"),
        ("chunked and cut", PAGE, text().chunked().cut_at(10), "broke off after 10 bytes"),
        ("too large", PAGE, text().claims(1 << 40), "too large"),
        ("a gzip bomb", PAGE, Reply::html(vec![b' '; 65 << 20]).gzip(), "too large"),
        ("no gzip", PAGE, text().header("Content-Encoding", "gzip"), "cannot decode"),
        ("other coding", PAGE, text().header("Content-Encoding", "br"), "cannot decode"),
        ("loop", PAGE, Reply::redirect(301, PAGE), "a redirect in a circle"),
        ("to a file", PAGE, Reply::redirect(302, "file:///etc/passwd"), "leads astray"),
        ("a binary", PAGE, Reply::html(b"\x7fELF\0\0\0".as_slice()), "is no index page"),
        ("bad JSON", PAGE, Reply::json("{\"files\": ["), "is no index page"),
        (
            "another API",
            PAGE,
            Reply::json("{\"meta\":{\"api-version\":\"9.0\"},\"name\":\"demo\",\"files\":[]}"),
            "9.0",
        ),
        ("a login form", PAGE, Reply::html("<html><form><input name=password></form></html>"), "is no index page"),
        ("empty", PAGE, Reply::html(""), "is no index page"),
    ]
}

fn file_faults(bytes: &[u8]) -> Vec<Row> {
    let good = || Reply::file(bytes);
    let flipped: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
    vec![
        ("404", FILE, Reply::status(404), "is not there: status 404"),
        ("403", FILE, Reply::status(403), "answered with status 403"),
        ("500", FILE, Reply::status(500), "answered with status 500"),
        ("206 unasked", FILE, good().code(206), "answered with status 206"),
        ("no answer", FILE, Reply::hang_up(), "cannot reach"),
        ("hangs", FILE, Reply::hang(), "took too long: no answer came"),
        ("stalls", FILE, good().stall_at(100), "took too long"),
        ("cut", FILE, good().cut_at(100).ignoring_ranges(), "broke off after 100 bytes"),
        ("chunked and cut", FILE, good().chunked().cut_at(0), "broke off"),
        ("other bytes", FILE, Reply::file(flipped), "other bytes than its digest says"),
        ("a page", FILE, Reply::html("<h1>Log in</h1>"), "than its digest says"),
        ("longer, no length", FILE, Reply::file([bytes, bytes].concat()).no_length(), "than its digest says"),
        ("wrong ranges", FILE, good().cut_at(100).wrong_ranges(), "broke off after 100 bytes"),
        ("to a file", FILE, Reply::redirect(302, "file:///etc/passwd"), "leads astray"),
        ("loop", FILE, Reply::redirect(302, FILE), "a redirect in a circle"),
        ("to nobody", FILE, Reply::redirect(302, &Server::nobody()), "cannot reach"),
    ]
}

/// Looks up what a faulty remote and the good one behind it offer.
fn judge(row: &Row) -> Vec<String> {
    let (_, path, reply, said) = row;
    let demo = wheel("demo", "1.0", 1);
    let (bad, good) = (Server::start(), Server::start());
    offer(&bad, "demo", std::slice::from_ref(&demo));
    offer(&good, "demo", &[demo]);
    bad.route(path, reply.clone());
    let env = Env::new();
    add(&env, "bad", &bad, &["--priority", "-1"]);
    add(&env, "good", &good, &[]);
    let output = env.run_with_env(&PATIENCE, ["--json", "lookup", "demo==1.0"]);
    let mut problems = Vec::new();
    if output.code != 0 || output.json()["remote"] != "good" {
        return vec![format!("the next remote must answer: {output}")];
    }
    let told = notes(&output.json()["remotes"]);
    if !told.starts_with("bad: ") || !told.contains(said) {
        problems.push(format!("{said:?} is not told: {told:?}"));
    }
    let human = env.run_with_env(&PATIENCE, ["lookup", "demo==1.0"]);
    if human.code != 0 || !human.stderr.is_empty() {
        problems.push(format!("the second lookup is local: {human}"));
    }
    assert_whole(&env);
    let doctor = env.run(["doctor"]).stdout;
    if !doctor.lines().any(|line| line.starts_with("note: remote: bad ") && line.contains(said)) {
        problems.push(format!("doctor tells nothing: {doctor}"));
    }
    if (counts(&env, "bad"), counts(&env, "good")) != ((0, 0, 1), (1, 0, 0)) {
        problems.push(format!("bad is counted as {:?}, good as {:?}", counts(&env, "bad"), counts(&env, "good")));
    }
    problems
}

/// Judges all faults, several at a time: most of them wait. Not all at once, or the good remote would be late as well.
fn judge_all(rows: &[Row]) {
    let problems: Vec<String> = rows.chunks(4).flat_map(judge_some).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Judges faults, all at a time.
fn judge_some(rows: &[Row]) -> Vec<String> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = rows.iter().map(|row| (row.0, scope.spawn(|| judge(row)))).collect();
        let ends = threads.into_iter().map(|(name, thread)| (name, thread.join()));
        ends.flat_map(|(name, end)| {
            end.unwrap_or_else(|_| vec!["a panic".to_owned()]).into_iter().map(move |text| format!("{name}: {text}"))
        })
        .collect()
    })
}

#[test]
fn c3_whatever_is_wrong_with_a_remotes_page_is_a_note_and_the_next_answers() {
    let good = format!("<p>{}</p><a href=\"/files/x\">x</a>", "demo ".repeat(20));
    judge_all(&page_faults(&good));
}

#[test]
fn c3_m4_whatever_is_wrong_with_a_remotes_file_is_a_note_and_the_next_answers() {
    judge_all(&file_faults(&wheel("demo", "1.0", 1).bytes()));
}

#[test]
fn c3_remotes_that_all_fail_are_a_miss_and_a_remote_that_is_not_there_too() {
    let (resetting, refusing) = (Server::resetting(), Server::start());
    refusing.route(PAGE, Reply::status(403));
    let env = Env::new();
    env.ok(["remote", "add", "nobody", &format!("{}/simple/", Server::nobody())]);
    add(&env, "resetting", &resetting, &["--priority", "1"]);
    add(&env, "refusing", &refusing, &["--priority", "2"]);
    let told = crate::missed(&env, &["demo"]);
    let parts: Vec<&str> = told.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(parts, ["nobody", "resetting", "refusing"], "{told}");
    let human = env.run_with_env(&PATIENCE, ["lookup", "demo"]);
    assert_eq!((human.code, human.stdout.as_str()), (4, ""), "{human}");
    assert!(human.stderr.contains("no match for demo"), "{human}");
    assert_whole(&env);
}
