//! How fast does `wcas gc` delete beside `rm -r`, and how fast does it decide?

mod support;

use support::Limit::{Nothing, Wall, WallRatio};
use support::place::{Place, settle};
use support::run::{measure, program, run, shell, wcas};
use support::{alternate, data, head, repeat, tell};

fn main() {
    head();
    for place in Place::for_many_files() {
        let wheels = data::small(10_000);
        let text = wheels.to_str().expect("the scratch folder's path is text");
        let (own, raw) = alternate(
            |round| {
                let store = place.path(&format!("store-{round}"));
                run(&mut wcas(&store, &["import", "--link", "copy", text]));
                run(&mut wcas(&store, &["collection", "delete", "shared", "--yes"]));
                settle();
                measure(&mut wcas(&store, &["gc", "--grace", "0s"]))
            },
            |round| {
                let copy = place.path(&format!("copy-{round}"));
                run(&mut shell(r#"cp -r "$1" "$2""#, &[&wheels, &copy]));
                settle();
                measure(&mut program("rm -r", &[&copy]))
            },
        );
        tell(&format!("gc of 10 000, {}", place.name), &own, Some(("rm -r", &raw)), &[WallRatio(1.5)]);
    }

    let store = data::store(100_000);
    let dry = |rest: &[&str]| {
        let arguments = [&["gc", "--dry-run", "--grace", "0s"], rest].concat();
        repeat(support::RUNS, |_| measure(&mut wcas(&store, &arguments)))
    };
    tell("dry run, 100 000 blobs, nothing goes", &dry(&[]), None, &[Wall(0.5)]);
    tell("dry run, 100 000 blobs, all but 2000 go", &dry(&["--keep-versions", "1"]), None, &[Nothing]);

    // The same manifest with nothing in it that keeps a blob; its names are links to the same inodes.
    let place = Place::disk();
    let garbage = place.path("garbage");
    run(&mut shell(
        r#"cp -rl "$1" "$2" && rm "$2"/manifest.sqlite* && cp "$1"/manifest.sqlite* "$2""#,
        &[&store, &garbage],
    ));
    run(&mut wcas(&garbage, &["collection", "delete", "shared", "--yes"]));
    let own = repeat(support::RUNS, |_| measure(&mut wcas(&garbage, &["gc", "--dry-run", "--grace", "0s"])));
    tell("dry run, 100 000 blobs, all go", &own, None, &[Wall(0.5)]);
}
