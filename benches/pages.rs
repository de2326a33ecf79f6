//! How fast are pages and lists printed?

mod support;

use support::Limit::{Nothing, Wall};
use support::place::Place;
use support::run::{measure, program, run, shell, wcas};
use support::{alternate, data, head, repeat, tell};

fn main() {
    head();
    let place = Place::disk();
    for (count, limit) in [(10_000, 0.06), (100_000, 0.9)] {
        let store = data::store(count);
        let formats: &[(&str, &[support::Limit])] =
            &[("html", &[Wall(limit)]), ("json", &[Nothing]), ("requirements", &[Nothing]), ("paths", &[Nothing])];
        for (format, limits) in formats {
            let page = place.path(&format!("page.{format}"));
            // Printing for the first time also makes the links that carry the filenames.
            let line = r#""$1" -q --store "$2" view --format "$3" > "$4""#;
            run(&mut shell(line, &[env!("CARGO_BIN_EXE_wcas").as_ref(), &store, format.as_ref(), &page]));
            let (own, raw) = alternate(
                |_| measure(&mut wcas(&store, &["view", "--format", format])),
                |_| measure(&mut program("cat", &[&page])),
            );
            tell(&format!("page of {count}, {format}"), &own, Some(("cat of the page", &raw)), limits);
        }
    }
    let store = data::store(10_000);
    let own = repeat(support::RUNS, |_| measure(&mut wcas(&store, &["list"])));
    tell("list of 10000", &own, None, &[Wall(0.05)]);

    for place in Place::for_many_files() {
        let wheels = data::small(10_000);
        let text = wheels.to_str().expect("the scratch folder's path is text");
        run(&mut wcas(&place.path("store"), &["import", text]));
        let own = repeat(1, |_| measure(&mut wcas(&place.path("store"), &["view"])));
        tell(&format!("page of 10000 for the first time, {}", place.name), &own, None, &[Nothing]);
    }
}
