//! How fast is `wcas import` beside reading and hashing the same files once, and beside copying them?

mod support;

use blake3::Hasher as Blake3;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use support::Limit::{Cpu, Nothing, Wall, WallRatio};
use support::place::{Place, clear, settle};
use support::run::{Usage, measure, run, shell, wcas};
use support::{alternate, data, head, repeat, skip, tell};

fn main() {
    // This program is its own baseline, so that CPU time is measured alike.
    let arguments: Vec<_> = std::env::args_os().collect();
    if let [_, word, dir] = &arguments[..]
        && word == "hash"
    {
        return hash_all(Path::new(dir));
    }
    head();
    match data::real() {
        Some(wheels) => real(&wheels),
        None => skip("import of real wheels", "WCAS_BENCH_WHEELS names no folders of real wheels"),
    }
    small();
}

fn real(from: &Path) {
    let place = Place::disk();
    let wheels = copy(from, &place);
    let size = format!("{:.1} GB", data::bytes(&data::files(&wheels)) as f64 / 1e9);
    let (own, raw) = alternate(|_| import(&place, &wheels, "hardlink"), |_| hash(&wheels));
    tell(&format!("import by hard link, {size}"), &own, Some(("hash once", &raw)), &[WallRatio(1.25)]);
    let (own, raw) = alternate(|_| import(&place, &wheels, "copy"), |_| plus(hash(&wheels), copied(&place, &wheels)));
    tell(&format!("import by copy, {size}"), &own, Some(("hash, cp -r, sync", &raw)), &[WallRatio(1.5)]);
    drop(place);

    let question = format!("import by reflink, {size}");
    let Some(place) = Place::fresh("xfs").or_else(|| Place::fresh("btrfs")) else {
        return skip(&question, "no xfs or btrfs can be made and mounted here");
    };
    let wheels = copy(from, &place);
    let (own, raw) = alternate(|_| import(&place, &wheels, "reflink"), |_| hash(&wheels));
    let question = format!("{question} on {}", place.name);
    tell(&question, &own, Some(("hash once", &raw)), &[WallRatio(1.25)]);
    // A clone has none of its original's cached pages, so what is hashed in staging comes from the disk.
    let (own, raw) = alternate(|_| import(&place, &wheels, "reflink"), |_| cloned(&place, &wheels));
    tell(&question, &own, Some(("cp --reflink, hash", &raw)), &[Nothing]);
}

fn small() {
    // 15 000 a second.
    let limit = Wall(10_000.0 / 15_000.0);
    for place in Place::for_many_files() {
        let wheels = copy(&data::small(10_000), &place);
        for link in ["hardlink", "copy"] {
            let (own, raw) = alternate(
                |_| import(&place, &wheels, link),
                |_| if link == "copy" { plus(hash(&wheels), copied(&place, &wheels)) } else { hash(&wheels) },
            );
            let baseline = if link == "copy" { "hash, cp -r, sync" } else { "hash once" };
            tell(
                &format!("import of 10 000 small, {link}, {}", place.name),
                &own,
                Some((baseline, &raw)),
                &[limit, Nothing],
            );
        }
        let store = place.path("store");
        let text = wheels.to_str().expect("the scratch folder's path is text");
        // The last import may have met files that had changed within the clock's step; this one has not.
        run(&mut wcas(&store, &["import", text]));
        let own = repeat(support::RUNS, |_| measure(&mut wcas(&store, &["import", text])));
        tell(&format!("import again, 10 000, {}", place.name), &own, None, &[Cpu(0.3)]);
    }
}

fn copy(from: &Path, place: &Place) -> PathBuf {
    let wheels = place.path("wheels");
    run(&mut shell(r#"cp -r "$1" "$2""#, &[from, &wheels]));
    settle();
    wheels
}

/// Imports into a new store.
fn import(place: &Place, wheels: &Path, link: &str) -> Usage {
    let store = place.path("store");
    clear(&store);
    let text = wheels.to_str().expect("the scratch folder's path is text");
    measure(&mut wcas(&store, &["import", "--link", link, text]))
}

fn copied(place: &Place, wheels: &Path) -> Usage {
    let copy = place.path("copy");
    let usage = measure(&mut shell(r#"cp -r "$1" "$2" && sync -f "$2""#, &[wheels, &copy]));
    clear(&copy);
    usage
}

/// Clones the files, and hashes the clones.
fn cloned(place: &Place, wheels: &Path) -> Usage {
    let copy = place.path("copy");
    let usage = measure(&mut shell(r#"cp -r --reflink=always "$1" "$2""#, &[wheels, &copy]));
    let usage = plus(usage, hash(&copy));
    clear(&copy);
    usage
}

fn hash(wheels: &Path) -> Usage {
    let own = std::env::current_exe().expect("a running program has a path");
    measure(Command::new(own).arg("hash").arg(wheels))
}

fn plus(one: Usage, other: Usage) -> Usage {
    Usage { wall: one.wall + other.wall, cpu: one.cpu + other.cpu, memory: 0.0 }
}

/// Reads each file once and takes both digests, two threads, the largest first: the least that an import has to do.
fn hash_all(dir: &Path) {
    let mut files = data::files(dir);
    files.sort_by_cached_key(|path| path.metadata().map_or(0, |metadata| metadata.len()));
    let files = Mutex::new(files);
    let next = || files.lock().expect("no thread panics").pop();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut buffer = vec![0; 256 << 10];
                while let Some(path) = next() {
                    let mut file = File::open(path).expect("the file was listed");
                    let (mut blake3, mut sha256) = (Blake3::new(), Sha256::new());
                    loop {
                        let count = file.read(&mut buffer).expect("the file can be read");
                        if count == 0 {
                            break;
                        }
                        blake3.update(&buffer[..count]);
                        sha256.update(&buffer[..count]);
                    }
                    black_box((blake3.finalize(), sha256.finalize()));
                }
            });
        }
    });
}
