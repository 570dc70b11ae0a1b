//! A client with jobs of its own, and a plan drawn from its seed.

use std::sync::Arc;
use std::time::Duration;

use backhaul::client::{Client, ClientError};
use backhaul::job::{JobId, JobState};
use tokio::sync::watch;
use tokio::time::timeout;

use super::job::{Act, Job};
use super::plan::{Draws, FILES_MAX, JOBS_OF_OWNER, World};
use crate::origin::SOON;

/// Between two requests of an owner.
const THINK_MS: u64 = 40;
/// Between two looks whether the daemon is there.
const KNOCK_MS: u64 = 20;

/// How many daemons were killed, and whether the present one is to live. Changes once a daemon is dead, before the next one starts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Life {
    pub(super) killed: u64,
    pub(super) is_last: bool,
}

/// The daemon that was spoken to is no more.
#[derive(Debug)]
struct Gone;

/// What became of a request.
enum Answer<T> {
    Done(T),
    /// The job's state does not allow it.
    InvalidState,
    /// The daemon died under it.
    Doubt,
    NotSent,
}

impl<T> Answer<T> {
    fn map<U>(self, map: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Done(value) => Answer::Done(map(value)),
            Self::InvalidState => Answer::InvalidState,
            Self::Doubt => Answer::Doubt,
            Self::NotSent => Answer::NotSent,
        }
    }
}

#[derive(Debug)]
pub(super) struct Owner {
    number: u64,
    client: Client,
    life: watch::Receiver<Life>,
    world: Arc<World>,
    draws: Draws,
    jobs: Vec<Job>,
}

impl Owner {
    pub(super) fn new(
        number: u64,
        draws: Draws,
        client: Client,
        life: watch::Receiver<Life>,
        world: Arc<World>,
    ) -> Self {
        Self { number, client, life, world, draws, jobs: Vec::new() }
    }

    /// Works through the lives of all daemons. Returns its jobs, each at its end.
    pub(super) async fn live(mut self) -> Vec<Job> {
        while let Err(Gone) = self.one_life().await {}
        self.jobs
    }

    async fn one_life(&mut self) -> Result<(), Gone> {
        let life = *self.life.borrow_and_update();
        while self.client.ready().await.is_err() {
            self.think(KNOCK_MS).await?;
        }
        for job in 0..self.jobs.len() {
            self.look(job).await?;
        }
        if life.is_last {
            return self.finish().await;
        }
        loop {
            self.step(life).await?;
            self.think(THINK_MS).await?;
        }
    }

    async fn think(&mut self, millis_max: u64) -> Result<(), Gone> {
        let moment = Duration::from_millis(self.draws.below(millis_max));
        match timeout(moment, self.life.changed()).await {
            Ok(_) => Err(Gone),
            Err(_) => Ok(()),
        }
    }

    /// One request: for a new job as long as there are to be more by now, else for an old one.
    async fn step(&mut self, life: Life) -> Result<(), Gone> {
        let due = 1 + (JOBS_OF_OWNER - 1) * (life.killed + 1) / self.world.kills;
        let open: Vec<_> = (0..self.jobs.len()).filter(|job| !self.jobs[*job].state.is_final()).collect();
        if (self.jobs.len() as u64) < due && (open.is_empty() || self.draws.once_in(3)) {
            return self.create_next().await;
        }
        let Some(job) = usize::try_from(self.draws.below(open.len().max(1) as u64)).ok().and_then(|at| open.get(at))
        else {
            return Ok(());
        };
        self.act(*job).await
    }

    async fn act(&mut self, job: usize) -> Result<(), Gone> {
        // About one in four of the jobs ends otherwise than it should, however long it lives.
        let rarely = 8 * self.world.kills;
        if self.draws.once_in(rarely) {
            return self.steer(job, Act::Cancel).await;
        }
        if self.draws.once_in(rarely) {
            return self.steer(job, Act::Complete).await;
        }
        match self.draws.below(10) {
            0 | 1 => self.look(job).await,
            2 | 3 => self.steer(job, Act::Suspend).await,
            4..=6 if self.jobs[job].state == JobState::Transferred => self.steer(job, Act::Complete).await,
            4..=6 => self.steer(job, Act::Resume).await,
            7 | 8 => self.modify(job).await,
            _ => self.add_file(job).await,
        }
    }

    async fn create_next(&mut self) -> Result<(), Gone> {
        let number = self.number * JOBS_OF_OWNER + self.jobs.len() as u64;
        self.jobs.push(Job::new(&self.world, number));
        self.create(self.jobs.len() - 1).await
    }

    /// Creates a job, or asks for it once more.
    async fn create(&mut self, job: usize) -> Result<(), Gone> {
        let (client, new, key) = (self.client.clone(), self.jobs[job].new.clone(), self.jobs[job].key());
        match self.call("create", client.create_once(&new, &key)).await {
            Answer::Done(view) => self.jobs[job].created(&view),
            Answer::InvalidState => panic!("a creation cannot be in a wrong state"),
            Answer::Doubt | Answer::NotSent => return Err(Gone),
        }
        Ok(())
    }

    /// Compares a job with what is known of it.
    async fn look(&mut self, job: usize) -> Result<(), Gone> {
        let Some(id) = self.jobs[job].id else { return self.create(job).await };
        if self.draws.once_in(4) {
            self.create(job).await?;
        }
        let client = self.client.clone();
        let view = self.read(client.job(id)).await?;
        self.jobs[job].observe(&view.value);
        let files = self.read(client.files(id, None, None)).await?.files;
        // The daemon goes on between the two answers.
        if self.jobs[job].state.is_final() || files.iter().all(|file| !file.completed) {
            self.jobs[job].observe_files(&self.world, &files);
        }
        Ok(())
    }

    async fn steer(&mut self, job: usize, act: Act) -> Result<(), Gone> {
        let (client, id) = (self.client.clone(), self.id(job));
        let answer = match act {
            Act::Suspend => self.call(act.name(), client.suspend(id)).await,
            Act::Resume => self.call(act.name(), client.resume(id)).await,
            Act::Cancel => self.call(act.name(), client.cancel(id)).await,
            Act::Complete => self.call(act.name(), client.complete(id)).await.map(|completed| {
                let progress = completed.job.progress;
                assert_eq!(completed.partial, progress.files_transferred < progress.files_total);
                if completed.partial {
                    self.world.count(act.name(), "partial");
                }
                completed.job
            }),
        };
        match answer {
            Answer::Done(view) => {
                self.jobs[job].did(act);
                self.jobs[job].observe(&view);
                if act == Act::Complete {
                    let files = self.read(client.files(id, None, None)).await?.files;
                    self.jobs[job].assert_published(&self.world, &files);
                }
                Ok(())
            }
            Answer::InvalidState => self.expect_end(job).await,
            Answer::Doubt => {
                self.jobs[job].may_have_done(act);
                Err(Gone)
            }
            Answer::NotSent => Err(Gone),
        }
    }

    async fn modify(&mut self, job: usize) -> Result<(), Gone> {
        let (client, id) = (self.client.clone(), self.id(job));
        let (version, patch) = self.jobs[job].next_version();
        match self.call("modify", client.modify(id, &patch, None)).await {
            Answer::Done(view) => {
                self.jobs[job].modified(version);
                self.jobs[job].observe(&view);
                Ok(())
            }
            Answer::InvalidState => self.expect_end(job).await,
            Answer::Doubt => {
                self.jobs[job].may_be_modified(version);
                Err(Gone)
            }
            Answer::NotSent => Err(Gone),
        }
    }

    async fn add_file(&mut self, job: usize) -> Result<(), Gone> {
        let Some(files) = self.jobs[job].files_total().filter(|files| *files < FILES_MAX) else {
            return self.look(job).await;
        };
        let (client, id) = (self.client.clone(), self.id(job));
        let file = self.world.file(self.jobs[job].number, files);
        match self.call("add file", client.add_files(id, vec![file])).await {
            Answer::Done(view) => {
                self.jobs[job].file_added(files);
                self.jobs[job].observe(&view);
                Ok(())
            }
            Answer::InvalidState => self.expect_end(job).await,
            Answer::Doubt => {
                self.jobs[job].file_may_be_added(files);
                Err(Gone)
            }
            Answer::NotSent => Err(Gone),
        }
    }

    /// A request was refused: the job is at an end or on its way there, by a request in doubt or by itself.
    async fn expect_end(&mut self, job: usize) -> Result<(), Gone> {
        let (client, id) = (self.client.clone(), self.id(job));
        self.read(client.wait(id, SOON, JobState::is_final)).await?;
        self.look(job).await
    }

    /// Creates what is still to be created, and brings every job to its end.
    async fn finish(&mut self) -> Result<(), Gone> {
        while (self.jobs.len() as u64) < JOBS_OF_OWNER {
            self.create_next().await?;
        }
        for job in 0..self.jobs.len() {
            if matches!(self.jobs[job].state, JobState::Suspended | JobState::Error) {
                self.steer(job, Act::Resume).await?;
            }
        }
        for job in 0..self.jobs.len() {
            self.end(job).await?;
        }
        Ok(())
    }

    async fn end(&mut self, job: usize) -> Result<(), Gone> {
        let (client, id) = (self.client.clone(), self.id(job));
        loop {
            self.look(job).await?;
            match self.jobs[job].state {
                state if state.is_final() => return Ok(()),
                JobState::Suspended | JobState::Error => self.steer(job, Act::Resume).await?,
                JobState::Transferred if self.jobs[job].new.auto_complete => self.expect_end(job).await?,
                JobState::Transferred => self.steer(job, Act::Complete).await?,
                _ => {
                    let is_over =
                        |state: JobState| state.is_final() || matches!(state, JobState::Error | JobState::Transferred);
                    self.read(client.wait(id, SOON, is_over)).await?;
                }
            }
        }
    }

    fn id(&self, job: usize) -> JobId {
        self.jobs[job].id.expect("nothing else is asked of a job before its creation is acknowledged")
    }

    async fn read<T>(&mut self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, Gone> {
        match self.call("read", call).await {
            Answer::Done(value) => Ok(value),
            Answer::InvalidState => panic!("reading is possible in every state"),
            Answer::Doubt | Answer::NotSent => Err(Gone),
        }
    }

    /// Sends a request. Half of them are given up when their daemon is dead, whose doubts are the owner's; the others are left to the
    /// client, which may repeat them.
    async fn call<T>(&mut self, name: &'static str, call: impl Future<Output = Result<T, ClientError>>) -> Answer<T> {
        if self.life.has_changed().unwrap_or(true) {
            return Answer::NotSent;
        }
        let gives_up = self.draws.once_in(2);
        let mut life = self.life.clone();
        self.world.sent.send_replace(name);
        let result = tokio::select! {
            // First: nothing may be sent to the next daemon by somebody who does not wait for its answer.
            biased;
            _ = life.changed(), if gives_up => None,
            result = call => Some(result),
        };
        let (outcome, answer) = match result {
            Some(Ok(value)) => ("acknowledged", Answer::Done(value)),
            Some(Err(ClientError::Problem { problem, .. })) if problem.code == "invalid_state" => {
                ("refused", Answer::InvalidState)
            }
            None | Some(Err(ClientError::Broken { .. } | ClientError::CannotConnect { .. })) => {
                ("in doubt", Answer::Doubt)
            }
            Some(Err(error)) => panic!("{name}: {error}"),
        };
        self.world.count(name, outcome);
        answer
    }
}
