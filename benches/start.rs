//! How long does it take to start, and to answer one lookup?

mod support;

use std::path::Path;
use support::Limit::Wall;
use support::run::{measure, program, wcas};
use support::{alternate, data, head, tell};

/// A start is short: the turns are repeated so often.
const TIMES: usize = 20;

fn main() {
    head();
    let store = data::store(100_000);
    for (question, arguments) in [
        ("--version", &["--version"][..]),
        ("lookup, 100 000 blobs", &["lookup", data::SPEC]),
        ("a miss", &["lookup", "none==1"]),
    ] {
        let start = |store: &Path| measure(&mut wcas(store, arguments));
        let best = |mut run: Box<dyn FnMut() -> support::run::Usage + '_>| {
            let runs: Vec<_> = (0..TIMES).map(|_| run()).collect();
            let median = |pick: fn(&support::run::Usage) -> f64| support::median(runs.iter().map(pick));
            support::run::Usage { wall: median(|run| run.wall), cpu: median(|run| run.cpu), memory: 0.0 }
        };
        let (own, raw) =
            alternate(|_| best(Box::new(|| start(&store))), |_| best(Box::new(|| measure(&mut program("true", &[])))));
        tell(question, &own, Some(("true", &raw)), &[Wall(0.015)]);
    }
}
