//! Repairs by policies: all changes of a plan, or none.

use super::super::input::{RecoverAnswer, Recovery};
use super::super::queue::End;
use super::super::step::{Replacement, Write};
use super::board::{Board, seconds};
use super::job::{Asked, Fallback, Job, Mark, Place};
use crate::job::{
    CostFlags, EventKind, FileIndex, FileSummary, Intent, JobState, Properties, RestartReason, SafeUrl, Transition,
    limits,
};
use crate::policy::contract::Change;

/// A change that can be made.
enum Planned {
    Point(FileIndex, SafeUrl),
    ReplacePrefix(String, String),
    Restart(Mark),
    /// A property: those of the whole plan are checked and set together.
    Property,
}

impl Board {
    /// The policies answered what to do with a job that would go into ERROR.
    pub(super) fn recover_answered(&mut self, job: &mut Job, asked: &Asked, answer: RecoverAnswer) {
        if !matches!(job.place, Place::Deciding(_)) {
            return;
        }
        let because = &answer.because;
        match answer.recovery {
            Recovery::Leave => {
                self.decided(job, asked, because, "leave".into());
                self.error_out(job);
            }
            Recovery::Complete => {
                self.decided(job, asked, because, "complete".into());
                self.begin_ending(job, Intent::Complete, Vec::new(), Fallback::Error);
            }
            Recovery::Cancel => {
                self.decided(job, asked, because, "cancel".into());
                self.begin_ending(job, Intent::Cancel, Vec::new(), Fallback::Error);
            }
            Recovery::Resume { changes, after_ms, files } => match self.plan(job, &changes, &files) {
                Ok((planned, properties)) => {
                    let after_ms = after_ms.min(limits::DURATION_MS_MAX);
                    let verdict = match after_ms {
                        0 => "resume".to_owned(),
                        after_ms => format!("resume after {}", seconds(after_ms)),
                    };
                    self.decided(job, asked, because, verdict);
                    job.record.properties = properties;
                    self.carry_out(job, planned);
                    let changes = changes.iter().map(in_words).collect();
                    self.journal(job, EventKind::Recovered { policy: because.policy.clone(), changes });
                    self.recovered(job, after_ms);
                }
                Err(why) => {
                    self.decided(job, asked, because, format!("leave: the plan cannot be carried out, {why}"));
                    self.error_out(job);
                }
            },
        }
    }

    /// Checks every change before the first one is made.
    fn plan(&self, job: &Job, changes: &[Change], files: &[FileSummary]) -> Result<(Vec<Planned>, Properties), String> {
        let mut properties = job.record.properties.clone();
        let index = |file: u32| match file < job.record.files_total {
            true => Ok(FileIndex(file)),
            false => Err(format!("the job has no file {file}")),
        };
        let mut planned = Vec::with_capacity(changes.len());
        for change in changes {
            planned.push(match change {
                Change::SetRemoteName(file, remote_name) => {
                    let remote_name = SafeUrl::parse(remote_name).map_err(|error| error.to_string())?;
                    Planned::Point(index(*file)?, remote_name)
                }
                Change::ReplaceRemotePrefix(from, _) if from.is_empty() => return Err("the old prefix is empty".into()),
                Change::ReplaceRemotePrefix(from, to) => Planned::ReplacePrefix(from.clone(), to.clone()),
                Change::RestartFile(file) => {
                    let file = index(*file)?;
                    let marked = job.marks.iter().find(|mark| mark.file == file).copied();
                    let looked_up = || files.iter().find(|known| known.index == file).map(Mark::from);
                    let mark = marked.or_else(looked_up).ok_or_else(|| format!("file {file} was not looked up"))?;
                    Planned::Restart(mark)
                }
                Change::SetPriority(priority) => {
                    properties.priority = *priority;
                    Planned::Property
                }
                Change::SetCostFlags(flags) => {
                    properties.cost_flags = CostFlags(*flags);
                    Planned::Property
                }
                Change::SetMinimumRetryDelay(millis) => {
                    properties.minimum_retry_delay_ms = *millis;
                    Planned::Property
                }
                Change::SetNoProgressTimeout(millis) => {
                    properties.no_progress_timeout_ms = *millis;
                    Planned::Property
                }
                Change::RefreshRemoteName(..)
                | Change::SetHeader(..)
                | Change::RemoveHeader(_)
                | Change::UseCredential(_)
                | Change::SetProxy(_)
                | Change::Other(..) => return Err(format!("{} is not supported", in_words(change))),
            });
        }
        properties.check().map_err(|error| error.to_string())?;
        Ok((planned, properties))
    }

    fn carry_out(&mut self, job: &mut Job, planned: Vec<Planned>) {
        let mut restarted = Vec::new();
        for change in planned {
            match change {
                Planned::Point(file, remote_name) => self.point_at(job, file, remote_name),
                Planned::ReplacePrefix(from, to) => {
                    let (job_id, replacement) = (job.record.id, Replacement::Usable);
                    self.step.writes.push(Write::ReplaceRemotePrefix { job: job_id, from, to, replacement });
                    // Where the job's files lie now only its next worker knows.
                    job.target = None;
                }
                Planned::Restart(mark) if restarted.contains(&mark.file) => {}
                Planned::Restart(mark) => {
                    restarted.push(mark.file);
                    self.restart_file(job, mark, RestartReason::Requested);
                }
                Planned::Property => {}
            }
        }
    }

    /// The repaired job goes on. ERROR was never seen.
    fn recovered(&mut self, job: &mut Job, after_ms: u64) {
        job.bucket.spend();
        job.record.recoveries = job.record.recoveries.saturating_add(1);
        job.record.last_recovery_at = Some(self.now.wall);
        // A repair resumes the job as a client would (bits.md section 3.1); the no-progress timeout is not a policy's to prolong.
        job.record.active_ms = 0;
        self.touch(job);
        if after_ms == 0 {
            return self.requeue(job, End::Tail);
        }
        self.vacate(job);
        if job.record.state != JobState::TransientError {
            self.apply(job, Transition::FailedTransiently);
        }
        self.set_retry(job, after_ms);
    }
}

/// A change for the journal. URLs lose their secrets.
fn in_words(change: &Change) -> String {
    match change {
        Change::SetRemoteName(file, url) => format!("set_remote_name of file {file} to {}", shown(url)),
        Change::ReplaceRemotePrefix(from, to) => format!("replace_remote_prefix {} by {}", shown(from), shown(to)),
        Change::RefreshRemoteName(file, _) => format!("refresh_remote_name of file {file}"),
        Change::SetHeader(name, _) => format!("set_header {name}"),
        Change::RemoveHeader(name) => format!("remove_header {name}"),
        Change::UseCredential(name) => format!("use_credential {name}"),
        Change::SetProxy(proxy) => format!("set_proxy {}", shown(proxy)),
        Change::SetPriority(priority) => format!("set_priority {priority:?}").to_lowercase(),
        Change::SetCostFlags(flags) => format!("set_cost_flags {flags:#x}"),
        Change::SetMinimumRetryDelay(millis) => format!("set_minimum_retry_delay {}", seconds(*millis)),
        Change::SetNoProgressTimeout(millis) => format!("set_no_progress_timeout {}", seconds(*millis)),
        Change::RestartFile(file) => format!("restart_file {file}"),
        Change::Other(name, _) => format!("other {name}"),
    }
}

/// A URL, or a part of one that need not be a URL by itself, without what may be secret in it.
fn shown(text: &str) -> String {
    match SafeUrl::parse(text) {
        Ok(url) => url.to_string(),
        Err(_) if text.contains(['@', '?']) => "(not shown)".to_owned(),
        Err(_) => text.to_owned(),
    }
}
