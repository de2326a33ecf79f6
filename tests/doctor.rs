//! Damages a store in every way that `doctor` knows, one at a time, and looks at what it says.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/wheels.rs"]
mod wheels;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wcas::blobs::LinkMode;
use wcas::context::Context;
use wcas::digest::{Blake3, Digests};
use wcas::intake::ImportOptions;
use wcas::manifest::{Layout, LinkKind, SessionRow, VariantRequirement, VariantRow};
use wcas::name::CollectionName;
use wcas::ops::doctor::Severity;
use wcas::{Store, ops};
use wheels::Wheel;

const CONTEXT: Context<'_> = Context { now: 4_000_000_000, who: "test", jobs: 2, progress: &(), client: None };

/// A store with one wheel.
struct Sample {
    dir: TempDir,
    root: PathBuf,
    blake3: Blake3,
}

impl Sample {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let path = Wheel::new("demo", "1.0").write_to(dir.path().join("in"));
        let store = Store::open_or_create(&root).unwrap();
        let (sources, ..) = wcas::intake::find_sources(&[path], None);
        let options = ImportOptions {
            target: wcas::intake::Target::Collection(CollectionName::shared()),
            link: LinkMode::Copy,
            keep_existing: false,
            trust: wcas::wheel::Trust::Neither,
        };
        let report = wcas::intake::import(&store, &CONTEXT, sources, &options).unwrap();
        Self { dir, root: store.root().to_owned(), blake3: report.distributions[0].blake3 }
    }

    fn open(&self) -> Store {
        Store::open(&self.root).unwrap()
    }

    fn blob(&self) -> PathBuf {
        self.open().blobs.path(&self.blake3)
    }

    /// Returns the findings, without those that are the machine's.
    fn findings(&self) -> Vec<(&'static str, Severity, String)> {
        let report = ops::doctor::doctor(&self.open(), &CONTEXT).unwrap();
        assert!(report.findings.is_sorted_by_key(|finding| finding.severity), "problems come first");
        assert!(report.findings.iter().all(|finding| !finding.advice.is_empty()));
        let findings = report.findings.into_iter().filter(|finding| !matches!(finding.kind, "reflink" | "room"));
        findings.map(|finding| (finding.kind, finding.severity, finding.detail)).collect()
    }

    #[track_caller]
    fn finds(&self, kind: &str, severity: Severity, detail: &str) {
        let findings = self.findings();
        assert!(findings.len() == 1, "{findings:?}");
        assert_eq!((findings[0].0, findings[0].1), (kind, severity), "{findings:?}");
        assert!(findings[0].2.contains(detail), "{findings:?}");
    }
}

/// Returns all names below a folder.
fn tree(dir: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path()).collect()
}

#[test]
fn a_sound_store_has_no_findings_and_is_left_as_it_was() {
    let sample = Sample::new();
    let before = tree(&sample.root);
    assert_eq!(sample.findings(), []);
    assert_eq!(tree(&sample.root), before);
    let report = ops::doctor::doctor(&sample.open(), &CONTEXT).unwrap();
    assert!(
        report.is_writable && report.store == sample.root && report.free_bytes > 0 && !report.filesystem.is_empty()
    );
}

#[test]
fn a_live_row_needs_a_file_of_its_size() {
    let sample = Sample::new();
    let (path, name) = (sample.blob(), "demo-1.0-py3-none-any.whl");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    sample.finds("missing", Severity::Problem, name);
    symlink("/dev/null", &path).unwrap();
    sample.finds("foreign", Severity::Problem, name);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"short").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    sample.finds("size", Severity::Problem, "5 bytes instead of");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
    sample.finds("mode", Severity::Note, "1 blob with permissions other than 0444");
}

#[test]
fn a_lost_blob_is_named_by_its_filenames() {
    let sample = Sample::new();
    let store = sample.open();
    let row = store.manifest.find_blob(&sample.blake3).unwrap().unwrap();
    let transaction = store.manifest.write().unwrap();
    assert!(transaction.set_lost(row.id).unwrap());
    transaction.commit().unwrap();
    sample.finds("lost", Severity::Problem, "demo-1.0-py3-none-any.whl");
}

#[test]
fn files_in_blobs_need_a_row_and_a_blobs_name() {
    let sample = Sample::new();
    let path = sample.open().blobs.path(&Digests::of(b"orphan").blake3);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"orphan").unwrap();
    sample.finds("orphan", Severity::Problem, "the manifest doesn't know");
    fs::rename(&path, path.with_file_name("notes.txt")).unwrap();
    sample.finds("unknown", Severity::Note, "1 name under blobs/");
}

#[test]
fn rows_and_sessions_of_killed_commands_are_notes() {
    let sample = Sample::new();
    let store = sample.open();
    let transaction = store.manifest.write().unwrap();
    let staged = transaction.insert_file(&Digests::of(b"staged"), 6, 1).unwrap().unwrap().id;
    transaction.commit().unwrap();
    sample.finds("staged", Severity::Note, "1 blob that a killed command");

    let transaction = store.manifest.write().unwrap();
    assert!(transaction.bury([staged].into_iter()).unwrap().contains(&staged));
    transaction.commit().unwrap();
    sample.finds("deleting", Severity::Note, "1 blob that a killed gc");

    let transaction = store.manifest.write().unwrap();
    transaction.delete_files([staged].into_iter()).unwrap();
    let session = |id: &str| SessionRow {
        id: id.to_owned(),
        host: String::new(),
        boot_id: String::new(),
        pid: 1,
        command: "import".to_owned(),
        started_at: 1,
    };
    transaction.insert_session(&session("dead")).unwrap();
    let held = transaction.insert_file(&Digests::of(b"held"), 4, 1).unwrap().unwrap().id;
    transaction.insert_hold("dead", held).unwrap();
    transaction.commit().unwrap();
    fs::create_dir(sample.root.join("staging/left")).unwrap();
    sample.finds("session", Severity::Note, "2 sessions");

    let alive = store.session("import", 1).unwrap();
    let live: Vec<_> = sample.findings().into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(live, ["staged"], "a session that runs is no finding, and it has cleared the dead ones");
    drop(alive);
}

#[test]
fn leftovers_beside_the_blobs_are_notes() {
    let sample = Sample::new();
    let store = sample.open();
    store.blobs.named(&sample.blake3, "demo-1.0-py3-none-any.whl").unwrap();
    assert_eq!(sample.findings(), []);
    store.blobs.named(&Digests::of(b"gone").blake3, "gone-1.0-py3-none-any.whl").unwrap();
    sample.finds("named", Severity::Note, "1 name in named/ whose blob is gone");
    fs::remove_dir_all(sample.root.join("named")).unwrap();
    fs::write(sample.root.join("quarantine").join(format!("{}.0", sample.blake3)), b"bad").unwrap();
    sample.finds("quarantine", Severity::Note, "1 file of wrong bytes in quarantine, 3 bytes");
    fs::remove_dir_all(sample.root.join("quarantine")).unwrap();
    fs::remove_file(sample.root.join("reserve")).unwrap();
    sample.finds("reserve", Severity::Note, "no room");
}

#[test]
fn a_view_needs_its_folder_and_its_link() {
    let sample = Sample::new();
    let store = sample.open();
    let dir = sample.dir.path().join("tree");
    let transaction = store.manifest.write().unwrap();
    transaction.insert_view(dir.to_str().unwrap(), "/", Layout::Simple, LinkKind::Symlink).unwrap();
    transaction.commit().unwrap();
    sample.finds("view", Severity::Problem, "the folder of a view is gone");
    fs::create_dir(&dir).unwrap();
    symlink(".wcas/g-1", dir.join("simple")).unwrap();
    sample.finds("view", Severity::Problem, "leads nowhere");
    fs::create_dir_all(dir.join(".wcas/g-1")).unwrap();
    assert_eq!(sample.findings(), []);
}

#[test]
fn rows_of_files_and_blobs_that_say_different_things_are_told() {
    for sql in [
        "UPDATE file SET size = size + 1",
        "UPDATE file SET blake3 = randomblob(32)",
        "UPDATE blob SET size = size + 1",
        "INSERT INTO file(blake3, size, state) VALUES(randomblob(32), 1, 'live')",
    ] {
        let sample = Sample::new();
        assert_eq!(sample.findings(), []);
        rusqlite::Connection::open(sample.root.join("manifest.sqlite")).unwrap().execute_batch(sql).unwrap();
        let findings = sample.findings();
        let told =
            findings.iter().any(|(kind, _, text)| *kind == "manifest" && text.contains("not those of their blobs: 1"));
        assert!(told, "{sql}: {findings:?}");
    }
}

#[test]
fn a_damaged_manifest_is_told_and_ends_nothing() {
    let sample = Sample::new();
    fs::remove_file(sample.root.join("reserve")).unwrap();
    let path = sample.root.join("manifest.sqlite");
    // A page of rows, not one of the schema: without that the store can't be opened at all.
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'distribution'";
    let page: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    let start = (usize::try_from(page).unwrap() - 1) * 4096;
    bytes[start..][..64].fill(0xee);
    fs::write(&path, bytes).unwrap();
    let findings = sample.findings();
    assert_eq!((findings[0].0, findings[0].1), ("manifest", Severity::Problem), "{findings:?}");
    assert!(findings.iter().any(|(kind, ..)| *kind == "reserve"), "the rest is told, too: {findings:?}");
}

#[test]
fn a_store_that_may_not_be_written_is_still_examined() {
    let sample = Sample::new();
    let path = sample.root.join("wcas.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"ro_compat\": []", "\"ro_compat\": [\"future\"]")).unwrap();
    fs::remove_file(sample.root.join("reserve")).unwrap();
    let findings = sample.findings();
    let kinds: Vec<_> = findings.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, ["unwritable", "reserve"], "{findings:?}");
    assert!(!ops::doctor::doctor(&sample.open(), &CONTEXT).unwrap().is_writable);
}

#[test]
fn settings_that_do_not_go_together_are_notes() {
    let sample = Sample::new();
    let store = sample.open();
    let name = |text: &str| text.parse::<CollectionName>().unwrap();
    let project = "torch".parse().unwrap();
    let transaction = store.manifest.write().unwrap();
    let shared = transaction.find_collection(&CollectionName::shared()).unwrap().unwrap().id;
    let variant = VariantRow { has_requirements: true, ..VariantRow::new(name("cuda")) };
    transaction.put_variant(&variant).unwrap();
    let set = [VariantRequirement { project, requirement: "torch>=2".to_owned() }];
    transaction.set_variant_requirements(&variant.name, &set).unwrap();
    transaction.commit().unwrap();
    assert_eq!(sample.findings(), []);

    let transaction = store.manifest.write().unwrap();
    transaction.put_override(&set[0].project, Some(&variant.name), shared).unwrap();
    transaction.commit().unwrap();
    sample.finds("route", Severity::Note, "variant cuda requires torch, which is sent to shared");

    let transaction = store.manifest.write().unwrap();
    transaction.delete_override(&set[0].project, Some(&variant.name)).unwrap();
    transaction.commit().unwrap();
    // A name alone binds no wheel that runs anywhere.
    let wheel = Wheel::new("nvidia-cublas-cu12", "12.1").tags("py3-none-manylinux_2_17_x86_64");
    let wheel = wheel.write_to(sample.dir.path().join("gpu"));
    let options = ImportOptions {
        target: wcas::intake::Target::Collection(CollectionName::shared()),
        link: LinkMode::Copy,
        keep_existing: false,
        trust: wcas::wheel::Trust::Neither,
    };
    wcas::intake::import(&store, &CONTEXT, wcas::intake::find_sources(&[wheel], None).0, &options).unwrap();
    assert_eq!(sample.findings(), [], "there is no guard yet");
    let settings = |is_warning| ops::collection::Settings {
        accelerators: Some(Some(Vec::new())),
        is_warning: Some(is_warning),
        ..ops::collection::Settings::default()
    };
    ops::collection::set_collection(&store, &CONTEXT, &CollectionName::shared(), &settings(false)).unwrap();
    sample.finds(
        "guard",
        Severity::Note,
        "shared has 1 distribution that its guard would refuse, such as nvidia_cublas_cu12-12.1",
    );
    ops::collection::set_collection(&store, &CONTEXT, &CollectionName::shared(), &settings(true)).unwrap();
    assert_eq!(sample.findings(), [], "it was let in knowingly");
}
