//! SHA-256 over a file while it streams, with a state that outlives a crash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256 as Algorithm};

use crate::job::Sha256;

/// When a part file was last written, as its file system says. Whoever writes to it later, and is not the task that owns it, is found
/// out by that: a stored state says nothing of such bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modified {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u64,
}

/// Bytes of a stored [`Modified`].
const MODIFIED_BYTES: usize = 16;

impl Modified {
    fn to_bytes(self) -> [u8; MODIFIED_BYTES] {
        let mut bytes = [0; MODIFIED_BYTES];
        bytes[..8].copy_from_slice(&self.seconds.to_le_bytes());
        bytes[8..].copy_from_slice(&self.nanoseconds.to_le_bytes());
        bytes
    }
}

/// A hasher that can be stored.
#[derive(Clone)]
pub(crate) struct Hasher(Algorithm);

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

/// Bytes read at once when a prefix is hashed again: large enough for the disk, small enough for the cache.
const REREAD_BYTES: usize = 256 << 10;

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Algorithm::new())
    }

    /// Goes on from a stored state; none if it is not one, or is of a part file that was last written at another time.
    pub(crate) fn restore(stored: &[u8], modified: Modified) -> Option<Self> {
        let state = stored.strip_suffix(&modified.to_bytes())?;
        let state = SerializedState::<Algorithm>::try_from(state).ok()?;
        Algorithm::deserialize(&state).ok().map(Self)
    }

    /// The state to be stored, 104 bytes, and the time of the part file, 16.
    pub(crate) fn state(&self, modified: Modified) -> Vec<u8> {
        [&self.0.serialize()[..], &modified.to_bytes()].concat()
    }

    /// Hashes the first `length` bytes of a file. Blocks.
    pub(crate) fn of_prefix(file: &File, length: u64) -> io::Result<Self> {
        let mut hasher = Self::new();
        let mut buffer = vec![0; REREAD_BYTES];
        let mut at = 0;
        while at < length {
            let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
            let read = file.read_at(&mut buffer[..wanted], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hasher.update(&buffer[..read]);
            at += read as u64;
        }
        Ok(hasher)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const MODIFIED: Modified = Modified { seconds: 5, nanoseconds: 7 };

    fn digest(bytes: &[u8]) -> Sha256 {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(digest(b"").to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let state = Hasher::new().state(MODIFIED);
        assert_eq!(state.len(), 120);
        assert!(Hasher::restore(&state, MODIFIED).is_some());
        assert!(Hasher::restore(&state[1..], MODIFIED).is_none());
        assert!(Hasher::restore(&state[..104], MODIFIED).is_none());
        assert!(Hasher::restore(&[], MODIFIED).is_none());
        assert!(Hasher::restore(&[&[0xff; 104], &state[104..]].concat(), MODIFIED).is_none());
        for other in [Modified { seconds: 6, ..MODIFIED }, Modified { nanoseconds: 8, ..MODIFIED }] {
            assert!(Hasher::restore(&state, other).is_none());
        }
    }

    proptest! {
        #[test]
        fn a_stored_state_goes_on_where_it_was(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..400) {
            let at = at.min(bytes.len());
            let mut first = Hasher::new();
            first.update(&bytes[..at]);
            let mut second = Hasher::restore(&first.state(MODIFIED), MODIFIED).unwrap();
            second.update(&bytes[at..]);
            prop_assert_eq!(second.finish(), digest(&bytes));
        }
    }

    #[test]
    fn a_prefix_is_read_back() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..REREAD_BYTES + 1000).map(|i| i as u8).collect();
        file.write_all(&bytes).unwrap();
        for length in [0, 1, REREAD_BYTES, REREAD_BYTES + 999] {
            let hasher = Hasher::of_prefix(&file, length as u64).unwrap();
            assert_eq!(hasher.finish(), digest(&bytes[..length]));
        }
        assert!(Hasher::of_prefix(&file, bytes.len() as u64 + 1).is_err());
    }
}
