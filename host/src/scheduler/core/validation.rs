//! What clients say of finished files: BITS's validation state (bits.md 8.7).
//!
//! The core holds no files. It has the one that a verdict is about looked up in the store, once everything that it has decided before is
//! committed, and decides then: nothing else of the file can have happened in between.

use super::super::input::{CommandError, Reply, RequestId};
use super::super::step::{Effect, FileChange, StopReason};
use super::Core;
use super::board::Board;
use super::job::{Job, Mark, Target};
use crate::job::{
    ErrorCode, ErrorContext, EventKind, FailureClass, FileIndex, FileSummary, FileVerdict, JobError, JobId,
    RestartReason, Transition,
};

impl Core {
    /// The end of [`Effect::LookUpFile`].
    pub(super) fn file_looked_up(
        &mut self,
        request: RequestId,
        id: JobId,
        file: FileIndex,
        verdict: FileVerdict,
        found: Result<Option<FileSummary>, String>,
    ) {
        let board = &mut self.board;
        let result = match (self.jobs.get_mut(&id), found) {
            // It may have been forgotten meanwhile, if it was ended at once.
            (None, _) => Err(CommandError::NotFound(id)),
            (Some(_), Err(error)) => Err(CommandError::Store(error)),
            (Some(_), Ok(None)) => Err(CommandError::FileNotFound { job: id, file }),
            (Some(job), Ok(Some(found))) => board.validate(job, &found, verdict),
        };
        board.reply(request, result);
    }
}

impl Board {
    pub(super) fn look_up_file(&mut self, job: &Job, request: RequestId, file: FileIndex, verdict: FileVerdict) {
        let id = job.record.id;
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        if file.0 >= job.record.files_total {
            return self.reply(request, Err(CommandError::FileNotFound { job: id, file }));
        }
        self.step.effects.push(Effect::LookUpFile { request, job: id, file, verdict });
    }

    fn validate(&mut self, job: &mut Job, found: &FileSummary, verdict: FileVerdict) -> Result<Reply, CommandError> {
        // It may have ended since it was asked for.
        self.check(job, Transition::Suspended)?;
        if !found.finished {
            return Err(CommandError::Pending { job: job.record.id, file: found.index });
        }
        self.active(job);
        match verdict {
            FileVerdict::Valid => {
                self.touch(job);
                self.journal(job, EventKind::JobModified { fields: vec!["validation_state".into()] });
            }
            FileVerdict::Invalid => self.invalidate(job, found),
        }
        // After the restart, which takes back what was said of the file before.
        self.write_file(job.record.id, found.index, FileChange::Validated(verdict));
        Ok(Reply::Job(self.snapshot(job)))
    }

    /// The file begins again when the job is resumed. Until then the job is in ERROR, whatever it was; other files keep what they have.
    fn invalidate(&mut self, job: &mut Job, found: &FileSummary) {
        // To the worker, this is a gate.
        self.stop(job, StopReason::GateShut);
        self.vacate(job);
        job.hold = None;
        job.admitted = None;
        self.restart_file(job, Mark::from(found), RestartReason::ValidationFailed);
        job.target = Some(Target { file: found.index, origin: found.remote_name.origin() });
        let error = JobError {
            code: ErrorCode::ValidationFailed,
            context: ErrorContext::RemoteFile,
            class: FailureClass::Fatal,
            http_status: None,
            file: Some(found.index),
            description: format!(
                "the client found that the file from {} is not as it should be; resume the job to fetch it again",
                found.remote_name
            ),
        };
        job.record.retry = None;
        job.record.transferred_at = None;
        job.record.error = Some(error.clone());
        self.apply(job, Transition::ValidationFailed);
        self.journal(job, EventKind::JobError { error });
    }
}
