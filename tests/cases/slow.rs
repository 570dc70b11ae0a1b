//! Origins that stall or drip. The host runs within the test, so that its limits can be tenths of a second instead of a
//! minute; everything else is as in `get`.

use std::time::Duration;

use backhaul::host::{Host, HostConfig};
use backhaul::job::{ErrorCode, EventKind, FileSpec, JobSpec, LocalName, Properties, SafeUrl};
use backhaul::scheduler::{Command, SchedulerConfig};
use backhaul::transfer::TransferSettings;

use crate::origin::{Accepting, Certificate, Content, Fault, File, Gate, On, Origin, SOON};
use crate::rig::{BlackHole, Scratch, assert_absent, assert_published};

const SIZE_BYTES: u64 = 300_000;

/// Limits that a test can wait for.
fn impatient() -> TransferSettings {
    TransferSettings {
        // Well below the next one, which includes it: on a busy machine they would end in either order.
        connect_timeout: Duration::from_millis(150),
        first_byte_timeout: Duration::from_millis(600),
        idle_timeout: Duration::from_millis(300),
        low_speed_bytes_per_second: 20_000,
        low_speed_window: Duration::from_millis(700),
        ..TransferSettings::default()
    }
}

/// A host of one's own, with a directory for its files.
struct Embedded {
    scratch: Scratch,
    runtime: tokio::runtime::Runtime,
}

impl Embedded {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { scratch: Scratch::new(), runtime }
    }

    fn out(&self, number: usize) -> String {
        format!("{}/{number}", self.scratch.dir("out"))
    }

    /// Fetches each address by a job of its own, until all have ended or `failures` attempts have failed. Returns the codes
    /// of the attempts that failed, in order.
    fn fetch(&self, urls: &[&str], slots: u32, failures: usize) -> Vec<ErrorCode> {
        let config = HostConfig {
            scheduler: SchedulerConfig { retry_floor_ms: 50, background_slots: slots, ..SchedulerConfig::default() },
            transfer: impatient(),
            ..HostConfig::new(self.scratch.file("state"))
        };
        self.runtime.block_on(async {
            let host = Host::start(config).await.unwrap();
            let mut events = host.events();
            for (number, url) in urls.iter().enumerate() {
                let local_name = LocalName::new(self.out(number).into()).unwrap();
                let files = vec![FileSpec::new(SafeUrl::parse(url).unwrap(), local_name)];
                let job = host.create(job(), files).await.unwrap();
                host.command(Command::Resume(job.id)).await.unwrap();
            }
            let (mut codes, mut ended) = (Vec::new(), 0);
            let gathered = tokio::time::timeout(SOON, async {
                while ended < urls.len() && codes.len() < failures {
                    match &events.recv().await.unwrap().event.kind {
                        EventKind::AttemptFailed { error } => codes.push(error.code),
                        EventKind::Acknowledged { .. } | EventKind::JobError { .. } => ended += 1,
                        _ => {}
                    }
                }
            });
            gathered.await.expect("the jobs end, or fail as often as they should");
            host.shutdown().await;
            codes
        })
    }

    fn assert_published(&self, number: usize, content: Content) {
        assert_published(self.out(number), content);
    }
}

fn job() -> JobSpec {
    JobSpec {
        display_name: "slow".into(),
        properties: Properties { auto_complete: true, minimum_retry_delay_ms: 0, ..Properties::default() },
        ..JobSpec::download("uid:0")
    }
}

#[test]
fn a_connection_that_is_never_made_is_given_up() {
    let hole = BlackHole::start();
    let host = Embedded::new();
    assert_eq!(host.fetch(&[&hole.url("/f")], 1, 2), [ErrorCode::ConnectFailure; 2]);
    assert_absent(host.out(0));
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let origin = Origin::start_tls(Certificate::Good);
    origin.accepting(Accepting::Hold(Gate::shut()));
    let host = Embedded::new();
    assert_eq!(host.fetch(&[&origin.url("/f")], 1, 1), [ErrorCode::ConnectFailure]);
}

#[test]
fn an_answer_that_never_begins_is_given_up_and_tried_again() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::UpTo(2), Fault::HoldHead(Gate::shut()));
    let host = Embedded::new();
    assert_eq!(host.fetch(&[&origin.url("/f")], 1, usize::MAX), [ErrorCode::TooSlow; 2]);
    host.assert_published(0, content);
}

#[test]
fn a_body_that_stalls_is_given_up_and_gone_on_with() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Nth(1), Fault::HoldBody(100_000, Gate::shut()));
    let host = Embedded::new();
    assert_eq!(host.fetch(&[&origin.url("/f")], 1, usize::MAX), [ErrorCode::TooSlow]);
    host.assert_published(0, content);
    assert_eq!(origin.log()[1].first_byte(), 100_000, "what came before the stall is kept");
}

#[test]
fn a_body_that_drips_is_given_up_although_it_never_pauses() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Nth(1), Fault::Pace(1000));
    let host = Embedded::new();
    assert_eq!(host.fetch(&[&origin.url("/f")], 1, usize::MAX), [ErrorCode::TooSlow]);
    host.assert_published(0, content);
}

#[test]
fn a_job_that_stalls_gives_its_slot_to_the_next() {
    let origin = Origin::start();
    origin.file("/stalls", File::seeded(1, SIZE_BYTES));
    origin.fault("/stalls", On::Every, Fault::HoldHead(Gate::shut()));
    let content = origin.file("/f", File::seeded(2, SIZE_BYTES));
    let host = Embedded::new();
    host.fetch(&[&origin.url("/stalls"), &origin.url("/f")], 1, 3);
    assert_absent(host.out(0));
    host.assert_published(1, content);
}
