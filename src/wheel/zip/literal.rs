//! The first bytes of a deflate stream (RFC 1951), told without tables for all the others, whose making is most of what the beginning of
//! a short member costs.

/// The order in which the lengths of the codes for lengths come (RFC 1951, 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The longest code of a length, and of a literal.
const MAX_LENGTH_BITS: usize = 7;
const MAX_LITERAL_BITS: usize = 15;
/// Literals, with what else has a code beside them (the end of a block, lengths of matches); and distances.
const MAX_LITERALS: usize = 286;
const MAX_DISTANCES: usize = 30;
/// How a block is packed: not, in a code that needs no telling, and in one that is told (3.2.3).
const STORED: u32 = 0;
const FIXED: u32 = 1;
const DYNAMIC: u32 = 2;
/// The code of the end of a block where codes need no telling.
const END_BITS: u32 = 7;

/// The first one or two bytes that a stream unpacks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literals {
    bytes: [u8; 2],
    len: usize,
}

impl Literals {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Reads one or two from what gives the next symbol.
    fn read(mut next: impl FnMut() -> Option<u8>) -> Option<Self> {
        let first = next()?;
        let second = next();
        Some(Self { bytes: [first, second.unwrap_or_default()], len: 1 + usize::from(second.is_some()) })
    }
}

/// Returns the first bytes that a stream unpacks to; `None` where they aren't simply told, or where something is odd about the stream.
pub(super) fn first_literals(packed: &[u8]) -> Option<Literals> {
    let mut bits = Bits { rest: packed, held: 0, count: 0 };
    let (is_last, mut kind) = (bits.take(1)? == 1, bits.take(2)?);
    // Some packers begin with an empty block.
    if kind == FIXED && !is_last && bits.peek(END_BITS) == 0 {
        bits.skip(END_BITS + 1)?;
        kind = bits.take(2)?;
    } else if kind == STORED {
        return stored(packed);
    }
    match kind {
        FIXED => Literals::read(|| fixed(&mut bits)),
        DYNAMIC => dynamic(&mut bits),
        _ => None,
    }
}

/// Reads a stored block: the bytes lie behind their number, which is there twice (3.2.4).
fn stored(packed: &[u8]) -> Option<Literals> {
    let [_, low, high, not_low, not_high, bytes @ ..] = packed.first_chunk::<7>()?;
    let is_number = *low == !not_low && *high == !not_high;
    (is_number && u16::from_le_bytes([*low, *high]) > 1).then_some(Literals { bytes: *bytes, len: 2 })
}

/// Reads a literal in the code that needs no telling (3.2.6): 8 bits up to 143, 9 for the others.
fn fixed(bits: &mut Bits<'_>) -> Option<u8> {
    let code = bits.take_code(8)?;
    match code {
        0x30..=0xbf => Some((code - 0x30) as u8),
        0xc8..=0xff => Some((144 + ((code - 0xc8) << 1 | bits.take(1)?)) as u8),
        _ => None,
    }
}

/// Reads literals in a code that is told before them, by the lengths of its codes.
fn dynamic(bits: &mut Bits<'_>) -> Option<Literals> {
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let told = bits.take(4)? as usize + 4;
    let mut lengths = [0; ORDER.len()];
    for place in &ORDER[..told] {
        lengths[usize::from(*place)] = bits.take(3)? as u8;
    }
    let table = table(&lengths)?;
    if literals > MAX_LITERALS || distances > MAX_DISTANCES {
        return None;
    }
    let mut lengths = [0; MAX_LITERALS + MAX_DISTANCES];
    read_lengths(bits, &table, &mut lengths[..literals + distances])?;
    let lengths = &lengths[..literals];
    let counts = counts(lengths)?;
    Literals::read(|| decode(bits, lengths, &counts))
}

/// Makes the table of the code for lengths: for each seven bits the symbol that they begin with, and its bits.
fn table(lengths: &[u8; ORDER.len()]) -> Option<[(u8, u8); 1 << MAX_LENGTH_BITS]> {
    let mut table = [(0, 0); 1 << MAX_LENGTH_BITS];
    let (mut code, mut filled) = (0u32, 0);
    for bits in 1..=MAX_LENGTH_BITS {
        for symbol in (0..ORDER.len()).filter(|symbol| usize::from(lengths[*symbol]) == bits) {
            // A code comes with its first bit lowest.
            let first = (code.reverse_bits() >> (u32::BITS as usize - bits)) as usize;
            for place in table.get_mut(first..)?.iter_mut().step_by(1 << bits) {
                *place = (symbol as u8, bits as u8);
                filled += 1;
            }
            code += 1;
        }
        code <<= 1;
    }
    // Fewer or more is no code that others would take.
    (filled == table.len()).then_some(table)
}

/// Reads the lengths of the codes, packed themselves: a length, or so many times the last one or 0 (3.2.7).
fn read_lengths(bits: &mut Bits<'_>, table: &[(u8, u8); 1 << MAX_LENGTH_BITS], lengths: &mut [u8]) -> Option<()> {
    let mut at = 0;
    while at < lengths.len() {
        let (symbol, len) = table[bits.peek(MAX_LENGTH_BITS as u32) as usize];
        bits.skip(u32::from(len))?;
        let (length, times) = match symbol {
            16 => (*lengths.get(at.checked_sub(1)?)?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => {
                lengths[at] = length;
                at += 1;
                continue;
            }
        };
        lengths.get_mut(at..at + times as usize)?.fill(length);
        at += times as usize;
    }
    Some(())
}

/// Counts the codes of each length; `None` where they are more or fewer than there is room for.
fn counts(lengths: &[u8]) -> Option<[u32; MAX_LITERAL_BITS + 1]> {
    let mut counts = [0; MAX_LITERAL_BITS + 1];
    for length in lengths {
        counts[usize::from(*length)] += 1;
    }
    counts[0] = 0;
    let room: u32 = (1..=MAX_LITERAL_BITS).map(|len| counts[len] << (MAX_LITERAL_BITS - len)).sum();
    (room == 1 << MAX_LITERAL_BITS).then_some(counts)
}

/// Reads one symbol in the code that these lengths make; `None` where it is no literal.
fn decode(bits: &mut Bits<'_>, lengths: &[u8], counts: &[u32; MAX_LITERAL_BITS + 1]) -> Option<u8> {
    let (mut code, mut first) = (0, 0);
    for (len, count) in counts.iter().enumerate().skip(1) {
        code = code << 1 | bits.take(1)?;
        first <<= 1;
        if code - first < *count {
            let alike = lengths.iter().enumerate().filter(|(_, length)| usize::from(**length) == len);
            return alike.map(|(symbol, _)| symbol).nth((code - first) as usize)?.try_into().ok();
        }
        first += count;
    }
    None
}

/// Bits of a stream, each byte's lowest first.
struct Bits<'a> {
    rest: &'a [u8],
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Holds at least 32 bits, where so many are left.
    fn fill(&mut self) {
        if let Some((bytes, rest)) = self.rest.split_first_chunk().filter(|_| self.count < 32) {
            self.held |= u64::from(u32::from_le_bytes(*bytes)) << self.count;
            (self.rest, self.count) = (rest, self.count + 32);
        }
        while self.count < 32 {
            let Some((byte, rest)) = self.rest.split_first() else { return };
            self.held |= u64::from(*byte) << self.count;
            (self.rest, self.count) = (rest, self.count + 8);
        }
    }

    /// Returns the next bits, with 0 for what is not there.
    fn peek(&mut self, len: u32) -> u32 {
        if self.count < len {
            self.fill();
        }
        (self.held & ((1 << len) - 1)) as u32
    }

    fn skip(&mut self, len: u32) -> Option<()> {
        self.count = self.count.checked_sub(len)?;
        self.held >>= len;
        Some(())
    }

    /// Reads a number.
    fn take(&mut self, len: u32) -> Option<u32> {
        let bits = self.peek(len);
        self.skip(len)?;
        Some(bits)
    }

    /// Reads a code, whose bits come the other way round.
    fn take_code(&mut self, len: u32) -> Option<u32> {
        Some(self.take(len)?.reverse_bits() >> (u32::BITS - len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::DeflateEncoder;
    use flate2::{Compression, Decompress, FlushDecompress};
    use std::io::Write;

    /// What the stream unpacks to: its first two bytes, as far as they are there.
    fn inflated(packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2);
        let told = Decompress::new(false).decompress_vec(packed, &mut bytes, FlushDecompress::None);
        if told.is_err() { Vec::new() } else { bytes }
    }

    /// Streams of all levels over texts and noise, each with another first byte; and how many of them are of each kind of block.
    fn streams() -> (Vec<Vec<u8>>, [usize; 3]) {
        let (mut all, mut kinds) = (Vec::new(), [0; 3]);
        for first in 0..=255u8 {
            for (level, len, spread) in
                [(0, 90, 9), (1, 12, 3), (6, 40, 5), (6, 900, 60), (9, 6000, 200), (1, 3000, 256)]
            {
                let noise = (0..len).map(|at: u64| {
                    let mixed = (at + u64::from(first)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                    ((mixed % spread) * (mixed >> 9) % spread) as u8
                });
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
                encoder.write_all(&[first]).unwrap();
                encoder.write_all(&noise.collect::<Vec<_>>()).unwrap();
                let packed = encoder.finish().unwrap();
                kinds[usize::from(packed[0] >> 1 & 3)] += 1;
                all.push(packed);
            }
        }
        (all, kinds)
    }

    #[test]
    fn it_is_what_the_whole_stream_unpacks_to() {
        let (streams, kinds) = streams();
        assert!(kinds.iter().all(|kind| *kind > 100), "{kinds:?}");
        let mut pairs = 0;
        for packed in &streams {
            let told = first_literals(packed).unwrap_or_else(|| panic!("{packed:02x?}"));
            assert!(inflated(packed).starts_with(told.as_slice()), "{packed:02x?}");
            pairs += usize::from(told.len == 2);
        }
        assert!(pairs > streams.len() / 2, "{pairs}");
    }

    #[test]
    fn what_is_cut_or_odd_is_not_told_or_told_right() {
        for packed in streams().0 {
            let right = inflated(&packed);
            for len in 0..packed.len().min(80) {
                let told = first_literals(&packed[..len]);
                assert!(told.is_none_or(|told| right.starts_with(told.as_slice())), "{:02x?}", &packed[..len]);
            }
            for at in 0..packed.len().min(80) {
                let mut odd = packed.clone();
                odd[at] ^= 1 << (at % 8);
                let right = inflated(&odd);
                // Who unpacks it may stumble over distances, which aren't looked at.
                if let (Some(told), 2) = (first_literals(&odd), right.len()) {
                    assert!(right.starts_with(told.as_slice()), "{odd:02x?}");
                }
            }
        }
    }

    #[test]
    fn what_begins_with_no_literal_is_not_told() {
        // An empty stored block, as a flush leaves one; an empty fixed one; a kind that isn't there.
        for packed in [&[0, 0, 0, 0xff, 0xff, 0x4b, 0x04, 0][..], &[3, 0], &[7, 0, 0], &[]] {
            assert_eq!(first_literals(packed), None, "{packed:02x?}");
        }
    }
}
