//! The first bytes of device code that is packed: a bundle by zlib or Zstandard, an entry of a fat binary by LZ4 or Zstandard.

use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// The flags of a fat binary's packed entry, as they are in real files: nobody has written them down.
const LZ4: u64 = 0x2000;
const ZSTD: u64 = 0x8000;
/// How much of an entry's code is wanted: the header of an ELF file.
const HEADER_BYTES: usize = 64;

/// Unpacks the first bytes of a compressed bundle, at most so many; `None`: it is none, or packed in a way that isn't known.
///
/// Its header is LLVM's `CompressedOffloadBundle`: magic, version, method, then from version 2 on the file's size, the unpacked size (64
/// bits each from version 3 on) and a hash.
pub(super) fn bundle(header: &[u8], most: usize) -> Option<Vec<u8>> {
    let number = |at: usize| header.get(at..at + 2).map(|bytes| u16::from(bytes[0]) | u16::from(bytes[1]) << 8);
    let start = match number(4)? {
        1 => 8 + 4 + 8,
        2 => 8 + 4 + 4 + 8,
        3 => 8 + 8 + 8 + 8,
        _ => return None,
    };
    let packed = header.get(start..)?;
    match number(6)? {
        0 => inflated(packed, most),
        1 => unzstd(packed, most),
        _ => None,
    }
}

/// Returns the first bytes of an entry's code.
pub(super) fn start(code: &[u8], flags: u64) -> Option<Vec<u8>> {
    match flags {
        _ if flags & ZSTD != 0 => unzstd(code, HEADER_BYTES),
        _ if flags & LZ4 != 0 => unlz4(code, HEADER_BYTES),
        _ => code.get(..HEADER_BYTES).map(<[u8]>::to_vec),
    }
}

fn inflated(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; most];
    let mut inflater = Decompress::new(true);
    inflater.decompress(packed, &mut out, FlushDecompress::None).ok()?;
    out.truncate(inflater.total_out() as usize);
    Some(out)
}

fn unzstd(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new().ok()?;
    let mut out = vec![0; most];
    let mut from = InBuffer::around(packed);
    let mut to = OutBuffer::around(&mut out[..]);
    // A block comes out whole, and only once all of it came in.
    while to.pos() < most && from.pos() < packed.len() {
        let before = (from.pos(), to.pos());
        decoder.run(&mut from, &mut to).ok()?;
        if before == (from.pos(), to.pos()) {
            break;
        }
    }
    let made = to.pos();
    out.truncate(made);
    Some(out)
}

/// Unpacks the first bytes of an LZ4 block (lz4_Block_format.md).
fn unlz4(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = packed.iter();
    while out.len() < most {
        let token = usize::from(*rest.next()?);
        let literals = length(token >> 4, &mut rest)?.min(most - out.len());
        out.extend(rest.by_ref().take(literals));
        if out.len() >= most {
            break;
        }
        let back = usize::from(*rest.next()?) | usize::from(*rest.next()?) << 8;
        let copied = length(token & 15, &mut rest)? + 4;
        for _ in 0..copied.min(most - out.len()) {
            let byte = *out.get(out.len().checked_sub(back).filter(|_| back > 0)?)?;
            out.push(byte);
        }
    }
    Some(out)
}

/// Returns a length whose four bits in the token go on in the bytes behind it while those are full.
fn length(short: usize, rest: &mut std::slice::Iter<'_, u8>) -> Option<usize> {
    let mut length = short;
    let mut is_more = short == 15;
    while is_more {
        let more = *rest.next()?;
        length = length.saturating_add(more.into());
        is_more = more == 255;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_lz4_gives_its_first_bytes() {
        // 3 literals, a copy of 7 from 3 back, then 20 literals of which 4 are wanted.
        let tail: Vec<u8> = (0..20).collect();
        let block = [&[0x33, b'a', b'b', b'c', 3, 0, 0xf0, 5][..], &tail].concat();
        assert_eq!(unlz4(&block, 14).unwrap(), b"abcabcabca\0\x01\x02\x03");
        for bad in [&[][..], &[0x10], &[0x10, b'a', 0, 0], &[0x10, b'a', 9, 0], &[0xf0, 255, 255]] {
            assert!(unlz4(bad, 64).is_none_or(|out| out.len() < 64), "{bad:?}");
        }
    }
}
