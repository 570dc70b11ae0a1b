//! What to ask an origin for, given what is durable of a file. Pure.

use super::accept::{Keep, Sequel};
use super::layout::{Layout, Part};
use crate::job::{FileRange, FileVersion, RestartReason, ranges};

/// The next request for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Plan {
    /// Ask for the whole file; nothing is there.
    Whole,
    /// Ask for the first part of a file of ranges; nothing is there.
    First { part: Part, sequel: Sequel },
    /// Ask for what is missing, or for the next part of it.
    Rest { part: Part, keep: Keep, if_range: Option<String> },
    /// Nothing is missing; what is left is to verify and to finish.
    Complete,
    /// The bytes that are there cannot be kept. Then ask anew.
    Restart(RestartReason),
}

/// What is known of a file when it is about to be fetched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Bytes of the part file that may be relied on.
    pub(crate) held: u64,
    /// Their version.
    pub(crate) version: Option<&'a FileVersion>,
    /// The parts of the remote file that are wanted; empty: all of it.
    pub(crate) ranges: &'a [FileRange],
    /// What stands behind the remote name.
    pub(crate) remote_name: RemoteName,
    /// What will tell whether the bytes are right.
    pub(crate) digest: Digest,
    pub(crate) content: Content,
}

/// What the origin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file.
    Static,
    /// Something that it makes anew for each request (bits.md 2.6): no part of one answer ever fits to another.
    Dynamic,
}

/// Whether the durable bytes came from the present remote name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemoteName {
    /// They did.
    Same,
    /// They came from an earlier one.
    Repointed,
}

/// Whether the client gave a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    Given,
    None,
}

/// Decides (faults.md section 2, design.md section 3).
pub(crate) fn plan(known: Known<'_>) -> Plan {
    let Known { held, version, ranges, remote_name, digest, content } = known;
    if held == 0 {
        return begin(ranges, digest);
    }
    let Some(version) = version else { return Plan::Restart(RestartReason::NoValidator) };
    let complete = match ranges::size(ranges, version.bytes_total) {
        Some(size) if held > size => return Plan::Restart(RestartReason::PartFileDamaged),
        size => size == Some(held),
    };
    let validator = version.strong_validator().map(str::to_owned);
    match (remote_name, digest) {
        (RemoteName::Same, _) | (_, Digest::Given) if complete => return Plan::Complete,
        _ if content == Content::Dynamic => return Plan::Restart(RestartReason::NoValidator),
        _ => {}
    }
    let layout = Layout { ranges, remote_total: version.bytes_total };
    // A file that is complete has no part that follows, and is asked for again as a whole: its former name does not vouch for it.
    let Some(part) = layout.part_after(held) else { return Plan::Restart(RestartReason::Repointed) };
    match (remote_name, digest) {
        (RemoteName::Repointed, Digest::Given) => Plan::Rest { part, keep: Keep::RepointedDigest, if_range: None },
        (RemoteName::Repointed, Digest::None) => {
            let can_be_same = version.strong_etag().is_some() && version.last_modified.is_some();
            if can_be_same && version.bytes_total.is_some() && !complete {
                Plan::Rest { part, keep: Keep::RepointedSame, if_range: validator }
            } else {
                Plan::Restart(RestartReason::Repointed)
            }
        }
        (RemoteName::Same, _) if validator.is_some() => Plan::Rest { part, keep: Keep::Validator, if_range: validator },
        (RemoteName::Same, Digest::Given) => Plan::Rest { part, keep: Keep::Digest, if_range: None },
        (RemoteName::Same, Digest::None) => Plan::Restart(RestartReason::NoValidator),
    }
}

/// Nothing is there.
fn begin(ranges: &[FileRange], digest: Digest) -> Plan {
    let part = Layout { ranges, remote_total: None }.part_after(0).filter(|_| !ranges.is_empty());
    let sequel = match digest {
        Digest::None if ranges.len() > 1 => Sequel::NeedsValidator,
        Digest::None | Digest::Given => Sequel::NeedsNothing,
    };
    part.map_or(Plan::Whole, |part| Plan::First { part, sequel })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transfer::layout::PartOf;

    fn version(etag: Option<&str>, strong_date: Option<bool>, bytes_total: Option<u64>) -> FileVersion {
        FileVersion {
            etag: etag.map(str::to_owned),
            last_modified: strong_date.map(|_| "Fri, 20 Nov 2026 12:00:00 GMT".to_owned()),
            last_modified_is_strong: strong_date.unwrap_or(false),
            bytes_total,
        }
    }

    fn planned(durable: u64, version: &FileVersion, remote_name: RemoteName, digest: Digest) -> Plan {
        let content = Content::Static;
        plan(Known { held: durable, version: Some(version), ranges: &[], remote_name, digest, content })
    }

    fn rest(offset: u64, keep: Keep, if_range: Option<&str>) -> Plan {
        let part = Part { start: offset, end: None, of: PartOf::File };
        Plan::Rest { part, keep, if_range: if_range.map(str::to_owned) }
    }

    const DATE: &str = "Fri, 20 Nov 2026 12:00:00 GMT";

    #[test]
    fn nothing_durable_asks_for_the_whole() {
        let version = version(Some("\"a\""), Some(true), Some(9));
        assert_eq!(planned(0, &version, RemoteName::Same, Digest::None), Plan::Whole);
        assert_eq!(planned(0, &version, RemoteName::Repointed, Digest::Given), Plan::Whole);
    }

    #[test]
    fn a_strong_validator_resumes_and_a_weak_one_does_not() {
        let same = |version: &FileVersion, digest| planned(5, version, RemoteName::Same, digest);
        let strong = version(Some("\"a\""), Some(true), Some(9));
        assert_eq!(same(&strong, Digest::None), rest(5, Keep::Validator, Some("\"a\"")));
        assert_eq!(same(&strong, Digest::Given), rest(5, Keep::Validator, Some("\"a\"")));
        let dated = version(None, Some(true), Some(9));
        assert_eq!(same(&dated, Digest::None), rest(5, Keep::Validator, Some(DATE)));
        for weak in [
            version(Some("W/\"a\""), Some(true), Some(9)),
            version(None, Some(false), Some(9)),
            version(None, None, Some(9)),
        ] {
            assert_eq!(same(&weak, Digest::None), Plan::Restart(RestartReason::NoValidator));
            assert_eq!(same(&weak, Digest::Given), rest(5, Keep::Digest, None));
        }
    }

    #[test]
    fn bytes_without_a_version_are_given_up() {
        let (remote_name, digest, content) = (RemoteName::Same, Digest::Given, Content::Static);
        let known = Known { held: 5, version: None, ranges: &[], remote_name, digest, content };
        assert_eq!(plan(known), Plan::Restart(RestartReason::NoValidator));
    }

    #[test]
    fn a_file_that_has_all_its_bytes_is_not_asked_for() {
        let nine = version(None, None, Some(9));
        assert_eq!(planned(9, &nine, RemoteName::Same, Digest::None), Plan::Complete);
        assert_eq!(planned(9, &nine, RemoteName::Repointed, Digest::Given), Plan::Complete);
        assert_eq!(planned(10, &nine, RemoteName::Same, Digest::None), Plan::Restart(RestartReason::PartFileDamaged));
        let strong = version(Some("\"a\""), Some(true), Some(9));
        let repointed = planned(9, &strong, RemoteName::Repointed, Digest::None);
        assert_eq!(repointed, Plan::Restart(RestartReason::Repointed));
    }

    #[test]
    fn a_repointed_file_needs_a_digest_or_all_three_marks() {
        let repointed = |version: &FileVersion, digest| planned(5, version, RemoteName::Repointed, digest);
        let all = version(Some("\"a\""), Some(false), Some(9));
        assert_eq!(repointed(&all, Digest::None), rest(5, Keep::RepointedSame, Some("\"a\"")));
        for missing in [
            version(Some("W/\"a\""), Some(true), Some(9)),
            version(None, Some(true), Some(9)),
            version(Some("\"a\""), None, Some(9)),
            version(Some("\"a\""), Some(true), None),
        ] {
            assert_eq!(repointed(&missing, Digest::None), Plan::Restart(RestartReason::Repointed));
            assert_eq!(repointed(&missing, Digest::Given), rest(5, Keep::RepointedDigest, None));
        }
    }

    #[test]
    fn a_file_of_ranges_goes_on_where_its_bytes_end_by_the_rules_of_whole_files() {
        let range = |offset, length| FileRange { offset, length: Some(length) };
        let ranges = [range(100, 10), range(50, 10)];
        let planned = |held, version: Option<&FileVersion>, remote_name, digest| {
            plan(Known { held, version, ranges: &ranges, remote_name, digest, content: Content::Static })
        };
        let part = |start, end, taken| Part { start, end: Some(end), of: PartOf::Range { taken } };
        let (same, repointed) = (RemoteName::Same, RemoteName::Repointed);
        let first = |sequel| Plan::First { part: part(100, 110, 0), sequel };
        assert_eq!(planned(0, None, same, Digest::None), first(Sequel::NeedsValidator));
        assert_eq!(planned(0, None, same, Digest::Given), first(Sequel::NeedsNothing));
        let strong = version(Some("\"a\""), Some(true), Some(1_000));
        let rest = |part, keep, if_range: Option<&str>| {
            let if_range = if_range.map(str::to_owned);
            Plan::Rest { part, keep, if_range }
        };
        let (middle, next) = (part(103, 110, 3), part(50, 60, 0));
        assert_eq!(planned(3, Some(&strong), same, Digest::None), rest(middle, Keep::Validator, Some("\"a\"")));
        assert_eq!(planned(10, Some(&strong), same, Digest::None), rest(next, Keep::Validator, Some("\"a\"")));
        assert_eq!(planned(10, Some(&strong), repointed, Digest::None), rest(next, Keep::RepointedSame, Some("\"a\"")));
        assert_eq!(planned(10, Some(&strong), repointed, Digest::Given), rest(next, Keep::RepointedDigest, None));
        // All of the local file, which is a part of the remote one.
        assert_eq!(planned(20, Some(&strong), same, Digest::None), Plan::Complete);
        assert_eq!(planned(20, Some(&strong), repointed, Digest::None), Plan::Restart(RestartReason::Repointed));
        assert_eq!(planned(21, Some(&strong), same, Digest::None), Plan::Restart(RestartReason::PartFileDamaged));
        let weak = version(Some("W/\"a\""), None, Some(1_000));
        assert_eq!(planned(10, Some(&weak), same, Digest::None), Plan::Restart(RestartReason::NoValidator));
    }

    #[test]
    fn dynamic_content_is_asked_for_from_its_begin() {
        let strong = version(Some("\"a\""), Some(true), Some(9));
        let planned = |held| {
            let (remote_name, digest, content) = (RemoteName::Same, Digest::None, Content::Dynamic);
            plan(Known { held, version: Some(&strong), ranges: &[], remote_name, digest, content })
        };
        assert_eq!(planned(0), Plan::Whole);
        assert_eq!(planned(5), Plan::Restart(RestartReason::NoValidator));
        assert_eq!(planned(9), Plan::Complete);
    }

    proptest! {
        #[test]
        fn a_weak_validator_is_never_sent(
            durable in 0u64..20,
            etag in prop::option::of(prop::sample::select(vec!["\"a\"", "W/\"a\""])),
            strong_date in prop::option::of(any::<bool>()),
            bytes_total in prop::option::of(0u64..20),
            repointed in any::<bool>(),
            digest in any::<bool>(),
        ) {
            let version = version(etag, strong_date, bytes_total);
            let remote_name = if repointed { RemoteName::Repointed } else { RemoteName::Same };
            let digest = if digest { Digest::Given } else { Digest::None };
            match planned(durable, &version, remote_name, digest) {
                Plan::Rest { part, if_range, keep } => {
                    prop_assert_eq!(part.start, durable);
                    prop_assert!(version.bytes_total.is_none_or(|total| durable < total));
                    prop_assert!(if_range.as_deref().is_none_or(|text| Some(text) == version.strong_validator()));
                    prop_assert_eq!(if_range.is_some(), matches!(keep, Keep::Validator | Keep::RepointedSame));
                    prop_assert!(if_range.is_some() || digest == Digest::Given);
                }
                Plan::Complete => prop_assert_eq!(version.bytes_total, Some(durable)),
                Plan::Whole => prop_assert_eq!(durable, 0),
                Plan::First { .. } => prop_assert!(false, "it has no ranges"),
                Plan::Restart(_) => prop_assert!(durable > 0),
            }
        }
    }
}
