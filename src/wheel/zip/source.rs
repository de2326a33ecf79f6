//! Where an archive's bytes are read from.

use super::ZipError;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that can be read at any offset, without a cursor: files, and slices in tests.
pub trait ReadAt {
    /// Returns the number of bytes.
    fn size(&self) -> io::Result<u64>;
    /// Fills `bytes` from `offset` on, or fails.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = self.get(start..).and_then(|rest| rest.get(..bytes.len()));
        bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The source, with its tail in memory.
pub(super) struct Tail<'a, R: ?Sized> {
    pub(super) source: &'a R,
    pub(super) size: u64,
    /// Where `bytes` begin; they go to the end.
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

impl<R: ReadAt + ?Sized> Tail<'_, R> {
    /// Reads the tail anew, from `start` on.
    pub(super) fn extend_to(&mut self, start: u64) -> Result<(), ZipError> {
        self.bytes = self.read(start, self.size - start)?;
        self.start = start;
        Ok(())
    }

    /// Returns the bytes of a range inside the file, from memory where they are there.
    pub(super) fn get(&self, offset: u64, len: u64) -> Result<Cow<'_, [u8]>, ZipError> {
        let start = offset.checked_sub(self.start).map(|start| start as usize);
        match start.and_then(|start| self.bytes.get(start..)?.get(..len as usize)) {
            Some(bytes) => Ok(Cow::Borrowed(bytes)),
            None => self.read(offset, len).map(Cow::Owned),
        }
    }

    pub(super) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, ZipError> {
        let mut bytes = vec![0; len as usize];
        match self.source.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(source) => Err(ZipError::Read { offset, len, source }),
        }
    }
}
