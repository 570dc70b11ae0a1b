//! When one reader is told how far which job is. Pure.
//!
//! A job is told at the pace that the reader names, or else at its own `minimum_notification_interval` (bits.md 2.6). Its last numbers are
//! told when it stops, whatever the pace: nothing else would say them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::wire::ProgressEvent;
use crate::job::JobId;

/// The shortest interval: more often, numbers would only be read for the wire.
pub(super) const SHORTEST: Duration = Duration::from_millis(50);
/// How often is looked which jobs run, where the reader names no pace: a job that begins is noticed within half a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What was told last of each running job, and when to look again.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two looks at each job, if the reader says so.
    of_reader: Option<Duration>,
    /// When to look again.
    pub(super) at: Instant,
    told: HashMap<JobId, Told>,
}

#[derive(Debug)]
struct Told {
    numbers: ProgressEvent,
    due: Instant,
}

impl Pace {
    pub(super) fn new(of_reader: Option<Duration>, now: Instant) -> Self {
        Self { of_reader, at: now, told: HashMap::new() }
    }

    /// The jobs that ran at the last look.
    pub(super) fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.told.keys().copied()
    }

    /// Whether the job ran at the last look.
    pub(super) fn knows(&self, job: JobId) -> bool {
        self.told.contains_key(&job)
    }

    /// Takes the jobs that run, or did at the last look, each with its own interval; returns those to be told now. The others that it knew
    /// are forgotten.
    pub(super) fn look(
        &mut self,
        now: Instant,
        jobs: impl IntoIterator<Item = (ProgressEvent, Duration)>,
    ) -> Vec<ProgressEvent> {
        let mut to_tell = Vec::new();
        let mut running = HashMap::new();
        for (numbers, own) in jobs {
            let (job, is_running) = (numbers.job, numbers.state.is_running());
            let before = self.told.remove(&job);
            let is_due = before.as_ref().is_none_or(|told| told.due <= now) || !is_running;
            let is_news = before.as_ref().is_none_or(|told| told.numbers != numbers);
            let told = match before {
                Some(told) if !(is_due && is_news) => told,
                _ => {
                    to_tell.push(numbers.clone());
                    // An interval of years is beyond what a clock may be able to name.
                    let due = now.checked_add(self.of_reader.unwrap_or(own).max(SHORTEST));
                    Told { numbers, due: due.unwrap_or(now + Duration::from_secs(86_400)) }
                }
            };
            if is_running {
                running.insert(job, told);
            }
        }
        let next = self.of_reader.unwrap_or(LOOK_INTERVAL);
        let due = running.values().map(|told| told.due).min().unwrap_or(now + next);
        self.at = due.min(now + next).max(now + SHORTEST);
        self.told = running;
        to_tell
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::JobProgress;
    use super::*;
    use crate::job::JobState;

    fn numbers(job: JobId, state: JobState, bytes_transferred: u64) -> ProgressEvent {
        let progress = JobProgress { bytes_total: None, bytes_transferred, files_total: 1, files_transferred: 0 };
        ProgressEvent { job, state, progress, active: Vec::new() }
    }

    /// How often each of two jobs is told within ten seconds in which both move all the time.
    fn told(of_reader: Option<Duration>, intervals: [Duration; 2]) -> [usize; 2] {
        let jobs = [JobId::generate(), JobId::generate()];
        let begin = Instant::now();
        let mut pace = Pace::new(of_reader, begin);
        let mut counts = [0; 2];
        for bytes in 1.. {
            let now = pace.at;
            if now > begin + Duration::from_secs(10) {
                break;
            }
            let all = [0, 1].map(|job| (numbers(jobs[job], JobState::Transferring, bytes), intervals[job]));
            for told in pace.look(now, all) {
                counts[usize::from(told.job == jobs[1])] += 1;
            }
        }
        counts
    }

    #[test]
    fn each_job_is_told_at_its_own_pace() {
        let [millis, seconds] = [Duration::from_millis, Duration::from_secs];
        assert_eq!(told(None, [millis(500), seconds(4)]), [21, 3]);
        assert_eq!(told(None, [millis(200), seconds(315_360_000)]), [51, 1]);
        // No more often than the wire is worth.
        assert_eq!(told(None, [millis(0), seconds(60)]), [201, 1]);
        // Who names a pace has it for all.
        assert_eq!(told(Some(seconds(1)), [millis(50), seconds(4)]), [11, 11]);
    }

    #[test]
    fn what_stays_is_not_told_again_and_the_last_numbers_are_told_at_once() {
        let (job, hour, now) = (JobId::generate(), Duration::from_secs(3_600), Instant::now());
        let mut pace = Pace::new(None, now);
        let mut look = |seconds: u64, numbers| pace.look(now + Duration::from_secs(seconds), [(numbers, hour)]).len();
        assert_eq!(look(0, numbers(job, JobState::Transferring, 1)), 1);
        assert_eq!(look(1, numbers(job, JobState::Transferring, 2)), 0, "too early");
        assert_eq!(look(3_601, numbers(job, JobState::Transferring, 1)), 0, "no news");
        assert_eq!(look(3_602, numbers(job, JobState::Transferring, 3)), 1);
        assert_eq!(look(3_603, numbers(job, JobState::Suspended, 4)), 1);
        assert!(!pace.knows(job));
    }
}
