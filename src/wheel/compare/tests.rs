use super::*;
use crate::wheel::zip::tests::zip;

const METADATA: &[u8] =
    b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: a\nRequires-Dist: b\n\nabout\n";

fn wheel(module: &[u8], metadata: &[u8], tag: &str) -> Vec<u8> {
    let wheel = format!("Wheel-Version: 1.0\nTag: {tag}\n");
    let record = format!("demo/__init__.py,sha256=x{},{}\n\"demo/a,b\",,\n", module.len(), module.len());
    zip(&[
        ("demo/__init__.py", module),
        ("demo-1.0.dist-info/METADATA", metadata),
        ("demo-1.0.dist-info/WHEEL", wheel.as_bytes()),
        ("demo-1.0.dist-info/RECORD", record.as_bytes()),
    ])
}

fn compared(a: &[u8], b: &[u8]) -> Comparison {
    compare(a, b, a == b).unwrap()
}

/// Changes the date of each member, in the directory and in its own header.
fn dated(mut bytes: Vec<u8>) -> Vec<u8> {
    for (magic, at) in [(b"PK\x03\x04", 10), (b"PK\x01\x02", 12)] {
        let starts: Vec<usize> = (0..bytes.len() - 4).filter(|start| bytes[*start..].starts_with(magic)).collect();
        for start in starts {
            bytes[start + at] ^= 0x21;
            bytes[start + at + 2] ^= 0x21;
        }
    }
    bytes
}

#[test]
fn dates_and_packing_are_told_from_content() {
    let one = wheel(b"one", METADATA, "py3-none-any");
    assert_eq!(compared(&one, &one).difference, Difference::None);
    let later = compared(&one, &dated(one.clone()));
    assert_eq!((later.difference, later.dates, later.same), (Difference::Timestamps, 4, 4));
    let mut other = one.clone();
    // A comment is no part of what is unpacked.
    let end = other.len();
    other[end - 2] = 1;
    other.push(b'x');
    assert_eq!(compared(&one, &other).difference, Difference::Packing);
}

#[test]
fn members_fields_and_rows_that_differ_are_told() {
    let one = wheel(b"one", METADATA, "py3-none-any");
    let metadata =
        String::from_utf8_lossy(METADATA).replace("Requires-Dist: b", "Requires-Dist: c").replace("about", "more");
    let other = wheel(b"other", metadata.as_bytes(), "cp312-cp312-linux_x86_64");
    let told = compared(&one, &other);
    assert_eq!((told.difference, told.same), (Difference::Content, 0));
    let names: Vec<&str> = told.changed.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names[3], "demo/__init__.py");
    assert_eq!(told.changed[3].sizes, [3, 5]);
    let field = |list: &[ChangedField], name: &str| list.iter().find(|field| field.field == name).cloned().unwrap();
    let requires = field(&told.metadata, "Requires-Dist");
    assert_eq!((requires.gone, requires.added), (vec!["b".to_owned()], vec!["c".to_owned()]));
    assert_eq!(told.metadata.len(), 2, "{:?}", told.metadata);
    assert_eq!(field(&told.wheel, "Tag").added, ["cp312-cp312-linux_x86_64"]);
    assert_eq!(told.record.changed, ["demo/__init__.py"]);
}

#[test]
fn members_that_one_alone_has_are_added_or_gone() {
    let one = zip(&[("a", b"a"), ("b", b"b")]);
    let other = zip(&[("b", b"b"), ("c", b"c")]);
    let told = compared(&one, &other);
    assert_eq!((told.gone[0].name.as_str(), told.added[0].name.as_str(), told.same), ("a", "c", 1));
    assert_eq!(told.difference, Difference::Content);
}

#[test]
fn the_order_of_values_says_nothing() {
    let turned = String::from_utf8_lossy(METADATA)
        .replace("Requires-Dist: a\nRequires-Dist: b", "Requires-Dist: b\nRequires-Dist: a");
    let told = compared(&wheel(b"x", METADATA, "t"), &wheel(b"x", turned.as_bytes(), "t"));
    assert!(told.metadata.is_empty());
    assert_eq!(told.changed.len(), 1, "the bytes of METADATA differ");
}

#[test]
fn archives_that_readers_could_see_differently_and_bombs_are_refused() {
    let good = zip(&[("a", b"a")]);
    let twice = zip(&[("a", b"a"), ("a", b"b")]);
    let refused = |bytes: &[u8]| compare(&good[..], bytes, false).unwrap_err().to_string();
    assert_eq!(refused(&twice), "expected each member once in the wheel, found \"a\" twice");
    assert!(refused(b"text").contains("end record"));
    let bomb = zip(&[("bomb", &vec![0; 80 << 20])]);
    let endless = zip(&[("a", b"a"), ("demo-1.0.dist-info/RECORD", "a,,\n".repeat(100_001).as_bytes())]);
    assert!(refused(&endless).contains("budget deep-members"), "{}", refused(&endless));
    assert!(refused(&bomb).contains("budget deep-bytes") || refused(&bomb).contains("at most"), "{}", refused(&bomb));
    let mut cut = good.clone();
    for at in 0..cut.len() {
        cut[at] ^= 0x41;
        let _ = compare(&good[..], &cut[..], false);
        cut[at] ^= 0x41;
    }
}

#[test]
fn the_floor_of_glibc_is_the_highest_version_by_number() {
    let needs =
        |names: &[&str]| Needs { versions: names.iter().map(ToString::to_string).collect(), ..Needs::default() };
    assert_eq!(needs(&["GLIBC_2.9", "GLIBC_2.17", "GLIBCXX_3.4.30", "GLIBC_2.2.5"]).glibc(), Some((2, 17)));
    assert_eq!(needs(&["CXXABI_1.3", "GLIBC_PRIVATE"]).glibc(), None);
}
