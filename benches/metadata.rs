//! How long does it take to find, read and judge the METADATA of a real wheel?

mod support;

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use support::run::Usage;
use support::{Limit, data, head, median, repeat, say, skip, tell};
use wcas::wheel::{self, DistributionFilename};

const ROUNDS: usize = 20;

fn main() {
    head();
    let Some(dir) = data::real() else { return skip("METADATA", "WCAS_BENCH_WHEELS names no folders of real wheels") };
    let wheels: Vec<(PathBuf, DistributionFilename)> = data::files(&dir).into_iter().filter_map(named).collect();
    let mut own: Vec<f64> = wheels.iter().map(|(path, name)| per_call(|| drop(black_box(read(path, name))))).collect();
    let raw: Vec<f64> = wheels.iter().map(|(path, _)| per_call(|| drop(black_box(tail(path))))).collect();
    let series = |values: &[f64]| {
        let wall = median(values.iter().copied());
        repeat(1, |_| Usage { wall, cpu: wall, memory: 0.0 })
    };
    let question = format!("METADATA, median of {} wheels", wheels.len());
    tell(&question, &series(&own), Some(("open, read 64 KiB", &series(&raw))), &[Limit::Wall(0.0001)]);
    own.sort_by(f64::total_cmp);
    let mean = own.iter().sum::<f64>() / own.len() as f64;
    let (tenth, most) = (own[own.len() * 9 / 10], own.last().copied().unwrap_or_default());
    say(&format!("\nmean {:.1} us, nine of ten under {:.1} us, most {:.1} us", mean * 1e6, tenth * 1e6, most * 1e6));
}

fn named(path: PathBuf) -> Option<(PathBuf, DistributionFilename)> {
    let name = DistributionFilename::parse(path.file_name()?.to_str()?).ok()?;
    read(&path, &name).ok()?;
    Some((path, name))
}

fn read(path: &Path, name: &DistributionFilename) -> Result<wheel::Contents, wheel::Error> {
    wheel::read(&File::open(path).expect("the file was listed"), name)
}

/// Reads as much of a file's end as a reader of archives must look at.
fn tail(path: &Path) -> Vec<u8> {
    let file = File::open(path).expect("the file was listed");
    let size = file.metadata().expect("the file was listed").len();
    let length = size.min(64 << 10);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, size - length).expect("the file can be read");
    bytes
}

/// Returns the median seconds of a call.
fn per_call(mut call: impl FnMut()) -> f64 {
    median((0..ROUNDS).map(|_| {
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64()
    }))
}
