//! `wcas config`: a store's settings as a file.

use crate::support::{Env, Wheel};
use crate::{array, assert_output, refused};
use std::fs;

const FULL: &str = r#"
default = "shared"

[collections.shared]
keep-builds = 3
keep-versions = 2
unused-for = "90d"
max-bytes = "500G"
accelerators = []
strict = true
open = ["Torch", "nvidia-*"]
[collections.shared.reserve]
"acme-*" = "our own"
[collections.shared.blocks]
"torch == 2.5.0" = "miscompiled"

[collections.cuda]
fallbacks = ["shared"]
accelerators = ["cuda"]
guard = "warn"

[collections.rocm]
fallbacks = ["shared"]

[variants.cuda]
requirements = ["vllm>=0.5", "Torch==2.5.1 ; python_version >= '3.11'"]
detect = true
strategy = "union"
[variants.cuda.overrides]
xformers = "shared"

[variants.rocm]
requirements = []

[overrides]
flash-attn = "cuda"

[remotes.mirror]
url = "https://index.example/simple/"
collection = "shared"
priority = 10
only = ["nvidia-*"]
except = ["internal-*"]
min-age = "7d"
not-found = [403, 410]
allow-insecure = true
trust-unhashed = true
listed = true
auth = "env:TOKEN"
ours = true
write-back = true
upload-url = "https://index.example/legacy/"
follow-hosts = ["Files.index.example"]

[publishers.release]
issuer = "https://ci.example"
audience = "wcas"
collection = "cuda"
into = ["shared", "cuda", "shared"]
projects = ["Torch", "acme-*"]
scope = "admin"
read = true
claims = { repository = "acme/tools", ref = "refs/tags/v*" }

[blocks]
"xz-utils" = "a backdoor"
"#;

fn apply(env: &Env, text: &str, args: &[&str]) -> crate::support::Output {
    env.run_with_stdin(text, [&["config", "apply", "-"], args].concat())
}

#[test]
fn show_then_apply_on_an_empty_store_then_show_is_the_same_to_the_byte() {
    let env = Env::new();
    assert_output!(apply(&env, FULL, &[]), @r#"
    exit 0
    --- stdout
    + collection cuda: accelerators = ["cuda"], fallbacks = ["shared"], guard = "warn"
    + collection rocm: fallbacks = ["shared"]
    + collection shared: accelerators = [], blocks = { "torch==2.5.0" = "miscompiled" }, keep-builds = 3, keep-versions = 2, max-bytes = "500G", open = ["nvidia-*", "torch"], reserve = { "acme-*" = "our own" }, strict = true, unused-for = "90d"
    + variant cuda: detect = true, overrides = { xformers = "shared" }, requirements = ['torch==2.5.1 ; python_version >= "3.11"', "vllm>=0.5"], strategy = "union"
    + variant rocm: requirements = []
    + override flash-attn: collection = "cuda"
    + remote mirror: allow-insecure = true, auth = "env:TOKEN", collection = "shared", except = ["internal-*"], follow-hosts = ["files.index.example"], listed = true, min-age = "7d", not-found = [403, 410], only = ["nvidia-*"], ours = true, priority = 10, trust-unhashed = true, upload-url = "https://index.example/legacy/", url = "https://index.example/simple/", write-back = true
    + publisher release: audience = "wcas", claims = { ref = "refs/tags/v*", repository = "acme/tools" }, collection = "cuda", into = ["shared"], issuer = "https://ci.example", projects = ["acme-*", "torch"], read = true, scope = "admin"
    + block xz-utils: reason = "a backdoor"
    --- stderr
    9 changes made
    "#);
    let shown = env.ok(["config", "show"]).stdout;
    assert_output!(&shown, @r#"
    # The settings of a wcas store: `wcas config apply FILE` makes a store match them.

    default = "shared"

    [collections.cuda]
    fallbacks = ["shared"]
    accelerators = ["cuda"]
    guard = "warn"

    [collections.rocm]
    fallbacks = ["shared"]

    [collections.shared]
    keep-builds = 3
    keep-versions = 2
    unused-for = "90d"
    max-bytes = "500G"
    accelerators = []
    strict = true
    open = [
        "nvidia-*",
        "torch",
    ]

    [collections.shared.reserve]
    "acme-*" = "our own"

    [collections.shared.blocks]
    "torch==2.5.0" = "miscompiled"

    [variants.cuda]
    requirements = [
        'torch==2.5.1 ; python_version >= "3.11"',
        "vllm>=0.5",
    ]
    detect = true
    strategy = "union"

    [variants.cuda.overrides]
    xformers = "shared"

    [variants.rocm]
    requirements = []

    [overrides]
    flash-attn = "cuda"

    [remotes.mirror]
    url = "https://index.example/simple/"
    collection = "shared"
    priority = 10
    only = ["nvidia-*"]
    except = ["internal-*"]
    min-age = "7d"
    not-found = [
        403,
        410,
    ]
    follow-hosts = ["files.index.example"]
    allow-insecure = true
    trust-unhashed = true
    listed = true
    auth = "env:TOKEN"
    ours = true
    write-back = true
    upload-url = "https://index.example/legacy/"

    [publishers.release]
    issuer = "https://ci.example"
    audience = "wcas"
    collection = "cuda"
    into = ["shared"]
    projects = [
        "acme-*",
        "torch",
    ]
    scope = "admin"
    read = true

    [publishers.release.claims]
    ref = "refs/tags/v*"
    repository = "acme/tools"

    [blocks]
    xz-utils = "a backdoor"
    "#);
    fs::write(env.path("wcas.toml"), &shown).unwrap();
    env.ok(["--store", "other", "config", "apply", "wcas.toml"]);
    assert_eq!(env.ok(["--store", "other", "config", "show"]).stdout, shown);
    assert_output!(apply(&env, &shown, &[]), @r"
    exit 0
    --- stderr
    nothing to change
    ");
    assert_output!(apply(&env, FULL, &["--json"]), @r#"
    exit 0
    --- stdout
    {"schema":"wcas.config-apply/1","dry_run":false,"changes":[],"lifted":[]}
    --- stderr
    nothing to change
    "#);
}

#[test]
fn settings_that_commands_made_are_shown_and_applied() {
    let env = Env::new();
    env.ok(["collection", "create", "shared"]);
    env.ok(["collection", "create", "cuda"]);
    env.ok([
        "collection",
        "set",
        "cuda",
        "--fallback",
        "shared",
        "--keep-builds",
        "2",
        "--unused-for",
        "36h",
        "--accelerator",
        "cuda",
    ]);
    env.ok(["remote", "add", "mirror", "https://index.example/simple/", "--collection", "cuda", "--min-age", "90min"]);
    let shown = env.ok(["config", "show"]).stdout;
    fs::write(env.path("wcas.toml"), &shown).unwrap();
    env.ok(["--store", "other", "config", "apply", "wcas.toml"]);
    assert_eq!(env.ok(["--store", "other", "config", "show"]).stdout, shown);
    assert_eq!(
        env.json(["--store", "other", "collection", "list"])["collections"][0]["retention"],
        env.json(["collection", "list"])["collections"][0]["retention"]
    );
}

#[test]
fn a_section_is_complete_and_one_that_is_left_out_changes_nothing() {
    let env = Env::new();
    assert_eq!(apply(&env, FULL, &[]).code, 0);
    let before = env.ok(["config", "show"]).stdout;
    let changed = r#"
[remotes.other]
url = "https://other.example/"
collection = "cuda"
[overrides]
flash-attn = "shared"
[variants.cuda]
requirements = ["vllm"]
[collections.cuda]
fallbacks = ["shared"]
keep-builds = 1
"#;
    assert_output!(apply(&env, changed, &["--dry-run"]), @r#"
    exit 0
    --- stdout
    ~ collection cuda: accelerators = ["cuda"] -> unset, guard = "warn" -> unset, keep-builds = 1
    ~ variant cuda: detect = true -> unset, overrides = { xformers = "shared" } -> unset, requirements = ['torch==2.5.1 ; python_version >= "3.11"', "vllm>=0.5"] -> ["vllm"], strategy = "union" -> unset
    - variant rocm
    ~ override flash-attn: collection = "cuda" -> "shared"
    - remote mirror
    + remote other: collection = "cuda", url = "https://other.example/"
    --- stderr
    6 changes to make
    "#);
    assert_eq!(env.ok(["config", "show"]).stdout, before, "a dry run changes nothing");
    assert_output!(apply(&env, changed, &[]), @r#"
    exit 0
    --- stdout
    ~ collection cuda: accelerators = ["cuda"] -> unset, guard = "warn" -> unset, keep-builds = 1
    ~ variant cuda: detect = true -> unset, overrides = { xformers = "shared" } -> unset, requirements = ['torch==2.5.1 ; python_version >= "3.11"', "vllm>=0.5"] -> ["vllm"], strategy = "union" -> unset
    - variant rocm
    ~ override flash-attn: collection = "cuda" -> "shared"
    - remote mirror
    + remote other: collection = "cuda", url = "https://other.example/"
    --- stderr
    6 changes made
    "#);
    assert_output!(apply(&env, "[collections.cuda]\n", &["--prune", "--unprotect"]), @r#"
    exit 0
    --- stdout
    ~ collection cuda: fallbacks = ["shared"] -> unset, keep-builds = 1 -> unset
    ~ collection rocm: fallbacks = ["shared"] -> unset
    ~ collection shared: accelerators = [] -> unset, blocks = { "torch==2.5.0" = "miscompiled" } -> unset, keep-builds = 3 -> unset, keep-versions = 2 -> unset, max-bytes = "500G" -> unset, open = ["nvidia-*", "torch"] -> unset, reserve = { "acme-*" = "our own" } -> unset, strict = true -> unset, unused-for = "90d" -> unset
    --- stderr
    3 changes made
    "#);
    assert_output!(apply(&env, "", &["--prune"]), @r"
    exit 0
    --- stderr
    nothing to change
    ");
}

#[test]
fn distributions_and_collections_stay_whatever_the_file_says() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    let empty = "[collections]\n[variants]\n[overrides]\n[remotes]\n";
    assert_output!(apply(&env, empty, &["--prune"]), @r"
    exit 0
    --- stderr
    nothing to change
    ");
    assert_eq!(array(&env.json(["list"])["distributions"]).len(), 1);
}

#[test]
fn health_and_pages_of_a_remote_outlive_an_apply_but_not_another_url() {
    let env = Env::new();
    assert_eq!(apply(&env, FULL, &[]).code, 0);
    let layout = |set: Option<&str>| {
        let store = wcas::Store::open(&env.store()).unwrap();
        let transaction = store.manifest.write().unwrap();
        let row = transaction.find_remote(&"mirror".parse().unwrap()).unwrap().unwrap();
        if set.is_some() {
            transaction.set_remote_layout(row.id, set).unwrap();
            transaction.commit().unwrap();
        }
        row.layout
    };
    layout(Some("simple"));
    assert_eq!(apply(&env, &FULL.replace("priority = 10", "priority = 11"), &[]).code, 0);
    assert_eq!(layout(None).as_deref(), Some("simple"));
    assert_eq!(apply(&env, &FULL.replace("index.example/simple", "index.example/other"), &[]).code, 0);
    assert_eq!(layout(None), None);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_with_its_line() {
    let env = Env::new();
    assert_eq!(apply(&env, FULL, &[]).code, 0);
    let before = env.ok(["config", "show"]).stdout;
    assert_output!(apply(&env, "[collections.cuda]\nkeep-build = 3\n", &[]), @r"
    exit 2
    --- stderr
    wcas: standard input, line 2: unknown field `keep-build`, expected one of `fallbacks`, `keep-builds`, `keep-versions`, `unused-for`, `max-bytes`, `accelerators`, `guard`, `strict`, `hide-variants`, `reuse-filenames`, `cache`, `open`, `reserve`, `blocks`, `webhooks`, `projects`
    ");
    assert_output!(apply(&env, "[collections.new]\n[overrides]\ntorch = 'cuuda'\n", &[]), @r"
    exit 2
    --- stderr
    wcas: overrides.torch: there is no collection cuuda, in the file or in the store; add [collections.cuuda] to make it
    ");
    assert_output!(apply(&env, "[remotes.a]\nurl = 'https://me:hunter2@index.example/'\ncollection = 'cuda'\n", &[]), @r"
    exit 2
    --- stderr
    wcas: remotes.a: the URL has credentials in it, which would be stored: say --auth netrc, or --auth env:VAR and put them in that variable
    ");
    assert_output!(refused(&env, 1, &["config", "apply", "absent.toml"]), @r"
    exit 1
    --- stderr
    wcas: cannot read absent.toml
      because: No such file or directory (os error 2)
      hint: see whether the path is what you meant
    ");
    assert_eq!(env.ok(["config", "show"]).stdout, before);
    assert_output!(refused(&env, 2, &["collection", "delete", "cuda"]), @r"
    exit 2
    --- stderr
    wcas: flash-attn is sent to cuda; `wcas route override flash-attn --remove` first
    ");
}

#[test]
fn files_of_requirements_are_found_beside_the_document_and_shown_as_their_lines() {
    let env = Env::new();
    let write = |name: &str, text: &str| {
        let path = env.path(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a test's folder can be written");
    };
    write("team/wcas.toml", "[variants.cuda]\nrequirements = ['vllm']\nrequirements-files = ['sets/cuda.txt']\n");
    write("team/sets/cuda.txt", "Torch==2.5.1\nprivate @ https://me:hunter2@index.example/private-1.zip\n--pre\n");
    assert_output!(env.run(["config", "apply", "team/wcas.toml"]), @r#"
    exit 0
    --- stdout
    + collection cuda
    + variant cuda: requirements = ["private", "torch==2.5.1", "vllm"]
    --- stderr
    team/sets/cuda.txt:3: --pre is for an installer, and is not obeyed
    2 changes made
    "#);
    let before = env.ok(["config", "show"]).stdout;
    assert!(!before.contains("files") && !before.contains("hunter2"), "{before}");
    assert_output!(env.run_with_stdin(&before, ["config", "apply", "-"]), @r"
    exit 0
    --- stderr
    nothing to change
    ");
    // A line that can't be read would send its project elsewhere: all or nothing.
    write("team/sets/cuda.txt", "torch\nnumpy=2\n");
    assert_output!(refused(&env, 2, &["config", "apply", "team/wcas.toml"]), @r#"
    exit 2
    --- stderr
    wcas: variants.cuda.requirements-files: team/sets/cuda.txt:2: "=2" is not a version specifier such as ==2.5.1, >=2 or ~=2.5, with commas between several: no such comparison operator "=", must be one of ~= == != <= >= < > ===
    "#);
    fs::remove_file(env.path("team/sets/cuda.txt")).expect("it is there");
    assert_output!(refused(&env, 1, &["config", "apply", "team/wcas.toml"]), @r"
    exit 1
    --- stderr
    wcas: cannot read team/sets/cuda.txt
      because: No such file or directory (os error 2)
      hint: see whether the path is what you meant
    ");
    assert_eq!(env.ok(["config", "show"]).stdout, before);
}

#[test]
fn what_protects_does_not_go_because_a_file_does_not_have_it() {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    env.ok(["collection", "set", "cuda", "--open", "numpy"]);
    env.ok(["reserve", "acme-*", "--collection", "cuda"]);
    env.ok(["block", "demo==1.0", "--collection", "cuda", "--reason", "bad"]);
    env.ok(["block", "xz-utils", "--reason", "a backdoor"]);
    env.ok(["collection", "status", "cuda", "evil", "quarantined"]);
    let key = "me ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    std::fs::write(env.path("keys"), key).unwrap();
    let url = "https://index.example/released/simple/";
    env.ok(["remote", "add", "up", url, "--collection", "cuda", "--signed-by", "keys"]);
    let whole = env.ok(["config", "show"]).stdout;
    let refused = |text: &str, more: &[&str], names: &[&str]| {
        let output = apply(&env, text, more);
        assert!(output.code == 2 && output.stderr.contains("--unprotect"), "{output}");
        assert!(names.iter().all(|name| output.stderr.contains(name)), "{output}");
        assert_eq!(env.ok(["config", "show"]).stdout, whole, "nothing is changed");
        let mut dry = more.to_vec();
        dry.push("--dry-run");
        let output = apply(&env, text, &dry);
        assert!(output.code == 0 && output.stderr.contains(names[0]), "{output}");
    };
    let own = [
        "block demo==1.0 of collection cuda",
        "reserve acme-* of collection cuda",
        "open numpy of collection cuda",
        "quarantine of evil of collection cuda",
    ];
    refused("[collections.cuda]\n", &[], &own);
    refused("[collections.other]\n", &["--prune"], &own);
    refused("[blocks]\n", &[], &["block xz-utils"]);
    let remote = format!("[remotes.up]\nurl = '{url}'\ncollection = 'cuda'\n");
    refused(&remote, &[], &["signed-by of remote up"]);
    // A file that has them all, or says nothing of them, changes what else it likes.
    assert_eq!(apply(&env, &whole, &["--prune"]).code, 0);
    assert_eq!(apply(&env, "[collections.other]\nkeep-builds = 2\n", &[]).code, 0);
    let output = apply(&env, "[collections.cuda]\n[blocks]\n", &["--unprotect"]);
    assert_eq!(output.code, 0, "{output}");
    assert!(!env.ok(["config", "show"]).stdout.contains("acme"));
}

#[test]
fn publishers_are_applied_told_in_the_log_and_one_that_lets_in_strangers_is_refused() {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    let one = |name: &str, rest: &str| {
        format!("[publishers.{name}]\nissuer = 'https://ci.example'\naudience = 'wcas'\ncollection = 'cuda'\n{rest}\n")
    };
    let owner = "claims = { repository = 'acme/tools' }";
    for (text, word) in [
        (one("a", ""), "missing field `claims`"),
        (one("a", "claims = {}"), "publishers.a: anybody on a CI that many share"),
        (one("a", "claims = { ref = 'refs/heads/main' }"), "publishers.a: anybody"),
        (one("a", "claims = { aud = 'x', repository = 'acme/tools' }"), "checked anyway"),
        (one("a", owner).replace("https://", "http://"), "publishers.a: an issuer is the https:// URL"),
        (one("a", owner).replace("'wcas'", "''"), "publishers.a: an audience"),
        (one("a", owner).replace("'cuda'", "'cdua'"), "publishers.a: there is no collection cdua"),
        (one("a", &format!("into = ['cdua']\n{owner}")), "publishers.a: there is no collection cdua"),
        (one("a", &format!("scope = 'read'\n{owner}")), "publishers.a: a publisher uploads"),
        (
            one("a", owner) + &one("b", owner).replace("'wcas'", "'other'"),
            "publishers.b: clients are told one audience",
        ),
    ] {
        let done = apply(&env, &text, &[]);
        assert!(done.code == 2 && done.stderr.contains(word), "{word}: {done}");
    }
    assert_eq!(apply(&env, &(one("a", owner) + &one("b", owner)), &[]).code, 0);
    assert_eq!(apply(&env, &one("a", "claims = { repository = 'acme/*' }"), &[]).code, 0);
    assert_eq!(apply(&env, "[publishers]\n", &[]).code, 0);
    let records = env.json(["log", "--kind", "publisher"]);
    let told: Vec<String> = array(&records["records"])
        .iter()
        .map(|row| format!("{} {} {}", row["name"].as_str().unwrap(), row["before"]["claims"], row["after"]["claims"]))
        .collect();
    let (tools, all) = (r#""{\"repository\":\"acme/tools\"}""#, r#""{\"repository\":\"acme/*\"}""#);
    let expected = [
        format!("a null {tools}"),
        format!("b null {tools}"),
        format!("b {tools} null"),
        format!("a {tools} {all}"),
        format!("a {all} null"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn publishers_are_added_listed_and_removed() {
    let env = Env::new();
    let fixed = ["publisher", "add", "release", "--issuer", "https://ci.example", "--audience", "wcas"];
    let add = |args: &[&str]| env.run([&fixed[..], args].concat());
    let owner = ["--claim", "repository=acme/tools", "--collection", "cuda"];
    env.ok(["collection", "create", "shared"]);
    assert_eq!(add(&owner).code, 4, "there is no collection cuda");
    env.ok(["collection", "create", "cuda"]);
    let claims = ["--claim", "ref=refs/tags/*", "--into", "shared", "--project", "acme-*"];
    assert_output!(add(&[&owner[..], &claims].concat()), @r"
    exit 0
    --- stdout
    release: ref=refs/tags/*, repository=acme/tools of https://ci.example may upload of acme-* to cuda, into shared
    ");
    for (args, word) in [
        (&owner[..], "is there already"),
        (&["--claim", "repository=acme*", "--collection", "cuda"], "whose they are"),
        (&["--claim", "repository=a/b", "--claim", "repository=c/d", "--collection", "cuda"], "two values"),
        (&[&owner[..], &["--audience"]].concat(), "a value is required"),
        (&[&owner[..], &["--claim", "ref"]].concat(), "KEY=VALUE"),
        (&[&owner[..], &["--scope", "read"]].concat(), "a publisher uploads"),
    ] {
        let done = add(args);
        assert!(done.code != 0 && done.stderr.contains(word), "{word}: {done}");
    }
    let other = ["publisher", "add", "b", "--issuer", "https://ci.example", "--audience", "other"];
    let done = env.run([&other[..], &owner].concat());
    assert!(done.code == 2 && done.stderr.contains("--audience wcas"), "{done}");
    assert_output!(env.ok(["publisher", "list", "--json"]), @r#"
    exit 0
    --- stdout
    {"schema":"wcas.publisher-list/1","publishers":[{"name":"release","issuer":"https://ci.example","audience":"wcas","claims":{"ref":"refs/tags/*","repository":"acme/tools"},"collection":"cuda","into":["shared"],"projects":["acme-*"],"scope":"upload","reads":false}]}
    "#);
    let listed = env.ok(["publisher", "list"]).stdout;
    assert!(listed.contains("release") && listed.contains("upload of acme-* to cuda, into shared"), "{listed}");
    env.ok(["publisher", "remove", "release"]);
    let done = env.run(["publisher", "remove", "release"]);
    assert!(done.code == 4 && done.stderr.contains("none yet"), "{done}");
}
