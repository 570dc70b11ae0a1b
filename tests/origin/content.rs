//! Seeded content: every byte is a function of a seed and its offset, so that any range of a file of any size is made
//! when it is asked for, and nothing is held.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// Bytes made in one go. Large enough to amortise a write, small enough to stay in the second-level cache.
pub(crate) const BLOCK_BYTES: usize = 128 << 10;

/// A file that exists only as a seed and a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) seed: u64,
    pub(crate) size_bytes: u64,
}

impl Content {
    pub(crate) const fn new(seed: u64, size_bytes: u64) -> Self {
        Self { seed, size_bytes }
    }

    /// The bytes of a range; for small ranges, it holds them all.
    pub(crate) fn bytes(self, range: Range<u64>) -> Vec<u8> {
        assert!(range.start <= range.end && range.end <= self.size_bytes, "{range:?} is not within {self:?}");
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        fill(self.seed, range.start, &mut bytes);
        bytes
    }

    pub(crate) fn all(self) -> Vec<u8> {
        self.bytes(0..self.size_bytes)
    }

    /// SHA-256 of the whole, in lower-case hex.
    pub(crate) fn sha256(self) -> String {
        let mut hash = Sha256::new();
        let mut block = vec![0; BLOCK_BYTES];
        let mut offset = 0;
        while offset < self.size_bytes {
            let take = usize::try_from((self.size_bytes - offset).min(BLOCK_BYTES as u64)).unwrap();
            fill(self.seed, offset, &mut block[..take]);
            hash.update(&block[..take]);
            offset += take as u64;
        }
        hex(&hash.finalize())
    }
}

/// Fills `out` with the content of `seed` from `offset` on.
///
/// Eight bytes at a time come from one round of SplitMix64 over the index of the word: a counter-based generator, so a
/// position costs nothing to reach.
pub(crate) fn fill(seed: u64, offset: u64, out: &mut [u8]) {
    let base = mix(seed ^ 0x5DEE_CE66_D1CE_B00C);
    let mut index = offset / 8;
    let lead = usize::try_from(offset % 8).unwrap();
    let mut rest = out;
    if lead > 0 {
        let take = (8 - lead).min(rest.len());
        let (head, tail) = rest.split_at_mut(take);
        head.copy_from_slice(&word(base, index).to_le_bytes()[lead..lead + take]);
        rest = tail;
        index += 1;
    }
    let mut words = rest.chunks_exact_mut(8);
    for out in &mut words {
        out.copy_from_slice(&word(base, index).to_le_bytes());
        index += 1;
    }
    let tail = words.into_remainder();
    tail.copy_from_slice(&word(base, index).to_le_bytes()[..tail.len()]);
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn word(base: u64, index: u64) -> u64 {
    mix(base.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_equals_that_range_of_the_whole() {
        let content = Content::new(7, 1000);
        let whole = content.all();
        for start in 0..40 {
            for end in start..60 {
                assert_eq!(
                    content.bytes(start..end),
                    whole[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]
                );
            }
        }
    }

    #[test]
    fn seeds_differ_everywhere() {
        let one = Content::new(1, 4096).all();
        let two = Content::new(2, 4096).all();
        let same = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        assert!(same < 60, "{same} of 4096 bytes are equal; chance gives 16");
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        let content = Content::new(3, BLOCK_BYTES as u64 + 17);
        assert_eq!(content.sha256(), hex(&Sha256::digest(content.all())));
    }
}
