//! Changes to bytes that are likely to find a way through a parser: of bits and bytes, of numbers and lengths, of whole parts.

/// Random numbers (SplitMix64): the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below `end`; 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    /// Returns a range inside `0..len`, mostly a short one.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let most = if self.below(4) == 0 { len } else { 32 };
        start..(start + self.below(most + 1)).min(len)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// Inputs are no longer: what takes longer than its size is worth shows below that.
pub(crate) const MOST_BYTES: usize = 64 << 10;

/// Changes an input a few times.
pub(crate) fn mutate(random: &mut Random, input: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(5).min(random.below(5)) {
        change(random, &mut bytes, other, words);
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let len = bytes.len();
    let at = random.below(len);
    match random.below(14) {
        0 if len > 0 => bytes[at] ^= 1 << random.below(8),
        1 if len > 0 => bytes[at] = *random.pick(b"\0\x01 \"',-./0:;<>=[]\\_{}\x7f\x80\xff").unwrap_or(&0),
        2 => drop(bytes.drain(random.range(len))),
        3 => {
            let copy = bytes[random.range(len)].to_vec();
            bytes.splice(at..at, copy);
        }
        4 => {
            let piece = other[random.range(other.len())].to_vec();
            bytes.splice(random.range(len), piece);
        }
        5 | 6 => {
            let word = random.pick(words).map_or(&[][..], |word| word.as_bytes());
            let place = if random.below(2) == 0 { at..at } else { at..(at + word.len()).min(len) };
            bytes.splice(place, word.iter().copied());
        }
        7 | 8 => change_number(random, bytes),
        9 => change_digits(random, bytes),
        10 => replace_everywhere(random, bytes),
        11 => repeat(random, bytes),
        12 => {
            let (one, two) = (random.range(len), random.range(len));
            let (one, two) = if one.start <= two.start { (one, two) } else { (two, one) };
            if one.end <= two.start {
                let moved = [&bytes[two.clone()], &bytes[one.end..two.start], &bytes[one.clone()]].concat();
                bytes.splice(one.start..two.end, moved);
            }
        }
        _ => bytes.truncate(at),
    }
}

/// Overwrites a number of some width, as lengths and offsets are written, by one that is near to a limit.
fn change_number(random: &mut Random, bytes: &mut [u8]) {
    let width = [1, 2, 4, 8][random.below(4)];
    let Some(room) = bytes.len().checked_sub(width) else { return };
    let at = random.below(room + 1);
    let field = &mut bytes[at..at + width];
    let is_big = random.below(4) == 0;
    let old = field.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let new = match random.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX >> 1,
        3 => old.wrapping_add(1),
        4 => old.wrapping_sub(1),
        5 => 1 << random.below(64),
        6 => (room as u64 + width as u64).wrapping_sub(random.next() % 64),
        _ => random.next(),
    };
    let new = new.to_le_bytes();
    field.copy_from_slice(&new[..width]);
    if is_big {
        field.reverse();
    }
}

/// Replaces a run of decimal digits.
fn change_digits(random: &mut Random, bytes: &mut Vec<u8>) {
    let from = random.below(bytes.len());
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let end = start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let new = match random.below(6) {
        0 => "0".to_owned(),
        1 => u64::MAX.to_string(),
        2 => "9".repeat(30),
        3 => (u64::from(u32::MAX) + random.next() % 2).to_string(),
        4 => "-1".to_owned(),
        _ => random.below(300).to_string(),
    };
    bytes.splice(start..end, new.into_bytes());
}

/// Replaces a part by one of its length in all places: what an archive says twice stays alike.
fn replace_everywhere(random: &mut Random, bytes: &mut [u8]) {
    let place = random.below(bytes.len());
    let len = 1 + random.below(12).min(bytes.len().saturating_sub(place + 1));
    let Some(old) = bytes.get(place..place + len).map(<[u8]>::to_vec) else { return };
    let mut new = old.clone();
    let at = random.below(len);
    new[at] = random.next() as u8;
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(len).position(|window| window == old) {
        bytes[at + found..at + found + len].copy_from_slice(&new);
        at += found + len;
    }
}

/// Repeats a part many times: where something grows faster than its input, this shows it.
fn repeat(random: &mut Random, bytes: &mut Vec<u8>) {
    let range = random.range(bytes.len());
    if range.is_empty() || random.below(4) > 0 {
        return;
    }
    let room = MOST_BYTES.saturating_sub(bytes.len()) / range.len();
    let times = if random.below(4) == 0 { room } else { room.min(random.below(100)) };
    let copies = bytes[range.clone()].repeat(times);
    bytes.splice(range.start..range.start, copies);
}
