//! Builds small, valid wheels and sdists whose bytes are the same at every run.
//!
//! The zip format is written by hand, so that the tests do not trust the code that they check. The module needs nothing
//! else from the tests: unit tests may include it by its path.

#![allow(dead_code, reason = "each test crate uses its own part")]

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc, GzBuilder};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A wheel to be built; `pip` can install what comes out.
#[derive(Debug, Clone)]
pub(crate) struct Wheel {
    project: String,
    version: String,
    build: Option<String>,
    label: Option<String>,
    tags: String,
    headers: String,
    members: Vec<(String, Vec<u8>)>,
    dropped: Vec<String>,
}

impl Wheel {
    /// Starts a wheel for any platform with one importable module.
    pub(crate) fn new(project: &str, version: &str) -> Self {
        Self {
            project: project.to_owned(),
            version: version.to_owned(),
            build: None,
            label: None,
            tags: "py3-none-any".to_owned(),
            headers: String::new(),
            members: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Sets the build tag.
    pub(crate) fn build(mut self, tag: &str) -> Self {
        self.build = Some(tag.to_owned());
        self
    }

    /// Makes it a variant wheel (PEP 825): its filename has the label, and its `variant.json` is the JSON.
    pub(crate) fn variant(mut self, label: &str, json: &str) -> Self {
        self.label = Some(label.to_owned());
        let name = format!("{}.dist-info/variant.json", self.stem());
        self.member(&name, json)
    }

    /// Makes it a variant wheel whose label stands for one property, where the namespaces are in this order.
    pub(crate) fn property(
        self,
        label: &str,
        namespaces: &[&str],
        (namespace, feature, value): (&str, &str, &str),
    ) -> Self {
        let list: Vec<String> = namespaces.iter().map(|namespace| format!("{namespace:?}")).collect();
        let json = format!(
            r#"{{"$schema": "https://variants-schema.wheelnext.dev/peps/825/v0.1.1.json",
                "default-priorities": {{"namespace": [{}]}},
                "variants": {{{label:?}: {{{namespace:?}: {{{feature:?}: [{value:?}]}}}}}}}}"#,
            list.join(", ")
        );
        self.variant(label, &json)
    }

    /// Sets the compatibility tags as a filename carries them: `cp312-cp312-manylinux_2_28_x86_64`.
    pub(crate) fn tags(mut self, tags: &str) -> Self {
        tags.clone_into(&mut self.tags);
        self
    }

    /// Adds a `Requires-Python` header.
    pub(crate) fn requires_python(self, specifier: &str) -> Self {
        self.header("Requires-Python", specifier)
    }

    /// Adds a `Requires-Dist` header.
    pub(crate) fn requires(self, requirement: &str) -> Self {
        self.header("Requires-Dist", requirement)
    }

    /// Adds any header to METADATA.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\n");
        self
    }

    /// Adds a member; one with the name of a generated member (METADATA, say) takes its place.
    pub(crate) fn member(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.members.push((name.to_owned(), bytes.as_ref().to_vec()));
        self
    }

    /// Adds a member of `size` bytes that do not compress and differ with the seed.
    pub(crate) fn payload(self, size: usize, seed: u64) -> Self {
        let name = format!("{}/payload.bin", self.module());
        self.member(&name, noise(size, seed))
    }

    /// Leaves out the generated member whose name ends so (`METADATA`, say).
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.dropped.push(name.to_owned());
        self
    }

    /// Returns the filename.
    pub(crate) fn filename(&self) -> String {
        let build = self.build.as_ref().map(|tag| format!("-{tag}")).unwrap_or_default();
        let label = self.label.as_ref().map(|label| format!("-{label}")).unwrap_or_default();
        format!("{}{build}-{}{label}.whl", self.stem(), self.tags)
    }

    /// Returns the wheel's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let info = format!("{}.dist-info", self.stem());
        let metadata = core_metadata(&self.project, &self.version, &self.headers);
        let mut members = self.generated(format!("{}/__init__.py", self.module()), module(&self.version));
        members.extend(self.members.iter().cloned());
        members.extend(self.generated(format!("{info}/METADATA"), metadata));
        members.extend(self.generated(format!("{info}/WHEEL"), self.wheel_file()));
        let name = format!("{info}/RECORD");
        let mut record = String::new();
        for (name, bytes) in &members {
            record += &format!("{name},sha256={},{}\n", base64(&Sha256::digest(bytes)), bytes.len());
        }
        record += &format!("{name},,\n");
        members.extend(self.generated(name, record));
        zip(&members)
    }

    /// Writes the wheel into a folder, made when there is none, and returns its path.
    pub(crate) fn write_to(&self, dir: impl AsRef<Path>) -> PathBuf {
        write_to(dir.as_ref(), &self.filename(), &self.bytes())
    }

    /// Returns a generated member, or nothing when the test gave its own or left it out.
    fn generated(&self, name: String, text: String) -> Vec<(String, Vec<u8>)> {
        let given = self.members.iter().any(|(own, _)| *own == name);
        let dropped = self.dropped.iter().any(|end| name.ends_with(end));
        if given || dropped { Vec::new() } else { vec![(name, text.into_bytes())] }
    }

    fn module(&self) -> String {
        escaped(&self.project)
    }

    fn stem(&self) -> String {
        format!("{}-{}", escaped(&self.project), self.version.replace('-', "_"))
    }

    fn wheel_file(&self) -> String {
        let pure = self.tags.ends_with("-any");
        let mut text = format!("Wheel-Version: 1.0\nGenerator: wcas-tests\nRoot-Is-Purelib: {pure}\n");
        let [python, abi, platform] = self.tags.split('-').collect::<Vec<_>>()[..] else {
            panic!("{:?} are not three tags", self.tags)
        };
        for python in python.split('.') {
            for abi in abi.split('.') {
                for platform in platform.split('.') {
                    text += &format!("Tag: {python}-{abi}-{platform}\n");
                }
            }
        }
        if let Some(build) = &self.build {
            text += &format!("Build: {build}\n");
        }
        text
    }
}

/// A source distribution to be built; `pip` can build and install what comes out without any other project.
#[derive(Debug, Clone)]
pub(crate) struct Sdist {
    project: String,
    version: String,
    headers: String,
    members: Vec<(String, Vec<u8>)>,
}

impl Sdist {
    /// Starts a source distribution with one importable module.
    pub(crate) fn new(project: &str, version: &str) -> Self {
        let (project, version) = (project.to_owned(), version.to_owned());
        Self { project, version, headers: String::new(), members: Vec::new() }
    }

    /// Adds a `Requires-Python` header.
    pub(crate) fn requires_python(self, specifier: &str) -> Self {
        self.header("Requires-Python", specifier)
    }

    /// Adds a `Requires-Dist` header.
    pub(crate) fn requires(self, requirement: &str) -> Self {
        self.header("Requires-Dist", requirement)
    }

    /// Adds any header to PKG-INFO.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\n");
        self
    }

    /// Adds a member under the top folder; one with the name of a generated member (PKG-INFO, say) takes its place.
    pub(crate) fn member(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.members.push((name.to_owned(), bytes.as_ref().to_vec()));
        self
    }

    /// Adds a member of `size` bytes that do not compress and differ with the seed.
    pub(crate) fn payload(self, size: usize, seed: u64) -> Self {
        self.member("payload.bin", noise(size, seed))
    }

    /// Returns the filename.
    pub(crate) fn filename(&self) -> String {
        format!("{}.tar.gz", self.stem())
    }

    /// Returns the archive's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let name = escaped(&self.project);
        let generated = [
            ("PKG-INFO".to_owned(), core_metadata(&self.project, &self.version, &self.headers)),
            ("pyproject.toml".to_owned(), PYPROJECT.to_owned()),
            ("backend.py".to_owned(), BACKEND.replace("STEM", &self.stem())),
            (format!("{name}/__init__.py"), module(&self.version)),
        ];
        let generated = generated.into_iter().map(|(name, text)| (name, text.into_bytes()));
        let generated = generated.filter(|(name, _)| !self.members.iter().any(|(own, _)| own == name));
        let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
        let mut archive = tar::Builder::new(gzip);
        for (name, bytes) in generated.chain(self.members.iter().cloned()) {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(315_532_800); // 1980-01-01: the backend below makes a zip of it, which knows no earlier day
            let path = format!("{}/{name}", self.stem());
            archive.append_data(&mut header, path, &bytes[..]).expect("memory takes a tar member");
        }
        archive.into_inner().and_then(|gzip| gzip.finish()).expect("memory takes an archive")
    }

    /// Writes the archive into a folder, made when there is none, and returns its path.
    pub(crate) fn write_to(&self, dir: impl AsRef<Path>) -> PathBuf {
        write_to(dir.as_ref(), &self.filename(), &self.bytes())
    }

    fn stem(&self) -> String {
        format!("{}-{}", escaped(&self.project), self.version.replace('-', "_"))
    }
}

const PYPROJECT: &str = r#"[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"#;

/// A build backend in the sdist itself: it packs the module and PKG-INFO, so that building needs no index.
const BACKEND: &str = r#"import os, zipfile

def build_wheel(directory, settings=None, metadata=None):
    info, module = "STEM.dist-info/", "STEM".split("-")[0]
    name = "STEM-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.write(module + "/__init__.py")
        wheel.write("PKG-INFO", info + "METADATA")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "".join(member + ",,\n" for member in wheel.namelist()))
    return name
"#;

/// Packs members into a zip archive as they are: any name, any order, the same name twice if asked.
pub(crate) fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let deflated = deflate(bytes);
        let (method, data): (u16, &[u8]) = if deflated.len() < bytes.len() { (8, &deflated) } else { (0, bytes) };
        let mut crc = Crc::new();
        crc.update(bytes);
        // Version 2.0, names in UTF-8, 1980-01-01 00:00: the same in both headers.
        let mut shared = Vec::new();
        for field in [20, 0x0800, method, 0, 0x0021] {
            shared.extend(u16::to_le_bytes(field));
        }
        for field in [crc.sum(), small(data.len()), small(bytes.len())] {
            shared.extend(u32::to_le_bytes(field));
        }
        shared.extend(u16::try_from(name.len()).expect("a member's name is short").to_le_bytes());
        shared.extend([0; 2]);

        directory.extend(b"PK\x01\x02\x14\x03"); // made on Unix
        directory.extend(&shared);
        directory.extend([0; 6]);
        directory.extend((0o100_644u32 << 16).to_le_bytes());
        directory.extend(small(archive.len()).to_le_bytes());
        directory.extend(name.as_bytes());

        archive.extend(b"PK\x03\x04");
        archive.extend(&shared);
        archive.extend(name.as_bytes());
        archive.extend(data);
    }
    let count = u16::try_from(members.len()).expect("members fit a plain zip").to_le_bytes();
    let (start, size) = (small(archive.len()), small(directory.len()));
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    archive.extend([0; 2]);
    archive
}

/// Returns `size` bytes that do not compress: the same for the same seed, and unlike those of any other.
pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    let mut state = seed;
    while bytes.len() < size {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn core_metadata(project: &str, version: &str, headers: &str) -> String {
    format!("Metadata-Version: 2.2\nName: {project}\nVersion: {version}\n{headers}\nA test distribution.\n")
}

fn module(version: &str) -> String {
    format!("__version__ = \"{version}\"\n")
}

/// Returns a project name as filenames carry it: lowercase, runs of `-`, `_` and `.` as one `_`.
fn escaped(project: &str) -> String {
    let parts: Vec<_> = project.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("_").to_lowercase()
}

/// Encodes a digest as RECORD wants it: URL-safe base64 without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(LETTERS[word >> (18 - 6 * place) & 63]));
        }
    }
    text
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes bytes");
    encoder.finish().expect("memory takes bytes")
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a test's archive is under 4 GiB")
}

fn write_to(dir: &Path, filename: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(filename);
    fs::create_dir_all(dir).and_then(|()| fs::write(&path, bytes)).expect("a test's folder can be written");
    path
}

/// Makes a little-endian ELF file of 64 bits that needs one library and has no sections.
pub(crate) fn elf_needing(library: &str) -> Vec<u8> {
    let strings = [b"\0", library.as_bytes(), b"\0"].concat();
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let strings_at = 64 + 2 * 56;
    let table = words(&[1, 1, 5, strings_at, 10, strings.len() as u64, 0, 0]);
    let table_at = strings_at + strings.len() as u64;
    let end = table_at + table.len() as u64;
    let segment = |kind: u64, at: u64, len: u64| words(&[kind | 4 << 32, at, at, at, len, len, 8]);
    let ident = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0";
    let sizes = [0u16, 0, 64, 56, 2, 64, 0, 0].iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<u8>>();
    let header = [&ident[..], &words(&[0, 64, 0]), &sizes].concat();
    [header, segment(1, 0, end), segment(2, table_at, table.len() as u64), strings, table].concat()
}
