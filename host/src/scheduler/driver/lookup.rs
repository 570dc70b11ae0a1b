//! Files that the core wants looked up: read when all is committed that it has decided before, and handed back before anything else
//! happens.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::batch::KeptReader;
use crate::job::{FileIndex, FileSummary, FileVerdict, JobId};
use crate::scheduler::{Input, RequestId};
use crate::store::{Store, StoreError};

/// What is wanted of one file.
#[derive(Debug)]
pub(super) struct LookUp {
    pub(super) request: RequestId,
    pub(super) job: JobId,
    pub(super) file: FileIndex,
    pub(super) verdict: FileVerdict,
}

/// Takes the first wish for each file. What else is wanted of the same one waits for the batch after: what comes of the first may change
/// the file.
pub(super) fn take_distinct(wanted: &mut Vec<LookUp>) -> Vec<LookUp> {
    let mut taken = HashSet::new();
    let (first, later) = wanted.drain(..).partition(|look_up| taken.insert((look_up.job, look_up.file)));
    *wanted = later;
    first
}

/// Reads the files, as of the last commit.
pub(super) async fn answers(store: &Store, kept: &KeptReader, wanted: Vec<LookUp>) -> Vec<Input> {
    let (store, kept) = (store.clone(), KeptReader::clone(kept));
    let read = move || wanted.into_iter().map(|look_up| answer(&store, &kept, look_up)).collect();
    tokio::task::spawn_blocking(read)
        .await
        .expect("reading does not panic, and the runtime is not shut down while the driver runs")
}

fn answer(store: &Store, kept: &KeptReader, look_up: LookUp) -> Input {
    let LookUp { request, job, file, verdict } = look_up;
    let found = summary(store, kept, job, file).map_err(|error| error.to_string());
    Input::FileLookedUp { request, job, file, verdict, found }
}

fn summary(store: &Store, kept: &KeptReader, job: JobId, file: FileIndex) -> Result<Option<FileSummary>, StoreError> {
    // Reading leaves nothing half done that a panic could leave behind. A reader that failed is not kept.
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let reader = kept.take().map_or_else(|| store.reader(), Ok)?;
    let found = reader.file(job, file)?;
    *kept = Some(reader);
    Ok(found.map(|record| FileSummary::from(&record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_looked_up_once_at_a_time() {
        let job = JobId::generate();
        let look_up = |(request, file)| LookUp {
            request: RequestId(request),
            job,
            file: FileIndex(file),
            verdict: FileVerdict::Invalid,
        };
        let mut wanted: Vec<_> = [(1, 0), (2, 1), (3, 0), (4, 0)].into_iter().map(look_up).collect();
        let numbers = |wanted: Vec<LookUp>| wanted.into_iter().map(|look_up| look_up.request.0).collect::<Vec<_>>();
        assert_eq!(numbers(take_distinct(&mut wanted)), [1, 2]);
        assert_eq!(numbers(take_distinct(&mut wanted)), [3]);
        assert_eq!(numbers(take_distinct(&mut wanted)), [4]);
        assert!(take_distinct(&mut wanted).is_empty());
    }
}
