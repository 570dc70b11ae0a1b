//! What one transaction will hold, while it is gathered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::job::{FileIndex, FileRecord, FileSummary, JobId, JobRecord, PolicyName};
use crate::policy::contract::{FileView, Hook};
use crate::policy::{DecisionRow, JobFacts, Memo};
use crate::scheduler::Write;
use crate::store::{Batch, OnFullDisk, Reader, Store, StoreError};

/// A view of the store for all questions: opening one takes longer than most policies do. None until one asks.
pub(super) type KeptReader = Arc<Mutex<Option<Reader>>>;

/// Gathers the writes of one batch.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    store: Store,
    reader: KeptReader,
    writes: Vec<Option<Write>>,
    /// Where the latest header of each job stands: one that is written again makes the earlier one needless, and one of a new job is
    /// inserted as it is at the end.
    headers: HashMap<JobId, usize>,
    decisions: Vec<DecisionRow>,
    memos: Vec<Memo>,
}

impl BatchBuilder {
    pub(super) fn new(store: Store, reader: KeptReader) -> Self {
        Self { store, reader, writes: Vec::new(), headers: HashMap::new(), decisions: Vec::new(), memos: Vec::new() }
    }

    pub(super) fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::UpdateJob(job) => self.update_job(job),
                write => {
                    if let Write::InsertJob { job, .. } = &write {
                        self.headers.insert(job.id, self.writes.len());
                    }
                    self.writes.push(Some(write));
                }
            }
        }
    }

    fn update_job(&mut self, job: Box<JobRecord>) {
        let last = self.writes.len();
        let earlier = self.headers.entry(job.id).or_insert(last);
        match self.writes.get_mut(*earlier) {
            Some(Some(Write::InsertJob { job: inserted, .. })) => *inserted = job,
            Some(superseded) => {
                *superseded = None;
                *earlier = last;
                self.writes.push(Some(Write::UpdateJob(job)));
            }
            None => self.writes.push(Some(Write::UpdateJob(job))),
        }
    }

    pub(super) fn decided(&mut self, decisions: Vec<DecisionRow>, memos: Vec<Memo>) {
        self.decisions.extend(decisions);
        self.memos.extend(memos);
    }

    /// What policies may ask of a job: the store as of the last commit, with this batch's memos over it.
    pub(super) fn facts(&self, job: JobId) -> Box<dyn JobFacts> {
        let pending = self.memos.iter().filter(|memo| memo.job == job).cloned().collect();
        Box::new(StoredFacts { store: self.store.clone(), reader: Arc::clone(&self.reader), job, pending })
    }

    /// The transaction; none if there is nothing to store.
    pub(super) fn into_batch(self, on_full_disk: OnFullDisk) -> Option<Batch> {
        let writes: Vec<Write> = self.writes.into_iter().flatten().collect();
        let empty = writes.is_empty() && self.decisions.is_empty() && self.memos.is_empty();
        (!empty).then_some(Batch { writes, decisions: self.decisions, memos: self.memos, on_full_disk })
    }
}

#[derive(Debug)]
struct StoredFacts {
    store: Store,
    reader: KeptReader,
    job: JobId,
    pending: Vec<Memo>,
}

impl StoredFacts {
    /// Reads; a store that cannot be read is as one that holds nothing, and the log says so: the policy decides without it.
    fn read<T>(&self, what: &str, read: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Option<T> {
        // Reading leaves nothing half done that a panic could leave behind. A reader that failed is not kept.
        let mut kept = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = kept.take().map_or_else(|| self.store.reader(), Ok);
        let result = reader.and_then(|reader| {
            let value = read(&reader)?;
            *kept = Some(reader);
            Ok(value)
        });
        result.inspect_err(|error| tracing::warn!(job = %self.job, %error, "could not read {what} for a policy")).ok()
    }
}

impl JobFacts for StoredFacts {
    fn memo(&mut self, policy: &PolicyName, hook: Hook) -> Vec<u8> {
        let pending = self.pending.iter().rev().find(|memo| memo.policy == *policy && memo.hook == hook);
        if let Some(memo) = pending {
            return memo.bytes.clone();
        }
        let (job, policy) = (self.job, policy.clone());
        self.read("a memo", |reader| reader.memo(job, &policy, hook)).flatten().unwrap_or_default()
    }

    fn files(&mut self, first: u32, count: u32) -> Vec<FileView> {
        let job = self.job;
        let files = self.read("files", |reader| reader.files(job, FileIndex(first), count)).unwrap_or_default();
        files.iter().map(file_view).collect()
    }

    fn summary(&mut self, file: FileIndex) -> Option<FileSummary> {
        let job = self.job;
        self.read("a file", |reader| reader.file(job, file)).flatten().map(|record| FileSummary::from(&record))
    }
}

fn file_view(file: &FileRecord) -> FileView {
    FileView {
        index: file.index.0,
        remote_name: file.remote_name.to_string(),
        local_name: file.local_name.to_string(),
        bytes_total: file.bytes_total(),
        bytes_transferred: file.durable,
        done: file.finished,
        restarts: file.restarts,
    }
}
