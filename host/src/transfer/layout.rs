//! Where the bytes of a local file lie in the remote one. Pure.
//!
//! A file of ranges is its ranges, one after the other in the order in which they were given. Everything else of the engine counts in
//! places of the local file; requests and answers speak of the remote one, and this is the only way from the one to the other.

use crate::job::FileRange;

/// How a local file is made of a remote one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    /// Empty: all of it.
    pub(crate) ranges: &'a [FileRange],
    /// The size of the remote file, if that is known: how long a range to its end is.
    pub(crate) remote_total: Option<u64>,
}

/// The part of a remote file that is to follow the bytes which are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it begins in the remote file.
    pub(crate) start: u64,
    /// Where it ends there; none: where the file ends.
    pub(crate) end: Option<u64>,
    pub(crate) of: PartOf,
}

/// What a part is the rest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartOf {
    /// The whole file is wanted.
    File,
    /// A range of it, of which so many bytes are there.
    Range { taken: u64 },
}

impl Layout<'_> {
    /// What follows the first `held` bytes of the local file; none if that is its end.
    pub(crate) fn part_after(&self, held: u64) -> Option<Part> {
        if self.ranges.is_empty() {
            return Some(Part { start: held, end: None, of: PartOf::File });
        }
        let mut taken = held;
        for range in self.ranges {
            // One to the end of which the size is not known is not left before the origin has said where that is.
            let to_the_end = || self.remote_total?.checked_sub(range.offset).filter(|length| *length > 0);
            match range.length.or_else(to_the_end) {
                Some(length) if taken >= length => taken -= length,
                _ => {
                    let end = range.length.map(|length| range.offset.saturating_add(length));
                    return Some(Part { start: range.offset.saturating_add(taken), end, of: PartOf::Range { taken } });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::ranges;

    const fn range(offset: u64, length: Option<u64>) -> FileRange {
        FileRange { offset, length }
    }

    #[test]
    fn the_example_of_the_protocol() {
        // bits.md 8.2, item 5: (100,100),(1000,100),(200,100) from 25 on is (125,75),(1000,100),(200,..).
        let ranges = [range(100, Some(100)), range(1000, Some(100)), range(200, Some(100))];
        let layout = Layout { ranges: &ranges, remote_total: None };
        let part = |start, end, taken| Some(Part { start, end: Some(end), of: PartOf::Range { taken } });
        assert_eq!(layout.part_after(25), part(125, 200, 25));
        assert_eq!(layout.part_after(100), part(1000, 1100, 0));
        assert_eq!(layout.part_after(299), part(299, 300, 99));
        assert_eq!(layout.part_after(300), None);
    }

    #[test]
    fn what_follows_a_range_to_the_end_depends_on_where_that_is() {
        let ranges = [range(500, None), range(0, Some(10))];
        let at = |held, remote_total| Layout { ranges: &ranges, remote_total }.part_after(held);
        assert_eq!(at(7, None), Some(Part { start: 507, end: None, of: PartOf::Range { taken: 7 } }));
        assert_eq!(at(7, Some(507)), Some(Part { start: 0, end: Some(10), of: PartOf::Range { taken: 0 } }));
        assert_eq!(at(17, Some(507)), None);
        // Nothing is where it should begin: the origin is asked, and says so.
        assert_eq!(at(0, Some(500)), Some(Part { start: 500, end: None, of: PartOf::Range { taken: 0 } }));
        assert_eq!(Layout { ranges: &[], remote_total: None }.part_after(9).unwrap().of, PartOf::File);
    }

    proptest! {
        #[test]
        fn every_byte_has_its_place_and_the_end_is_where_the_size_says(
            total in 1_u64..200,
            cuts in prop::collection::vec((0_u64..200, 0_u64..200), 1..6),
        ) {
            let ranges: Vec<_> = cuts.iter().filter_map(|(one, other)| {
                let (start, end) = (*one.min(other), total.min(*one.max(other)));
                (start < end).then(|| range(start, (end < total).then_some(end - start)))
            }).collect();
            prop_assume!(!ranges.is_empty());
            let content: Vec<u64> = (0..total).collect();
            let wanted: Vec<u64> = ranges.iter().flat_map(|range| {
                let end = range.length.map_or(total, |length| range.offset + length);
                content[range.offset as usize..end as usize].to_vec()
            }).collect();
            let layout = Layout { ranges: &ranges, remote_total: Some(total) };
            prop_assert_eq!(ranges::size(&ranges, Some(total)), Some(wanted.len() as u64));
            for (held, byte) in wanted.iter().enumerate() {
                prop_assert_eq!(layout.part_after(held as u64).map(|part| part.start), Some(*byte));
            }
            prop_assert_eq!(layout.part_after(wanted.len() as u64), None);
        }
    }
}
