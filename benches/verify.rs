//! How fast is `wcas verify` beside `b3sum` over the same files, and beside the checks of other stores?

mod support;

use std::path::{Path, PathBuf};
use support::Limit::{CpuRatio, Memory, Nothing, TimesFaster, WallRatio};
use support::run::{find, measure, measure_memory, program, run, shell, wcas};
use support::{alternate, data, head, place::Place, repeat, skip, tell};

fn main() {
    head();
    let Some(wheels) = data::real() else { return skip("verify", "WCAS_BENCH_WHEELS names no folders of real wheels") };
    let place = Place::disk();
    let store = place.path("store");
    run(&mut shell(
        r#""$1" -q --store "$2" import --link copy "$3" 2>/dev/null || [ $? = 3 ]"#,
        &[exe(), &store, &wheels],
    ));
    let blobs = data::files(&store.join("blobs"));
    let size = format!("{} blobs, {:.1} GB", blobs.len(), data::bytes(&blobs) as f64 / 1e9);

    match find("b3sum", "WCAS_BENCH_B3SUM") {
        Some(b3sum) => {
            let paths: Vec<&Path> = blobs.iter().map(PathBuf::as_path).collect();
            let question = format!("verify, {size}");
            let (own, raw) = alternate(
                |_| measure(&mut wcas(&store, &["verify"])),
                |_| measure(program(&b3sum.to_string_lossy(), &[]).args(&paths)),
            );
            tell(&question, &own, Some(("b3sum", &raw)), &[WallRatio(0.9), CpuRatio(1.1)]);
            let own = repeat(1, |_| measure_memory(&mut wcas(&store, &["verify"])));
            tell(&question, &own, None, &[Memory(64.0)]);
        }
        None => skip(&format!("verify, {size}"), "no b3sum in PATH or WCAS_BENCH_B3SUM"),
    }

    // Each store takes the wheels in once, by its own means.
    let others = [
        (
            "restic",
            8.0,
            "restic init -q -r $1 && restic backup -q -r $1 $2",
            "restic check -q --no-cache --read-data -r $1",
        ),
        ("borg", 8.0, "borg init -e none $1 && borg create -C none $1::all $2", "borg check --verify-data $1"),
        (
            "ostree",
            8.0,
            "ostree init --mode=bare-user --repo=$1 && ostree commit -b all --repo=$1 --tree=dir=$2",
            "ostree fsck -q --repo=$1",
        ),
        ("nix-store", 3.0, "nix-store --store $1 --add $2", "nix-store --store $1 --verify --check-contents"),
    ];
    for (name, faster, make, check) in others {
        let question = format!("verify beside {name}");
        if find(name, "WCAS_BENCH_NONE").is_none() {
            skip(&question, "not installed");
            continue;
        }
        let repository = place.path(name);
        let environment = "export RESTIC_PASSWORD=bench BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes; ";
        run(shell(&format!("{environment}{make}"), &[&repository, &wheels]).stderr(std::process::Stdio::null()));
        let (own, other) = alternate(
            |_| measure(&mut wcas(&store, &["verify"])),
            |_| measure(&mut shell(&format!("{environment}{check}"), &[&repository])),
        );
        tell(&question, &own, Some((name, &other)), &[TimesFaster(faster)]);
        support::place::clear(&repository);
    }

    let small = data::store(10_000);
    let blobs = data::files(&small.join("blobs"));
    let (own, raw) =
        alternate(|_| measure(&mut wcas(&small, &["verify"])), |_| measure(program("cat", &[]).args(&blobs)));
    tell("verify, 10 000 small wheels", &own, Some(("cat", &raw)), &[Nothing]);
}

fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_wcas"))
}
