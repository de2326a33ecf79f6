//! Finds an sdist's PKG-INFO: the one that lies exactly one directory deep.
//!
//! Archives are read to their end, so that one that was cut isn't taken for whole, and of two members of one name the last counts, as
//! for whoever unpacks them. `.tar.bz2` and `.tar.xz`, which old projects have, are known by their first and last bytes alone.

use super::zip::{self, Archive, ZipError};
use crate::budget::{self, Excess};
use flate2::bufread::GzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
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
    /// Not what its extension says.
    #[error("expected a tar archive compressed by {0}, from its first byte to its last")]
    Magic(&'static str),
}

/// How an sdist is packed, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    /// `.tar.gz` or `.tgz`.
    Gzip,
    /// `.zip`.
    Zip,
    /// `.tar.bz2`.
    Bzip2,
    /// `.tar.xz`.
    Xz,
}

/// The extensions of sdists that pip and uv install. The public index takes the first two of new files, and has the others of old ones.
pub(super) const EXTENSIONS: [(&str, Packing); 5] = [
    (".tar.gz", Packing::Gzip),
    (".zip", Packing::Zip),
    (".tgz", Packing::Gzip),
    (".tar.bz2", Packing::Bzip2),
    (".tar.xz", Packing::Xz),
];

/// Reads PKG-INFO, and makes sure that the archive is whole; `None` when there is none, or in an archive that isn't unpacked here.
pub(super) fn pkg_info(file: &File, packing: Packing) -> Result<Option<Vec<u8>>, SdistError> {
    match packing {
        Packing::Gzip => pkg_info_in_tar(file),
        Packing::Zip => pkg_info_in_zip(file),
        Packing::Bzip2 | Packing::Xz => check_ends(file, packing).map(|()| None),
    }
}

/// Shows the members of an sdist by name and size, until so many bytes were inflated. Returns whether all were shown; `None`: it is
/// packed in a way that isn't unpacked here.
pub(super) fn each_member(
    file: &File,
    packing: Packing,
    most: u64,
    show: &mut dyn FnMut(&[u8], u64),
) -> Result<Option<bool>, SdistError> {
    match packing {
        Packing::Gzip => {
            let gzip = BufReader::with_capacity(64 * 1024, At { file, offset: 0 });
            each_in_tar(Gunzip(Some(GzDecoder::new(gzip))).take(most), most, show).map(Some)
        }
        Packing::Zip => {
            let archive = Archive::open(file).map_err(SdistError::Zip)?;
            for entry in archive.entries() {
                let entry = entry.map_err(SdistError::Zip)?;
                show(entry.name, entry.size);
            }
            Ok(Some(true))
        }
        Packing::Bzip2 | Packing::Xz => Ok(None),
    }
}

fn each_in_tar(tar: impl Read, most: u64, show: &mut dyn FnMut(&[u8], u64)) -> Result<bool, SdistError> {
    let mut archive = tar::Archive::new(tar);
    let mut long_name = None;
    let mut end = 0_u64;
    for entry in archive.entries().map_err(SdistError::Tar)?.raw(true) {
        let mut entry = match entry {
            Ok(entry) => entry,
            // What was cut here isn't damaged.
            Err(_) if end >= most => return Ok(false),
            Err(error) => return Err(SdistError::Tar(error)),
        };
        // With what fills its last block, and the next header.
        end = entry.raw_file_position().saturating_add(entry.size()).saturating_add(1024);
        match entry.header().entry_type() {
            EntryType::GNULongName if end < most => {
                let bytes = read_member(&mut entry, "a long name")?;
                long_name = Some(bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
            }
            EntryType::XHeader if end < most => {
                let bytes = read_member(&mut entry, "a long name")?;
                long_name = pax_value(&bytes, b"path").or(long_name);
            }
            // They stand between a long name and its member.
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            kind => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                if kind.is_file() {
                    show(&name, entry.size());
                }
            }
        }
    }
    Ok(end < most)
}

/// Looks at the magic bytes of what isn't unpacked here: the block that a bzip2 file begins with, and what an xz file begins and ends with.
fn check_ends(file: &File, packing: Packing) -> Result<(), SdistError> {
    let read = |bytes: &mut [u8], offset: u64| file.read_exact_at(bytes, offset).map_err(SdistError::Tar);
    let (mut head, mut end) = ([0; 10], [0; 2]);
    read(&mut head, 0)?;
    read(&mut end, file.metadata().map_err(SdistError::Tar)?.len() - 2)?;
    let is_bzip2 = head.starts_with(b"BZh") && matches!(head[3], b'1'..=b'9') && head[4..] == *b"1AY&SY";
    match packing {
        Packing::Xz if head.starts_with(b"\xfd7zXZ\0") && end == *b"YZ" => Ok(()),
        Packing::Xz => Err(SdistError::Magic("xz")),
        _ if is_bzip2 => Ok(()),
        _ => Err(SdistError::Magic("bzip2")),
    }
}

/// Reads PKG-INFO from a `.zip`; `None` when there is none.
fn pkg_info_in_zip(file: &File) -> Result<Option<Vec<u8>>, SdistError> {
    let archive = Archive::open(file).map_err(SdistError::Zip)?;
    let mut found: Option<zip::Entry<'_>> = None;
    for entry in archive.entries() {
        let entry = entry.map_err(SdistError::Zip)?;
        entry.check_installable().map_err(SdistError::Zip)?;
        if is_pkg_info(entry.name) && found.is_none_or(|first| first.name == entry.name) {
            found = Some(entry);
        }
    }
    found.map(|entry| archive.read(&entry, budget::METADATA_BYTES.limit).map_err(SdistError::Zip)).transpose()
}

/// Reads PKG-INFO from a `.tar.gz`; `None` when there is none.
fn pkg_info_in_tar(file: &File) -> Result<Option<Vec<u8>>, SdistError> {
    find_in_tar(BufReader::with_capacity(64 * 1024, At { file, offset: 0 }), most(file))
}

/// Returns how many bytes a packed sdist may give before it counts as a bomb.
pub(super) fn most(file: &File) -> u64 {
    let packed = file.metadata().map_or(0, |metadata| metadata.len());
    budget::SDIST_BYTES.limit.saturating_add(packed.saturating_mul(budget::SDIST_RATIO.limit))
}

fn find_in_tar(gzip: impl BufRead, cap: u64) -> Result<Option<Vec<u8>>, SdistError> {
    let mut archive = tar::Archive::new(Bounded { inner: Gunzip(Some(GzDecoder::new(gzip))), left: cap });
    let found = find_in_members(&mut archive)?;
    // The end of the members is not the file's, where the checksum is.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(SdistError::Tar)?;
    Ok(found)
}

fn find_in_members(archive: &mut tar::Archive<impl Read>) -> Result<Option<Vec<u8>>, SdistError> {
    // Raw, because otherwise tar reads a long name of any size into memory.
    let entries = archive.entries().map_err(SdistError::Tar)?.raw(true);
    let (mut empty, mut long_name, mut size, mut found) = (true, None, None, None);
    for entry in entries {
        let mut entry = entry.map_err(SdistError::Tar)?;
        empty = false;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            let bytes = read_member(&mut entry, "a long name")?;
            long_name = match kind {
                EntryType::GNULongName => Some(bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
                _ => {
                    size = pax_value(&bytes, b"size").or(size);
                    pax_value(&bytes, b"path").or(long_name)
                }
            };
            continue;
        }
        // A link's target, or a header for all members, stands between a long name and its member.
        if matches!(kind, EntryType::GNULongLink | EntryType::XGlobalHeader) {
            continue;
        }
        let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        check_size(size.take(), entry.size(), &name)?;
        let is_again = found.as_ref().is_none_or(|(first, _)| *first == name);
        if kind.is_file() && is_pkg_info(&name) && is_again {
            let bytes = read_member(&mut entry, &String::from_utf8_lossy(&name))?;
            found = Some((name, bytes));
        }
    }
    if empty { Err(SdistError::Empty) } else { Ok(found.map(|(_, bytes)| bytes)) }
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

fn pax_value(bytes: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let records = tar::PaxExtensions::new(bytes).flatten();
    records.filter(|record| record.key_bytes() == key).last().map(|record| record.value_bytes().to_vec())
}

/// Makes sure that a size which an extended header says is the member's own: extractors differ in which they take, and so would see
/// other members from there on.
fn check_size(said: Option<Vec<u8>>, own: u64, name: &[u8]) -> Result<(), SdistError> {
    let Some(said) = said.map(|said| String::from_utf8_lossy(&said).into_owned()) else { return Ok(()) };
    if said.parse() == Ok(own) {
        return Ok(());
    }
    let text = format!("{:?} has two sizes, {own} and {said:?}", String::from_utf8_lossy(name));
    Err(SdistError::Tar(io::Error::new(io::ErrorKind::InvalidData, text)))
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

/// Unpacks the members of a gzip file, one after the other; what follows them and is none, padding mostly, is left alone.
struct Gunzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.0 {
            let read = decoder.read(bytes)?;
            if read > 0 || bytes.is_empty() {
                return Ok(read);
            }
            let mut rest = self.0.take().map(GzDecoder::into_inner).ok_or(io::ErrorKind::UnexpectedEof)?;
            if rest.fill_buf()?.starts_with(&[0x1f]) {
                self.0 = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
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
    fn members_are_listed_by_their_long_names_until_it_is_enough() {
        let long = "d".repeat(150);
        let mut tar = tar::Builder::new(Vec::new());
        for name in [&long, "short"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(4000);
            tar.append_data(&mut header, format!("{name}/a"), &[7; 4000][..]).unwrap();
        }
        let bytes = gzip(&tar.into_inner().unwrap());
        let mut listed = Vec::new();
        let mut show = |name: &[u8], size| listed.push((name.len(), size));
        assert_eq!(each_member(&file(&bytes), Packing::Gzip, 1 << 20, &mut show).unwrap(), Some(true));
        assert_eq!(each_member(&file(&bytes), Packing::Gzip, 3000, &mut show).unwrap(), Some(false));
        assert_eq!(listed, [(152, 4000), (7, 4000), (152, 4000)]);
        assert!(each_member(&file(&bytes[..100]), Packing::Gzip, 1 << 20, &mut |_, _| {}).is_err());
        assert_eq!(each_member(&file(b""), Packing::Xz, 1, &mut |_, _| {}).unwrap(), None);
    }

    #[test]
    fn a_member_with_two_sizes_is_refused() {
        let sized = |size: &str| {
            let mut pax = tar::Builder::new(Vec::new());
            pax.append_pax_extensions([("size", size.as_bytes())]).unwrap();
            let mut header = tar::Header::new_ustar();
            header.set_size(3);
            pax.append_data(&mut header, "d-1/PKG-INFO", &b"pax"[..]).unwrap();
            find(&gzip(&pax.into_inner().unwrap()))
        };
        assert_eq!(sized("3").unwrap(), Some(b"pax".to_vec()));
        for size in ["2", "4", "512", "-3", "3 ", "", "99999999999999999999"] {
            let error = sized(size).unwrap_err();
            assert!(format!("{error:?}").contains("has two sizes, 3 and"), "{size:?}: {error:?}");
        }
    }

    #[test]
    fn what_is_no_tar_in_gzip_is_an_error() {
        let good = gzip(&tar(&[("d-1/a", &[7; 5000]), ("d-1/PKG-INFO", b"1")]));
        assert!(matches!(find(&gzip(b"")), Err(SdistError::Empty)));
        for bad in [&b""[..], b"text", &tar(&[("d-1/PKG-INFO", b"1")]), &gzip(&[b'x'; 2000]), &good[..good.len() / 2]] {
            assert!(find(bad).is_err());
        }
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_refused() {
        let good = gzip(&tar(&[("d-1/PKG-INFO", b"1"), ("d-1/a", &[7; 5000])]));
        let two = [&good[..good.len()], &gzip(&[0; 1024])].concat();
        for whole in [&good, &two] {
            assert_eq!(pkg_info(&file(whole), Packing::Gzip).unwrap(), Some(b"1".to_vec()));
            for padding in [&[0; 512][..], b"\n", b"signature"] {
                assert!(pkg_info(&file(&[whole, padding].concat()), Packing::Gzip).is_ok(), "{padding:?}");
            }
        }
        for at in (0..two.len()).filter(|at| *at != good.len()) {
            assert!(pkg_info(&file(&two[..at]), Packing::Gzip).is_err(), "cut after {at} bytes");
        }
        let cut = gzip(&tar(&[("d-1/PKG-INFO", b"1"), ("d-1/a", &[7; 5000])])[..3000]);
        assert!(pkg_info(&file(&cut), Packing::Gzip).is_err(), "a tar archive cut before it was packed");
    }

    #[test]
    fn of_two_with_one_name_the_last_counts_as_for_whoever_unpacks_them() {
        let twice = tar(&[("d-1/PKG-INFO", b"1"), ("d-1/a", b""), ("d-1/PKG-INFO", b"2"), ("e-1/PKG-INFO", b"3")]);
        assert_eq!(find(&gzip(&twice)).unwrap(), Some(b"2".to_vec()));
        let members: &[(&str, &[u8])] = &[("d-1/PKG-INFO", b"1"), ("d-1/PKG-INFO", b"2"), ("e-1/PKG-INFO", b"3")];
        let zip = super::super::zip::tests::zip(members);
        assert_eq!(pkg_info(&file(&zip), Packing::Zip).unwrap(), Some(b"2".to_vec()));
    }

    #[test]
    fn old_archives_are_known_by_their_first_and_last_bytes() {
        let (bzip2, xz) = (b"BZh91AY&SY\xf1\x02..", b"\xfd7zXZ\0\0\x04......YZ");
        assert_eq!(pkg_info(&file(bzip2), Packing::Bzip2).unwrap(), None);
        assert_eq!(pkg_info(&file(xz), Packing::Xz).unwrap(), None);
        let gzip = gzip(&tar(&[("d-1/PKG-INFO", b"1")]));
        for bad in [&b""[..], b"B", b"BZh91AY&S", b"BZh01AY&SY....", b"<html>404</html>", &gzip, &xz[..14]] {
            assert!(pkg_info(&file(bad), Packing::Bzip2).is_err(), "{bad:?}");
            assert!(pkg_info(&file(bad), Packing::Xz).is_err(), "{bad:?}");
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
        let mut header = tar::Header::new_gnu();
        header.set_path("d-1/zeros").unwrap();
        header.set_size(600 << 20);
        header.set_cksum();
        bomb.write_all(header.as_bytes()).unwrap();
        (0..601).for_each(|_| bomb.write_all(&piece).unwrap());
        let mut file = bomb.finish().unwrap();
        let error = pkg_info(&file, Packing::Gzip).unwrap_err();
        assert!(format!("{error:?}").contains("sdist-bytes"), "{error:?}");
        // Behind it, what doesn't pack as well: an honest archive of its size.
        let noise: Vec<u8> = (0..4_000_000u32).map(|at| (at.wrapping_mul(at) >> 11) as u8).collect();
        let mut member = GzEncoder::new(Vec::new(), flate2::Compression::none());
        member.write_all(&noise).unwrap();
        file.write_all(&member.finish().unwrap()).unwrap();
        assert_eq!(pkg_info(&file, Packing::Gzip).unwrap(), None);
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
