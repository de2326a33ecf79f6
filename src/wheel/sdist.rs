//! Finds an sdist's PKG-INFO: the one that lies exactly one directory deep.
//!
//! A `.tar.gz` is read as a stream up to that member; what stands behind it is not looked at.

use super::zip::{Archive, ZipError};
use crate::budget::{self, Excess};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use tar::EntryType;

/// Why an sdist can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SdistError {
    /// Not a gzip file, not a tar inside it, or cut short.
    #[error("expected a gzip-compressed tar archive")]
    Tar(#[source] io::Error),
    /// Nothing in it.
    #[error("expected a tar archive with members, found an empty one")]
    Empty,
    /// A member that is too large to be what it says.
    #[error("the member {name:?} has {found} bytes: {excess}")]
    Large {
        /// The member's name.
        name: String,
        /// Its size.
        found: u64,
        /// The budget.
        excess: Excess,
    },
    /// Not a zip archive, or a bad one.
    #[error("expected a zip archive")]
    Zip(#[source] ZipError),
}

/// Reads PKG-INFO from a `.zip`; `None` when there is none.
pub fn pkg_info_in_zip(file: &File) -> Result<Option<Vec<u8>>, SdistError> {
    let archive = Archive::open(file).map_err(SdistError::Zip)?;
    let mut found = None;
    for entry in archive.entries() {
        let entry = entry.map_err(SdistError::Zip)?;
        if found.is_none() && is_pkg_info(entry.name) {
            found = Some(entry);
        }
    }
    found.map(|entry| archive.read(&entry, budget::METADATA_BYTES.limit).map_err(SdistError::Zip)).transpose()
}

/// Reads PKG-INFO from a `.tar.gz`; `None` when there is none.
pub fn pkg_info_in_tar(file: &File) -> Result<Option<Vec<u8>>, SdistError> {
    find_in_tar(BufReader::with_capacity(64 * 1024, At { file, offset: 0 }), most(file))
}

/// Returns how many bytes a packed sdist may give before it counts as a bomb.
pub(super) fn most(file: &File) -> u64 {
    let packed = file.metadata().map_or(0, |metadata| metadata.len());
    budget::SDIST_BYTES.limit.saturating_add(packed.saturating_mul(budget::SDIST_RATIO.limit))
}

/// Makes sure that a `.tar.gz` is whole: its end comes, and its checksum is right.
pub fn check_whole_tar(file: &File) -> Result<(), SdistError> {
    let inner = MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, At { file, offset: 0 }));
    let mut inflated = Bounded { inner, left: most(file) };
    let bytes = io::copy(&mut inflated, &mut io::sink()).map_err(SdistError::Tar)?;
    if bytes > 0 { Ok(()) } else { Err(SdistError::Empty) }
}

fn find_in_tar(gzip: impl io::BufRead, cap: u64) -> Result<Option<Vec<u8>>, SdistError> {
    let mut archive = tar::Archive::new(Bounded { inner: MultiGzDecoder::new(gzip), left: cap });
    // Raw, because otherwise tar reads a long name of any size into memory.
    let entries = archive.entries().map_err(SdistError::Tar)?.raw(true);
    let (mut empty, mut long_name) = (true, None);
    for entry in entries {
        let mut entry = entry.map_err(SdistError::Tar)?;
        empty = false;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            let bytes = read_member(&mut entry, "a long name")?;
            long_name = match kind {
                EntryType::GNULongName => Some(bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
                _ => pax_path(&bytes).or(long_name),
            };
            continue;
        }
        // A link's target, or a header for all members, stands between a long name and its member.
        if matches!(kind, EntryType::GNULongLink | EntryType::XGlobalHeader) {
            continue;
        }
        let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        if kind.is_file() && is_pkg_info(&name) {
            return read_member(&mut entry, &String::from_utf8_lossy(&name)).map(Some);
        }
    }
    if empty { Err(SdistError::Empty) } else { Ok(None) }
}

fn read_member(entry: &mut tar::Entry<'_, impl Read>, name: &str) -> Result<Vec<u8>, SdistError> {
    let size = entry.size();
    if size > budget::METADATA_BYTES.limit {
        let excess = Excess(budget::METADATA_BYTES);
        return Err(SdistError::Large { name: name.to_owned(), found: size, excess });
    }
    let mut bytes = Vec::new();
    let read = entry.read_to_end(&mut bytes).map_err(SdistError::Tar)?;
    if read as u64 == size { Ok(bytes) } else { Err(SdistError::Tar(io::ErrorKind::UnexpectedEof.into())) }
}

fn pax_path(bytes: &[u8]) -> Option<Vec<u8>> {
    let records = tar::PaxExtensions::new(bytes).flatten();
    records.filter(|record| record.key_bytes() == b"path").last().map(|record| record.value_bytes().to_vec())
}

fn is_pkg_info(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let top = name.strip_suffix(b"/PKG-INFO").unwrap_or_default();
    !top.is_empty() && top != b".." && top != b"." && !top.contains(&b'/')
}

/// Reads a file from an offset of its own, so that the file's cursor stays where it is.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Fails, rather than ends, when more than `left` bytes come.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(Excess(budget::SDIST_BYTES)))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn find(gzip: &[u8]) -> Result<Option<Vec<u8>>, SdistError> {
        find_in_tar(gzip, 1 << 20)
    }

    #[test]
    fn pkg_info_is_the_one_that_lies_one_directory_deep() {
        let deep: &[(&str, &[u8])] =
            &[("PKG-INFO", b"0"), ("d-1/d.egg-info/PKG-INFO", b"2"), ("d-1/NOT-PKG-INFO", b"3")];
        assert_eq!(find(&gzip(&tar(deep))).unwrap(), None);
        let right: &[(&str, &[u8])] = &[("d-1/PKG-INFO", b"1")];
        assert_eq!(find(&gzip(&tar(&[deep, right].concat()))).unwrap(), Some(b"1".to_vec()));
        assert_eq!(find(&gzip(&tar(&[("./d-1/PKG-INFO", b"1")]))).unwrap(), Some(b"1".to_vec()));
    }

    #[test]
    fn long_names_are_understood_in_both_styles() {
        let name = format!("{}/PKG-INFO", "d".repeat(150));
        assert_eq!(find(&gzip(&tar(&[(&name, b"gnu")]))).unwrap(), Some(b"gnu".to_vec()));
        let mut pax = tar::Builder::new(Vec::new());
        pax.append_pax_extensions([("path", name.as_bytes())]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(3);
        pax.append_data(&mut header, "short", &b"pax"[..]).unwrap();
        assert_eq!(find(&gzip(&pax.into_inner().unwrap())).unwrap(), Some(b"pax".to_vec()));
    }

    #[test]
    fn what_is_no_tar_in_gzip_is_an_error() {
        let good = gzip(&tar(&[("d-1/a", &[7; 5000]), ("d-1/PKG-INFO", b"1")]));
        assert!(matches!(find(&gzip(b"")), Err(SdistError::Empty)));
        for bad in [&b""[..], b"text", &tar(&[("d-1/PKG-INFO", b"1")]), &gzip(&[b'x'; 2000]), &good[..good.len() / 2]] {
            assert!(find(bad).is_err());
        }
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_not_whole() {
        let good = gzip(&tar(&[("d-1/PKG-INFO", b"1"), ("d-1/a", &[7; 5000])]));
        let check = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            check_whole_tar(&file)
        };
        assert!(check(&good).is_ok());
        for at in 0..good.len() {
            assert!(check(&good[..at]).is_err(), "cut after {at} bytes");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_the_memory() {
        let bomb = gzip(&tar(&[("d-1/zeros", &vec![0; 2 << 20]), ("d-1/PKG-INFO", b"1")]));
        assert!(matches!(find(&bomb), Err(SdistError::Tar(_))));
        let mut header = tar::Header::new_gnu();
        header.set_path("d-1/PKG-INFO").unwrap();
        header.set_size(budget::METADATA_BYTES.limit + 1);
        header.set_cksum();
        assert!(matches!(find(&gzip(header.as_bytes())), Err(SdistError::Large { .. })));
    }

    #[test]
    fn how_much_may_be_unpacked_grows_with_what_was_sent() {
        let mut bomb = GzEncoder::new(tempfile::tempfile().unwrap(), flate2::Compression::default());
        let piece = vec![0; 1 << 20];
        (0..600).for_each(|_| bomb.write_all(&piece).unwrap());
        let mut file = bomb.finish().unwrap();
        let error = check_whole_tar(&file).unwrap_err();
        assert!(format!("{error:?}").contains("sdist-bytes"), "{error:?}");
        // Behind it, what doesn't pack as well: an honest archive of its size.
        let noise: Vec<u8> = (0..4_000_000u32).map(|at| (at.wrapping_mul(at) >> 11) as u8).collect();
        let mut member = GzEncoder::new(Vec::new(), flate2::Compression::none());
        member.write_all(&noise).unwrap();
        file.write_all(&member.finish().unwrap()).unwrap();
        check_whole_tar(&file).unwrap();
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let good = gzip(&tar(&[("d-1/a", b"x"), ("d-1/PKG-INFO", b"1")]));
        let raw = tar(&[(&format!("{}/PKG-INFO", "d".repeat(150)), b"1")]);
        for at in 0..good.len() {
            _ = find(&good[..at]);
            let mut flipped = good.clone();
            flipped[at] ^= 0x55;
            _ = find(&flipped);
        }
        for at in 0..raw.len() {
            let mut flipped = raw.clone();
            flipped[at] ^= 0xff;
            _ = find(&gzip(&flipped));
        }
    }
}
