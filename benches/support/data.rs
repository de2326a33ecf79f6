//! The files that benches work on: small wheels from the builder, and real ones from a folder that the caller names.

#[path = "../../tests/support/wheels.rs"]
mod wheels;

use super::place::scratch;
use super::run::{run, wcas};
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use wcas::digest::Sha256;
use wheels::Wheel;

/// Returns a folder with so many distinct small wheels, made once. Up to 10 000 they have 2-20 kB and 500 projects; more are
/// smaller and have 2000.
pub(crate) fn small(count: usize) -> PathBuf {
    prepared(&format!("small-{count}"), |dir| {
        let projects = if count <= 10_000 { 500 } else { 2000 };
        (0..count).into_par_iter().for_each(|index| {
            let size = if count <= 10_000 { 1500 + index * 7919 % 18_000 } else { 100 };
            wheel(index % projects, index / projects).payload(size, index as u64).write_to(dir);
        });
    })
}

/// Returns the folder of one more small wheel, of the first project, which no other number gives.
pub(crate) fn one_more(dir: &Path, number: usize) -> PathBuf {
    let dir = dir.join(format!("more-{number}"));
    wheel(0, 100_000 + number).write_to(&dir);
    dir
}

fn wheel(project: usize, version: usize) -> Wheel {
    let wheel = Wheel::new(&format!("project-{project:04}"), &format!("1.{version}.0"));
    wheel.requires_python(">=3.9").requires("numpy>=1.26").requires("packaging")
}

/// Makes one wheel of about so many bytes, of the project large.
pub(crate) fn large(dir: &Path, bytes: usize) -> PathBuf {
    Wheel::new("large", "1.0").payload(bytes, 1).write_to(dir)
}

/// Makes one of several such wheels, each of a project of its own.
pub(crate) fn large_of(dir: &Path, number: usize, bytes: usize) -> PathBuf {
    Wheel::new(&format!("large-{number}"), "1.0").payload(bytes, number as u64).write_to(dir)
}

/// Makes wheels of so many projects in three versions, each of which needs the next two projects.
pub(crate) fn chain(dir: &Path, length: usize) -> PathBuf {
    for (number, version) in (0..length).flat_map(|number| (0..3).map(move |version| (number, version))) {
        let needs = [number + 1, number + 2].into_iter().filter(|needed| *needed < length);
        let wheel = Wheel::new(&format!("chain-{number}"), &format!("{version}.0")).payload(20_000, number as u64);
        needs.fold(wheel, |wheel, needed| wheel.requires(&format!("chain-{needed}>=1.0"))).write_to(dir);
    }
    dir.to_owned()
}

/// A wheel that every set has, for lookups.
pub(crate) const SPEC: &str = "project-0250==1.7.0";

/// Returns a folder with copies of the real wheels in the folders that `WCAS_BENCH_WHEELS` names (separated by `:`).
pub(crate) fn real() -> Option<PathBuf> {
    let folders = std::env::var_os("WCAS_BENCH_WHEELS")?;
    let name = Sha256::of(folders.as_encoded_bytes()).to_string();
    Some(prepared(&format!("real-{}", &name[..8]), |dir| {
        for folder in std::env::split_paths(&folders) {
            for path in files(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "whl")) {
                // Copied, not linked: an import by hard link changes the permissions of its sources.
                fs::copy(&path, dir.join(path.file_name().unwrap_or_default())).expect("the scratch folder has room");
            }
        }
    }))
}

/// Returns a store of so many small wheels, made once for a schema of the manifest.
pub(crate) fn store(count: usize) -> PathBuf {
    let steps = [
        include_str!("../../src/manifest/schema/1.sql"),
        include_str!("../../src/manifest/schema/2.sql"),
        include_str!("../../src/manifest/schema/3.sql"),
    ];
    let schema = Sha256::of(steps.concat().as_bytes()).to_string();
    let wheels = small(count);
    prepared(&format!("store-{count}-{}", &schema[..8]), |dir| {
        let from = wheels.to_str().expect("the scratch folder's path is text");
        run(&mut wcas(dir, &["import", "--link", "hardlink", from]));
    })
}

/// Returns the files in a folder and below, sorted.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// Returns the size of all files in a folder in bytes.
pub(crate) fn bytes(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

/// Makes a folder under a temporary name, so that one half made is never taken for whole.
fn prepared(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let done = scratch().join(name);
    if !done.exists() {
        let half = scratch().join(format!("{name}.part-{}", std::process::id()));
        let _ = fs::remove_dir_all(&half);
        fs::create_dir_all(&half).expect("the scratch folder can be written");
        make(&half);
        fs::rename(&half, &done).expect("the scratch folder can be written");
    }
    done
}
