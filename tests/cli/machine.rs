//! Other users of the machine: who owns a store's files, who may write to them, and what lies there that nobody expects.

use crate::support::{Env, Wheel, until};
use crate::{array, refused};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn filled() -> Env {
    Env::filled([Wheel::new("demo", "1.0").payload(3000, 1)])
}

/// Returns all that is in a folder, itself too.
fn all(dir: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = vec![(dir.to_owned(), fs::symlink_metadata(dir).unwrap())];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap() {
            metadata if metadata.is_dir() => found.extend(all(&path)),
            metadata => found.push((path, metadata)),
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs a command under a umask.
#[track_caller]
fn under(env: &Env, umask: &str, args: &str) {
    let text = format!("umask {umask} && exec {} {args}", env!("CARGO_BIN_EXE_wcas"));
    assert!(env.shell(&text).output().unwrap().status.success(), "{args}");
}

/// Returns the kinds of what doctor finds.
fn found(env: &Env) -> Vec<String> {
    let output = env.run(["--json", "doctor"]);
    let document: Value = output.json();
    array(&document["findings"]).iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn locks_are_closed_to_who_may_only_read() {
    let env = filled();
    assert_eq!(mode(&env.store().join("locks")), 0o700);
    // A store of an earlier version is mended by the next command of its owner.
    set_mode(&env.store().join("locks"), 0o755);
    env.ok(["list"]);
    assert_eq!(mode(&env.store().join("locks")), 0o700);
    set_mode(&env.store().join("locks"), 0o2775);
    env.ok(["list"]);
    assert_eq!(mode(&env.store().join("locks")), 0o2770, "a group that writes goes on with it");
    for (path, metadata) in all(&env.store().join("locks")).into_iter().filter(|(_, metadata)| metadata.is_file()) {
        assert_eq!(metadata.mode() & 0o002, 0, "{}", path.display());
    }
}

#[test]
fn no_umask_makes_a_store_writable_for_all_or_a_tree_unreadable() {
    for umask in ["000", "002", "022", "077"] {
        let env = Env::new();
        Wheel::new("demo", "1.0").payload(3000, 1).write_to(env.path("in"));
        under(&env, umask, "import in");
        under(&env, umask, "view --to tree --link copy");
        under(&env, umask, "view --to flat --layout flat");
        under(&env, umask, "gc");
        for (path, metadata) in ["store", "tree", "flat"].iter().flat_map(|dir| all(&env.path(dir))) {
            let (mode, is_lock) = (metadata.mode(), path.starts_with(env.store().join("locks")));
            assert!(metadata.is_symlink() || mode & 0o022 == 0, "{umask}: {} {mode:o}", path.display());
            assert!(is_lock || mode & 0o444 == 0o444, "{umask}: {} {mode:o}", path.display());
        }
        assert_eq!(found(&env).iter().filter(|kind| *kind == "writable" || *kind == "owner").count(), 0);
        // A program that is started has the shell's.
        let text = format!(
            "umask {umask} && {} run --key in --out dist -- sh -c 'mkdir dist; touch made'",
            env!("CARGO_BIN_EXE_wcas")
        );
        env.shell(&text).output().unwrap();
        let expected = 0o666 & !u32::from_str_radix(umask, 8).unwrap();
        assert_eq!(mode(&env.path("made")), expected, "{umask}");
    }
}

#[test]
fn what_root_makes_in_a_store_is_its_owners() {
    let env = filled();
    let nobody = 65534;
    for (path, _) in all(&env.store()) {
        if std::os::unix::fs::lchown(path, Some(nobody), Some(nobody)).is_err() {
            crate::support::skip("only root can give files away");
            return;
        }
    }
    Wheel::new("other", "1.0").payload(3000, 2).write_to(env.path("in2"));
    env.ok(["import", "in2", "--collection", "new", "--link", "move"]);
    env.ok(["lookup", "demo"]);
    env.ok(["view", "--to", "tree"]);
    env.ok(["gc"]);
    env.ok(["verify"]);
    for (path, metadata) in all(&env.store()) {
        assert_eq!((metadata.uid(), metadata.gid()), (nobody, nobody), "{}", path.display());
    }
    assert_eq!(found(&env).iter().filter(|kind| *kind == "owner").count(), 0);
    let blob = crate::blob(&env, "demo");
    std::os::unix::fs::chown(&blob, Some(0), None).unwrap();
    assert!(found(&env).contains(&"owner".to_owned()));
}

#[test]
fn doctor_tells_what_others_may_write_to() {
    for name in ["", "blobs", "locks", "manifest.sqlite", "blobs/b3"] {
        let env = filled();
        let path = env.store().join(name);
        set_mode(&path, mode(&path) | 0o002);
        let kinds = found(&env);
        // Locks are closed by whoever writes, doctor too.
        assert_eq!(kinds.contains(&"writable".to_owned()), name != "locks", "{name}: {kinds:?}");
    }
}

#[test]
fn a_pipe_a_link_or_a_folder_among_the_stores_own_files_makes_nobody_wait() {
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let link = |path: &Path| symlink("/dev/zero", path).unwrap();
    let makers: [&dyn Fn(&Path); 3] = [&pipe, &link, &|path| fs::create_dir(path).unwrap()];
    let hex = "0123456789abcdef0123456789abcdef";
    let sessions = format!("locks/sessions/{hex}");
    for name in ["locks/gc", "locks/reap", "locks/store", &sessions, "staging/stray", "metadata/stray", "wcas.json"] {
        for make in makers {
            let env = filled();
            env.leaves("what the test puts among the store's own files");
            let path = env.store().join(name);
            if path.exists() {
                fs::remove_file(&path).unwrap();
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).unwrap();
            }
            make(&path);
            let start = Instant::now();
            Wheel::new("other", "1.0").write_to(env.path("in2"));
            let codes: Vec<i32> =
                [&["list"][..], &["import", "in2"], &["gc", "--grace", "0"], &["verify"], &["view", "--to", "t"]]
                    .into_iter()
                    .map(|args| env.run(args).code)
                    .collect();
            assert!(start.elapsed() < Duration::from_secs(20), "{name} makes commands wait");
            assert!(codes.iter().all(|code| matches!(code, 0 | 1 | 3)), "{name}: {codes:?}");
            if name.contains("stray") || name.contains(hex) {
                assert_eq!(codes, [0; 5], "{name}");
            }
            let output = env.run(["doctor"]);
            // A folder more among folders is nobody's harm, or gone by now.
            let is_harmless = name.ends_with("stray") && (path.is_dir() || !path.is_symlink() && !path.exists());
            assert!(matches!(output.code, 1 | 3) || is_harmless, "{name}: {output}");
            let told = format!("{}{}", output.stdout, output.stderr);
            assert!(told.contains(name.rsplit('/').next().unwrap()) || is_harmless, "{name}: {output}");
        }
    }
}

#[test]
fn a_store_whose_path_is_too_long_is_told_and_not_half_made() {
    let env = filled();
    let long = env.path("a".repeat(200)).join("b".repeat(200)).join("c".repeat(90));
    let store = long.to_str().unwrap();
    let output = refused(&env, 1, &["--store", store, "import", "in"]);
    assert!(output.stderr.contains("too long"), "{output}");
    assert!(!env.path("a".repeat(200)).exists());
    // Right at the edge a store works whole.
    let edge = env.path("d".repeat(200));
    let rest = 459 - edge.as_os_str().len();
    let store = edge.join("e".repeat(rest.min(250)));
    let args = |more: &[&str]| [&["--store", store.to_str().unwrap()][..], more].concat().join(" ");
    for more in [&["import", "in"][..], &["gc"], &["rebuild", "--force"], &["verify"]] {
        env.ok(args(more).split(' '));
    }
}

#[test]
fn what_strangers_wrote_is_shown_and_not_obeyed() {
    let env = Env::new();
    let evil = "nice \u{1b}]0;pwned\u{7}\u{1b}[2J \u{202e}txt.exe \u{200b}";
    let wheel = Wheel::new("demo", "1.0").header("Summary", evil);
    wheel.write_to(env.path("in"));
    fs::write(env.path("in/bad\nwcas: all is well\u{1b}[1A-1.0-py3-none-any.whl"), "x").unwrap();
    fs::write(env.path("in/odd\u{202e}\r.whl"), "x").unwrap();
    let import = env.run(["import", "in"]);
    assert_eq!(import.code, 3);
    let yank = env.run(["yank", "demo", "--reason", "bad\nidna: good\u{9b}"]);
    let outputs = [
        import,
        yank,
        env.run(["show", "demo"]),
        env.run(["list"]),
        env.run(["why", "demo"]),
        env.run(["collection", "log", "shared"]),
    ];
    for output in outputs {
        for text in [&output.stdout, &output.stderr] {
            let odd = text.chars().find(|c| c.is_control() && *c != '\n' || "\u{202e}\u{200b}".contains(*c));
            assert_eq!(odd, None, "{output}");
            let fakes = ["wcas: all is well", "idna: good"];
            assert!(!text.lines().any(|line| fakes.iter().any(|fake| line.starts_with(fake))), "{output}");
        }
    }
    let show = env.run(["show", "demo"]).stdout;
    assert!(show.contains("\\u{1b}]0;pwned\\u{7}") && show.contains("\\u{202e}txt.exe"), "{show}");
    // For programs it is as it was.
    assert_eq!(env.json(["show", "demo"])["distributions"][0]["summary"], evil.trim());
    assert!(env.run(["lookup", "demo==1.0", "--metadata"]).stdout.contains(evil.trim()));
}

/// Names the file that [`a_helper_that_holds_what_readers_can_lock`] is to lock; else that does nothing.
const HELD: &str = "WCAS_TEST_HELD";

/// Starts a helper of this module in a process of its own, and waits until it holds what is at a path.
fn holder(helper: &str, variable: &str, path: &Path) -> Child {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("machine::{helper}"), "--nocapture"])
        .env(variable, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(holder.stdout.take().unwrap());
    assert!(reader.by_ref().lines().any(|line| line.unwrap() == "held"));
    // It has more to say when it ends, and would complain if nobody could hear it.
    holder.stdout = Some(reader.into_inner());
    holder
}

/// Not a test of its own: runs as another process, which holds the kernel's lock on a file that it may only read.
#[test]
fn a_helper_that_holds_what_readers_can_lock() {
    let Some(path) = std::env::var_os(HELD) else { return };
    let file = fs::File::open(path).unwrap();
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).unwrap();
    println!("\nheld");
    drop(std::io::stdin().read_line(&mut String::new()));
}

#[test]
fn who_keeps_others_from_writing_is_named_and_readers_and_counters_do_not_wait() {
    use wcas::manifest::{Access, Manifest};
    let env = filled();
    let path = env.store().join("manifest.sqlite");
    // As long as one has it open, there is a file to lock.
    let open = |wait: u64| Manifest::open(&path, Access::Write, Duration::from_secs(wait)).unwrap();
    let (manifest, patient) = (open(1), open(60));
    manifest.write().unwrap().commit().unwrap();
    let shm = env.store().join("manifest.sqlite-shm");
    let mut holder = holder("a_helper_that_holds_what_readers_can_lock", HELD, &shm);
    let begin = Instant::now();
    let error = wcas::Error::from(manifest.write().map(drop).unwrap_err());
    assert_eq!(error.kind(), wcas::error::ErrorKind::Busy);
    assert!(error.to_string().contains("locked for writing"), "{error}");
    assert!(error.to_string().contains(&format!("process {}", holder.id())), "{error}");
    // What may be lost waits for nobody, and who reads does as ever.
    assert!(patient.write_relaxed(|_| Ok(())).is_err());
    env.ok(["list"]);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    patient.write_relaxed(|_| Ok(())).unwrap();
    env.ok(["invalidate", "demo"]);
}

#[test]
fn a_limit_on_threads_ends_nothing() {
    let env = Env::new();
    fs::create_dir_all(env.store()).unwrap();
    for number in 0..60 {
        Wheel::new("demo", &format!("1.{number}")).payload(30_000, number).write_to(env.path("in"));
    }
    let owned =
        ["", "in", "store"].iter().map(|dir| std::os::unix::fs::chown(env.path(dir), Some(NOBODY), Some(NOBODY)));
    if owned.collect::<std::io::Result<Vec<_>>>().is_err() {
        crate::support::skip("only root can try another user's limits");
        return;
    }
    set_mode(&env.path(""), 0o755);
    // A copy that every user can reach.
    let program = env.path("wcas");
    fs::copy(env!("CARGO_BIN_EXE_wcas"), &program).unwrap();
    for limit in 1..=8 {
        drop(fs::remove_dir_all(env.store()));
        fs::create_dir(env.store()).unwrap();
        std::os::unix::fs::chown(env.store(), Some(NOBODY), Some(NOBODY)).unwrap();
        for args in [
            "import in",
            "import in --collection other --link copy",
            "verify --parallel 8",
            "view --to tree --replace",
            "gc",
        ] {
            let nproc = format!("--nproc={limit}:{limit}");
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65533", "--regid", "65534", "--clear-groups", "prlimit", &nproc]);
            command.arg(&program).args(args.split(' ')).current_dir(env.path(""));
            let output = command.env("WCAS_STORE", env.store()).env("HOME", env.path("")).output();
            let Ok(output) = output else {
                crate::support::skip("there is no setpriv here");
                return;
            };
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!stderr.contains("panicked"), "{limit} {args}: {stderr}");
            assert_eq!(output.status.code(), Some(0), "{limit} {args}: {stderr}");
        }
    }
}

/// A user without processes, whose limits are nobody else's.
const NOBODY: u32 = 65533;

#[test]
fn a_wait_is_told_with_the_name_of_whom_is_waited_for() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    let lock = fs::read_dir(env.store().join("locks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("view-"))
        .unwrap();
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let begin = Instant::now();
    let mut waiting = env.spawn(["view", "--to", "tree"]);
    let said = || fs::read_to_string(env.path("stderr")).unwrap();
    until("something is told", || said().ends_with('\n'));
    assert!(begin.elapsed() >= Duration::from_secs(2), "a short wait is nobody's matter");
    let whom = format!("which process {} (", std::process::id());
    assert!(said().contains("waiting for ") && said().contains(&whom), "{}", said());
    assert!(waiting.try_wait().unwrap().is_none(), "it doesn't wait");
    held.unlock().unwrap();
    assert!(waiting.wait().unwrap().success(), "{}", said());
    assert_eq!(env.ok(["view", "--to", "tree"]).stderr.matches("waiting").count(), 0);
}

/// Which lock is held, which command wants it, and what the command finds to do.
type Setup = (&'static str, &'static [&'static str], fn(&Env));

/// Names the file that [`a_helper_that_holds_a_lock`] is to lock.
const LOCKED: &str = "WCAS_TEST_LOCKED";

/// Not a test of its own: runs as another process, which holds a file's lock.
#[test]
fn a_helper_that_holds_a_lock() {
    let Some(path) = std::env::var_os(LOCKED) else { return };
    let file = fs::File::open(&path).or_else(|_| fs::File::options().create(true).append(true).open(&path)).unwrap();
    file.lock().unwrap();
    println!("\nheld");
    drop(std::io::stdin().read_line(&mut String::new()));
}

#[test]
fn who_is_stopped_with_a_lock_is_named_and_waited_for_no_longer_than_said() {
    let setups: [Setup; 4] = [
        ("locks/reap", &["gc", "--grace", "0"], |env| drop(env.ok(["invalidate", "demo"]))),
        ("locks/reap", &["verify"], |env| {
            Wheel::new("more", "1.0").write_to(env.path("in"));
            env.ok(["import", "in"]);
            ["demo", "more"].iter().for_each(|name| crate::overwrite(&crate::blob(env, name), "spoilt"));
        }),
        ("locks/reap", &["import", "in", "--link", "copy"], |env| {
            crate::overwrite(&crate::blob(env, "demo"), "spoilt")
        }),
        ("tree", &["view", "--to", "tree", "--layout", "flat"], |env| fs::create_dir(env.path("tree")).unwrap()),
    ];
    std::thread::scope(|scope| {
        for (lock, args, prepare) in setups {
            scope.spawn(move || {
                let env = filled();
                prepare(&env);
                let at = if lock == "tree" { env.path("tree") } else { env.store().join(lock) };
                let mut holder = holder("a_helper_that_holds_a_lock", LOCKED, &at);
                let pid = rustix::process::Pid::from_child(&holder);
                rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
                let begin = Instant::now();
                let output = env.run_with_env(&[("WCAS_LOCK_WAIT", "3")], args);
                let told = format!("which process {} (", holder.id());
                holder.kill().unwrap();
                holder.wait().unwrap();
                assert!((3..15).contains(&begin.elapsed().as_secs()), "{args:?} {:?}", begin.elapsed());
                assert!(output.stderr.contains(&told) && output.stderr.contains("stopped)"), "{args:?} {output}");
                // Of two bad blobs only one waits.
                let waits = output.to_string().matches("waited for in vain before").count();
                assert_eq!(waits, usize::from(args[0] == "verify"), "{args:?} {output}");
                let expected = if args[0] == "verify" { 3 } else { 5 };
                assert_eq!(output.code, expected, "{args:?} {output}");
                let again = env.run(args);
                assert!(matches!(again.code, 0 | 3), "{args:?} {again}");
            });
        }
    });
}

#[test]
fn a_token_that_could_not_be_told_is_revoked() {
    let env = filled();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = env.command(["token", "create", "--all", "--scope", "read"]);
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let tokens = env.json(["token", "list"])["tokens"].clone();
    assert_eq!(array(&tokens).iter().map(|row| row["is_live"].as_bool().unwrap()).collect::<Vec<_>>(), [false]);
    env.ok(["token", "create", "--all", "--scope", "read"]);
}

#[test]
fn a_path_that_is_no_unicode_is_told_and_gone_to() {
    use std::os::unix::ffi::OsStrExt;
    let env = filled();
    let odd = env.path(Path::new(std::ffi::OsStr::from_bytes(b"caf\xe9")));
    fs::rename(env.store(), &odd).unwrap();
    let run = |args: &[&str]| env.command(args).env("WCAS_STORE", &odd).output().unwrap();
    let found = run(&["lookup", "demo"]);
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(found.stdout.strip_suffix(b"\n").unwrap()));
    assert!(fs::read(&path).is_ok(), "{}", path.display());
    fs::write(env.path("in").join(std::ffi::OsStr::from_bytes(b"x\xff-1.0-py3-none-any.whl")), "x").unwrap();
    for (args, code) in
        [("lookup demo", 0), ("show demo", 0), ("doctor", 0), ("import in", 3), ("verify", 0), ("inspect in", 3)]
    {
        let args: Vec<&str> = ["--json"].into_iter().chain(args.split(' ')).collect();
        let output = run(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap();
    }
}
