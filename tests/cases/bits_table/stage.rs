//! A daemon and an origin, and how a job gets into each state.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value, json};

use crate::origin::{At, End, Fault, File, Gate, On, Origin, SOON};
use crate::rig::{Answer, Daemon};

/// Bytes of every file: several checkpoints.
pub(super) const SIZE_BYTES: u64 = 300_000;
/// Bytes of a body after which its origin holds it.
const HELD_AFTER_BYTES: u64 = 100_000;

/// What all daemons here are told: retries as soon as a job wants them, and checkpoints that are not waited for.
const CONFIG: &str = "[transfer]\ncheckpoint_interval = 0.1\n[scheduler]\nretry_floor = 0.001\n";

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) origin: Origin,
    pub(super) daemon: Daemon,
    next_path: AtomicU32,
}

/// A job, and what holds it where it is.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its path in the API.
    pub(super) job: String,
    /// The path of its first file at the origin.
    pub(super) path: String,
    /// Opened, it goes on.
    pub(super) gate: Gate,
    /// The number of the last event before what is to be observed.
    pub(super) mark: u64,
}

/// What an origin does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Good,
    /// Accepts, and does not answer.
    Silent,
    /// Holds the body in the middle.
    Stalls,
    /// As [`Behaviour::Stalls`], and then breaks the connection; nothing comes after that.
    Breaks,
    Status(u16),
    /// 503, for an hour.
    Busy,
}

impl Stage {
    /// One background slot, and a job that keeps it: others at the level `normal` are QUEUED.
    pub(super) fn occupied() -> Self {
        let stage = Self::with("");
        stage.occupy();
        stage
    }

    /// As many background slots as anybody wants.
    pub(super) fn roomy() -> Self {
        Self::with("background_slots = 64\n")
    }

    /// With these lines more in the section `scheduler`.
    pub(super) fn with(config: &str) -> Self {
        let daemon = Daemon::configured(&format!("{CONFIG}{config}"));
        Self { origin: Origin::start(), daemon, next_path: AtomicU32::new(0) }
    }

    /// Lets a job take a background slot, and keep it.
    pub(super) fn occupy(&self) -> Subject {
        self.bring("transferring", json!({ "priority": "normal" }))
    }

    /// A new file at the origin. Returns its path, and the gate at which it is held.
    pub(super) fn put(&self, behaviour: Behaviour) -> (String, Gate) {
        let path = format!("/{}", self.next_path.fetch_add(1, Ordering::Relaxed));
        let gate = Gate::shut();
        self.origin.file(&path, File::seeded(1, SIZE_BYTES));
        match behaviour {
            Behaviour::Good => {}
            Behaviour::Silent => self.origin.fault(&path, On::Every, Fault::HoldHead(gate.clone())),
            Behaviour::Stalls => self.origin.fault(&path, On::Every, Fault::HoldBody(HELD_AFTER_BYTES, gate.clone())),
            Behaviour::Breaks => {
                let held = Fault::HoldBody(HELD_AFTER_BYTES, gate.clone());
                self.origin.fault(&path, On::Every, held);
                let cut = Fault::Cut(At::Body(HELD_AFTER_BYTES + 1), End::Reset);
                self.origin.fault(&path, On::Every, cut);
            }
            Behaviour::Status(status) => self.origin.fault(&path, On::Every, Fault::status(status)),
            Behaviour::Busy => self.origin.fault(&path, On::Every, Fault::retry_after(503, "3600")),
        }
        (path, gate)
    }

    /// A file of a job to be created.
    pub(super) fn new_file(&self, path: &str) -> Value {
        json!({ "remote_name": self.origin.url(path), "local_name": self.daemon.out(&path.replace('/', "")) })
    }

    /// A job with such a file, SUSPENDED. Unless `properties` say otherwise it is at the level `foreground`, beside the others.
    pub(super) fn create(&self, behaviour: Behaviour, properties: Value) -> Subject {
        let (path, gate) = self.put(behaviour);
        let mut job = Map::from_iter([
            ("type".to_owned(), json!("download")),
            ("priority".to_owned(), json!("foreground")),
            ("files".to_owned(), json!([self.new_file(&path)])),
        ]);
        job.extend(properties.as_object().cloned().unwrap_or_default());
        let job = self.daemon.create(&Value::Object(job));
        Subject { job, path, gate, mark: 0 }
    }

    /// A job in a state.
    pub(super) fn bring(&self, state: &str, properties: Value) -> Subject {
        let with = |behaviour| self.create(behaviour, properties.clone());
        let subject = match state {
            "suspended" | "cancelled" | "transferred" | "acknowledged" => with(Behaviour::Good),
            "queued" => {
                let mut properties = properties.clone();
                properties["priority"] = json!("normal");
                self.create(Behaviour::Good, properties)
            }
            "connecting" => with(Behaviour::Silent),
            "transferring" => with(Behaviour::Stalls),
            "transient_error" => with(Behaviour::Status(503)),
            "error" => with(Behaviour::Status(404)),
            _ => panic!("no job is brought into {state}"),
        };
        self.settle(state, subject)
    }

    /// Lets a job that was made for it go into a state.
    pub(super) fn settle(&self, state: &str, mut subject: Subject) -> Subject {
        match state {
            "suspended" => {}
            "cancelled" => self.done(&subject, "cancel"),
            "acknowledged" => {
                self.done(&subject, "resume");
                self.daemon.wait_state(&subject.job, "transferred");
                self.done(&subject, "complete");
            }
            "connecting" | "transferring" => {
                self.done(&subject, "resume");
                subject.gate.wait_reached(1, SOON);
            }
            _ => self.done(&subject, "resume"),
        }
        self.daemon.wait_state(&subject.job, state);
        subject.mark = self.last_event();
        subject
    }

    pub(super) fn call(&self, subject: &Subject, method: &str, below: &str, body: Option<Value>) -> Answer {
        self.daemon.call(method, &format!("{}{below}", subject.job), &[], body.as_ref())
    }

    /// An operation that succeeds.
    #[track_caller]
    pub(super) fn done(&self, subject: &Subject, operation: &str) {
        let answer = self.call(subject, "POST", &format!("/{operation}"), None);
        assert_eq!(answer.status, 200, "{operation}: {answer:?}");
    }

    /// A change of properties that succeeds.
    #[track_caller]
    pub(super) fn patched(&self, subject: &Subject, changes: Value) {
        let answer = self.call(subject, "PATCH", "", Some(changes));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Says what the network is. In force when this returns.
    #[track_caller]
    pub(super) fn network(&self, network: &Value) {
        let answer = self.daemon.call("PUT", "/v1/network/override", &[], Some(network));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(super) fn last_event(&self) -> u64 {
        let mut after = 0;
        loop {
            let page = self.daemon.get(&format!("/v1/events?limit=1000&after={after}")).json();
            let last = page["last_number"].as_u64().unwrap();
            if page["events"].as_array().unwrap().is_empty() || last == after {
                return last.max(after);
            }
            after = last;
        }
    }

    /// The state to which the job went from `state` since its mark, if it has left it by now.
    pub(super) fn left(&self, subject: &Subject, state: &str) -> Option<String> {
        let target = format!("/v1/events?limit=1000&kind=state_changed&job={}&after={}", subject.id(), subject.mark);
        let page = self.daemon.get(&target).json();
        let events = page["events"].as_array().unwrap();
        let left = events.iter().find(|event| event["from"] == state)?;
        Some(left["to"].as_str().unwrap().to_owned())
    }

    /// As [`Stage::left`], once it does.
    pub(super) fn leaves(&self, subject: &Subject, state: &str) -> String {
        let target = format!("/v1/events?kind=state_changed&job={}&after={}", subject.id(), subject.mark);
        let mut events = self.daemon.connect().follow(&target, None);
        let left = events.find(|event| event.data["from"] == state).expect("the stream goes on");
        left.data["to"].as_str().unwrap().to_owned()
    }

    /// What a client finds of the job at once: the state that it left `state` for, else the one that is reported, in the words of a cell.
    pub(super) fn finds(&self, subject: &Subject, state: &str) -> String {
        let left = self.left(subject, state);
        let found = left.unwrap_or_else(|| {
            let view = self.call(subject, "GET", "/state", None).json();
            view["state"].as_str().unwrap().to_owned()
        });
        self.with_error(subject, found)
    }

    /// A state in the words of a cell: with the job's error, if it is one that has an error.
    pub(super) fn with_error(&self, subject: &Subject, state: String) -> String {
        if !["error", "transient_error"].contains(&state.as_str()) {
            return state;
        }
        let error = self.call(subject, "GET", "/error", None).json();
        format!("{state} {} {}", error["code"].as_str().unwrap_or("?"), error["number"].as_str().unwrap_or("?"))
    }
}

impl Subject {
    pub(super) fn id(&self) -> &str {
        self.job.rsplit('/').next().unwrap()
    }
}
