use super::super::triggers::{every_column, shared_tables};
use super::super::{Access, CollectionId};
use super::*;
use crate::digest::Digests;
use crate::fs::Signature;
use std::sync::Mutex;
use std::time::Duration;

/// A log in memory, which may lose answers and be out of reach.
#[derive(Debug, Default)]
struct MemoryLog {
    /// One that was pruned is empty.
    records: Mutex<Vec<Vec<u8>>>,
    digests: Mutex<std::collections::HashMap<i64, Sha256>>,
    is_away: std::sync::atomic::AtomicBool,
}

impl MemoryLog {
    fn reach(&self) -> std::result::Result<std::sync::MutexGuard<'_, Vec<Vec<u8>>>, LogError> {
        if self.is_away.load(std::sync::atomic::Ordering::SeqCst) {
            Err("it is away".into())
        } else {
            Ok(self.records.lock().unwrap())
        }
    }

    /// Prunes the records before a number.
    fn prune(&self, before: i64) {
        for (number, record) in (1..before).zip(self.records.lock().unwrap().iter_mut()) {
            if !record.is_empty() {
                self.digests.lock().unwrap().insert(number, Sha256::of(record));
                record.clear();
            }
        }
    }

    fn go_away(&self, away: bool) {
        self.is_away.store(away, std::sync::atomic::Ordering::SeqCst);
    }
}

impl SharedLog for MemoryLog {
    fn read(&self, number: i64) -> std::result::Result<Option<Vec<u8>>, LogError> {
        let records = self.reach()?;
        Ok(records.get(usize::try_from(number - 1).unwrap()).filter(|record| !record.is_empty()).cloned())
    }

    fn newest(&self) -> std::result::Result<Option<i64>, LogError> {
        let records = self.reach()?;
        Ok(records.iter().any(|record| !record.is_empty()).then_some(records.len() as i64))
    }

    fn kept_digest(&self, number: i64) -> std::result::Result<Option<Sha256>, LogError> {
        Ok(self.digests.lock().unwrap().get(&number).copied())
    }

    fn append(&self, number: i64, record: &[u8]) -> std::result::Result<bool, LogError> {
        let mut records = self.reach()?;
        if records.len() + 1 != usize::try_from(number).unwrap() {
            return Ok(false);
        }
        records.push(record.to_owned());
        Ok(true)
    }
}

struct Nodes {
    log: Arc<MemoryLog>,
    nodes: Vec<Manifest>,
    _dir: tempfile::TempDir,
}

/// Makes nodes of one shared store.
fn nodes(count: usize) -> Nodes {
    let (dir, log) = (tempfile::tempdir().unwrap(), Arc::new(MemoryLog::default()));
    let nodes = (0..count).map(|number| {
        let path = dir.path().join(number.to_string());
        let mut manifest = Manifest::open(&path, Access::Create, Duration::ZERO).unwrap();
        assert!(manifest.follow(log.clone()).unwrap().is_none());
        assert_eq!(manifest.join("host:/store", "machine", 1).unwrap(), i64::try_from(number).unwrap() + 1);
        manifest
    });
    let nodes = nodes.collect();
    Nodes { log, nodes, _dir: dir }
}

/// Returns all that is true of the store, as text.
fn truth(manifest: &Manifest) -> String {
    manifest.catch_up().unwrap();
    let mut text = String::new();
    for table in shared_tables() {
        let columns = every_column(&manifest.conn, table).unwrap();
        let values =
            columns.iter().map(|column| format!("quote({})", column.name)).collect::<Vec<_>>().join(" || ' ' || ");
        let sql = format!("SELECT {values} AS line FROM {table} ORDER BY line");
        let mut statement = manifest.conn.prepare(&sql).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        lines.for_each(|line| text.push_str(&format!("{table} {}\n", line.unwrap())));
    }
    text
}

fn collection(transaction: &Transaction<'_>, name: &str) -> CollectionId {
    let name = name.parse().unwrap();
    match transaction.find_collection(&name).unwrap() {
        Some(row) => row.id,
        None => transaction.insert_collection(&name, 7).unwrap(),
    }
}

/// Publishes bytes as an import does, in two transactions; returns whether the first one's number still counts in the second.
fn import(manifest: &Manifest, bytes: &[u8], name: &str, between: impl FnOnce()) -> Result<bool> {
    let digests = Digests::of(bytes);
    let transaction = manifest.write()?;
    let row = match transaction.find_blob(&digests.blake3)? {
        Some(row) => row,
        None => transaction
            .insert_file(&digests, bytes.len() as u64, 7)?
            .unwrap_or_else(|| transaction.find_file(&digests, 7).unwrap().expect("it was in the way")),
    };
    transaction.commit()?;
    between();
    let transaction = manifest.write()?;
    let found = Signature { device: 1, inode: 1, size: bytes.len() as u64, modified_ns: 1, changed_ns: 1 };
    if transaction.blob(row.id)?.is_some_and(|found| found.blake3 != digests.blake3) {
        panic!("a number is two files'");
    }
    if transaction.find_blob(&digests.blake3)?.is_none() {
        if !transaction.set_live(row.id, row.epoch, &found)? {
            return Ok(false);
        }
        transaction.insert_blob(&row)?;
    }
    let id = transaction.find_blob(&digests.blake3)?.expect("inserted").id;
    let metadata = Digests::of(name.as_bytes()).sha256;
    let sql = "INSERT INTO metadata VALUES(?1, x'00FF') ON CONFLICT DO NOTHING";
    transaction.conn.execute(sql, [metadata])?;
    let sql = "INSERT INTO distribution(blob_id, filename, kind, project, version, tags, metadata_sha256)
               VALUES(?1, ?2 || '.whl', 'wheel', ?2, '1', '', ?3) ON CONFLICT DO NOTHING";
    transaction.conn.execute(sql, (id, name, metadata))?;
    transaction.commit()?;
    Ok(true)
}

#[test]
fn every_shared_table_can_be_followed() {
    let Nodes { nodes, _dir, .. } = nodes(1);
    for table in shared_tables() {
        let columns = every_column(&nodes[0].conn, table).unwrap();
        assert!(columns.iter().any(|column| column.is_key), "{table} has no primary key: a record can't name its rows");
    }
}

#[test]
fn what_one_node_writes_the_others_read() {
    let Nodes { nodes, log, _dir } = nodes(3);
    assert!(import(&nodes[0], b"one", "one", || {}).unwrap());
    assert!(import(&nodes[1], b"two", "two", || {}).unwrap());
    let transaction = nodes[2].write().unwrap();
    let shared = collection(&transaction, "shared");
    transaction.set_meta("key", "value's \"text\"\u{0}\u{1F980}").unwrap();
    transaction
        .conn
        .execute("INSERT INTO token(name, digest, scope, created_at) VALUES('t', zeroblob(32), 'read', 1)", [])
        .unwrap();
    transaction.commit().unwrap();
    let expected = truth(&nodes[2]);
    assert!(expected.contains("blob ") && expected.contains("shared") && expected.contains("token "), "{expected}");
    assert!(nodes.iter().all(|node| truth(node) == expected));
    // What follows from a deletion, by foreign keys and triggers, is the same everywhere.
    let transaction = nodes[0].write().unwrap();
    transaction.conn.execute("DELETE FROM collection WHERE id = ?1", [shared]).unwrap();
    transaction.conn.execute_batch("DELETE FROM blob; UPDATE file SET state = 'deleting'").unwrap();
    transaction.commit().unwrap();
    let expected = truth(&nodes[0]);
    assert!(!expected.contains("distribution "), "{expected}");
    assert!(nodes.iter().all(|node| truth(node) == expected));
    let records = log.records.lock().unwrap().len();
    nodes.iter().for_each(|node| assert!(node.place().unwrap().number == records as i64));
    nodes.iter().for_each(|node| assert_eq!(node.complaints().unwrap(), [""; 0]));
}

#[test]
fn a_copy_of_a_node_is_another_node() {
    let Nodes { nodes, log, _dir } = nodes(1);
    assert_eq!(nodes[0].join("host:/store", "machine", 1).unwrap(), 1, "where it was it is the same");
    let copy = _dir.path().join("copy");
    nodes[0].conn.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let mut copy = Manifest::open(&copy, Access::Write, Duration::ZERO).unwrap();
    assert!(copy.follow(log.clone()).unwrap().is_none());
    assert_eq!(copy.join("host:/copy", "machine", 1).unwrap(), 2);
    assert_eq!(nodes[0].join("host:/store", "another machine", 1).unwrap(), 3);
    let number = |node: &Manifest, bytes: &[u8]| {
        let transaction = node.write().unwrap();
        let row = transaction.insert_file(&Digests::of(bytes), 1, 1).unwrap().unwrap();
        transaction.commit().unwrap();
        row.id
    };
    assert_ne!(number(&nodes[0], b"a"), number(&copy, b"b"));
}

#[test]
fn a_new_node_reads_all_that_was_before() {
    let Nodes { nodes, log, _dir } = nodes(1);
    for number in 0..20 {
        assert!(import(&nodes[0], format!("{number}").as_bytes(), "demo", || {}).unwrap());
    }
    let path = _dir.path().join("late");
    let mut late = Manifest::open(&path, Access::Create, Duration::ZERO).unwrap();
    assert!(late.follow(log).unwrap().is_none());
    assert_eq!(truth(&late), truth(&nodes[0]));
}

#[test]
fn of_two_transactions_at_once_one_counts() {
    let Nodes { nodes, _dir, .. } = nodes(2);
    let one = nodes[0].write().unwrap();
    one.set_meta("key", "one").unwrap();
    let two = nodes[1].write().unwrap();
    two.set_meta("key", "two").unwrap();
    two.commit().unwrap();
    let error = one.commit().unwrap_err();
    assert!(matches!(error, Error::Conflict) && error.is_busy(), "{error}");
    assert!(nodes.iter().all(|node| truth(node).contains("'two'")));
    let again = nodes[0].write().unwrap();
    again.set_meta("key", "one").unwrap();
    again.commit().unwrap();
    assert!(nodes.iter().all(|node| truth(node).contains("'one'")));
}

#[test]
fn what_refers_to_nothing_is_refused_before_the_log_has_it() {
    let Nodes { nodes, log, _dir } = nodes(2);
    let transaction = nodes[0].write().unwrap();
    let shared = collection(&transaction, "shared");
    transaction.commit().unwrap();
    let records = log.records.lock().unwrap().len();
    // This transaction reads the record first, and is as strict as any after it.
    let transaction = nodes[1].write().unwrap();
    let sql = "INSERT INTO entry(collection_id, filename, blob_id, added, uploaded_at) VALUES(?1, 'x', 77, 1, 1)";
    assert!(transaction.conn.execute(sql, [shared]).is_err());
    assert!(
        transaction
            .conn
            .execute("INSERT INTO pin(blob_id, owner, reason, created_at) VALUES(77, 'x', '', 1)", [])
            .is_err()
    );
    transaction.set_meta("key", "value").unwrap();
    transaction.commit().unwrap();
    assert_eq!(log.records.lock().unwrap().len(), records + 1);
    assert_eq!(truth(&nodes[0]), truth(&nodes[1]));
    // Its own triggers work in it, too.
    nodes[0].write().unwrap().commit().unwrap();
    let told: i64 =
        nodes[1].conn.query_row("SELECT count(*) FROM record WHERE kind = 'collection'", [], |row| row.get(0)).unwrap();
    assert_eq!(told, 1);
}

#[test]
fn what_is_true_of_one_folder_is_in_no_record() {
    let Nodes { nodes, log, _dir } = nodes(2);
    let records = log.records.lock().unwrap().len();
    let transaction = nodes[0].write().unwrap();
    transaction.insert_file(&Digests::of(b"here"), 4, 1).unwrap();
    transaction.set_here("key", "value").unwrap();
    transaction.commit().unwrap();
    drop(nodes[0].write().unwrap());
    assert_eq!(log.records.lock().unwrap().len(), records);
}

#[test]
fn the_same_bytes_on_two_nodes_at_once_become_one_blob() {
    let Nodes { nodes, _dir, .. } = nodes(2);
    let first = import(&nodes[0], b"same", "demo", || assert!(import(&nodes[1], b"same", "demo", || {}).unwrap()));
    // Whoever was later has another number, sees it and goes round again.
    assert!(first.is_ok_and(|done| done));
    assert_eq!(truth(&nodes[0]).matches("\nblob ").count() + usize::from(truth(&nodes[0]).starts_with("blob ")), 1);
    assert_eq!(truth(&nodes[0]), truth(&nodes[1]));
    nodes.iter().for_each(|node| assert_eq!(node.complaints().unwrap(), [""; 0]));
}

#[test]
fn a_file_whose_blob_went_elsewhere_is_nobodys() {
    let Nodes { nodes, _dir, .. } = nodes(2);
    assert!(import(&nodes[0], b"bytes", "demo", || {}).unwrap());
    nodes[1].catch_up().unwrap();
    let transaction = nodes[1].write().unwrap();
    transaction.conn.execute("DELETE FROM blob", []).unwrap();
    transaction.commit().unwrap();
    nodes[0].catch_up().unwrap();
    let unwanted = nodes[0].unwanted().unwrap();
    assert_eq!(unwanted.iter().map(|file| file.blake3).collect::<Vec<_>>(), [Digests::of(b"bytes").blake3]);
}

#[test]
fn a_log_out_of_reach_keeps_reads_and_loses_no_write_that_was_told() {
    let Nodes { nodes, log, _dir } = nodes(1);
    let transaction = nodes[0].write().unwrap();
    collection(&transaction, "before");
    transaction.commit().unwrap();
    log.go_away(true);
    assert!(nodes[0].find_collection(&"before".parse().unwrap()).unwrap().is_some());
    let transaction = nodes[0].write().unwrap();
    transaction.insert_file(&Digests::of(b"here"), 4, 1).unwrap();
    transaction.commit().unwrap();
    let transaction = nodes[0].write().unwrap();
    collection(&transaction, "meanwhile");
    let error = transaction.commit().unwrap_err();
    assert!(matches!(error, Error::Log(_)), "{error}");
    assert!(nodes[0].find_collection(&"meanwhile".parse().unwrap()).unwrap().is_none());
    let mut late = Manifest::open(&_dir.path().join("late"), Access::Create, Duration::ZERO).unwrap();
    assert!(late.follow(log.clone()).unwrap().is_some());
    log.go_away(false);
    late.catch_up().unwrap();
    assert_eq!(truth(&late), truth(&nodes[0]));
}

#[test]
fn a_node_killed_after_the_commit_reads_its_own_record() {
    let Nodes { nodes, log, _dir } = nodes(2);
    let transaction = nodes[0].write().unwrap();
    collection(&transaction, "mine");
    // What the log has counts, whatever becomes of the local commit.
    transaction.publish().unwrap();
    drop(transaction);
    assert!(nodes[0].find_collection(&"mine".parse().unwrap()).unwrap().is_none());
    assert_eq!(truth(&nodes[0]), truth(&nodes[1]));
    assert!(nodes[0].find_collection(&"mine".parse().unwrap()).unwrap().is_some());
    assert_eq!(log.records.lock().unwrap().len(), 3);
}

#[test]
fn another_log_or_a_damaged_one_is_never_followed() {
    let damaged = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let Nodes { nodes, log, _dir } = nodes(2);
        for name in ["one", "two"] {
            let transaction = nodes[0].write().unwrap();
            collection(&transaction, name);
            transaction.commit().unwrap();
        }
        change(&mut log.records.lock().unwrap());
        let error = nodes[1].catch_up().unwrap_err();
        // What came before it counts.
        let place = nodes[1].place().unwrap();
        assert_eq!(nodes[1].collections().unwrap().len(), usize::from(place.number == 3));
        let transaction = nodes[1].write().unwrap();
        transaction.set_here("key", "value").unwrap();
        transaction.commit().unwrap();
        let transaction = nodes[1].write().unwrap();
        collection(&transaction, "three");
        assert!(transaction.commit().unwrap_err().is_of_log());
        assert_eq!(nodes[1].place().unwrap(), place);
        assert!(nodes[1].find_collection(&"two".parse().unwrap()).unwrap().is_none());
        // Triggers work as before.
        nodes[1].conn.execute_batch("BEGIN; INSERT INTO collection(name, created_at) VALUES('local', 1)").unwrap();
        let told: i64 = nodes[1].conn.query_row("SELECT count(*) FROM change", [], |row| row.get(0)).unwrap();
        assert_eq!(told, 1);
        nodes[1].conn.execute_batch("ROLLBACK").unwrap();
        error
    };
    let replace = |from: &'static str, to: &'static str| {
        move |records: &mut Vec<Vec<u8>>| {
            let text = String::from_utf8(records[2].clone()).unwrap();
            assert!(text.contains(from), "{text}");
            records[2] = text.replacen(from, to, 1).into_bytes();
        }
    };
    assert!(matches!(damaged(&replace("\"number\":3", "\"number\":4")), Error::Diverged(3)));
    assert!(matches!(damaged(&replace("\"before\":\"", "\"before\":\"00")), Error::DamagedRecord(3)));
    assert!(matches!(damaged(&replace("\"one\"", "\"other\"")), Error::Diverged(4)));
    assert!(matches!(damaged(&replace("\"table\":\"collection\"", "\"table\":\"session\"")), Error::DamagedRecord(3)));
    assert!(matches!(
        damaged(&replace("\"table\":\"collection\"", "\"table\":\"x; DROP TABLE blob\"")),
        Error::DamagedRecord(3)
    ));
    assert!(matches!(damaged(&replace("\"created_at\"", "\"created\"")), Error::DamagedRecord(3)));
    // What the schema has no place for: another type, nothing where a name must be, a row without values.
    assert!(matches!(damaged(&replace("\"created_at\":7", "\"created_at\":\"x\"")), Error::DamagedRecord(3)));
    assert!(matches!(damaged(&replace("\"name\":\"one\"", "\"name\":null")), Error::DamagedRecord(3)));
    let empty = |records: &mut Vec<Vec<u8>>| {
        let text = String::from_utf8(records[2].clone()).unwrap();
        let (start, end) = (text.find("\"row\":{").unwrap(), text.find('}').unwrap());
        records[2] = format!("{}\"row\":{{{}", &text[..start], &text[end..]).into_bytes();
    };
    assert!(matches!(damaged(&empty), Error::DamagedRecord(3)));
    assert!(matches!(damaged(&replace("\"schema\":", "\"schema\":1")), Error::NewerRecord { number: 3, .. }));
    assert!(matches!(damaged(&|records| records[2].truncate(40)), Error::DamagedRecord(3)));
    // What was applied before the damage was found is taken back.
    assert!(matches!(damaged(&|records| _ = records[2].pop()), Error::DamagedRecord(3)));
    assert!(matches!(damaged(&|records| records[2].extend(b"{}")), Error::DamagedRecord(3)));
    assert!(matches!(damaged(&replace("\"changes\":[", "\"changes\":[],\"changes\":[")), Error::DamagedRecord(3)));
    assert!(matches!(damaged(&replace("\"changes\":[", "\"altered\":[")), Error::DamagedRecord(3)));
    assert!(matches!(damaged(&replace("\"created_at\":7", "\"created_at\":[7]")), Error::DamagedRecord(3)));
}

#[test]
fn a_log_that_was_put_back_is_noticed_before_anything_is_written() {
    let Nodes { nodes, log, _dir } = nodes(1);
    let transaction = nodes[0].write().unwrap();
    collection(&transaction, "one");
    transaction.commit().unwrap();
    drop(nodes);
    log.records.lock().unwrap().pop();
    let mut again = Manifest::open(&_dir.path().join("0"), Access::Write, Duration::ZERO).unwrap();
    // Who only reads has no reason to ask for what is known.
    assert!(again.follow(log.clone()).unwrap().is_none());
    let transaction = again.write().unwrap();
    collection(&transaction, "two");
    assert!(matches!(transaction.commit(), Err(Error::Diverged(2))));
    assert_eq!(log.records.lock().unwrap().len(), 1);
}

/// Lets a node forget that the log went on from where it was.
fn let_time_pass(node: &Manifest) {
    node.conn.execute("DELETE FROM here WHERE key = 'shared_log_known'", []).unwrap();
}

fn write(node: &Manifest, name: &str) -> Result<()> {
    let transaction = node.write()?;
    collection(&transaction, name);
    transaction.commit()
}

#[test]
fn a_node_goes_on_from_a_record_that_was_pruned_and_notices_where_those_after_it_were() {
    for (behind, gone) in (0..5).flat_map(|behind| (-1..=behind).map(move |gone| (behind, gone))) {
        let Nodes { nodes, log, _dir } = nodes(2);
        let late = &nodes[1];
        (0..3).for_each(|number| write(&nodes[0], &format!("before{number}")).unwrap());
        assert!(import(late, b"bytes", "demo", || {}).unwrap());
        let place = late.place().unwrap();
        (0..behind).for_each(|number| write(&nodes[0], &format!("after{number}")).unwrap());
        let known = truth(&nodes[0]);
        log.prune(place.number + gone);
        if gone < 2 {
            let_time_pass(late);
            late.catch_up().unwrap();
            assert_eq!(truth(late), known);
            write(late, "mine").unwrap();
            continue;
        }
        // What was known just now is believed.
        late.catch_up().unwrap();
        let_time_pass(late);
        let error = late.catch_up().unwrap_err();
        assert!(matches!(error, Error::TooFarBehind(number) if number == place.number), "{error}");
        let records = log.records.lock().unwrap().clone();
        let error = write(late, "mine").unwrap_err();
        assert!(matches!(error, Error::TooFarBehind(_)) && error.is_of_log(), "{error}");
        assert_eq!(*log.records.lock().unwrap(), records);
        assert_eq!(late.place().unwrap(), place);
        // From a snapshot it goes on, with what is true of its folder.
        let here = "SELECT group_concat(state || epoch) || (SELECT value FROM here WHERE key = 'node_files') FROM file";
        let of_here = || late.conn.query_row(here, [], |row| row.get::<_, String>(0)).unwrap();
        let before = of_here();
        let snapshot = _dir.path().join("snapshot");
        nodes[0].export(&snapshot).unwrap();
        late.begin_anew(&snapshot).unwrap();
        assert_eq!((truth(late), of_here()), (known, before));
        assert_eq!(late.complaints().unwrap(), [""; 0]);
        write(late, "mine").unwrap();
        assert!(import(late, b"more bytes", "demo2", || {}).unwrap());
        assert_eq!(truth(late), truth(&nodes[0]));
        // One that is older is of no use.
        let place = late.place().unwrap();
        late.begin_anew(&snapshot).unwrap();
        assert_eq!(late.place().unwrap(), place);
    }
}

#[test]
fn a_node_of_another_past_is_not_taken_for_one_that_is_late() {
    let Nodes { nodes, log, _dir } = nodes(2);
    (0..5).for_each(|number| write(&nodes[0], &format!("c{number}")).unwrap());
    let place = nodes[1].place().unwrap();
    log.prune(5);
    log.digests.lock().unwrap().insert(place.number, Sha256::of(b"another"));
    let_time_pass(&nodes[1]);
    assert!(matches!(nodes[1].catch_up(), Err(Error::Diverged(2))));
    log.digests.lock().unwrap().clear();
    assert!(matches!(nodes[1].catch_up(), Err(Error::Diverged(2))));
    // A node that knows nothing yet has no past.
    let mut new = Manifest::open(&_dir.path().join("new"), Access::Create, Duration::ZERO).unwrap();
    assert!(matches!(new.follow(log.clone()).unwrap(), Some(Error::TooFarBehind(0))));
    assert!(matches!(write(&new, "mine"), Err(Error::TooFarBehind(0))));
}

#[test]
fn a_file_whose_blob_went_while_its_node_was_away_is_nobodys() {
    let Nodes { nodes, log, _dir } = nodes(2);
    assert!(import(&nodes[1], b"bytes", "demo", || {}).unwrap());
    assert!(import(&nodes[1], b"more bytes", "more", || {}).unwrap());
    nodes[0].catch_up().unwrap();
    let transaction = nodes[0].write().unwrap();
    transaction.conn.execute("DELETE FROM blob WHERE blake3 = ?1", [Digests::of(b"bytes").blake3]).unwrap();
    transaction.commit().unwrap();
    // The same bytes come again, by another node: their row has another number.
    let transaction = nodes[0].write().unwrap();
    transaction.conn.execute("DELETE FROM blob", []).unwrap();
    transaction.commit().unwrap();
    assert!(import(&nodes[0], b"more bytes", "more", || {}).unwrap());
    let newest = log.newest().unwrap().unwrap();
    log.prune(newest);
    let_time_pass(&nodes[1]);
    assert!(nodes[1].catch_up().is_err());
    let snapshot = _dir.path().join("snapshot");
    nodes[0].export(&snapshot).unwrap();
    nodes[1].begin_anew(&snapshot).unwrap();
    assert_eq!(nodes[1].unwanted().unwrap().len(), 1);
    let row = nodes[1].find_blob(&Digests::of(b"more bytes").blake3).unwrap().unwrap();
    assert_eq!(nodes[1].state(row.id).unwrap().map(|state| state.as_str().to_owned()), Some("live".to_owned()));
    assert_eq!(truth(&nodes[1]), truth(&nodes[0]));
}
