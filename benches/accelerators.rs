//! What are real wheels bound to, how right is the answer, and what does it cost?
//!
//! `WCAS_BENCH_WHEELS` names folders of wheels; `WCAS_BENCH_LABELS` a table of `filename`, `accelerator` (several by commas, or `none`)
//! and strength, by tabs, without which only the answers are printed. `benches/guard/run.sh` fetches labelled wheels.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::{data, run, say};
use wcas::wheel::accelerator::{Inspection, Strength, deep, quick};
use wcas::wheel::{self, DistributionFilename};

/// What a wheel should be found to be: accelerators and a strength, or nothing.
type Label = Option<(BTreeSet<String>, String)>;

fn main() {
    let Some(folders) = std::env::var_os("WCAS_BENCH_WHEELS") else {
        return say("accelerators: skipped: WCAS_BENCH_WHEELS names no folders of real wheels");
    };
    let labels = std::env::var_os("WCAS_BENCH_LABELS").map(|path| labels(Path::new(&path))).unwrap_or_default();
    let wheels: Vec<PathBuf> = std::env::split_paths(&folders).flat_map(|folder| data::files(&folder)).collect();
    let (mut quick_time, mut deep_time, mut read_time) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut packed, mut count) = (0, 0);
    let mut right: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
    for path in wheels.iter().filter(|path| path.extension().is_some_and(|end| end == "whl")) {
        let filename = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(name) = DistributionFilename::parse(filename) else { continue };
        let file = File::open(path).expect("the file was listed");
        let start = Instant::now();
        let Ok(contents) = wheel::read(&file, &name) else { continue };
        read_time += start.elapsed();
        let metadata = contents.metadata.as_deref();
        let start = Instant::now();
        let fast = quick(&file, &name, metadata).expect("it was read before");
        let fast_time = start.elapsed();
        let start = Instant::now();
        let slow = deep(&file, &name, metadata).expect("it was read before");
        let slow_time = start.elapsed();
        quick_time += fast_time;
        deep_time += slow_time;
        packed += file.metadata().map_or(0, |metadata| metadata.len());
        count += 1;
        let label = labels.get(filename);
        let mut verdict = String::new();
        if let Some(label) = label {
            for (look, inspection) in [("quick", &fast), ("deep", &slow)] {
                let (found, strength) = judge(inspection, label);
                let row = right.entry(look).or_default();
                row[found] += 1;
                row[3] += usize::from(strength);
                // What a guard would do wrong: refuse a wheel that works anywhere, let one pass that doesn't.
                let should = label.as_ref().is_some_and(|(_, strength)| matches!(strength.as_str(), "requires" | "is"));
                let bound = !inspection.bound().is_empty();
                row[4] += usize::from(bound && !should);
                row[5] += usize::from(should && !bound);
                if found != 0 || !strength {
                    verdict += &format!(
                        "  {look}: {} {}",
                        ["right,", "missed,", "wrong,"][found],
                        if strength { "" } else { "other strength" }
                    );
                }
            }
        }
        if label.is_some() || !slow.findings.is_empty() || !slow.problems.is_empty() {
            let (fast_answer, slow_answer) = (answer(&fast), answer(&slow));
            let stem = filename.split('-').take(2).collect::<Vec<_>>().join("-");
            let time = slow_time.as_secs_f64();
            say(&format!(
                "{stem:<42} quick {fast_answer:<34} deep {slow_answer:<34} {time:>6.2} s {} {verdict}",
                slow.architectures.join(" ")
            ));
            for problem in &slow.problems {
                say(&format!("    problem: {problem}"));
            }
        }
    }
    say(&format!("\n{count} wheels of {} MB", packed / 1_000_000));
    for (look, [right, missed, wrong, strength, refused, passed]) in right {
        let all = right + missed + wrong;
        say(&format!(
            "{look}: {right} of {all} labelled right, {missed} missed, {wrong} wrong; the strength as labelled {strength}; bound by mistake {refused}, not found bound {passed}"
        ));
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(count.max(1));
    say(&format!(
        "METADATA {:.0} us, quick {:.0} us a wheel; deep {:.1} s in all",
        micros(read_time),
        micros(quick_time),
        deep_time.as_secs_f64()
    ));
    say(&format!("peak memory {:.0} MiB", run::own_memory()));
}

/// Returns 0 for the labelled accelerator, 1 for a missed one, 2 for a wrong one; and whether the strength is the labelled one.
fn judge(inspection: &Inspection, label: &Label) -> (usize, bool) {
    let strengths = inspection.strengths().into_iter().filter(|(_, strength)| *strength > Strength::Mentions);
    let found: BTreeMap<String, &str> = strengths.map(|(own, strength)| (own.to_string(), strength.as_str())).collect();
    let Some((accelerators, strength)) = label else { return (if found.is_empty() { 0 } else { 2 }, found.is_empty()) };
    let is_missed = accelerators.iter().any(|own| !found.contains_key(own));
    let verdict = match (is_missed, found.len() > accelerators.len()) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 0,
    };
    (verdict, accelerators.iter().all(|own| found.get(own).is_some_and(|own| own == strength)))
}

fn answer(inspection: &Inspection) -> String {
    let strengths = inspection.strengths().into_iter();
    let told: Vec<String> = strengths.map(|(accelerator, strength)| format!("{strength} {accelerator}")).collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

fn labels(path: &Path) -> BTreeMap<String, Label> {
    let text = std::fs::read_to_string(path).expect("WCAS_BENCH_LABELS names a table");
    let rows = text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split('\t');
        let (filename, accelerator) = (fields.next()?, fields.next()?);
        let own = || accelerator.split(',').map(str::to_owned).collect();
        let label = (accelerator != "none").then(|| (own(), fields.next().unwrap_or_default().to_owned()));
        Some((filename.to_owned(), label))
    });
    rows.collect()
}
