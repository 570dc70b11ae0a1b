//! The rules for ranges of a file (bits.md 8.6): which ones a client may give.

use super::FileRange;

/// Why ranges cannot be those of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// BG_E_INVALID_RANGE: no byte can be in it.
    #[error("range {0} has no bytes, or ends beyond what a file can have")]
    Invalid(usize),
    /// BG_E_OVERLAPPING_RANGES.
    #[error("ranges {first} and {second} overlap")]
    Overlapping {
        /// The one that begins first.
        first: usize,
        /// The other one.
        second: usize,
    },
}

/// Checks ranges in the order in which they were given; none of them may overlap another one. Whether the file has them all only the
/// origin knows.
pub fn check(ranges: &[FileRange]) -> Result<(), RangesError> {
    let end = |range: &FileRange| match range.length {
        Some(length) => range.offset.checked_add(length),
        None => Some(u64::MAX),
    };
    for (position, range) in ranges.iter().enumerate() {
        // The last offset is BITS's sign for "to the end": as a place, no file has it.
        if range.length == Some(0) || range.offset == u64::MAX || end(range).is_none() {
            return Err(RangesError::Invalid(position));
        }
    }
    let mut by_offset: Vec<usize> = (0..ranges.len()).collect();
    by_offset.sort_by_key(|position| ranges[*position].offset);
    for pair in by_offset.windows(2) {
        let [first, second] = [pair[0], pair[1]];
        if end(&ranges[first]).is_none_or(|end| end > ranges[second].offset) {
            return Err(RangesError::Overlapping { first, second });
        }
    }
    Ok(())
}

/// The bytes of the local file that is made of these ranges of a remote one; of all of it if there are none. None as long as that
/// depends on a size of the remote file that is not known, or that leaves nothing for a range to its end: that one has to be asked for.
#[must_use]
pub fn size(ranges: &[FileRange], remote_total: Option<u64>) -> Option<u64> {
    if ranges.is_empty() {
        return remote_total;
    }
    let length = |range: &FileRange| match range.length {
        Some(length) => Some(length),
        None => remote_total?.checked_sub(range.offset).filter(|length| *length > 0),
    };
    // They do not overlap, so that the sum is not larger than what a file can have.
    ranges.iter().try_fold(0_u64, |sum, range| sum.checked_add(length(range)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn range(offset: u64, length: u64) -> FileRange {
        FileRange { offset, length: Some(length) }
    }

    #[test]
    fn ranges_may_stand_in_any_order_but_not_overlap() {
        let to_the_end = FileRange { offset: 500, length: None };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[range(100, 100), range(1000, 100), range(200, 100)]), Ok(()));
        assert_eq!(check(&[to_the_end, range(0, 500)]), Ok(()));
        assert_eq!(check(&[to_the_end, range(0, 501)]), Err(RangesError::Overlapping { first: 1, second: 0 }));
        assert_eq!(check(&[to_the_end, to_the_end]), Err(RangesError::Overlapping { first: 0, second: 1 }));
        assert_eq!(check(&[range(7, 1), range(7, 1)]), Err(RangesError::Overlapping { first: 0, second: 1 }));
    }

    #[test]
    fn a_range_without_bytes_or_beyond_all_files_is_none() {
        assert_eq!(check(&[range(0, 1), range(5, 0)]), Err(RangesError::Invalid(1)));
        assert_eq!(check(&[FileRange { offset: u64::MAX, length: None }]), Err(RangesError::Invalid(0)));
        assert_eq!(check(&[range(u64::MAX - 1, 2)]), Err(RangesError::Invalid(0)));
        assert_eq!(check(&[range(u64::MAX - 1, 1)]), Ok(()));
    }

    #[test]
    fn the_local_file_has_the_bytes_of_all_ranges() {
        let to_the_end = FileRange { offset: 500, length: None };
        assert_eq!(size(&[], None), None);
        assert_eq!(size(&[], Some(7)), Some(7));
        assert_eq!(size(&[range(100, 100), range(7, 1)], None), Some(101));
        assert_eq!(size(&[to_the_end, range(7, 1)], None), None);
        assert_eq!(size(&[to_the_end, range(7, 1)], Some(510)), Some(11));
        // What the origin says to the range itself, it has to say.
        assert_eq!(size(&[range(7, 1), to_the_end], Some(500)), None);
        assert_eq!(size(&[range(7, 1), to_the_end], Some(10)), None);
    }

    proptest! {
        /// Against the definition: no byte is in two ranges.
        #[test]
        fn overlaps_are_found_wherever_they_are(given in prop::collection::vec((0_u64..40, 1_u64..6), 0..6)) {
            let ranges: Vec<_> = given.iter().map(|(offset, length)| range(*offset, *length)).collect();
            let mut bytes: Vec<u64> = given.iter().flat_map(|(offset, length)| *offset..offset + length).collect();
            let all = bytes.len();
            bytes.sort_unstable();
            bytes.dedup();
            prop_assert_eq!(check(&ranges).is_ok(), bytes.len() == all);
        }
    }
}
