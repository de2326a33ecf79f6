//! Many records of a log in a bucket, a hundred in one object: a share is asked as a node asks it, without a node.

use super::bucket::get;
use super::support::bucket::{KEY, SECRET, Weed};
use super::support::{until, weed};
use wcas::share::{Location, Profile, Share, on_profile};

/// So many records there are: two whole segments, and some.
const RECORDS: i64 = 230;

fn record(number: i64) -> Vec<u8> {
    format!("{{\"number\":{number},\"changes\":[]}}").into_bytes()
}

fn prefix() -> String {
    format!("segments{}", std::process::id())
}

/// Returns a handle of its own on the share: what another one read ahead it doesn't know.
fn share(weed: &Weed) -> Share {
    on_profile(|| {
        let (access_key_id, secret_access_key) = (KEY.to_owned(), SECRET.to_owned());
        Some(Profile { access_key_id, secret_access_key, session_token: None, region: None, endpoint: None })
    });
    let (endpoint, region) = (Some(format!("http://{}", weed.address)), Some("us-east-1".to_owned()));
    Share::at(&Location { url: format!("s3://wcas/{}", prefix()), endpoint, region, log: None }).unwrap()
}

#[track_caller]
fn assert_reads_all(share: &Share, id: &str) {
    for number in 1..=RECORDS {
        assert_eq!(share.record(id, number).unwrap(), Some(record(number)), "record {number}");
    }
    assert_eq!(share.record(id, RECORDS + 1).unwrap(), None);
}

#[test]
fn who_is_far_behind_reads_segments_that_the_log_vouches_for() {
    let Some(weed) = weed() else { return };
    let id = share(weed).make().unwrap();
    let writer = share(weed);
    for number in 1..=RECORDS {
        assert!(writer.append(&id, number, &record(number)).unwrap());
    }
    let key = |number: i64, end: &str| format!("/wcas/{}/log/{number:020}.{end}", prefix());
    let segments = || weed.keys(&prefix()).into_iter().filter(|key| key.ends_with(".segment")).count();
    // Who reads them one by one makes them.
    assert_reads_all(&share(weed), &id);
    until("there are two segments", || segments() == 2);
    // The first two are read by themselves, until it looks as if there were many; and the last of each segment vouches for it.
    let gone: Vec<i64> = (40..100).chain(110..200).collect();
    for number in &gone {
        assert_eq!(weed.ask("DELETE", &key(*number, "json"), ""), Some(204));
    }
    assert_reads_all(&share(weed), &id);
    // One that is damaged, and one of another past, are as if they weren't there.
    let (_, second) = get(&weed.address, &key(200, "segment")).unwrap();
    let second = String::from_utf8(second).unwrap();
    for bad in [second.replace("\"number\":150", "\"number\":151"), String::new(), "x".to_owned()] {
        assert_eq!(weed.ask("PUT", &key(100, "segment"), &bad), Some(200));
        let share = share(weed);
        for number in 1..40 {
            assert_eq!(share.record(&id, number).unwrap(), Some(record(number)), "record {number}");
        }
        assert_eq!(share.record(&id, 40).unwrap(), None);
    }
    assert_eq!(weed.ask("PUT", &key(200, "json"), "{\"number\":200,\"changes\":[1]}"), Some(200));
    let other = share(weed);
    for number in 101..110 {
        assert_eq!(other.record(&id, number).unwrap(), Some(record(number)), "record {number}");
    }
    assert_eq!(other.record(&id, 110).unwrap(), None);
    // What they lack is made where all of it is there.
    for number in gone.iter().chain(&[200]) {
        let text = String::from_utf8(record(*number)).unwrap();
        assert_eq!(weed.ask("PUT", &key(*number, "json"), &text), Some(200));
    }
    assert_eq!(weed.ask("DELETE", &key(100, "segment"), ""), Some(204));
    assert_eq!(segments(), 1);
    share(weed).make_segments().unwrap();
    assert_eq!(segments(), 2);
    assert_reads_all(&share(weed), &id);
    // And they go with the first record that goes.
    share(weed).remove_records(&id, 102).unwrap();
    assert_eq!(segments(), 0);
    assert_eq!(share(weed).record(&id, 102).unwrap(), Some(record(102)));
    assert_eq!(share(weed).record(&id, 101).unwrap(), None);
}
