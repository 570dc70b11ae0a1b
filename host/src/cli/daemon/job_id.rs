//! Jobs as people name them: by a part of the id that only one of them has.

use super::Session;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::printer::one_line;
use crate::client::JobFilter;
use crate::job::JobId;

/// Characters that lists show: the end of an id is drawn at random, its begin is the time.
const SHOWN: usize = 8;

/// Fewer would soon be of several jobs.
const PART_MIN: usize = 6;

/// Jobs asked for at once.
const PAGE: u32 = 500;

/// Jobs that an error names.
const NAMED_MAX: usize = 5;

/// An id as lists show it: what is enough to name the job with.
pub(super) fn short(job: JobId) -> String {
    let text = job.to_string();
    text[text.len() - SHOWN..].to_owned()
}

/// The job that is meant. Only a part of an id makes it ask the daemon.
pub(super) async fn resolve(session: &Session<'_>, text: &str) -> Result<JobId, Failure> {
    if let Ok(job) = text.parse() {
        return Ok(job);
    }
    let part = Part::parse(text).map_err(Failure::usage)?;
    let filter = JobFilter { limit: Some(PAGE), ..JobFilter::default() };
    let mut fitting = Vec::new();
    let mut cursor = None;
    loop {
        let page = session.client.jobs(&filter, cursor.as_deref()).await?;
        fitting.extend(page.jobs.into_iter().map(|job| job.id).filter(|job| part.is_of(*job)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    chosen(&part, &fitting)
}

fn chosen(Part(part): &Part, fitting: &[JobId]) -> Result<JobId, Failure> {
    match fitting {
        [job] => Ok(*job),
        [] => {
            let message = format!(
                "no job has an id with {part} at its begin or end; jobs at their end are found by their whole id only"
            );
            Err(Failure::new(ExitCode::NotFound, message))
        }
        _ => {
            let named: Vec<_> = fitting.iter().take(NAMED_MAX).map(JobId::to_string).collect();
            let more = fitting.len() - named.len();
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let message = format!("{part} is a part of several ids: {}{more}; give more of it", named.join(", "));
            Err(Failure::new(ExitCode::NotFound, message))
        }
    }
}

/// A part of an id, long enough, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no job: give its id, or at least {PART_MIN} characters of its end or begin, as `backhaul job list` shows them"
)]
struct NoPart(String);

impl Part {
    fn parse(text: &str) -> Result<Self, NoPart> {
        let is_of_an_id = |c: char| c.is_ascii_hexdigit() || c == '-';
        if text.len() < PART_MIN || !text.chars().all(is_of_an_id) {
            return Err(NoPart(one_line(&text.chars().take(80).collect::<String>())));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    fn is_of(&self, job: JobId) -> bool {
        let text = job.to_string();
        text.ends_with(&self.0) || text.starts_with(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(number: u128) -> JobId {
        JobId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn an_end_or_a_begin_names_a_job() {
        let id = job(0x0192_3456_789a_7bcd_8eef_0123_4567_89ab);
        for part in ["4567-89ab", "456789ab", "456789AB", "01923456", "01923456-789a-7bcd-8eef-0123456789a"] {
            let is_of = Part::parse(part).unwrap().is_of(id);
            // A hyphen stands only where the id has it.
            assert_eq!(is_of, part != "4567-89ab", "{part}");
        }
        assert!(!Part::parse("3456789a").unwrap().is_of(id));
        assert!(Part::parse(&short(id)).unwrap().is_of(id));
    }

    #[test]
    fn what_is_no_part_of_an_id_is_refused() {
        for text in ["", "12345", "disk.iso", "0x123456", "12345\x1b"] {
            assert!(Part::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn several_jobs_of_one_part_are_named() {
        let part = Part::parse("000007").unwrap();
        let failure = chosen(&part, &[job(7), job(8)]).unwrap_err();
        assert_eq!(failure.code, ExitCode::NotFound);
        assert!(failure.message.contains(&job(7).to_string()) && failure.message.contains("give more of it"));
        let failure = chosen(&part, &(0..7).map(job).collect::<Vec<_>>()).unwrap_err();
        assert!(failure.message.contains("and 2 more"), "{}", failure.message);
        assert_eq!(chosen(&part, &[]).unwrap_err().code, ExitCode::NotFound);
    }

    proptest! {
        #[test]
        fn every_long_enough_end_is_of_its_job(number: u128, length in PART_MIN..=36_usize) {
            let text = job(number).to_string();
            prop_assert!(Part::parse(&text[36 - length..]).unwrap().is_of(job(number)));
        }
    }
}
