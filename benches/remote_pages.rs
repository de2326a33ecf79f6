//! How fast is the page of another index read?

mod support;

use html5gum::{DefaultEmitter, Tokenizer};
use std::fs;
use std::hint::black_box;
use std::time::Instant;
use support::Limit::{Cpu, Nothing};
use support::run::Usage;
use support::{alternate, head, say, tell};
use url::Url;
use wcas::digest::{Blake3, Sha256};
use wcas::index::read::Sidecar;
use wcas::index::{self, File, Page};

fn main() {
    head();
    let base = "https://index.example/simple/demo/".parse().expect("this is a URL");
    for (count, html_limit, json_limit) in [(10_000, Cpu(0.03), Cpu(0.02)), (100_000, Nothing, Nothing)] {
        let (html, json) = pages(count);
        let (own, raw) = alternate(|_| read(&html, &base, count), |_| measure(|| tokens(&html)));
        tell(
            &format!("read {count} files, HTML, {} KiB", html.len() >> 10),
            &own,
            Some(("its tokens", &raw)),
            &[html_limit],
        );
        let value =
            || serde_json::from_slice::<serde_json::Value>(&json).map_or(0, |value| usize::from(value.is_object()));
        let (own, raw) = alternate(|_| read(&json, &base, count), |_| measure(value));
        tell(
            &format!("read {count} files, JSON, {} KiB", json.len() >> 10),
            &own,
            Some(("serde_json::Value", &raw)),
            &[json_limit],
        );
        if let Some(most) = peak() {
            say(&format!("\nmost memory so far, both pages with what was read of them: {most} KiB\n"));
        }
    }
}

fn read(body: &[u8], base: &Url, count: usize) -> Usage {
    measure(|| {
        let page = index::read::page(body, None, base).expect("the page is good");
        assert!(page.files.len() == count && page.problems.is_empty(), "all files are read: {:?}", page.problems);
        page.files.len()
    })
}

fn tokens(body: &[u8]) -> usize {
    Tokenizer::new_with_emitter(body, DefaultEmitter::default()).count()
}

fn measure(work: impl Fn() -> usize) -> Usage {
    let (start, before) = (Instant::now(), processor());
    black_box(work());
    let wall = start.elapsed().as_secs_f64();
    let cpu = before.zip(processor()).map_or(wall, |(before, after)| after - before);
    Usage { wall, cpu, memory: 0.0 }
}

/// Returns the seconds that this thread had a processor; finer than the ticks of a whole process.
fn processor() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// Makes the page of a project in both syntaxes, with all facts that a page may have.
fn pages(count: usize) -> (Vec<u8>, Vec<u8>) {
    let names: Vec<String> = (0..count)
        .map(|n| format!("demo-{}.{}.{}+cu126-cp312-cp312-manylinux_2_28_x86_64.whl", n / 1000, n / 10 % 100, n % 10))
        .collect();
    let digest = |name: &str| Sha256::of(name.as_bytes());
    let files: Vec<File<'_>> = names
        .iter()
        .map(|name| File {
            filename: name,
            project: "demo",
            version: "1.0",
            url: format!("https://files.example/packages/ab/cd/{}/{}", digest(name), index::href(name)).into(),
            sha256: Some(digest(name)),
            blake3: Some(Blake3::from_bytes([7; 32])),
            size: Some(123_456),
            upload_time: Some(1_735_689_599),
            is_first_seen: false,
            requires_python: Some(">=3.9,<4"),
            yanked: None,
            sidecar: Some(Sidecar { sha256: Some(digest(name)) }),
            provenance: None,
        })
        .collect();
    let (mut html, mut json) = (Vec::new(), Vec::new());
    let page = Page::new("demo", &files);
    index::html::project(&mut html, &page).expect("memory takes all bytes");
    index::json::project(&mut json, &page).expect("memory takes all bytes");
    (html, json)
}

/// Returns the most memory that this process had, in KiB.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
