//! What every bench needs: runs that alternate, medians as ratios, one row of a table a figure.
//!
//! The machine may be noisy, so a figure stands beside a raw baseline that ran in turns with it, and CPU time beside wall time.
//! Nothing here judges by the exit code: a bench prints figures, it is no test.

#![allow(dead_code, reason = "each bench uses its own part")]

pub(crate) mod data;
pub(crate) mod place;
pub(crate) mod run;

use run::Usage;
use std::io::Write as _;

/// How often each of two programs is run.
pub(crate) const RUNS: usize = 5;

/// The runs of one program.
pub(crate) struct Series(Vec<Usage>);

impl Series {
    /// Returns the median of the wall time in seconds.
    pub(crate) fn wall(&self) -> f64 {
        median(self.0.iter().map(|usage| usage.wall))
    }

    /// Returns the median of the CPU time in seconds, of all threads and of children that were waited for.
    pub(crate) fn cpu(&self) -> f64 {
        median(self.0.iter().map(|usage| usage.cpu))
    }

    /// Returns the most memory that a run had, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        self.0.iter().map(|usage| usage.memory).fold(0.0, f64::max)
    }
}

/// Runs two programs in turns, so that what else the machine does hits both.
pub(crate) fn alternate(
    mut one: impl FnMut(usize) -> Usage,
    mut other: impl FnMut(usize) -> Usage,
) -> (Series, Series) {
    let both: Vec<(Usage, Usage)> = (0..RUNS).map(|round| (one(round), other(round))).collect();
    let (one, other) = both.into_iter().unzip();
    (Series(one), Series(other))
}

/// Runs one program again and again.
pub(crate) fn repeat(runs: usize, one: impl FnMut(usize) -> Usage) -> Series {
    Series((0..runs).map(one).collect())
}

/// What a figure must keep to.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// Wall time as a multiple of the baseline's.
    WallRatio(f64),
    /// CPU time as a multiple of the baseline's.
    CpuRatio(f64),
    /// At least so many times faster than the baseline.
    TimesFaster(f64),
    /// Wall time in seconds.
    Wall(f64),
    /// CPU time in seconds.
    Cpu(f64),
    /// Memory in MiB.
    Memory(f64),
    /// Told beside the others.
    Nothing,
}

/// Prints the head of the table.
pub(crate) fn head() {
    let columns = row(["question", "wcas", "baseline", "figure (min-max)", "limit", "met"]);
    say(&format!("{columns}\n{}", row(["---"; 6])));
}

/// Prints a row for each limit of a question.
pub(crate) fn tell(question: &str, wcas: &Series, baseline: Option<(&str, &Series)>, limits: &[Limit]) {
    let times = |series: &Series| format!("{}, CPU {}", seconds(series.wall()), ticks(series.cpu()));
    let beside = baseline.map_or_else(|| "-".to_owned(), |(name, series)| format!("{name}: {}", times(series)));
    for &limit in limits {
        let (figure, text, is_met) = judge(limit, wcas, baseline.map(|(_, series)| series));
        let met = is_met.map_or("-", |is_met| if is_met { "yes" } else { "NO" });
        say(&row([question, &times(wcas), &beside, &figure, &text, met]));
    }
}

/// Prints why a question is not answered here.
pub(crate) fn skip(question: &str, why: &str) {
    say(&row([question, "-", "-", "-", "-", &format!("skipped: {why}")]));
}

fn judge(limit: Limit, wcas: &Series, baseline: Option<&Series>) -> (String, String, Option<bool>) {
    let ratio = |pick: fn(&Usage) -> f64, turn: bool| {
        let Some(baseline) = baseline else { return (f64::NAN, f64::NAN, f64::NAN) };
        let quotient = |one: f64, other: f64| if turn { other / one } else { one / other };
        let of_medians = quotient(median(wcas.0.iter().map(pick)), median(baseline.0.iter().map(pick)));
        let pairs: Vec<f64> =
            wcas.0.iter().zip(&baseline.0).map(|(one, other)| quotient(pick(one), pick(other))).collect();
        let (least, most) =
            pairs.iter().fold((f64::MAX, 0.0), |(least, most), &pair| (pair.min(least), pair.max(most)));
        (of_medians, least, most)
    };
    let told = |(figure, least, most): (f64, f64, f64)| format!("{figure:.2} ({least:.2}-{most:.2})");
    match limit {
        Limit::WallRatio(most) => {
            let figure = ratio(|usage| usage.wall, false);
            (told(figure), format!("wall <= {most} x"), Some(figure.0 <= most))
        }
        Limit::CpuRatio(most) => {
            let figure = ratio(|usage| usage.cpu, false);
            (told(figure), format!("CPU <= {most} x"), Some(figure.0 <= most))
        }
        Limit::TimesFaster(least) => {
            let figure = ratio(|usage| usage.wall, true);
            (told(figure), format!("{least} x faster"), Some(figure.0 >= least))
        }
        Limit::Wall(most) => (seconds(wcas.wall()), format!("wall <= {}", seconds(most)), Some(wcas.wall() <= most)),
        Limit::Cpu(most) => (ticks(wcas.cpu()), format!("CPU <= {}", seconds(most)), Some(wcas.cpu() <= most)),
        Limit::Memory(most) => {
            (format!("{:.0} MiB", wcas.memory()), format!("memory <= {most} MiB"), Some(wcas.memory() <= most))
        }
        Limit::Nothing => {
            (baseline.map_or_else(|| "-".to_owned(), |_| told(ratio(|usage| usage.wall, false))), "-".to_owned(), None)
        }
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.1} us", seconds * 1e6)
    } else if seconds < 0.1 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// Tells CPU time, which is measured in steps of 10 ms.
fn ticks(cpu: f64) -> String {
    if cpu < 0.01 { "< 10 ms".to_owned() } else { seconds(cpu) }
}

fn row(columns: [&str; 6]) -> String {
    format!(
        "| {:<44} | {:<26} | {:<40} | {:<18} | {:<15} | {} |",
        columns[0], columns[1], columns[2], columns[3], columns[4], columns[5]
    )
}

/// Prints a line at once: a bench may take minutes.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Returns the median; of nothing, not a number.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}
