//! Where a bench works: the scratch folder, memory, or a filesystem of its own.
//!
//! New inodes on ext4 come at 50 000 or at 1 500 a second, the latter after many were deleted; so what makes many files works on
//! a filesystem that was made just now (which takes root), or in memory.

use super::run::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder that goes when the bench ends; the filesystem under it, too, if it was made for the bench.
pub(crate) struct Place {
    /// What it is, for the table.
    pub(crate) name: &'static str,
    dir: PathBuf,
    image: Option<PathBuf>,
}

impl Place {
    /// Makes a folder in the scratch folder.
    pub(crate) fn disk() -> Self {
        Self::in_dir("disk", &scratch())
    }

    /// Makes a folder in memory, where the machine has a filesystem there.
    pub(crate) fn memory() -> Option<Self> {
        let dir = Path::new("/dev/shm");
        dir.is_dir().then(|| Self::in_dir("tmpfs", dir))
    }

    /// Makes a filesystem in a file, if this process may mount it.
    pub(crate) fn fresh(name: &'static str) -> Option<Self> {
        let mut place = Self::in_dir(name, &scratch());
        let image = place.dir.with_extension("img");
        let file = fs::File::create(&image).and_then(|file| file.set_len(24 << 30));
        file.unwrap_or_else(|error| panic!("{}: {error}", image.display()));
        let quietly = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let is_made = quietly(Command::new(format!("mkfs.{name}")).arg("-q").arg(&image))
            && quietly(Command::new("mount").args(["-o", "loop"]).args([&image, &place.dir]));
        if is_made {
            place.image = Some(image);
            return Some(place);
        }
        let _ = fs::remove_file(&image);
        None
    }

    /// Returns the best places for many new files: a fresh ext4 and memory, else memory alone, else the disk.
    pub(crate) fn for_many_files() -> Vec<Self> {
        let places: Vec<Self> = [Self::fresh("ext4"), Self::memory()].into_iter().flatten().collect();
        if places.is_empty() { vec![Self::disk()] } else { places }
    }

    /// Returns a path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn in_dir(name: &'static str, parent: &Path) -> Self {
        let dir = parent.join(format!("wcas-bench-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Self { name, dir, image: None }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(image) = &self.image {
            let _ = Command::new("umount").arg(&self.dir).status();
            let _ = fs::remove_file(image);
            let _ = fs::remove_dir(&self.dir);
        } else {
            clear(&self.dir);
        }
    }
}

/// Returns the folder that keeps prepared data from bench to bench: `WCAS_BENCH_DIR`, else one in the temporary folder.
pub(crate) fn scratch() -> PathBuf {
    let dir = std::env::var_os("WCAS_BENCH_DIR").map_or_else(|| std::env::temp_dir().join("wcas-bench"), PathBuf::from);
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    dir.canonicalize().unwrap_or(dir)
}

/// Removes a folder and waits until the disk has heard of it, so that the next run does not pay for it.
pub(crate) fn clear(dir: &Path) {
    let _ = fs::remove_dir_all(dir);
    settle();
}

/// Waits until the disk has what was written so far.
pub(crate) fn settle() {
    run(&mut Command::new("sync"));
}
