//! A store with something of everything, made once and put back as it was as often as one likes.

use crate::support::{Env, Wheel, elf_needing};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// Longer than any command takes on a busy machine: what takes longer hangs.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A folder of memory, where stores are copied in no time.
const MEMORY: &str = "/dev/shm";
/// Labs need some dozen MiB each.
const ENOUGH: u64 = 1 << 30;

/// The manifest as it was half-way, outside of the folder that commands run in.
pub(crate) const OLD: &str = "old.sqlite";

/// The folder that commands run in, and what it was like when it was made.
#[derive(Debug)]
pub(crate) struct Lab {
    env: Env,
    /// What each right file of that name has in it, by name.
    right: BTreeMap<String, Vec<Vec<u8>>>,
    /// Blobs that something refers to, by their names.
    kept: BTreeMap<String, Vec<u8>>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; 128 and the signal's number when one ended it; −1 when it had to be killed since it took too long.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| text.chars().take(1500).collect::<String>();
        write!(f, "exit {}\n--- stdout\n{}\n--- stderr\n{}", self.code, cut(&self.stdout), cut(&self.stderr))
    }
}

/// A record of a vulnerability.
const OSV: &str = r#"{"id":"PYSEC-1","affected":[{"package":{"ecosystem":"PyPI","name":"demo"},"versions":["1.0"]}]}"#;

/// A lock file of what the store has.
const LOCK: &str = r#"version = 1
[[package]]
name = "demo"
version = "1.0"
source = { registry = "https://index.example/simple/" }
wheels = [{ url = "https://index.example/demo-1.0-py3-none-any.whl", hash = "sha256:DIGEST" }]
"#;

/// Lines that make the store; each must succeed.
const SETUP: &[&str] = &[
    "import in",
    "import cudas --collection cuda",
    "collection set cuda --fallback shared",
    "route set cuda --requirements requirements.txt",
    "route override torch cuda",
    "remote add up http://127.0.0.1:9/simple/ --collection cuda",
    "token create --all --scope read --name site",
    "publisher add ci --issuer https://issuer.example --audience a --collection cuda --claim sub=x",
    "collection snapshot shared first",
    "collection copy shared old",
    "import gone",
    "pin demo --reason kept --everywhere",
    "yank pure --reason bad --everywhere",
    "reserve corp-* --collection cuda",
    "block evil==1.0 --reason bad",
    "run --key in --out dist -- sh build.sh",
    "lookup demo==1.0",
    "view --format paths",
    "view --to tree",
    "view --to flat --layout flat --link copy",
    "invalidate gone --collection shared",
];

impl Lab {
    /// Makes the store, and keeps a copy of it.
    pub(crate) fn new() -> Self {
        let memory = Path::new(MEMORY);
        let is_enough = wcas::fs::free_bytes(memory).is_ok_and(|free| free > ENOUGH);
        let env = Env::new_in(if is_enough { memory } else { Path::new("/tmp") });
        let work = env.path("work");
        fs::create_dir(&work).unwrap();
        let elf = elf_needing("libcudart.so.12");
        for (dir, wheel) in [
            ("in", Wheel::new("demo", "1.0").payload(9000, 1)),
            ("in", Wheel::new("demo", "2.0").payload(3000, 2)),
            ("in", Wheel::new("pure", "1.0").payload(500, 3)),
            ("cudas", Wheel::new("torch", "2.0").tags("cp312-cp312-linux_x86_64").member("torch/_C.so", &elf)),
            ("gone", Wheel::new("gone", "1.0").payload(2000, 4)),
            ("in2", Wheel::new("more", "1.0").payload(70_000, 5)),
            ("moved", Wheel::new("moved", "1.0").payload(4000, 6)),
            ("built", Wheel::new("built", "1.0").payload(1500, 7)),
        ] {
            wheel.write_to(work.join(dir));
        }
        fs::write(work.join("requirements.txt"), "torch\n").unwrap();
        fs::write(work.join("osv.json"), OSV).unwrap();
        let demo = fs::read(work.join("in/demo-1.0-py3-none-any.whl")).unwrap();
        fs::write(work.join("uv.lock"), LOCK.replace("DIGEST", &wcas::digest::Sha256::of(&demo).to_string())).unwrap();
        fs::write(work.join("build.sh"), "mkdir -p dist dist2\ncp built/* dist/\ncp built/* dist2/\n").unwrap();
        let mut lab = Self { env, right: BTreeMap::new(), kept: BTreeMap::new() };
        for line in SETUP {
            let ran = lab.run(&line.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.code, 0, "{line}: {ran}");
            if line.starts_with("collection snapshot") {
                fs::copy(lab.store().join("manifest.sqlite"), lab.outside(OLD)).unwrap();
            }
        }
        let settings = lab.run(&["config", "show"]);
        fs::write(work.join("wcas.toml"), settings.stdout).unwrap();
        copy_tree(&work, &lab.env.path("saved"));
        for entry in WalkDir::new(&work).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file()) {
            let name = entry.file_name().to_str().unwrap().to_owned();
            if name.ends_with(".whl") {
                let known = lab.right.entry(name).or_default();
                known.push(fs::read(entry.path()).unwrap());
            }
        }
        let gone = &lab.right["gone-1.0-py3-none-any.whl"];
        let blobs = WalkDir::new(lab.store().join("blobs")).into_iter().map(Result::unwrap);
        let blobs = blobs.filter(|entry| entry.file_type().is_file());
        let blobs =
            blobs.map(|entry| (entry.file_name().to_str().unwrap().to_owned(), fs::read(entry.path()).unwrap()));
        lab.kept = blobs.filter(|(_, bytes)| !gone.contains(bytes)).collect();
        assert!(lab.kept.len() >= 5);
        lab
    }

    /// Returns the folder that commands run in.
    pub(crate) fn work(&self) -> PathBuf {
        self.env.path("work")
    }

    /// Returns the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.work().join("store")
    }

    /// Returns a path outside of the folder that commands run in.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.env.path(name)
    }

    /// Returns how all was when it was made.
    pub(crate) fn saved(&self) -> PathBuf {
        self.env.path("saved")
    }

    /// Puts all back as it was.
    pub(crate) fn renew(&self) {
        clear(&self.work());
        copy_tree(&self.saved(), &self.work());
    }

    /// Returns the command to be run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.env.command(args);
        command.current_dir(self.work()).env("WCAS_STORE", self.store()).env("WCAS_CONNECT_TIMEOUT", "1");
        command
    }

    /// Returns the command to be run as another user, who may do with what is [given](give) to him.
    pub(crate) fn command_as(&self, user: u32, args: &[&str]) -> Command {
        fs::set_permissions(self.env.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let plain = self.command(args);
        let mut command = Command::new("setpriv");
        let user = user.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(plain.get_program()).args(args);
        command.current_dir(self.work()).stdin(Stdio::null()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Tells whether commands can be run as another user: by root, with a program that each user can reach.
    pub(crate) fn may_change_user(&self) -> bool {
        let can = is_root() && self.finish(&mut self.command_as(1, &["--version"])).code == 0;
        if !can {
            crate::support::skip(
                "nothing can be run as another user here (no root, no setpriv, or the program is out of reach)",
            );
        }
        can
    }

    /// Runs a command to its end, or as long as it may.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.finish(&mut self.command(args))
    }

    /// Runs what has been made of a command by [`Self::command`], or by a program that starts it.
    pub(crate) fn finish(&self, command: &mut Command) -> Ran {
        // Files, and no pipes: what still holds one after its end can't keep this from going on.
        let mut open = ["stdout", "stderr"].map(|name| {
            let path = self.env.path(name);
            drop(fs::remove_file(&path));
            File::options().read(true).write(true).create_new(true).open(path).unwrap()
        });
        let [out, err] = &open;
        command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let Ok(mut child) = command.spawn() else {
            return Ran { code: 127, stdout: String::new(), stderr: "it doesn't start".to_owned() };
        };
        let code = end_of(&mut child);
        let [stdout, stderr] = open.each_mut().map(|file| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ran { code, stdout, stderr }
    }

    /// Returns the contents that a wheel of this name may have.
    pub(crate) fn right(&self, name: &str) -> &[Vec<u8>] {
        self.right.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns all wheels, by name.
    pub(crate) fn wheels(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.right.iter().flat_map(|(name, known)| known.iter().map(move |bytes| (name.as_str(), bytes.as_slice())))
    }

    /// Returns the blobs that something refers to.
    pub(crate) fn kept(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.kept
    }

    /// Returns those of them that are not in their place with their bytes.
    pub(crate) fn lost(&self) -> Vec<&str> {
        let is_right = |name: &String, bytes: &Vec<u8>| {
            let path = self.store().join("blobs/b3").join(&name[..2]).join(name);
            read(&path).is_some_and(|found| found == *bytes)
        };
        self.kept.iter().filter(|(name, bytes)| !is_right(name, bytes)).map(|(name, _)| name.as_str()).collect()
    }
}

/// Reads a file; a pipe, which nobody writes to, is none.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    if fs::metadata(path).ok()?.is_file() { fs::read(path).ok() } else { None }
}

/// Waits for a process's end as long as it may take; kills it then.
pub(crate) fn end_of(child: &mut std::process::Child) -> i32 {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        }
        if begin.elapsed() > BOUND {
            drop(child.kill());
            drop(child.wait());
            return -1;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Removes all in a folder, whatever modes it has.
pub(crate) fn clear(dir: &Path) {
    for entry in WalkDir::new(dir).into_iter().flatten().filter(|entry| entry.file_type().is_dir()) {
        drop(fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755)));
    }
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_dir = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_dir { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

/// Copies a tree with modes, times and links; the folder may be there.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    let mut folders = Vec::new();
    for entry in WalkDir::new(from).into_iter().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type());
        let target = to.join(path.strip_prefix(from).unwrap());
        let metadata = path.symlink_metadata().unwrap();
        if kind.is_dir() {
            if !target.is_dir() {
                fs::create_dir(&target).unwrap();
            }
            folders.push((target, metadata));
        } else if kind.is_symlink() {
            symlink(fs::read_link(path).unwrap(), target).unwrap();
        } else {
            fs::copy(path, &target).unwrap();
            File::open(&target).and_then(|file| file.set_modified(metadata.modified()?)).unwrap();
        }
    }
    for (path, metadata) in folders {
        fs::set_permissions(path, metadata.permissions()).unwrap();
    }
}

/// Gives a tree to a user, which only root can.
pub(crate) fn give(dir: &Path, user: u32) -> bool {
    WalkDir::new(dir).into_iter().flatten().all(|entry| lchown(entry.path(), Some(user), Some(user)).is_ok())
}

/// Tells whether this user may do everything.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Random numbers that a seed determines (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts with the seed of [`crate::share::seed`]; it is printed.
    pub(crate) fn new(part: &str) -> Self {
        let seed = crate::share::seed();
        println!("{part}: WCAS_TORTURE_SEED={seed}");
        Self(seed)
    }

    /// Returns the next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below another.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// Puts a list into some order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end + 1));
        }
    }
}

/// Collects what is wrong, so that one run tells all of it.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    found: Mutex<Vec<String>>,
}

impl Faults {
    /// Notes one.
    pub(crate) fn note(&self, text: String) {
        println!("FAULT {text}\n");
        self.found.lock().unwrap().push(text);
    }

    /// Fails if there are any.
    #[track_caller]
    pub(crate) fn none(self, tried: usize) {
        let found = self.found.into_inner().unwrap();
        println!("{tried} combinations, {} faults", found.len());
        let first: Vec<_> = found.iter().take(10).map(String::as_str).collect();
        assert!(found.is_empty(), "{} of {tried} went wrong:\n{}", found.len(), first.join("\n\n"));
    }
}
