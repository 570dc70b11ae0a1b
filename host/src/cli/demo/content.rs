//! The demo's file: every byte is a function of the seed and its offset, so that both ends know it without having it.

use crate::job::Sha256;
use sha2::Digest as _;

/// Size of the file: long enough to be cut more than once between checkpoints, short enough to watch.
pub(super) const SIZE: u64 = 64 << 20;

/// Last-Modified of the file. One date for all seeds: the content of a seed never changes.
pub(super) const LAST_MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// The file of one seed: the sequence of splitmix64, its words in little-endian order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    seed: u64,
}

/// The odd increment of splitmix64 (Steele, Lea and Flood 2014): 2^64 over the golden ratio.
const INCREMENT: u64 = 0x9E37_79B9_7F4A_7C15;
const WORD: u64 = 8;

impl Content {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(super) const fn seed(self) -> u64 {
        self.seed
    }

    /// The file's name, on both sides.
    pub(super) fn file_name(self) -> String {
        format!("demo-{}.bin", self.seed)
    }

    /// A strong ETag: equal at every address, as mirrors that copy a file with its metadata have it.
    pub(super) fn etag(self) -> String {
        format!("\"demo-{}-{SIZE:x}\"", self.seed)
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub(super) fn fill(self, offset: u64, buffer: &mut [u8]) {
        let lead = usize::try_from(offset % WORD).expect("below 8");
        let mut index = offset / WORD;
        let mut rest = buffer;
        if lead != 0 {
            let head = rest.len().min(8 - lead);
            let (first, tail) = rest.split_at_mut(head);
            first.copy_from_slice(&word(self.seed, index).to_le_bytes()[lead..lead + head]);
            (rest, index) = (tail, index + 1);
        }
        let mut words = rest.chunks_exact_mut(8);
        for bytes in &mut words {
            bytes.copy_from_slice(&word(self.seed, index).to_le_bytes());
            index += 1;
        }
        let last = words.into_remainder();
        last.copy_from_slice(&word(self.seed, index).to_le_bytes()[..last.len()]);
    }

    /// The digest of the whole file. Takes some tenths of a second: for a blocking thread.
    pub(super) fn sha256(self) -> Sha256 {
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let step = buffer.len() as u64;
        for offset in (0..SIZE).step_by(buffer.len()) {
            let length = usize::try_from(step.min(SIZE - offset)).expect("at most the buffer's length");
            self.fill(offset, &mut buffer[..length]);
            hasher.update(&buffer[..length]);
        }
        Sha256(hasher.finalize().into())
    }

    /// Where the origin cuts its connections: somewhere in the second and in the fifth eighth of the file, so that each
    /// connection has something to say and the last third is left for the mirror.
    pub(super) fn cuts(self) -> [u64; 2] {
        const EIGHTH: u64 = SIZE / 8;
        // Words far behind the end of the file: the offsets tell nothing of the content.
        let draw = |nth: u64| word(self.seed, u64::MAX / 2 + nth) % EIGHTH;
        [EIGHTH + draw(0), 4 * EIGHTH + draw(1)]
    }
}

const fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(INCREMENT));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_words_are_those_of_splitmix64() {
        // The first outputs for seed 1234567 in the reference implementation.
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423];
        assert_eq!(std::array::from_fn(|i| word(1234567, i as u64)), expected);
    }

    /// The README states this digest.
    #[test]
    fn the_digest_of_seed_1_is_the_documented_one() {
        let digest = "fad3a28c49030ede8d0614b2b6d7b670cc38bcdb5ba779d3ce1a56f278abc8f3";
        assert_eq!(Content::new(1).sha256().to_string(), digest);
    }

    proptest! {
        #[test]
        fn any_piece_is_the_same_as_that_piece_of_the_whole(seed: u64, offset in 0..4096u64, length in 0..100usize) {
            let content = Content::new(seed);
            let mut whole = vec![0; 4096 + 100];
            content.fill(0, &mut whole);
            let mut piece = vec![0; length];
            content.fill(offset, &mut piece);
            let start = usize::try_from(offset).unwrap();
            prop_assert_eq!(&piece[..], &whole[start..start + length]);
        }

        #[test]
        fn cuts_are_in_order_and_leave_a_third_for_the_mirror(seed: u64) {
            let [first, second] = Content::new(seed).cuts();
            prop_assert!(SIZE / 8 <= first && first < second && second <= SIZE / 8 * 5);
        }
    }
}
