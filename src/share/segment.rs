//! Records of a log in a bucket, a hundred in one object: who is far behind reads those, and not each record.
//!
//! A segment is made of records that are there, and never counts by itself: its last record is the one that the log has under that
//! number, byte by byte, and each names the digest of the one before it. So one that is left of another past is not believed.

use super::ahead::record_key;
use super::objects::Objects;
use super::{Result, Share};
use crate::digest::Blake3;
use std::collections::BTreeSet;

/// So many records are in a segment, and the last one's number is a multiple of it.
pub(super) const RECORDS: i64 = 100;
/// No segment is larger: large records are read one by one.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// What the names of segments end with.
const SEGMENT: &str = ".segment";

/// Returns the number of the last record of the segment that a record is in.
pub(super) fn last_of(number: i64) -> i64 {
    number.saturating_add(RECORDS - 1) / RECORDS * RECORDS
}

pub(super) fn segment_key(last: i64) -> String {
    format!("log/{last:020}{SEGMENT}")
}

/// Returns the segment of these records: their digest, then a line for each; `None`: they can't be one.
fn write(records: &[Vec<u8>]) -> Option<Vec<u8>> {
    let bytes: usize = records.iter().map(|record| record.len() + 1).sum();
    let is_fit = records.len() as i64 == RECORDS && bytes <= MAX_BYTES;
    if !is_fit || records.iter().any(|record| record.contains(&b'\n')) {
        return None;
    }
    let lines = [records.join(&b'\n'), vec![b'\n']].concat();
    let mut segment = format!("{}\n", Blake3::from_bytes(blake3::hash(&lines).into())).into_bytes();
    segment.extend(lines);
    Some(segment)
}

/// Returns the records of a segment whose last one is this; `None`: it isn't whole, or of another log.
pub(super) fn read(segment: &[u8], last: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = segment.iter().position(|byte| *byte == b'\n')?;
    let (digest, lines) = (segment.get(..end)?, segment.get(end + 1..)?);
    let digest: Blake3 = std::str::from_utf8(digest).ok()?.parse().ok()?;
    if digest != Blake3::from_bytes(blake3::hash(lines).into()) {
        return None;
    }
    let records: Vec<Vec<u8>> = lines.strip_suffix(b"\n")?.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    (records.len() as i64 == RECORDS && records.last().is_some_and(|found| found == last)).then_some(records)
}

/// Begins to make the segment of these records, which are all that it has. Nobody waits for it: where it fails somebody else makes it.
pub(super) fn begin(objects: &Objects, last: i64, records: &[Vec<u8>]) {
    if let Some(segment) = write(records) {
        objects.begin_create(&segment_key(last), segment);
    }
}

impl Share {
    /// Makes the segments that a log in a bucket lacks.
    pub fn make_segments(&self) -> Result<()> {
        let (None, Some(objects)) = (&self.log, self.bucket.objects()) else { return Ok(()) };
        let names: BTreeSet<String> = self.bucket.names("log")?.into_iter().collect();
        let has = |key: String| names.contains(key.trim_start_matches("log/"));
        let lasts = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<i64>().ok());
        for last in lasts.filter(|last| last % RECORDS == 0) {
            let numbers = last - RECORDS + 1..=last;
            if has(segment_key(last)) || !numbers.clone().all(|number| has(record_key(number))) {
                continue;
            }
            let begun: Vec<_> =
                numbers.map(|number| objects.begin(objects.small(&record_key(number), MAX_BYTES))).collect();
            let records: Option<Vec<Vec<u8>>> = begun.into_iter().map(|task| objects.end(task)).collect();
            if let Some(segment) = records.as_deref().and_then(write) {
                self.bucket.create(&segment_key(last), &segment)?;
            }
        }
        Ok(())
    }
}

/// Returns the number of the first record of the segment that an object is, as its name says it.
pub(super) fn first_of_name(name: &str) -> Option<i64> {
    Some(name.strip_suffix(SEGMENT)?.parse::<i64>().ok()? - RECORDS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize) -> Vec<Vec<u8>> {
        (1..=count).map(|number| format!("{{\"number\":{number}}}").into_bytes()).collect()
    }

    #[test]
    fn a_segment_is_read_as_it_was_written() {
        let records = records(100);
        let segment = write(&records).unwrap();
        assert_eq!(read(&segment, &records[99]), Some(records));
    }

    #[test]
    fn what_is_cut_changed_or_of_another_past_is_not_believed() {
        let records = records(100);
        let segment = write(&records).unwrap();
        for end in [0, 10, 65, segment.len() - 1] {
            assert_eq!(read(&segment[..end], &records[99]), None, "{end} bytes");
        }
        let mut changed = segment.clone();
        changed[80] ^= 1;
        assert_eq!(read(&changed, &records[99]), None);
        assert_eq!(read(&segment, &records[98]), None);
    }

    #[test]
    fn too_few_too_large_and_those_of_several_lines_make_none() {
        assert_eq!(write(&records(99)), None);
        let with = |record: Vec<u8>| [records(99), vec![record]].concat();
        assert_eq!(write(&with(b"{\n}".to_vec())), None);
        assert_eq!(write(&with(vec![b'x'; MAX_BYTES])), None);
    }

    #[test]
    fn a_record_is_in_one_segment() {
        assert_eq!([1, 99, 100, 101, 200].map(last_of), [100, 100, 100, 200, 200]);
        assert_eq!(first_of_name(segment_key(200).trim_start_matches("log/")), Some(101));
        assert_eq!(first_of_name("00000000000000000200.json"), None);
    }
}
