use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::cli::get::settings::Output;
use crate::job::{AttemptNumber, Direction, FileSpec, Integrity, LocalName, Priority, Properties, SafeUrl};
use crate::network::Network;
use crate::scheduler::{FileChange, FileProgress};

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn settings(&self, names: &[&str]) -> GetSettings {
        let file = |name: &&str| FileSpec {
            remote_name: SafeUrl::parse(&format!("http://h/{name}")).unwrap(),
            local_name: LocalName::new(self.path(name)).unwrap(),
            digest: None,
            ranges: Vec::new(),
        };
        GetSettings {
            files: names.iter().map(file).collect(),
            properties: Properties { auto_complete: true, ..Properties::default() },
            headers: RequestHeaders::default(),
            policies: Vec::new(),
            network: Network::default(),
            state_dir: self.path("state"),
            output: Output::Quiet,
        }
    }

    /// A store with one job of these settings.
    fn store(&self, settings: &GetSettings, state: JobState) -> (Store, JobRecord) {
        let store = Store::open(&settings.state_dir, OpenMode::CreateIfMissing).unwrap().store;
        let record = record(settings, state);
        let created = Event { at: record.created_at, job: Some(record.id), kind: EventKind::JobCreated };
        let writes = vec![
            Write::InsertJob { job: Box::new(record.clone()), headers: settings.headers.clone() },
            Write::InsertFiles { job: record.id, first: FileIndex(0), files: settings.files.clone() },
            Write::Journal(created),
        ];
        wait(store.commit(Batch { writes, ..Batch::default() })).unwrap();
        (store, record)
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn record(settings: &GetSettings, state: JobState) -> JobRecord {
    let at = Now::read().wall;
    JobRecord {
        id: JobId::generate(),
        owner: "uid:0".into(),
        display_name: "x".into(),
        description: String::new(),
        direction: Direction::Download,
        state,
        properties: settings.properties.clone(),
        labels: Vec::new(),
        policies: Vec::new(),
        created_at: at,
        modified_at: at,
        started_at: None,
        transferred_at: None,
        last_progress_at: None,
        files_total: u32::try_from(settings.files.len()).unwrap(),
        files_transferred: if state == JobState::Acknowledged {
            u32::try_from(settings.files.len()).unwrap()
        } else {
            0
        },
        bytes_sized: 0,
        files_sized: 0,
        bytes_transferred: 0,
        progress_bytes: 0,
        error: None,
        error_count: 0,
        failures_in_row: 0,
        recoveries: 0,
        last_recovery_at: None,
        attempt: AttemptNumber(1),
        decisions: 0,
        history: Vec::new(),
        retry: None,
        no_progress_ms: 0,
        active_ms: 0,
        intent: None,
        resumed: false,
        headers_write_only: false,
        active_at: at,
    }
}

fn left(settings: &GetSettings) -> Result<Left, Failure> {
    wait(look(settings))
}

#[test]
fn where_nothing_is_nothing_is_made() {
    let place = Place::new();
    let settings = place.settings(&["a"]);
    assert!(matches!(left(&settings), Ok(Left::Nothing)));
    assert!(!settings.state_dir.exists());
}

#[test]
fn a_job_goes_on_with_the_options_of_this_run() {
    let place = Place::new();
    let mut settings = place.settings(&["a", "b"]);
    let (store, before) = place.store(&settings, JobState::Suspended);
    wait(store.close()).unwrap();
    settings.properties.priority = Priority::Low;
    settings.properties.overwrite = true;
    settings.headers = RequestHeaders(vec![("authorization".into(), "fresh".into())]);
    let Ok(Left::Job { record, last_event }) = left(&settings) else { panic!("a job was left") };
    assert_eq!(last_event, 1);
    assert_eq!((record.id, &record.properties), (before.id, &settings.properties));

    let store = Store::open(&settings.state_dir, OpenMode::Existing).unwrap().store;
    let reader = store.reader().unwrap();
    assert_eq!(reader.job(before.id).unwrap().unwrap(), *record);
    assert_eq!(reader.headers(before.id).unwrap(), settings.headers);
    let events = reader.events(1, 9, None).unwrap();
    let fields = ["priority", "overwrite", "headers"].map(str::to_owned).to_vec();
    assert_eq!(
        events.iter().map(|(_, event)| event.kind.clone()).collect::<Vec<_>>(),
        [EventKind::JobModified { fields }]
    );
    drop(reader);
    wait(store.close()).unwrap();

    assert!(matches!(left(&settings), Ok(Left::Job { last_event: 2, .. })));
    let store = Store::open(&settings.state_dir, OpenMode::Existing).unwrap().store;
    assert_eq!(store.reader().unwrap().events(0, 9, None).unwrap().len(), 2, "equal options change nothing");
}

#[test]
fn headers_that_were_dropped_with_a_change_of_origin_stay_dropped() {
    let place = Place::new();
    let mut settings = place.settings(&["a", "b"]);
    settings.headers = RequestHeaders(vec![("authorization".into(), "secret".into())]);
    let (store, record) = place.store(&settings, JobState::Suspended);
    let moved = FileChange::RemoteName(SafeUrl::parse("http://mirror/b").unwrap());
    let writes = vec![Write::UpdateFile { job: record.id, file: FileIndex(1), change: moved }];
    wait(store.commit(Batch { writes, ..Batch::default() })).unwrap();
    wait(store.close()).unwrap();
    assert!(matches!(left(&settings), Ok(Left::Job { .. })));
    let store = Store::open(&settings.state_dir, OpenMode::Existing).unwrap().store;
    assert_eq!(store.reader().unwrap().headers(record.id).unwrap(), RequestHeaders::default());
}

#[test]
fn a_store_in_use_names_the_process() {
    let place = Place::new();
    let settings = place.settings(&["a"]);
    let (_store, _) = place.store(&settings, JobState::Suspended);
    let failure = left(&settings).unwrap_err();
    assert_eq!(failure.code, ExitCode::StoreLocked);
    assert!(failure.message.contains(&format!("process {}", std::process::id())), "{}", failure.message);
}

#[test]
fn the_job_of_another_command_is_left_alone() {
    let place = Place::new();
    let (store, _) = place.store(&place.settings(&["a"]), JobState::Suspended);
    wait(store.close()).unwrap();
    for other in [place.settings(&["b"]), place.settings(&["a", "b"])] {
        assert_eq!(left(&other).unwrap_err().code, ExitCode::StoreDamaged);
    }
}

#[test]
fn a_finished_job_whose_files_stand_is_finished_and_else_it_begins_anew() {
    let place = Place::new();
    let settings = place.settings(&["a"]);
    let (store, record) = place.store(&settings, JobState::Acknowledged);
    let progress = FileProgress {
        file: FileIndex(0),
        remote_name: settings.files[0].remote_name.clone().into(),
        durable: 3,
        version: crate::job::FileVersion { bytes_total: Some(3), ..crate::job::FileVersion::default() },
        bytes_total: Some(3),
        part: None,
        hash_state: None,
    };
    let change = FileChange::Finished { progress, integrity: Integrity::LengthOnly };
    let writes =
        vec![Write::UpdateFile { job: record.id, file: FileIndex(0), change }, Write::MarkPublished(record.id)];
    wait(store.commit(Batch { writes, ..Batch::default() })).unwrap();
    wait(store.close()).unwrap();
    assert!(matches!(left(&settings), Ok(Left::Nothing)), "the file is gone");
    fs::write(place.path("a"), "abcd").unwrap();
    assert!(matches!(left(&settings), Ok(Left::Nothing)), "the file is another one");
    fs::write(place.path("a"), "abc").unwrap();
    assert!(matches!(left(&settings), Ok(Left::Finished { record: found, .. }) if found.id == record.id));
}
