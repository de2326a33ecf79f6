//! `wcas remote`, and where distributions came from.

use crate::support::{Env, Wheel};
use crate::{assert_output, refused};
use wcas::blobs::LinkMode;
use wcas::context::Context;
use wcas::intake::{ImportOptions, Target};
use wcas::manifest::{Origin, RemoteCount, RemoteOutcome};
use wcas::name::CollectionName;
use wcas::wheel::Trust;

const URL: &str = "https://index.example/files/demo-1.0-py3-none-any.whl";

/// Imports a wheel as a pull from a remote does, in this process.
fn pull(env: &Env, uploaded_at: Option<i64>, yanked: Option<&str>) {
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    let (mut sources, refused, _) = wcas::intake::find_sources(&[env.path("in")], None);
    assert!(refused.is_empty());
    for source in &mut sources {
        let (remote, url) = ("mirror".to_owned(), URL.to_owned());
        source.origin = Some(Origin { remote, url, uploaded_at, is_unhashed: true, provenance: None });
        source.yanked = yanked.map(str::to_owned);
    }
    let store = wcas::Store::open_or_create(&env.store()).unwrap();
    let context = Context { now: 2_000_000_000, who: "test", jobs: 1, progress: &(), client: None };
    let options = ImportOptions {
        target: Target::Collection(CollectionName::shared()),
        link: LinkMode::Copy,
        keep_existing: false,
        trust: Trust::Neither,
    };
    let report = wcas::intake::import(&store, &context, sources, &options).unwrap();
    assert_eq!(report.distributions.len(), 1);
}

#[test]
fn a_pulled_distribution_says_where_it_came_from_and_copies_keep_it() {
    if Env::is_in_bucket() {
        crate::support::skip("this process has no credentials of a bucket");
        return;
    }
    let env = Env::new();
    pull(&env, Some(1_000_000_000), Some("broken"));
    env.ok(["collection", "copy", "shared", "released"]);
    env.ok(["invalidate", "demo", "--collection", "shared"]);
    env.ok(["undo"]);
    env.ok(["unyank", "demo", "--collection", "released"]);
    env.ok(["collection", "rollback", "released", "1"]);
    let show = env.json(["show", "demo"]);
    let shown = &show["distributions"][0];
    for collection in ["shared", "released"] {
        let origin = &shown["origins"][collection];
        assert_eq!((&origin["remote"], &origin["url"]), (&"mirror".into(), &URL.into()), "{show}");
        assert_eq!(origin["is_unhashed"], true);
        assert_eq!(shown["yanked"][collection], "broken", "{show}");
        assert_eq!(shown["uploaded_at"], 1_000_000_000, "the remote's time wins over the time of the pull");
    }
    let text = env.ok(["show", "demo"]).stdout;
    let line = format!("from             mirror for shared: {URL} (no digest vouched for it)");
    assert!(text.contains(&line), "{text}");
}

#[test]
fn without_the_remotes_upload_time_the_time_of_the_pull_counts_and_local_files_have_no_origin() {
    if Env::is_in_bucket() {
        crate::support::skip("this process has no credentials of a bucket");
        return;
    }
    let env = Env::new();
    pull(&env, None, None);
    Wheel::new("local", "1.0").write_to(env.path("other"));
    env.ok(["import", "other"]);
    let show = env.json(["show", "demo", "local"]);
    assert_eq!(show["distributions"][0]["uploaded_at"], 2_000_000_000);
    assert_eq!(show["distributions"][1]["origins"], serde_json::json!({}));
}

#[test]
fn remotes_are_added_changed_listed_and_removed() {
    let env = Env::new();
    assert_output!(env.run(["remote", "add", "mirror", "https://index.example/simple/"]), @r"
    exit 0
    --- stdout
    mirror: https://index.example/simple/ for shared, priority 0; rules -
    ");
    env.ok([
        "remote",
        "add",
        "first",
        "http://127.0.0.1:9/",
        "--collection",
        "cuda",
        "--priority",
        "-1",
        "--only",
        "nvidia_*,Torch",
    ]);
    let rules = ["--min-age", "7d", "--not-found", "403", "--except", "internal-*", "--auth", "env:TOKEN", "--listed"];
    env.ok([&["remote", "set", "mirror", "--collection", "cuda", "--allow-insecure", "--trust-unhashed"], &rules[..]]
        .concat());
    assert_output!(env.run(["remote", "list"]), @r"
    exit 0
    --- stdout
    COLLECTION  PRIORITY  REMOTE  URL                            RULES                                                                                        HEALTH
    cuda              -1  first   http://127.0.0.1:9/            only nvidia-* torch                                                                          unknown
    cuda               0  mirror  https://index.example/simple/  except internal-*, older than 7d, not found 403, insecure, unhashed, listed, auth env:TOKEN  unknown
    ");
    assert_output!(env.run(["--json", "remote", "list"]), @r#"
    exit 0
    --- stdout
    {"schema":"wcas.remote-list/1","remotes":[{"name":"first","collection":"cuda","url":"http://127.0.0.1:9/","priority":-1,"only":["nvidia-*","torch"],"except":[],"min_age":null,"not_found":[],"follow_hosts":[],"allow_insecure":false,"trust_unhashed":false,"is_listed":false,"is_optional":false,"auth":null,"is_ours":false,"writes_back":false,"upload_url":null,"signed_by":null,"health":"unknown","ok_at":null,"failed_at":null,"failure":null,"write_back":null},{"name":"mirror","collection":"cuda","url":"https://index.example/simple/","priority":0,"only":[],"except":["internal-*"],"min_age":604800,"not_found":[403],"follow_hosts":[],"allow_insecure":true,"trust_unhashed":true,"is_listed":true,"is_optional":false,"auth":"env:TOKEN","is_ours":false,"writes_back":false,"upload_url":null,"signed_by":null,"health":"unknown","ok_at":null,"failed_at":null,"failure":null,"write_back":null}]}
    "#);
    let none = ["--min-age", "none", "--not-found", "none", "--except", "none", "--auth", "none", "--no-listed"];
    let off = ["--no-allow-insecure", "--no-trust-unhashed", "--priority", "5"];
    assert_output!(env.run([&["remote", "set", "mirror"], &none[..], &off[..]].concat()), @r"
    exit 0
    --- stdout
    mirror: https://index.example/simple/ for cuda, priority 5; rules -
    ");
    assert_output!(env.run(["remote", "remove", "mirror"]), @r"
    exit 0
    --- stderr
    cuda pulls from mirror no longer
    ");
    assert_output!(refused(&env, 4, &["remote", "remove", "mirror"]), @r"
    exit 4
    --- stderr
    wcas: there is no remote mirror; the remotes are: first
    ");
    assert_output!(env.run(["collection", "list"]), @r"
    exit 0
    --- stdout
    COLLECTION  REVISION  DISTRIBUTIONS  FALLBACKS  RULES  SNAPSHOTS
    cuda               0              0  -          -      -
    shared             0              0  -          -      -
    ");
}

#[test]
fn a_remote_says_whose_it_is_and_only_one_of_ours_is_written_back_to() {
    let env = Env::new();
    env.ok(["remote", "add", "mirror", "https://index.example/simple/"]);
    assert_output!(refused(&env, 2, &["remote", "set", "mirror", "--write-back"]), @r"
    exit 2
    --- stderr
    wcas: what is built here is sent to no stranger's server: say --ours as well, if the remote is a cache of your own organisation, or else --no-write-back
    ");
    let add = ["remote", "add", "team", "https://cache.example/cuda/simple/", "--collection", "cuda"];
    assert_output!(env.run([&add[..], &["--ours", "--write-back"]].concat()), @r"
    exit 0
    --- stdout
    team: https://cache.example/cuda/simple/ for cuda, priority 0; rules ours, writes back
    ");
    let both = |name: &str| {
        let list = env.json(["remote", "list"]);
        let remotes = list["remotes"].as_array().unwrap();
        let found = remotes.iter().find(|remote| remote["name"] == name).unwrap().clone();
        (found["is_ours"].as_bool().unwrap(), found["writes_back"].as_bool().unwrap())
    };
    assert_eq!((both("team"), both("mirror")), ((true, true), (false, false)));
    assert_eq!(refused(&env, 2, &["remote", "set", "team", "--theirs"]).code, 2);
    env.ok(["remote", "set", "team", "--theirs", "--no-write-back"]);
    assert_eq!(both("team"), (false, false));
    env.ok(["remote", "set", "mirror", "--ours", "--upload-url", "https://index.example/legacy/"]);
    assert_output!(env.run(["remote", "set", "mirror", "--write-back"]), @r"
    exit 0
    --- stdout
    mirror: https://index.example/simple/ for shared, priority 0; rules ours, writes back, uploads to https://index.example/legacy/
    ");
    assert_output!(refused(&env, 2, &["remote", "set", "mirror", "--upload-url", "https://me:hunter2@index.example/"]), @r"
    exit 2
    --- stderr
    wcas: the URL has credentials in it, which would be stored: say --auth netrc, or --auth env:VAR and put them in that variable
    ");
    env.ok(["remote", "set", "mirror", "--upload-url", "none", "--no-write-back", "--theirs"]);
    assert_eq!(env.json(["remote", "list"])["remotes"][1]["upload_url"], serde_json::Value::Null);
    let slip = "[remotes.mirror]\nurl = 'https://index.example/'\ncollection = 'shared'\nwrite-back = true\n";
    let output = env.run_with_stdin(slip, ["config", "apply", "-"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.starts_with("wcas: remotes.mirror: what is built here"), "{}", output.stderr);
}

#[test]
fn a_remote_that_makes_no_sense_is_refused_and_no_secret_is_repeated() {
    let env = Env::new();
    env.ok(["remote", "add", "mirror", "https://index.example/simple/"]);
    assert_output!(refused(&env, 2, &["remote", "add", "mirror", "https://other.example/"]), @r"
    exit 2
    --- stderr
    wcas: the remote mirror is there already (https://index.example/simple/); `wcas remote set mirror` changes it
    ");
    assert_output!(refused(&env, 2, &["remote", "add", "a", "https://me:hunter2@index.example/"]), @r"
    exit 2
    --- stderr
    wcas: the URL has credentials in it, which would be stored: say --auth netrc, or --auth env:VAR and put them in that variable
    ");
    assert_output!(refused(&env, 2, &["remote", "add", "a", "ftp://index.example/"]), @r"
    exit 2
    --- stderr
    wcas: a remote's URL begins with https:// or http://, not ftp:
    ");
    assert_output!(refused(&env, 2, &["remote", "set", "mirror", "--auth", "hunter2"]), @r"
    exit 2
    --- stderr
    wcas: credentials are found by `netrc`, or by `env:VAR` in the variable VAR; they are never stored
    ");
    assert_output!(refused(&env, 2, &["remote", "set", "mirror", "--only", "a b"]), @r#"
    exit 2
    --- stderr
    wcas: "a b" is not a pattern of project names: a name such as torch, or a part with '*' for the rest, such as nvidia-*
    "#);
    assert_output!(refused(&env, 2, &["remote", "set", "mirror", "--not-found", "200"]), @r"
    exit 2
    --- stderr
    wcas: 200 is no status of a redirect or an error, 300 to 599 without 304
    ");
    assert_output!(refused(&env, 4, &["remote", "set", "absent", "--priority", "1"]), @r"
    exit 4
    --- stderr
    wcas: there is no remote absent; the remotes are: mirror
    ");
    assert_eq!(env.json(["remote", "list"])["remotes"].as_array().unwrap().len(), 1);
}

#[test]
fn stats_and_doctor_tell_of_remotes() {
    let env = Env::new();
    env.ok(["remote", "add", "mirror", "https://index.example/simple/"]);
    let store = wcas::Store::open(&env.store()).unwrap();
    let transaction = store.manifest.write().unwrap();
    let id = transaction.find_remote(&"mirror".parse().unwrap()).unwrap().unwrap().id;
    transaction.set_remote_failure(id, 1_700_000_000, "connection refused").unwrap();
    for (name, outcome) in
        [("mirror", RemoteOutcome::Hit), ("mirror", RemoteOutcome::Failure), ("gone", RemoteOutcome::Miss)]
    {
        let count = RemoteCount { remote: name.to_owned(), outcome, count: 2, bytes: 1500, milliseconds: 250 };
        transaction.add_remote_count(1_700_000_000, &count).unwrap();
    }
    transaction.commit().unwrap();
    drop(store);
    let stats = env.json(["stats"]);
    assert_eq!(
        stats["remotes"],
        serde_json::json!([
            {"name": "gone", "hits": 0, "misses": 2, "failures": 0, "bytes": 1500, "milliseconds": 250},
            {"name": "mirror", "hits": 2, "misses": 0, "failures": 2, "bytes": 3000, "milliseconds": 500},
        ])
    );
    assert!(stats["lookups"]["by_remote"].is_object());
    let text = env.ok(["stats"]).stdout;
    assert_output!(&text[text.find("REMOTE").unwrap()..], @r"
    REMOTE  HITS  MISSES  FAILURES    SIZE   TIME
    gone       0       2         0  1.5 kB  0.2 s
    mirror     2       0         2  3.0 kB  0.5 s
    ");
    let text = env.ok(["doctor"]).stdout;
    let finding =
        text.lines().skip_while(|line| !line.starts_with("note: remote")).take(2).collect::<Vec<_>>().join("\n");
    assert_output!(finding, @r"
    note: remote: mirror (https://index.example/simple/) last failed at [time]: connection refused
      `wcas remote test mirror` asks it; meanwhile pages that were seen before are used
    ");
    assert_output!(env.run(["remote", "list"]), @r"
    exit 0
    --- stdout
    COLLECTION  PRIORITY  REMOTE  URL                            RULES  HEALTH
    shared             0  mirror  https://index.example/simple/  -      failing, last at [time]: connection refused
    ");
}

#[test]
fn pages_over_plain_http_are_taken_with_a_warning() {
    let env = Env::new();
    for (name, url, is_told) in [
        ("far", "http://index.example/simple/", true),
        ("six", "http://[2001:db8::1]:8080/simple/", true),
        ("safe", "https://index.example/simple/", false),
        ("near", "http://127.0.0.1:9/simple/", false),
        ("nearer", "http://[::1]:9/simple/", false),
    ] {
        let told = env.ok(["remote", "add", name, url]).stderr;
        assert_eq!(told.contains("plain http"), is_told, "{name}: {told}");
    }
}
