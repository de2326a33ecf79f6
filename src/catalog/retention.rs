//! Retention: which entries a collection's rules let go, and why. Pure: entries in, decisions out.

use crate::error::{Error, Result};
use crate::manifest::{BlobId, Entry, Retention};
use pep440_rs::Version;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// An entry that goes, by its position among those given, and why.
pub(crate) type Decision = (usize, String);

/// Refuses rules that keep nothing at all: a slip of the hand, and `invalidate --all` says it plainly.
pub(crate) fn refuse_nothing(keep_builds: Option<u32>, keep_versions: Option<u32>) -> Result<()> {
    let rules = [("keep-builds", keep_builds), ("keep-versions", keep_versions)];
    match rules.into_iter().find(|(_, count)| *count == Some(0)) {
        None => Ok(()),
        Some((rule, _)) => Err(Error::Refused(format!(
            "{rule} 0 would keep nothing: write 1 or more, `none` for no rule, or `wcas invalidate --all` if all shall go"
        ))),
    }
}

/// Decides which entries of one collection go. `kept` blobs (pinned, held) stay, whatever the rules say; they count all the same.
/// What a snapshot or a tree shows goes as all else does: its bytes stay as long as those do, by history.
pub(crate) fn plan(entries: &[Entry], rules: &Retention, kept: &HashSet<BlobId>, now: i64) -> Vec<Decision> {
    let mut going: BTreeMap<usize, String> = BTreeMap::new();
    let mut decide = |decisions: Vec<Decision>| {
        for (index, reason) in decisions {
            if !kept.contains(&entries[index].blob) {
                going.entry(index).or_insert(reason);
            }
        }
    };
    if let Some(count) = rules.keep_builds {
        decide(beyond_builds(entries, count as usize));
    }
    if let Some(count) = rules.keep_versions {
        decide(beyond_versions(entries, count as usize));
    }
    if let Some(seconds) = rules.unused_for {
        decide(unused(entries, now, seconds));
    }
    if let Some(bytes) = rules.max_bytes {
        let gone = going.keys().copied().collect();
        for (index, reason) in beyond_bytes(entries, bytes, kept, &gone, now).0 {
            going.entry(index).or_insert(reason);
        }
    }
    going.into_iter().collect()
}

/// All but the highest builds of each project, version, tags, variant label **and suffix**: a build for another accelerator carries
/// another label or suffix and is no older build of this one.
fn beyond_builds(entries: &[Entry], count: usize) -> Vec<Decision> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let (number, suffix) = match entry.parsed_build_tag() {
            Some(tag) => (Some(tag.number), tag.suffix),
            // A wheel without a build tag sorts before all builds (PEP 427), of the plain ones.
            None => (None, String::new()),
        };
        groups
            .entry((&entry.project, &entry.version, &entry.tags, &entry.variant, suffix))
            .or_default()
            .push((number, index));
    }
    beyond(groups.into_values(), count, |count, newest| {
        format!("not among the {count} highest builds; {} is higher", entries[newest].filename)
    })
}

/// A local version's name: `rocm` of `+rocm6.2`.
fn family(local: &str) -> &str {
    let name = local.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    &name[..name.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(name.len())]
}

/// How an entry's version ranks among those of its family: what follows the local part's name is a version of its own, so that
/// `+rocm10.1` is higher than `+rocm7.15`, which PEP 440 orders by letters.
fn rank(entry: &Entry) -> (Version, Option<Version>, Version) {
    let whole = entry.parsed_version();
    let Some((public, local)) = entry.version.split_once('+') else { return (whole.clone(), None, whole) };
    let mut number = local.trim_start_matches(|c: char| !c.is_ascii_digit());
    let built = loop {
        match (number.parse().ok(), number.rsplit_once('.')) {
            (Some(version), _) => break Some(version),
            (None, None) => break None,
            // A commit's digest, or another name, at the end.
            (None, Some((before, _))) => number = before,
        }
    };
    (public.parse().unwrap_or_else(|_| whole.clone()), built, whole)
}

/// All but the highest versions of each project. Wheels with different tags or labels, and versions with differently named local parts
/// (`+cu126`, `+rocm6.2`), don't stand in for each other, so they are counted apart.
fn beyond_versions(entries: &[Entry], count: usize) -> Vec<Decision> {
    let mut groups: HashMap<_, BTreeMap<_, Vec<usize>>> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let local = entry.version.split_once('+').map_or("", |(_, local)| local);
        let group = groups.entry((&entry.project, entry.kind, &entry.tags, &entry.variant, family(local))).or_default();
        group.entry(Reverse(rank(entry))).or_default().push(index);
    }
    let mut decisions = Vec::new();
    for versions in groups.into_values() {
        let Some(newest) = versions.values().next().map(|indexes| indexes[0]) else { continue };
        for index in versions.into_values().skip(count).flatten() {
            decisions.push((
                index,
                format!("not among the {count} highest versions; {} is higher", entries[newest].version),
            ));
        }
    }
    decisions
}

fn beyond<K: Ord + Copy>(
    groups: impl Iterator<Item = Vec<(K, usize)>>,
    count: usize,
    reason: impl Fn(usize, usize) -> String,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for mut group in groups {
        group.sort_unstable_by_key(|&(rank, index)| (Reverse(rank), index));
        let newest = group[0].1;
        decisions.extend(group.into_iter().skip(count).map(|(_, index)| (index, reason(count, newest))));
    }
    decisions
}

fn unused(entries: &[Entry], now: i64, seconds: i64) -> Vec<Decision> {
    let is_unused = |entry: &Entry| last_use(entry, now) <= now.saturating_sub(seconds);
    let days = |entry: &Entry| (now - last_use(entry, now)) / 86_400;
    let indexes = entries.iter().enumerate().filter(|(_, entry)| is_unused(entry));
    indexes.map(|(index, entry)| (index, format!("unused for {} days", days(entry)))).collect()
}

/// When an entry's blob was last given by a lookup, or else came. A use later than now was a clock's that was ahead, and is none.
fn last_use(entry: &Entry, now: i64) -> i64 {
    entry.used_at.filter(|at| *at <= now).unwrap_or(entry.uploaded_at).max(entry.uploaded_at)
}

/// The least recently used entries, until the blobs of the rest have at most so many bytes. Returns what is too much still, when
/// all that may go is gone.
pub(crate) fn beyond_bytes(
    entries: &[Entry],
    max_bytes: u64,
    kept: &HashSet<BlobId>,
    gone: &HashSet<usize>,
    now: i64,
) -> (Vec<Decision>, u64) {
    let mut blobs: HashMap<BlobId, (i64, u64, Vec<usize>)> = HashMap::new();
    for (index, entry) in entries.iter().enumerate().filter(|(index, _)| !gone.contains(index)) {
        let blob = blobs.entry(entry.blob).or_insert((i64::MIN, entry.size, Vec::new()));
        blob.0 = blob.0.max(last_use(entry, now));
        blob.2.push(index);
    }
    let mut bytes: u64 = blobs.values().map(|(_, size, _)| size).sum();
    let mut order: Vec<_> = blobs.into_iter().filter(|(blob, _)| !kept.contains(blob)).collect();
    // Among equally old ones the largest goes first: fewest are lost.
    order.sort_unstable_by_key(|(blob, (used, size, _))| (*used, Reverse(*size), *blob));
    let mut decisions = Vec::new();
    for (_, (_, size, indexes)) in order {
        if bytes <= max_bytes {
            break;
        }
        bytes -= size;
        let reason = format!("least recently used, and more than {max_bytes} bytes are kept");
        decisions.extend(indexes.into_iter().map(|index| (index, reason.clone())));
    }
    (decisions, bytes.saturating_sub(max_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digests;
    use crate::manifest::{BlobId, State};
    use crate::name::CollectionName;
    use crate::wheel::DistributionFilename;

    /// An entry of its own bytes, used a second after the one before it.
    fn entry(number: i64, filename: &str) -> Entry {
        let name = DistributionFilename::parse(filename).unwrap();
        let digests = Digests::of(&number.to_le_bytes());
        Entry {
            collection: CollectionName::shared(),
            filename: filename.to_owned(),
            kind: name.kind(),
            project: name.project().clone(),
            version: name.version().to_string(),
            build_tag: name.build_tag().map(ToString::to_string),
            tags: name.tags().to_owned(),
            requires_python: None,
            metadata_sha256: None,
            blob: BlobId::for_test(number),
            blake3: digests.blake3,
            sha256: digests.sha256,
            size: 100,
            state: State::Live,
            added: 1,
            removed: None,
            removed_at: None,
            uploaded_at: number,
            yanked: None,
            used_at: None,
            epoch: 0,
            inode: None,
            modified_ns: None,
            origin: None,
            variant: name.variant().cloned(),
            is_prebuilt: false,
            source_url: None,
        }
    }

    fn entries(filenames: &[&str]) -> Vec<Entry> {
        (1..).zip(filenames).map(|(number, filename)| entry(number, filename)).collect()
    }

    fn gone(filenames: &[&str], rules: Retention, kept: &[i64]) -> Vec<String> {
        let entries = entries(filenames);
        let kept = kept.iter().map(|&number| BlobId::for_test(number)).collect();
        plan(&entries, &rules, &kept, 1000).into_iter().map(|(index, _)| entries[index].filename.clone()).collect()
    }

    #[test]
    fn x5_builds_are_counted_by_suffix_and_tags() {
        let builds = [
            "torch-2.5.1-1-cp312-cp312-linux_x86_64.whl",
            "torch-2.5.1-2-cp312-cp312-linux_x86_64.whl",
            "torch-2.5.1-10-cp312-cp312-linux_x86_64.whl",
            "torch-2.5.1-2_el9_rocm6-cp312-cp312-linux_x86_64.whl",
            "torch-2.5.1-1-cp311-cp311-linux_x86_64.whl",
            "torch-2.5.0-1-cp312-cp312-linux_x86_64.whl",
            "torch-2.5.1-cp312-cp312-linux_x86_64.whl",
        ];
        let keep = |count| Retention { keep_builds: Some(count), ..Retention::default() };
        assert_eq!(gone(&builds, keep(1), &[]), [builds[0], builds[1], builds[6]]);
        assert_eq!(gone(&builds, keep(2), &[]), [builds[0], builds[6]]);
        assert_eq!(gone(&builds, keep(1), &[1]), [builds[1], builds[6]], "a pinned one stays");
    }

    #[test]
    fn versions_of_other_accelerators_and_interpreters_are_counted_apart() {
        let wheels = [
            "torch-2.9.0-cp312-cp312-linux_x86_64.whl",
            "torch-2.10.0-cp312-cp312-linux_x86_64.whl",
            "torch-2.8.0+cu126-cp312-cp312-linux_x86_64.whl",
            "torch-2.8.0+cu128-cp312-cp312-linux_x86_64.whl",
            "torch-2.8.0+rocm6.2-cp312-cp312-linux_x86_64.whl",
            "torch-2.1.0-cp311-cp311-linux_x86_64.whl",
            "torch-2.9.0.tar.gz",
        ];
        let rules = Retention { keep_versions: Some(1), ..Retention::default() };
        assert_eq!(gone(&wheels, rules, &[]), [wheels[0], wheels[2]]);
    }

    #[test]
    fn what_follows_a_local_name_counts_as_a_number() {
        let rules = Retention { keep_versions: Some(1), ..Retention::default() };
        let newest = |versions: &[&str]| {
            let wheels: Vec<_> =
                versions.iter().map(|v| format!("torch-2.12.0+{v}-cp312-cp312-linux_x86_64.whl")).collect();
            let names: Vec<&str> = wheels.iter().map(String::as_str).collect();
            let gone = gone(&names, rules, &[]);
            assert_eq!(gone.len() + 1, names.len(), "{versions:?}");
            let left = names.iter().find(|name| !gone.iter().any(|gone| gone == *name)).unwrap().to_string();
            left.split(['+', '-']).nth(2).unwrap().to_owned()
        };
        assert_eq!(newest(&["rocm7.15.0a20260728", "rocm10.1.0a20260807", "rocm9.9"]), "rocm10.1.0a20260807");
        assert_eq!(newest(&["rocm10.1.0", "rocm10.1.0a20260807"]), "rocm10.1.0", "a final one after its nightlies");
        assert_eq!(newest(&["rocm6.10.41133.dd7f95766", "rocm6.2.41133.ff7f95766"]), "rocm6.10.41133.dd7f95766");
        assert_eq!(newest(&["cu118", "cu1210"]), "cu1210");
    }

    #[test]
    fn the_least_recently_used_go_until_the_rest_fits() {
        let wheels = ["a-1-py3-none-any.whl", "b-1-py3-none-any.whl", "c-1-py3-none-any.whl"];
        let rules = |bytes| Retention { max_bytes: Some(bytes), ..Retention::default() };
        assert_eq!(gone(&wheels, rules(300), &[]), [""; 0]);
        assert_eq!(gone(&wheels, rules(299), &[]), [wheels[0]]);
        assert_eq!(gone(&wheels, rules(299), &[1]), [wheels[1]]);
        assert_eq!(gone(&wheels, rules(0), &[2]), [wheels[0], wheels[2]]);
        let entries = entries(&wheels);
        let kept = HashSet::from([BlobId::for_test(2)]);
        assert_eq!(beyond_bytes(&entries, 50, &kept, &HashSet::new(), 1000).1, 50, "what is kept is too much by that");
    }

    #[test]
    fn what_another_rule_lets_go_takes_no_room_from_the_rest() {
        let wheels = ["a-1-py3-none-any.whl", "a-2-py3-none-any.whl", "b-1-py3-none-any.whl"];
        let rules = Retention { keep_versions: Some(1), max_bytes: Some(200), ..Retention::default() };
        assert_eq!(gone(&wheels, rules, &[]), [wheels[0]]);
    }

    #[test]
    fn what_was_used_before_it_came_again_is_as_young_as_that() {
        let mut entry = entry(1, "a-1-py3-none-any.whl");
        (entry.uploaded_at, entry.used_at) = (500, Some(10));
        assert_eq!(last_use(&entry, 1000), 500);
        entry.used_at = Some(600);
        assert_eq!(last_use(&entry, 1000), 600);
        // Of the entries of a blob the one that was used last counts, wherever it stands.
        let older = Entry { uploaded_at: 20, used_at: None, ..entry.clone() };
        let other = Entry { uploaded_at: 100, used_at: None, ..self::entry(2, "b-1-py3-none-any.whl") };
        let entries = [entry, older, other];
        let (decisions, _) = beyond_bytes(&entries, entries[0].size, &HashSet::new(), &HashSet::new(), 1000);
        assert_eq!(decisions.into_iter().map(|(index, _)| index).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn unused_ones_go_by_their_last_use() {
        let wheels = ["a-1-py3-none-any.whl", "b-1-py3-none-any.whl"];
        let rules = |seconds| Retention { unused_for: Some(seconds), ..Retention::default() };
        assert_eq!(gone(&wheels, rules(999), &[]), [wheels[0]]);
        assert_eq!(gone(&wheels, rules(998), &[]), wheels);
        assert_eq!(gone(&wheels, rules(1000), &[]), [""; 0]);
    }

    #[test]
    fn a_use_is_what_counts_unless_a_clock_that_was_ahead_told_it() {
        let day = 86_400;
        let mut entries = entries(&["a-1-py3-none-any.whl", "b-1-py3-none-any.whl", "c-1-py3-none-any.whl"]);
        entries[0].used_at = Some(6 * day);
        entries[1].used_at = Some(11 * day);
        let rules = |days| Retention { unused_for: Some(days * day), ..Retention::default() };
        let told = |index: usize, days: i64| (index, format!("unused for {days} days"));
        let plan = |days| plan(&entries, &rules(days), &HashSet::new(), 10 * day);
        assert_eq!(plan(5), [told(1, 9), told(2, 9)], "they came in the first seconds of day 0");
        assert_eq!(plan(4), [told(0, 4), told(1, 9), told(2, 9)]);
    }

    #[test]
    fn the_last_use_of_a_blobs_entries_decides_who_makes_room_and_of_equals_the_largest_does() {
        let mut entries = entries(&["a-1-py3-none-any.whl", "b-1-py3-none-any.whl", "c-1-py3-none-any.whl"]);
        // In two collections, and used in one of them only.
        entries.push(Entry { used_at: Some(900), ..entries[0].clone() });
        entries.extend((5..20).map(|number| Entry { size: number as u64, ..entry(number, "d-1-py3-none-any.whl") }));
        entries.iter_mut().skip(4).for_each(|entry| entry.used_at = Some(500));
        let goes = |left: u64| {
            let (decisions, beyond) = beyond_bytes(&entries, left, &HashSet::new(), &HashSet::new(), 1000);
            assert_eq!(beyond, 0);
            decisions.into_iter().map(|(index, _)| index).collect::<Vec<_>>()
        };
        let rest: u64 = (5..20).sum();
        assert_eq!(goes(100 + rest), [1, 2]);
        assert_eq!(goes(100 + rest - 19 - 18), [1, 2, 18, 17]);
        assert_eq!(goes(100).len(), 2 + 15);
        assert_eq!(goes(99)[17..], [0, 3], "all entries of a blob go with it");
    }
}
