//! What is drawn from seeds: the jobs, their files, and what the origin does to them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use backhaul::api::wire::{NewFile, NewJob, RangeView, Seconds};

use tokio::sync::watch;

use super::super::fetch::{RESUMABLE_BYTES, draw};
use crate::origin::{At, Content, End, Fault, File, On, Origin};

pub(super) const OWNERS: u64 = 10;
pub(super) const JOBS_OF_OWNER: u64 = 20;
/// Files of a job, those included that are added later.
pub(super) const FILES_MAX: u32 = 4;

/// None, one, within a buffer, within and beyond a checkpoint or two, and what takes a while.
const SIZES_BYTES: [u64; 6] = [0, 1, 4_000, 100_000, RESUMABLE_BYTES, 900_000];
/// Of a file, as sizes are drawn; times the files of a job.
const BYTES_OF_JOB: u64 = 400_000;
/// That a daemon lives on average, as moments are drawn.
const LIFE_MS: u64 = 500;

const SIZE_SEED: u64 = 2;
const FAULT_SEED: u64 = 3;
const JOB_SEED: u64 = 4;

/// Numbers from a seed, one after the other.
#[derive(Debug)]
pub(super) struct Draws {
    seed: u64,
    index: u64,
}

impl Draws {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, index: 0 }
    }

    pub(super) fn below(&mut self, below: u64) -> u64 {
        self.index += 1;
        draw(self.seed, self.index, below)
    }

    /// A seed for others.
    pub(super) fn seed(&mut self) -> u64 {
        self.below(u64::MAX)
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// Where files come from and go to.
#[derive(Debug)]
pub(super) struct World {
    base_url: String,
    pub(super) out: String,
    pub(super) kills: u64,
    /// The kind of the last request that was sent.
    pub(super) sent: watch::Sender<&'static str>,
    /// Requests by what they were and what became of them.
    counts: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

impl World {
    /// Puts every file that there will be on the origin, some with faults.
    pub(super) fn new(origin: &Origin, out: &str, kills: u64) -> Self {
        for job in 0..OWNERS * JOBS_OF_OWNER {
            for file in 0..FILES_MAX {
                let Content { seed, size_bytes } = content(job, file);
                let path = format!("/{}", file_name(job, file));
                origin.file(&path, File::seeded(seed, size_bytes));
                if let Some((on, fault)) = fault(seed, size_bytes) {
                    origin.fault(&path, on, fault);
                }
            }
        }
        Self {
            base_url: origin.url("/"),
            out: out.to_owned(),
            kills,
            sent: watch::Sender::new(""),
            counts: Mutex::default(),
        }
    }

    /// A pace at which the jobs last about as long as the daemons are killed.
    pub(super) const fn bytes_per_second(&self) -> u64 {
        OWNERS * JOBS_OF_OWNER * BYTES_OF_JOB * 1000 / (self.kills * LIFE_MS)
    }

    pub(super) fn file(&self, job: u64, file: u32) -> NewFile {
        let name = file_name(job, file);
        let content = content(job, file);
        NewFile {
            remote_name: format!("{}{name}", self.base_url),
            local_name: format!("{}/{name}", self.out),
            sha256: content.seed.is_multiple_of(2).then(|| content.sha256()),
            ranges: ranges(content),
        }
    }

    pub(super) fn new_job(&self, job: u64) -> NewJob {
        let of = |index, below| draw(JOB_SEED, job * 4 + index, below);
        let files = 1 + u32::try_from(of(0, 2)).unwrap();
        NewJob {
            files: (0..files).map(|file| self.file(job, file)).collect(),
            minimum_retry_delay: Some(Seconds(0.0)),
            parallel_files: Some(1 + u16::try_from(of(1, 2)).unwrap()),
            auto_complete: of(2, 4) == 0,
            resume: of(3, 3) > 0,
            high_performance: draw(JOB_SEED, job * 4, 7) == 0,
            ..NewJob::download()
        }
    }

    pub(super) fn count(&self, request: &'static str, outcome: &'static str) {
        *self.counts.lock().unwrap().entry((request, outcome)).or_default() += 1;
    }

    pub(super) fn print_counts(&self) {
        for ((request, outcome), count) in &*self.counts.lock().unwrap() {
            println!("{request}: {count} {outcome}");
        }
    }
}

pub(super) fn file_name(job: u64, file: u32) -> String {
    format!("{job}-{file}")
}

/// Which file has this name; none for the names of part files.
pub(super) fn file_of(name: &str) -> Option<(u64, u32)> {
    let (job, file) = name.split_once('-')?;
    Some((job.parse().ok()?, file.parse().ok()?))
}

/// Of every third file: two ranges, which make the whole of it.
fn ranges(content: Content) -> Vec<RangeView> {
    let first = content.size_bytes / 3;
    if !content.seed.is_multiple_of(3) || first == 0 {
        return Vec::new();
    }
    vec![RangeView { offset: 0, length: Some(first) }, RangeView { offset: first, length: None }]
}

pub(super) fn content(job: u64, file: u32) -> Content {
    let seed = job * u64::from(FILES_MAX) + u64::from(file);
    let size = usize::try_from(draw(SIZE_SEED, seed, SIZES_BYTES.len() as u64)).unwrap();
    Content::new(seed, SIZES_BYTES[size])
}

/// What a file of that seed suffers, if anything: cuts, statuses of both classes, and slowness.
fn fault(seed: u64, size_bytes: u64) -> Option<(On, Fault)> {
    match draw(FAULT_SEED, seed, 10) {
        0 if size_bytes > 1 => Some((On::UpTo(2), Fault::Cut(At::Body(size_bytes / 2), End::Reset))),
        1 if size_bytes > 1 => Some((On::UpTo(3), Fault::Cut(At::Body(size_bytes * 2 / 3), End::Fin))),
        2 => Some((On::UpTo(2), Fault::status(503))),
        3 => Some((On::Nth(1), Fault::status(404))),
        4 | 5 => Some((On::Every, Fault::Pace(500_000))),
        _ => None,
    }
}
