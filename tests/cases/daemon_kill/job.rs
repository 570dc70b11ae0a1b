//! What an owner knows of its job: what was acknowledged, and what is in doubt.

use std::collections::BTreeMap;

use backhaul::api::wire::{FileView, JobPatch, JobView, NewJob, Seconds};
use backhaul::client::IdempotencyKey;
use backhaul::job::{JobId, JobState, Priority};
use uuid::Uuid;

use super::plan::{self, World};
use crate::rig::assert_published;

/// What an owner does to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Suspend,
    Resume,
    Complete,
    Cancel,
}

/// What was last made of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Suspended,
    /// It goes its way: the daemon may have brought it to any state but SUSPENDED.
    Resumed,
    Final(JobState),
}

/// Each list holds one entry for what was acknowledged, and one more for each request in doubt.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) new: NewJob,
    pub(super) id: Option<JobId>,
    /// As last seen.
    pub(super) state: JobState,
    stands: Vec<Stand>,
    /// Endings in doubt. The daemon may have begun one and finish it only after its start.
    endings: Vec<JobState>,
    versions: Vec<u32>,
    files: Vec<u32>,
}

impl Act {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
        }
    }

    const fn stand(self) -> Stand {
        match self {
            Self::Suspend => Stand::Suspended,
            Self::Resume => Stand::Resumed,
            Self::Complete => Stand::Final(JobState::Acknowledged),
            Self::Cancel => Stand::Final(JobState::Cancelled),
        }
    }
}

impl Job {
    pub(super) fn new(world: &World, number: u64) -> Self {
        let mut new = world.new_job(number);
        let first = patch(number, 0);
        new.display_name = first.display_name.expect("a patch has it");
        new.priority = first.priority.expect("a patch has it");
        new.maximum_download_time = first.maximum_download_time;
        new.labels = first.labels.expect("a patch has it");
        let stand = if new.resume { Stand::Resumed } else { Stand::Suspended };
        let files = u32::try_from(new.files.len()).unwrap();
        Self {
            number,
            new,
            id: None,
            state: JobState::Suspended,
            stands: vec![stand],
            endings: Vec::new(),
            versions: vec![0],
            files: vec![files],
        }
    }

    pub(super) fn key(&self) -> IdempotencyKey {
        Uuid::from_u128(u128::from(self.number)).into()
    }

    /// The creation was acknowledged, for the first time or again.
    pub(super) fn created(&mut self, view: &JobView) {
        assert_eq!(*self.id.get_or_insert(view.id), view.id, "one key made two jobs");
        self.observe(view);
    }

    pub(super) fn did(&mut self, act: Act) {
        self.stands = vec![act.stand()];
        self.endings.clear();
    }

    pub(super) fn may_have_done(&mut self, act: Act) {
        match act.stand() {
            Stand::Final(state) => self.endings.push(state),
            stand => self.stands.push(stand),
        }
    }

    /// The properties that the next change gives it.
    pub(super) fn next_version(&self) -> (u32, JobPatch) {
        let version = self.versions.iter().max().expect("there is one") + 1;
        (version, patch(self.number, version))
    }

    pub(super) fn modified(&mut self, version: u32) {
        self.versions = vec![version];
    }

    pub(super) fn may_be_modified(&mut self, version: u32) {
        self.versions.push(version);
    }

    /// How many files it has; none while that is in doubt.
    pub(super) fn files_total(&self) -> Option<u32> {
        if let [files] = self.files[..] { Some(files) } else { None }
    }

    pub(super) fn file_added(&mut self, files: u32) {
        self.files = vec![files + 1];
    }

    pub(super) fn file_may_be_added(&mut self, files: u32) {
        self.files.push(files + 1);
    }

    /// Takes in what the daemon says of it: all that was acknowledged, and of what is in doubt each thing wholly or not at all.
    pub(super) fn observe(&mut self, view: &JobView) {
        assert_eq!(Some(view.id), self.id);
        let seen = |version: &u32| {
            let patch = patch(self.number, *version);
            Some(&view.display_name) == patch.display_name.as_ref()
                && Some(view.priority) == patch.priority
                && Some(view.maximum_download_time) == patch.maximum_download_time
                && Some(&view.labels) == patch.labels.as_ref()
        };
        let version = self.versions.iter().copied().find(seen);
        self.versions = vec![version.unwrap_or_else(|| panic!("not as it was modified: {view:?}, known: {self:?}"))];
        let files = view.progress.files_total;
        assert!(self.files.contains(&files), "not the files that it was given: {view:?}, known: {self:?}");
        self.files = vec![files];
        self.observe_state(view);
    }

    fn observe_state(&mut self, view: &JobView) {
        let state = view.state;
        let is_possible = self.endings.contains(&state) || self.stands.iter().any(|stand| self.allows(*stand, state));
        assert!(is_possible, "in a state that was not acknowledged: {view:?}, known: {self:?}");
        self.state = state;
        if state.is_final() {
            self.did(if state == JobState::Cancelled { Act::Cancel } else { Act::Complete });
        } else {
            let stands = std::mem::take(&mut self.stands);
            self.stands = stands.into_iter().filter(|stand| self.allows(*stand, state)).collect();
        }
    }

    fn allows(&self, stand: Stand, state: JobState) -> bool {
        match stand {
            Stand::Suspended => state == JobState::Suspended,
            Stand::Resumed if state == JobState::Acknowledged => self.new.auto_complete,
            Stand::Resumed => !matches!(state, JobState::Suspended | JobState::Cancelled),
            Stand::Final(last) => state == last,
        }
    }

    /// The files are those that it was given; the published ones of a completed job are there.
    pub(super) fn observe_files(&self, world: &World, views: &[FileView]) {
        assert_eq!(Some(views.len()), self.files_total().map(|files| files as usize), "{self:?}");
        for (index, view) in (0..).zip(views) {
            let file = world.file(self.number, index);
            assert_eq!(
                (view.index, &view.remote_name, &view.local_name, &view.sha256),
                (index, &file.remote_name, &file.local_name, &file.sha256)
            );
            let size_bytes = plan::content(self.number, index).size_bytes;
            assert!(!view.transferred || view.bytes_transferred == size_bytes, "{view:?}");
            assert_eq!(view.completed, view.transferred && self.state == JobState::Acknowledged, "{view:?}, {self:?}");
            if view.completed {
                let found = std::fs::symlink_metadata(&file.local_name);
                assert_eq!(found.expect("a completed file is there").len(), size_bytes);
            }
        }
    }

    /// The same with all bytes of what is published.
    pub(super) fn assert_published(&self, world: &World, views: &[FileView]) {
        self.observe_files(world, views);
        for view in views.iter().filter(|view| view.completed) {
            assert_published(&view.local_name, plan::content(self.number, view.index));
        }
    }
}

/// All that is ever changed of a job, as its `version` has it.
fn patch(number: u64, version: u32) -> JobPatch {
    let priority = [Priority::Normal, Priority::High, Priority::Low, Priority::Foreground][version as usize % 4];
    JobPatch {
        display_name: Some(format!("job {number}, version {version}")),
        priority: Some(priority),
        maximum_download_time: Some(Seconds(1_000_000.0 + f64::from(version))),
        labels: Some(BTreeMap::from([("version".to_owned(), version.to_string())])),
        ..JobPatch::default()
    }
}
