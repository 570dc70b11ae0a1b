//! What clients want.

use super::super::input::{Begin, Command, CommandError, Reply, RequestId};
use super::super::queue::End;
use super::super::step::{FileChange, StopReason, Write};
use super::Core;
use super::board::Board;
use super::job::{Fallback, Job, Place, Target};
use crate::job::{
    AttemptNumber, ChangeError, EventKind, FileIndex, FileSpec, IdempotencyKey, IllegalTransition, Intent, JobId,
    JobRecord, JobSpec, JobState, RequestHeaders, SafeUrl, Transition,
};

impl Core {
    pub(super) fn command(&mut self, request: RequestId, command: Command) {
        let id = match &command {
            Command::Create { .. } => {
                if let Command::Create { job, spec, files, begin, once } = command {
                    self.create(request, job, *spec, files, begin, once);
                }
                return;
            }
            Command::AddFiles { job, .. }
            | Command::SetHeaders { job, .. }
            | Command::TakeOwnership { job, .. }
            | Command::SetRemoteName { job, .. }
            | Command::Validate { job, .. }
            | Command::ReplaceRemotePrefix { job, .. }
            | Command::Modify { job, .. } => *job,
            Command::Suspend(job) | Command::Resume(job) | Command::Complete(job) | Command::Cancel(job) => *job,
        };
        let Some(job) = self.jobs.get_mut(&id) else {
            return self.board.reply(request, Err(CommandError::NotFound(id)));
        };
        let board = &mut self.board;
        match command {
            Command::Create { .. } => {}
            Command::AddFiles { files, .. } => board.add_files(job, request, files),
            Command::SetRemoteName { file, remote_name, .. } => board.set_remote_name(job, request, file, remote_name),
            Command::Validate { file, verdict, .. } => board.look_up_file(job, request, file, verdict),
            Command::ReplaceRemotePrefix { from, to, .. } => board.replace_remote_prefix(job, request, from, to),
            Command::SetHeaders { headers, .. } => board.set_headers(job, request, headers),
            Command::TakeOwnership { owner, .. } => board.take_ownership(job, request, owner),
            Command::Modify { changes, expected, .. } => board.modify(job, request, &changes, expected.as_deref()),
            Command::Suspend(_) => board.suspend(job, request),
            Command::Resume(_) => board.resume(job, request),
            Command::Complete(_) => board.end(job, request, Intent::Complete),
            Command::Cancel(_) => board.end(job, request, Intent::Cancel),
        }
    }

    fn create(
        &mut self,
        request: RequestId,
        id: JobId,
        spec: JobSpec,
        files: Vec<FileSpec>,
        begin: Begin,
        once: Option<IdempotencyKey>,
    ) {
        if self.jobs.contains_key(&id) {
            let error = CommandError::Store(format!("there is a job {id} already"));
            return self.board.reply(request, Err(error));
        }
        if begin == Begin::Resumed && files.is_empty() {
            return self.board.reply(request, Err(CommandError::Empty(id)));
        }
        if let Err(error) = self.board.may_create(id, &spec, &files, begin) {
            return self.board.reply(request, Err(error));
        }
        let JobSpec {
            display_name,
            description,
            owner,
            direction,
            properties,
            labels,
            policies,
            headers,
            headers_write_only,
        } = spec;
        let record = JobRecord {
            id,
            owner,
            display_name,
            description,
            direction,
            state: JobState::Suspended,
            properties,
            labels,
            policies,
            created_at: self.board.now.wall,
            modified_at: self.board.now.wall,
            started_at: None,
            transferred_at: None,
            last_progress_at: None,
            files_total: u32::try_from(files.len()).unwrap_or(u32::MAX),
            files_transferred: 0,
            bytes_sized: 0,
            files_sized: 0,
            bytes_transferred: 0,
            progress_bytes: 0,
            error: None,
            error_count: 0,
            failures_in_row: 0,
            recoveries: 0,
            last_recovery_at: None,
            attempt: AttemptNumber(0),
            decisions: 0,
            history: Vec::new(),
            retry: None,
            no_progress_ms: 0,
            active_ms: 0,
            intent: None,
            resumed: begin == Begin::Resumed,
            headers_write_only,
            active_at: self.board.now.wall,
        };
        let owner = self.board.count_in(&record.owner);
        let mut job = Box::new(Job::new(record.clone(), owner));
        self.board.watch_activity(&mut job, 0);
        job.target = target_of(FileIndex(0), &files);
        let board = &mut self.board;
        let owner = record.owner.clone();
        board.step.writes.push(Write::InsertJob { job: Box::new(record), headers });
        board.step.writes.extend(once.map(|key| Write::RememberKey { job: id, owner, key }));
        if !files.is_empty() {
            board.step.writes.push(Write::InsertFiles { job: id, first: FileIndex(0), files });
        }
        board.journal(&job, EventKind::JobCreated);
        board.changed.insert(id);
        if begin == Begin::Resumed {
            board.resume_waiting(&mut job);
        }
        let record = board.snapshot(&mut job);
        board.reply(request, Ok(Reply::Job(record)));
        self.jobs.insert(id, job);
    }
}

fn target_of(first: FileIndex, files: &[FileSpec]) -> Option<Target> {
    files.first().map(|file| Target { file: first, origin: file.remote_name.origin() })
}

impl Board {
    fn may_create(&self, job: JobId, spec: &JobSpec, files: &[FileSpec], begin: Begin) -> Result<(), CommandError> {
        let limits = self.config.limits;
        limits.admit_job(self.jobs_of(&spec.owner), self.jobs_live)?;
        limits.admit_files(0, files)?;
        if spec.properties.dynamic_content && files.iter().any(|file| !file.ranges.is_empty()) {
            return Err(CommandError::dynamic_ranges(job));
        }
        match begin == Begin::Resumed && !spec.properties.can_run() {
            true => Err(ChangeError::DynamicNeedsForeground.into()),
            false => Ok(()),
        }
    }

    /// Refuses what would be done to a job that is final, or on its way to a final state.
    pub(super) fn check(&self, job: &Job, transition: Transition) -> Result<(), CommandError> {
        let illegal = || IllegalTransition { state: job.record.state, transition };
        if job.record.intent.is_some() {
            return Err(illegal().into());
        }
        job.record.state.after(transition).map(|_| ()).map_err(CommandError::from)
    }

    fn add_files(&mut self, job: &mut Job, request: RequestId, files: Vec<FileSpec>) {
        // Legal where suspend is: in every state that is not final (bits.md section 1.3).
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        let first = FileIndex(job.record.files_total);
        if let Err(limit) = self.config.limits.admit_files(first.0, &files) {
            return self.reply(request, Err(limit.into()));
        }
        if job.record.properties.dynamic_content && files.iter().any(|file| !file.ranges.is_empty()) {
            let error = CommandError::dynamic_ranges(job.record.id);
            return self.reply(request, Err(error));
        }
        let added = u32::try_from(files.len()).expect("the limit of files is below that");
        let files_total = first.0.saturating_add(added);
        self.active(job);
        if job.nothing_left() || job.target.is_none() {
            job.target = target_of(first, &files);
        }
        if !files.is_empty() {
            job.record.files_total = files_total;
            self.touch(job);
            self.step.writes.push(Write::InsertFiles { job: job.record.id, first, files });
            self.journal(job, EventKind::JobModified { fields: vec!["files".into()] });
        }
        let job = self.snapshot(job);
        self.reply(request, Ok(Reply::Job(job)));
    }

    fn set_remote_name(&mut self, job: &mut Job, request: RequestId, file: FileIndex, remote_name: SafeUrl) {
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        if file.0 >= job.record.files_total {
            return self.reply(request, Err(CommandError::FileNotFound { job: job.record.id, file }));
        }
        self.active(job);
        self.point_at(job, file, remote_name);
        self.journal(job, EventKind::JobModified { fields: vec!["remote_name".into()] });
        let job = self.snapshot(job);
        self.reply(request, Ok(Reply::Job(job)));
    }

    fn set_headers(&mut self, job: &mut Job, request: RequestId, headers: RequestHeaders) {
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        self.active(job);
        self.touch(job);
        self.step.writes.push(Write::ReplaceHeaders { job: job.record.id, headers });
        self.journal(job, EventKind::JobModified { fields: vec!["headers".into()] });
        let job = self.snapshot(job);
        self.reply(request, Ok(Reply::Job(job)));
    }

    /// Gives a file another remote name, from the next attempt on.
    pub(super) fn point_at(&mut self, job: &mut Job, file: FileIndex, remote_name: SafeUrl) {
        if job.record.files_total == 1 || job.target.as_ref().is_some_and(|target| target.file == file) {
            job.target = Some(Target { file, origin: remote_name.origin() });
            self.origin_forgotten(job);
        }
        self.touch(job);
        self.write_file(job.record.id, file, FileChange::RemoteName(remote_name));
    }

    /// A job in line that waits for an origin which is no longer its own takes its turn again.
    pub(super) fn origin_forgotten(&mut self, job: &mut Job) {
        if let Place::Line(seat) = job.place
            && job.origin_wait.is_some()
        {
            self.leave_origin(job, seat);
            self.queue.make_ready(seat, job.record.id);
        }
    }

    fn suspend(&mut self, job: &mut Job, request: RequestId) {
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        self.active(job);
        if job.record.state != JobState::Suspended {
            self.vacate(job);
            self.stop(job, StopReason::Suspended);
            job.hold = None;
            job.admitted = None;
            job.record.retry = None;
            job.record.error = None;
            self.apply(job, Transition::Suspended);
        }
        let job = self.snapshot(job);
        self.reply(request, Ok(Reply::Job(job)));
    }

    fn resume(&mut self, job: &mut Job, request: RequestId) {
        if let Err(error) = self.check(job, Transition::Resumed) {
            return self.reply(request, Err(error));
        }
        if job.record.files_total == 0 {
            return self.reply(request, Err(CommandError::Empty(job.record.id)));
        }
        if !job.record.properties.can_run() {
            return self.reply(request, Err(ChangeError::DynamicNeedsForeground.into()));
        }
        self.active(job);
        match job.record.state {
            JobState::Queued | JobState::Connecting | JobState::Transferring => {}
            _ if job.nothing_left() => self.transferred(job, Transition::ResumedWithNothingLeft),
            _ => self.resume_waiting(job),
        }
        let job = self.snapshot(job);
        self.reply(request, Ok(Reply::Job(job)));
    }

    /// Puts a job that does not run in line, at once.
    pub(super) fn resume_waiting(&mut self, job: &mut Job) {
        self.vacate(job);
        if job.record.state == JobState::Error {
            // Whoever resumes a job in ERROR gives it its time again; else an expired one would fail at the next trifle.
            job.record.no_progress_ms = 0;
        }
        job.record.active_ms = 0;
        job.record.retry = None;
        job.record.transferred_at = None;
        job.record.resumed = true;
        self.apply(job, Transition::Resumed);
        self.line_up(job, End::Tail);
    }

    fn end(&mut self, job: &mut Job, request: RequestId, intent: Intent) {
        if let Place::Ending(ending) = &mut job.place
            && ending.intent == intent
        {
            return ending.requests.push(request);
        }
        let transition = match intent {
            Intent::Complete => Transition::Completed,
            Intent::Cancel => Transition::Cancelled,
        };
        match self.check(job, transition) {
            Ok(()) => {
                // It may come to nothing, and the job go on.
                self.active(job);
                self.begin_ending(job, intent, vec![request], Fallback::AsItWas);
            }
            Err(error) => self.reply(request, Err(error)),
        }
    }
}
