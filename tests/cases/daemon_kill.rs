//! SIGKILL of the daemon at random moments, over jobs in mixed states and clients that do not wait for it: what was answered holds,
//! what was not holds wholly or not at all, and nobody misses an event.
//!
//! Each [`Owner`] is a client with jobs of its own and a plan drawn from its seed. It keeps a [`job::Job`] for each: what the daemon has
//! acknowledged, and what is in doubt because it died before its answer. After each start the owner compares all of them.

mod job;
mod journal;
mod owner;
mod plan;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backhaul::client::Client;
use backhaul::job::JobState;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::job::Job;
use self::journal::Story;
use self::owner::{Life, Owner};
use self::plan::{Draws, JOBS_OF_OWNER, OWNERS, World};
use super::fetch::DONE;
use crate::origin::{Origin, SOON};
use crate::rig::{Backhaul, Finished, Running, Scratch, assert_published, names_in};

/// A daemon is killed at the latest so long after its start, which takes a part of it.
const LIFE_MS: u64 = 900;

/// How long a request of the kind that is to be hit is waited for, and about how long one takes.
const KIND_LIMIT: Duration = Duration::from_millis(400);
const REQUEST_US: u64 = 6_000;

/// Requests that change something.
const KINDS: [&str; 7] = ["create", "modify", "add file", "suspend", "resume", "complete", "cancel"];

/// What it may take to bring all jobs to an end, on a slow and busy machine.
const END_LIMIT: Duration = Duration::from_secs(80);

/// Short slices and checkpoints, so that a life of a second has many; slots for some of the jobs only.
const SETTINGS: &str = "\
[scheduler]
retry_floor = 0.05
time_slice = 0.3
background_slots = 8
[transfer]
checkpoint_bytes = 65536
checkpoint_interval = 0.1
";

/// How many daemons are killed; more where a longer run is wanted.
fn kills() -> u64 {
    number("BACKHAUL_DAEMON_KILLS", 50)
}

/// Another one gives other moments and other requests, for the same jobs.
fn seed() -> u64 {
    number("BACKHAUL_DAEMON_SEED", 1)
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[test]
fn every_kill_of_the_daemon_is_survived_by_jobs_files_and_events() {
    let (kills, mut seeds) = (kills(), Draws::new(seed()));
    let (scratch, origin) = (Scratch::new(), Origin::start());
    let place = Place::new(&scratch);
    let world = Arc::new(World::new(&origin, &scratch.dir("out"), kills));
    origin.throttle(Some(world.bytes_per_second()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _context = runtime.enter();
    let (life_tx, life) = watch::channel(Life::default());
    let client = place.client();
    let mut owners = JoinSet::new();
    for number in 0..OWNERS {
        let owner = Owner::new(number, Draws::new(seeds.seed()), place.client(), life.clone(), Arc::clone(&world));
        owners.spawn(owner.live());
    }
    let (last_tx, last) = watch::channel(u64::MAX);
    let follower = runtime.spawn(journal::follow(client.clone(), last));

    let (mut moments, mut whole) = (Draws::new(seeds.seed()), BTreeSet::new());
    for killed in 1..=kills {
        let daemon = place.serve();
        if killed == 1 {
            // Before that there is no store that could be checked.
            daemon.wait_stderr("line that it serves", SOON, |line| line.contains("serving"));
        }
        runtime.block_on(watch_over(&mut owners, moment(&mut moments, &world)));
        let finished = daemon.kill();
        assert_eq!(finished.signal, Some(Signal::KILL.as_raw()), "{finished}");
        assert_calm(&finished);
        life_tx.send_replace(Life { killed, is_last: killed == kills });
        place.check_store();
        assert_whole(&world, &mut whole);
    }

    origin.throttle(None);
    let daemon = place.serve();
    let jobs = runtime.block_on(timeout(END_LIMIT, ends(&mut owners))).expect("all jobs end within the limit");
    let pages = runtime.block_on(journal::read_all(&client));
    last_tx.send_replace(pages.last().expect("things happened").number);
    let followed = runtime.block_on(timeout(SOON, follower)).expect("the follower has caught up").unwrap();
    assert!(followed == pages, "the stream and the pages tell the same events");
    daemon.signal(Signal::TERM);
    assert_calm(&daemon.finish(SOON).expect_code(DONE));
    place.check_store();

    let stories = journal::stories(&pages, &jobs);
    assert_files(&world, &jobs, &stories);
    place.assert_tidy();
    println!("{kills} kills, {} events, {} MiB sent", pages.len(), origin.body_sent() >> 20);
    world.print_counts();
    print_ends(&jobs);
}

/// Where one daemon after the other lives.
struct Place {
    state: String,
    socket: String,
    config: String,
}

impl Place {
    fn new(scratch: &Scratch) -> Self {
        let config = scratch.write("backhaul.toml", SETTINGS.as_bytes());
        Self { state: scratch.dir("state"), socket: scratch.file("socket"), config }
    }

    fn serve(&self) -> Running {
        let Self { state, socket, config } = self;
        let arguments = ["serve", "--allow-root", "--state-dir", state, "--socket", socket, "--config", config];
        Backhaul::new().args(arguments).start()
    }

    fn client(&self) -> Client {
        Client::unix(&self.socket).unwrap()
    }

    fn check_store(&self) {
        Backhaul::new().args(["store", "check", &self.state]).run().expect_code(DONE);
    }

    /// Nothing of a transfer is left in the state directory.
    fn assert_tidy(&self) {
        let names = names_in(&self.state);
        assert!(names.iter().all(|name| !name.contains("part")), "{names:?}");
    }
}

/// Nothing went wrong that the daemon would only tell in its log.
fn assert_calm(finished: &Finished) {
    let is_alarm = |line: &String| line.contains("panicked") || line.contains("ERROR");
    assert!(!finished.stderr.iter().any(is_alarm), "{finished}");
}

/// Returns when the daemon is to be killed: at any moment, or, half of the time, while it deals with a request of a kind that is drawn.
async fn moment(draws: &mut Draws, world: &World) {
    pass(Duration::from_millis(draws.below(LIFE_MS))).await;
    if draws.once_in(2) {
        let kind = KINDS[usize::try_from(draws.below(KINDS.len() as u64)).expect("it is below a length")];
        let mut sent = world.sent.subscribe();
        // None may come, where no job is ready for it.
        if timeout(KIND_LIMIT, sent.wait_for(|name| *name == kind)).await.is_ok() {
            pass(Duration::from_micros(draws.below(REQUEST_US))).await;
        }
    }
}

async fn pass(time: Duration) {
    timeout(time, std::future::pending::<()>()).await.expect_err("nothing comes of waiting");
}

/// Lets the owners work until the moment has come. One that ends by then has failed.
async fn watch_over(owners: &mut JoinSet<Vec<Job>>, moment: impl Future<Output = ()>) {
    tokio::select! {
        () = moment => {}
        ended = owners.join_next() => {
            ended.expect("there are owners").expect("no owner fails");
            panic!("an owner has left before its time");
        }
    }
}

/// The jobs of all owners, each at its end.
async fn ends(owners: &mut JoinSet<Vec<Job>>) -> Vec<Job> {
    let mut jobs = Vec::new();
    while let Some(owner) = owners.join_next().await {
        jobs.extend(owner.expect("no owner fails"));
    }
    jobs
}

/// Whatever has a local name is whole: those that had none when the last daemon died are looked at.
fn assert_whole(world: &World, known: &mut BTreeSet<String>) {
    for name in names_in(&world.out) {
        if let Some((job, file)) = plan::file_of(&name)
            && known.insert(name.clone())
        {
            assert_published(Path::new(&world.out).join(name), plan::content(job, file));
        }
    }
}

/// The files of completed jobs that their events call transferred are there with the right bytes, and nothing else is.
fn assert_files(world: &World, jobs: &[Job], stories: &[Story]) {
    assert_eq!(u64::try_from(jobs.len()).unwrap(), OWNERS * JOBS_OF_OWNER);
    let mut expected = BTreeSet::new();
    for (job, story) in jobs.iter().zip(stories) {
        if job.state == JobState::Acknowledged {
            for file in &story.transferred {
                let name = plan::file_name(job.number, *file);
                assert_published(Path::new(&world.out).join(&name), plan::content(job.number, *file));
                expected.insert(name);
            }
        }
    }
    assert_eq!(names_in(&world.out), expected.into_iter().collect::<Vec<_>>());
}

fn print_ends(jobs: &[Job]) {
    let count = |state| jobs.iter().filter(|job| job.state == state).count();
    println!("{} jobs completed, {} cancelled", count(JobState::Acknowledged), count(JobState::Cancelled));
}
