//! How fast is `wcas view --to` beside `cp -al` and `cp -rs` of the same number of files?
//!
//! Each run makes a folder of its own: deleting many inodes slows the making of new ones.

mod support;

use support::Limit::{Wall, WallRatio};
use support::place::{Place, settle};
use support::run::{Usage, measure, program, run, shell, wcas};
use support::{alternate, data, head, repeat, tell};

fn main() {
    head();
    for place in Place::for_many_files() {
        let (store, wheels) = (place.path("s"), place.path("w"));
        run(&mut shell(r#"cp -r "$1" "$2""#, &[&data::small(10_000), &wheels]));
        let import = |dir: &std::path::Path| {
            run(&mut wcas(&store, &["import", dir.to_str().expect("the scratch folder's path is text")]));
        };
        import(&wheels);
        let mut more = 0;
        for (link, raw, limit) in [("hardlink", "cp -al", 1.5), ("symlink", "cp -rs", 1.3)] {
            let target = |round: usize| place.path(&format!("{link}-{round}"));
            let view = |round: usize| -> Usage {
                let to = target(round);
                measure(&mut wcas(&store, &["view", "--link", link, "--to", to.to_str().expect("a path of text")]))
            };
            settle();
            let (made, copied) = alternate(view, |round| {
                measure(&mut program(raw, &[&wheels, &place.path(&format!("copy-{link}-{round}"))]))
            });
            let question = |what: &str| format!("tree of 10 000, {link}, {}{what}", place.name);
            tell(&question(""), &made, Some((raw, &copied)), &[WallRatio(limit)]);
            // The first tree is up to date in its first run, and each other one is looked at once.
            view(0);
            let again = repeat(support::RUNS, |_| view(0));
            tell(&question(", no change"), &again, None, &[Wall(made.wall() * 0.02)]);
            let changed = repeat(support::RUNS, |_| {
                import(&data::one_more(&place.path("more"), more));
                more += 1;
                view(0)
            });
            tell(&question(", one change"), &changed, None, &[Wall(made.wall() * 0.05)]);
        }
    }
}
