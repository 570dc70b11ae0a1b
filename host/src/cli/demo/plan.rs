//! What the demo's origin answers: the story of its faults as a pure function of the requests that come.
//!
//! Nothing of it is stored. A demo that is killed and started again has a new origin, which reads from the first range
//! how far the story had come: cuts behind the bytes that the client already has are over, and a client that asks the mirror
//! was told to go there. What cannot be read from it, a refusal, may happen once more; the client survives that too.

use super::content::{Content, LAST_MODIFIED, SIZE};

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// The address that the job begins with, where the faults happen.
    Origin,
    /// Where the file lives on. Always well.
    Mirror,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// 200 with the whole file, or 206 with a part of it.
    Bytes {
        /// What is sent: the whole file for 200.
        range: std::ops::Range<u64>,
        /// Whether it is said to be a part.
        status: Status,
        /// The offset at which the connection is cut instead of sending on.
        cut_at: Option<u64>,
    },
    /// 416: the range begins behind the end.
    NotSatisfiable,
    /// 503 with Retry-After.
    Unavailable,
    /// 404: the file is not here any more.
    Moved,
}

/// The two statuses of success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Whole,
    Part,
}

/// Where the story is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chapter {
    FirstCut,
    SecondCut,
    Refusal,
    Gone,
}

/// The origin's mind: one for all its connections.
#[derive(Debug)]
pub(super) struct Plan {
    cuts: [u64; 2],
    chapter: Chapter,
    etag: String,
}

impl Plan {
    pub(super) fn new(content: Content) -> Self {
        Self { cuts: content.cuts(), chapter: Chapter::FirstCut, etag: content.etag() }
    }

    /// Answers one request for the file.
    pub(super) fn answer(&mut self, site: Site, range: Option<&str>, if_range: Option<&str>) -> Answer {
        let requested = requested(range, if_range, &self.etag);
        let (range, status) = match requested {
            Requested::Whole => (0..SIZE, Status::Whole),
            Requested::Part(range) => (range, Status::Part),
            // Not a chapter of the story: nothing moves on.
            Requested::NotSatisfiable => return Answer::NotSatisfiable,
        };
        if site == Site::Mirror {
            return Answer::Bytes { range, status, cut_at: None };
        }
        // The client has these bytes from an earlier origin, or from this one: the cut is behind it.
        let cut_at = loop {
            match self.chapter {
                Chapter::FirstCut if self.cuts[0] <= range.start => self.chapter = Chapter::SecondCut,
                Chapter::SecondCut if self.cuts[1] <= range.start => self.chapter = Chapter::Refusal,
                Chapter::FirstCut => break self.cuts[0],
                Chapter::SecondCut => break self.cuts[1],
                Chapter::Refusal => {
                    self.chapter = Chapter::Gone;
                    return Answer::Unavailable;
                }
                Chapter::Gone => return Answer::Moved,
            }
        };
        let cut_at = (cut_at < range.end).then_some(cut_at);
        if cut_at.is_some() {
            self.chapter = if self.chapter == Chapter::FirstCut { Chapter::SecondCut } else { Chapter::Refusal };
        }
        Answer::Bytes { range, status, cut_at }
    }
}

/// What a client wants of the file.
#[derive(Debug, PartialEq, Eq)]
enum Requested {
    Whole,
    Part(std::ops::Range<u64>),
    NotSatisfiable,
}

/// Reads Range and If-Range (RFC 9110 sections 13.1.5 and 14.2): one range is served; several, or what is none, are ignored.
fn requested(range: Option<&str>, if_range: Option<&str>, etag: &str) -> Requested {
    // A weak tag never equals the strong one; the date is strong, since the file is older than any Date of this origin.
    if if_range.is_some_and(|validator| validator != etag && validator != LAST_MODIFIED) {
        return Requested::Whole;
    }
    let Some((first, last)) =
        range.and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.trim().split_once('-'))
    else {
        return Requested::Whole;
    };
    let digits = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a u64 has are far behind the end.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (digits(first), digits(last)) {
        (None, Some(0)) if first.is_empty() => Requested::NotSatisfiable,
        (None, Some(suffix)) if first.is_empty() => Requested::Part(SIZE.saturating_sub(suffix)..SIZE),
        (Some(first), _) if first >= SIZE => Requested::NotSatisfiable,
        (Some(first), None) if last.is_empty() => Requested::Part(first..SIZE),
        (Some(first), Some(last)) if first <= last => Requested::Part(first..last.saturating_add(1).min(SIZE)),
        _ => Requested::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTENT: Content = Content::new(1);

    fn from(offset: u64) -> String {
        format!("bytes={offset}-")
    }

    fn bytes(range: std::ops::Range<u64>, cut_at: Option<u64>) -> Answer {
        Answer::Bytes { range, status: Status::Part, cut_at }
    }

    #[test]
    fn one_run_is_cut_twice_refused_once_and_then_sent_away() {
        let [first, second] = CONTENT.cuts();
        let mut plan = Plan::new(CONTENT);
        let whole = Answer::Bytes { range: 0..SIZE, status: Status::Whole, cut_at: Some(first) };
        assert_eq!(plan.answer(Site::Origin, None, None), whole);
        let mut resume = |site, offset| plan.answer(site, Some(&from(offset)), Some(&CONTENT.etag()));
        assert_eq!(resume(Site::Origin, first - 1), bytes(first - 1..SIZE, Some(second)));
        assert_eq!(resume(Site::Origin, second - 1), Answer::Unavailable);
        assert_eq!(resume(Site::Origin, second - 1), Answer::Moved);
        assert_eq!(resume(Site::Origin, second - 1), Answer::Moved);
        assert_eq!(resume(Site::Mirror, second - 1), bytes(second - 1..SIZE, None));
    }

    #[test]
    fn a_new_origin_reads_from_the_first_range_which_cuts_are_over() {
        let [first, second] = CONTENT.cuts();
        let ask = |offset| Plan::new(CONTENT).answer(Site::Origin, Some(&from(offset)), Some(&CONTENT.etag()));
        assert_eq!(ask(first - 1), bytes(first - 1..SIZE, Some(first)));
        assert_eq!(ask(first), bytes(first..SIZE, Some(second)));
        assert_eq!(ask(second), Answer::Unavailable);
        let mirror = Plan::new(CONTENT).answer(Site::Mirror, Some(&from(second)), None);
        assert_eq!(mirror, bytes(second..SIZE, None));
    }

    #[test]
    fn a_range_that_ends_before_the_cut_is_served_and_the_cut_still_comes() {
        let [first, _] = CONTENT.cuts();
        let mut plan = Plan::new(CONTENT);
        assert_eq!(plan.answer(Site::Origin, Some("bytes=0-9"), None), bytes(0..10, None));
        assert_eq!(plan.answer(Site::Origin, Some("bytes=0-"), None), bytes(0..SIZE, Some(first)));
    }

    #[test]
    fn a_range_counts_only_with_the_validator_of_the_file() {
        let etag = CONTENT.etag();
        let with = |validator: &str| requested(Some("bytes=5-"), Some(validator), &etag);
        assert_eq!(with(&etag), Requested::Part(5..SIZE));
        assert_eq!(with(LAST_MODIFIED), Requested::Part(5..SIZE));
        assert_eq!(with(&format!("W/{etag}")), Requested::Whole);
        assert_eq!(with("\"another\""), Requested::Whole);
        assert_eq!(with("Fri, 02 Jan 2026 00:00:00 GMT"), Requested::Whole);
        assert_eq!(requested(None, Some(&etag), &etag), Requested::Whole);
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        let read = |range: &str| requested(Some(range), None, "");
        let last = SIZE - 1;
        assert_eq!(read("bytes=0-"), Requested::Part(0..SIZE));
        assert_eq!(read("bytes=3-3"), Requested::Part(3..4));
        assert_eq!(read(&format!("bytes={last}-")), Requested::Part(last..SIZE));
        assert_eq!(read("bytes=1-99999999999999999999999"), Requested::Part(1..SIZE));
        assert_eq!(read("bytes=-10"), Requested::Part(SIZE - 10..SIZE));
        assert_eq!(read(&format!("bytes=-{}", SIZE + 1)), Requested::Part(0..SIZE));
        assert_eq!(read(&from(SIZE)), Requested::NotSatisfiable);
        assert_eq!(read("bytes=99999999999999999999999-"), Requested::NotSatisfiable);
        assert_eq!(read("bytes=-0"), Requested::NotSatisfiable);
        for ignored in ["bytes=5-4", "bytes=-", "bytes=", "bytes=a-", "bytes=1-2,4-5", "bytes=+1-", "items=0-1", ""] {
            assert_eq!(read(ignored), Requested::Whole, "{ignored}");
        }
    }

    proptest! {
        /// A client that goes on from what it has gets every byte, in five requests after the last time that it was killed.
        #[test]
        fn a_client_that_goes_on_gets_everything(seed: u64, losses in prop::collection::vec(0..4u64 << 20, 8), kills: u8) {
            let content = Content::new(seed);
            let mut plan = Plan::new(content);
            let (mut site, mut have) = (Site::Origin, 0);
            for turn in 0..losses.len() + 5 {
                if have == SIZE {
                    break;
                }
                if turn < losses.len() && kills & 1 << turn != 0 {
                    plan = Plan::new(content);
                }
                match plan.answer(site, Some(&from(have)), Some(&content.etag())) {
                    Answer::Bytes { range, cut_at: Some(cut), .. } => {
                        prop_assert!(range.start < cut);
                        have = have.max(cut.saturating_sub(losses[turn % losses.len()]));
                    }
                    Answer::Bytes { range, cut_at: None, .. } => have = range.end,
                    Answer::Moved => site = Site::Mirror,
                    Answer::Unavailable => {}
                    Answer::NotSatisfiable => prop_assert!(false, "asked behind the end"),
                }
            }
            prop_assert_eq!(have, SIZE);
        }
    }
}
