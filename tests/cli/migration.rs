//! Manifests of older versions: brought up to date by whoever can write, once, with all their content.

use crate::array;
use crate::support::{Env, Wheel};
use rusqlite::Connection;
use std::path::Path;
use wcas::manifest::{Access, Error, Manifest};

/// The schema's older steps.
const STEPS: [&str; 10] = [
    include_str!("../../src/manifest/schema/1.sql"),
    include_str!("../../src/manifest/schema/2.sql"),
    include_str!("../../src/manifest/schema/3.sql"),
    include_str!("../../src/manifest/schema/4.sql"),
    include_str!("../../src/manifest/schema/5.sql"),
    include_str!("../../src/manifest/schema/6.sql"),
    include_str!("../../src/manifest/schema/7.sql"),
    include_str!("../../src/manifest/schema/8.sql"),
    include_str!("../../src/manifest/schema/9.sql"),
    include_str!("../../src/manifest/schema/10.sql"),
];
/// The version that this program writes.
const NEWEST: i64 = 11;

fn pragma(path: &Path, name: &str) -> i64 {
    Connection::open(path).unwrap().pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

/// Makes a store with content and a manifest of an older version.
fn old(version: usize) -> Env {
    let env = Env::new();
    for version in ["1.0", "2.0"] {
        Wheel::new("demo", version).write_to(env.path("in"));
        env.ok(["import", "in", "--collection", "cuda"]);
    }
    env.ok(["invalidate", "demo==1.0"]);
    env.ok(["collection", "create", "shared"]);
    env.ok(["collection", "set", "cuda", "--fallback", "shared", "--keep-builds", "3"]);
    env.ok(["pin", "demo==2.0"]);
    env.ok(["collection", "set", "cuda", "--accelerator", "cuda"]);
    env.ok(["remote", "add", "mirror", "https://index.example/", "--collection", "cuda", "--priority", "7"]);
    env.ok(["route", "override", "demo", "cuda"]);
    env.ok(["collection", "create", "teamx"]);
    env.ok(["route", "set", "rocm", "--detect"]);
    for name in ["cuda", "teamx", "rocm"] {
        env.ok(["token", "create", "--collection", name, "--scope", "upload", "--name", name, "--forever"]);
    }
    for name in ["teamx", "rocm"] {
        env.ok(["collection", "delete", name, "--yes"]);
    }
    let (new, old) = (env.path("store/manifest.sqlite"), env.path("old.sqlite"));
    let id = pragma(&new, "application_id");
    let connection = Connection::open(&old).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL").unwrap();
    STEPS[..version].iter().for_each(|step| connection.execute_batch(step).unwrap());
    connection.execute("ATTACH ?1 AS new", [new.to_str().unwrap()]).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    };
    for table in names("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).join(", ");
        // Before version 9, a blob's row told of its file, too.
        let rows = match table.as_str() {
            table if version >= 9 => &format!("new.{table}"),
            "blob" => {
                "(SELECT b.*, f.state, f.epoch, f.inode, f.modified_ns, f.verified_at
                  FROM new.blob b JOIN new.file f ON f.id = b.id)"
            }
            "meta" => "(SELECT key, value FROM new.meta UNION ALL SELECT key, value FROM new.here)",
            "view" => "(SELECT * FROM new.view JOIN new.view_shown ON view_id = id)",
            "remote" => "(SELECT * FROM new.remote LEFT JOIN new.remote_health ON remote_id = id)",
            "token" => "(SELECT * FROM new.token LEFT JOIN new.token_use ON token_id = id)",
            "hold" => "(SELECT h.session_id, b.id AS blob_id FROM new.hold h JOIN new.blob b ON b.blake3 = h.blake3)",
            table => &format!("new.{table}"),
        };
        // What triggers made of rows before is made by hand.
        let sql = format!("INSERT OR REPLACE INTO main.{table}({columns}) SELECT {columns} FROM {rows}");
        connection.execute_batch(&sql).unwrap();
    }
    if version < 6 {
        // Older versions had no log.
        connection.execute_batch("DELETE FROM meta WHERE key GLOB 'log_*'").unwrap();
    }
    connection.execute_batch("DETACH new").unwrap();
    connection.pragma_update(None, "application_id", id).unwrap();
    connection.pragma_update(None, "user_version", version as i64).unwrap();
    drop(connection);
    for end in ["-wal", "-shm"] {
        // They are there only while the manifest is open, or after a kill.
        drop(std::fs::remove_file(env.path(format!("store/manifest.sqlite{end}"))));
    }
    std::fs::rename(old, new).unwrap();
    env
}

#[test]
fn an_old_manifest_is_brought_up_to_date_with_its_content() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    for version in 1..=STEPS.len() {
        let env = old(version);
        let path = env.path("store/manifest.sqlite");
        assert_eq!(pragma(&path, "user_version"), version as i64);
        let listed = env.json(["list"]);
        let row = &listed["distributions"][0];
        assert_eq!((&row["version"], &row["variant_label"]), (&"2.0".into(), &serde_json::Value::Null));
        assert_eq!(pragma(&path, "user_version"), NEWEST);
        env.ok(["undo"]);
        assert_eq!(array(&env.json(["list"])["distributions"]).len(), 2);
        let row = env.json(["collection", "list"])["collections"][0].clone();
        assert_eq!(
            (&row["name"], &row["fallbacks"][0], &row["retention"]["keep_builds"], &row["hides_variants"]),
            (&"cuda".into(), &"shared".into(), &3.into(), &false.into())
        );
        let accelerators = if version == 1 { serde_json::Value::Null } else { serde_json::json!(["cuda"]) };
        assert_eq!(
            row["guard"],
            serde_json::json!({"accelerators": accelerators, "is_warning": false, "is_strict": false})
        );
        env.ok(["verify"]);
        env.ok(["doctor"]);
        if version >= 3 {
            // A token of before is its collection's from now on, and lasts as long as it was made for.
            let state = |at: usize| env.json(["token", "list"])["tokens"][at].clone();
            assert_eq!((&state(0)["is_live"], &state(0)["expires_at"]), (&true.into(), &serde_json::Value::Null));
            assert_eq!((&state(0)["reads"], &state(0)["into"]), (&true.into(), &serde_json::json!([])));
            assert_eq!((&state(1)["is_live"], &state(1)["is_orphaned"]), (&false.into(), &true.into()));
            // In version 6 it was a collection's already, which is gone.
            assert_eq!(state(2)["is_live"], version < 6, "a variant's collection is made for its token");
            env.ok(["collection", "create", "teamx"]);
            assert_eq!(state(1)["is_live"], false);
        }
        if version >= 2 {
            let remote = env.json(["remote", "list"])["remotes"][0].clone();
            assert_eq!((&remote["name"], &remote["priority"]), (&"mirror".into(), &7.into()));
        }
    }
}

#[test]
fn what_the_newest_version_adds_can_be_used_at_once() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    for version in 1..=STEPS.len() {
        let env = old(version);
        env.ok(["collection", "status", "cuda", "demo", "quarantined"]);
        assert_eq!(env.run(["lookup", "demo", "--collection", "cuda", "--offline"]).code, 4);
        env.ok(["collection", "status", "cuda", "demo", "active"]);
        assert_eq!(env.run(["lookup", "demo", "--collection", "cuda", "--offline"]).code, 0);
        Wheel::new("demo", "2.0").property("cuda12", &["nvidia"], ("nvidia", "sm", "90")).write_to(env.path("new"));
        env.ok(["import", "new", "--collection", "cuda"]);
        env.ok(["collection", "set", "cuda", "--variants", "hide"]);
        env.ok(["remote", "add", "another", "https://index.example/"]);
        env.ok(["verify"]);
    }
}

#[test]
fn whoever_only_reads_is_told_what_to_do_and_changes_nothing() {
    let env = old(1);
    let path = env.path("store/manifest.sqlite");
    for access in [Access::Read, Access::Immutable] {
        let error = Manifest::open(&path, access, std::time::Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, Error::Older { found: 1, .. }), "{error}");
        assert!(error.to_string().contains("its owner brings it up to date with any command that writes"), "{error}");
    }
    assert_eq!(pragma(&path, "user_version"), 1);
}

#[test]
fn several_processes_bring_a_manifest_up_to_date_at_once() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    let env = old(2);
    let mut running: Vec<_> = (0..6).map(|_| env.spawn(["list"])).collect();
    for child in &mut running {
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", std::fs::read_to_string(env.path("stderr")).unwrap());
    }
    assert_eq!(pragma(&env.path("store/manifest.sqlite"), "user_version"), NEWEST);
    assert_eq!(array(&env.json(["list"])["distributions"]).len(), 1);
}

#[test]
fn what_a_blobs_row_told_of_its_file_stays_when_the_two_are_parted() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    for version in 1..9 {
        let env = old(version);
        let path = env.path("store/manifest.sqlite");
        let rows = |sql: &str| -> Vec<String> {
            let connection = Connection::open(&path).unwrap();
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<rusqlite::Result<_>>().unwrap()
        };
        // Commands were killed in the middle of an import and of a gc, and verify found a blob bad.
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "INSERT INTO blob(id, blake3, sha256, size, state, epoch, created_at) VALUES
                   (91, randomblob(32), randomblob(32), 1, 'staged', 0, 1), (92, randomblob(32), randomblob(32), 1, 'deleting', 1, 1),
                   (93, randomblob(32), randomblob(32), 1, 'live', 0, 1), (97, randomblob(32), randomblob(32), 1, 'live', 0, 1);
                 INSERT INTO session(id, host, boot_id, pid, command, started_at) VALUES('s', '', '', 1, 'import', 1);
                 INSERT INTO hold(session_id, blob_id) VALUES('s', 91), ('s', 93);
                 UPDATE blob SET state = 'lost', epoch = 7 WHERE id = (SELECT blob_id FROM pin);
                 DELETE FROM blob WHERE id = 97;",
            )
            .unwrap();
        let files = "SELECT json_array(id, hex(blake3), size, state, epoch, inode, modified_ns, verified_at) FROM";
        let before = rows(&format!("{files} blob ORDER BY id"));
        env.ok(["collection", "list"]);
        assert_eq!(rows(&format!("{files} file ORDER BY id")), before, "version {version}");
        let blobs = rows("SELECT id || ' ' || created_at || ' ' || hex(blake3) FROM blob WHERE id > 90");
        assert_eq!(blobs.len(), 1, "what is staged or going is not the store's: {blobs:?}");
        assert_eq!(
            rows("SELECT json_array(h.session_id, f.id) FROM hold h JOIN file f ON f.blake3 = h.blake3 ORDER BY f.id"),
            ["[\"s\",91]", "[\"s\",93]"]
        );
        assert!(rows("SELECT \"table\" FROM pragma_foreign_key_check").is_empty());
        // The lost one is told of, and its bytes heal it; a new blob gets a number that none had.
        let lost = "SELECT CAST(id AS TEXT) FROM file WHERE state = 'lost'";
        assert_eq!(rows(lost).len(), 1);
        env.run(["verify"]);
        assert_eq!(rows(lost), ["93"]);
        Wheel::new("fresh", "1.0").write_to(env.path("fresh"));
        env.ok(["import", "fresh", "--collection", "cuda"]);
        assert_eq!(rows("SELECT CAST(max(id) AS TEXT) FROM blob"), ["98"]);
        env.ok(["gc", "--grace", "0"]);
        assert!(rows("SELECT state FROM file WHERE state <> 'live'").is_empty(), "version {version}");
        assert!(rows("SELECT CAST(id AS TEXT) FROM file WHERE id NOT IN (SELECT id FROM blob)").is_empty());
    }
}

#[test]
fn what_was_seen_of_trees_remotes_and_tokens_stays_when_it_gets_tables_of_its_own() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    for version in 3..9 {
        let env = old(version);
        let tree = env.path("tree");
        let connection = Connection::open(env.path("store/manifest.sqlite")).unwrap();
        let rows = [
            ("UPDATE remote SET layout = 'json', ok_at = 5, failed_at = 6, failure = 'gone' WHERE name = 'mirror'", ()),
            ("UPDATE token SET used_at = 7 WHERE name = 'cuda'", ()),
            ("INSERT INTO meta VALUES('losses', '4'), ('build_run_begun:aa', '3 note')", ()),
        ];
        for (sql, params) in rows {
            assert!(connection.execute(sql, params).unwrap() > 0, "{sql}");
        }
        let sql = "INSERT INTO view(id, path, store, layout, link, generation, files, projects, losses)
                   VALUES(5, ?1, '/', 'flat', 'copy', 3, 8, 9, NULL)";
        connection.execute(sql, [tree.to_str().unwrap()]).unwrap();
        drop(connection);
        let remote = env.json(["remote", "list"])["remotes"][0].clone();
        assert_eq!(
            (&remote["ok_at"], &remote["failed_at"], &remote["failure"]),
            (&5.into(), &6.into(), &"gone".into())
        );
        let tokens = env.json(["token", "list"]);
        let used: Vec<_> = array(&tokens["tokens"]).iter().map(|token| token["used_at"].clone()).collect();
        assert_eq!(used, [serde_json::json!(7), serde_json::Value::Null, serde_json::Value::Null]);
        let connection = Connection::open(env.path("store/manifest.sqlite")).unwrap();
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(
            text("SELECT json_array(view_id, generation, files, projects, losses, digest) FROM view_shown"),
            "[5,3,8,9,null,null]"
        );
        assert_eq!(text("SELECT group_concat(key || '=' || value) FROM here"), "build_run_begun:aa=3 note,losses=4");
        assert_eq!(text("SELECT CAST(count(*) AS TEXT) FROM meta WHERE key IN (SELECT key FROM here)"), "0");
        // Nobody looked at it yet here: the next use is the first.
        assert_eq!(text("SELECT CAST(count(*) AS TEXT) FROM token_use"), "1");
    }
}
