//! The table of BITS once more, small and apart from the code: what a command makes of a job, and which changes of state there are.

use crate::clock::BootMillis;
use crate::job::{ErrorCode, EventKind, Intent, JobId, JobRecord, JobState, Priority};
use crate::scheduler::{Begin, Command, CommandError, Limits, Reply};

/// Rows by command; columns Q queued, C connecting, T transferring, S suspended, E error, R transient error, D transferred,
/// A acknowledged, X cancelled. `=`: as it is; `!`: BG_E_INVALID_STATE; `>`: on its way to its end.
#[rustfmt::skip]
const COMMANDS: [(&str, &str); 5] = [
    //           Q C T S E R D A X
    ("suspend", "S S S S S S S ! !"),
    ("resume",  "= = = Q Q Q Q ! !"),
    ("nothing", "= = = D D D D ! !"),
    ("end",     "> > > > > > > ! !"),
    ("set",     "= = = = = = = ! !"),
];

/// Every change of state that bits.md 1.2 and 1.3 have: from the row to the column. Into ERROR from S and D: a finished file was found invalid.
#[rustfmt::skip]
const CHANGES: [(char, &str); 9] = [
    //    Q C T S E R D A X
    ('Q', "- + - + + - + + +"),
    ('C', "+ - + + + + + + +"),
    ('T', "+ - - + + + + + +"),
    ('S', "+ - - - + - + + +"),
    ('E', "+ - - + - - + + +"),
    ('R', "+ - - + + - + + +"),
    ('D', "+ - - + + - - + +"),
    ('A', "- - - - - - - - -"),
    ('X', "- - - - - - - - -"),
];

const LETTERS: &str = "QCTSERDAX";

fn letter(state: JobState) -> char {
    LETTERS.chars().nth(usize::from(state.number())).unwrap()
}

fn cell(row: &str, state: JobState) -> &str {
    row.split(' ').nth(usize::from(state.number())).unwrap()
}

/// A change of state that is none of BITS's.
pub(super) fn is_change(from: JobState, to: JobState) -> bool {
    let (_, row) = CHANGES.iter().find(|(row, _)| *row == letter(from)).unwrap();
    cell(row, to) == "+"
}

/// What a command is expected to do to a job that is as `before`.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// The job goes to a state, or stays in its own.
    State(JobState),
    /// It is on its way to its end; the reply comes with that.
    Ending,
    Refused(ErrorCode),
    /// Not a matter of states: the values decide.
    Open,
}

fn expected(before: &JobRecord, command: &Command) -> Expected {
    let nothing_left = before.files_total > 0 && before.files_transferred >= before.files_total;
    let (row, intent) = match command {
        Command::Suspend(_) => ("suspend", None),
        Command::Resume(_) if nothing_left => ("nothing", None),
        Command::Resume(_) => ("resume", None),
        Command::Complete(_) => ("end", Some(Intent::Complete)),
        Command::Cancel(_) => ("end", Some(Intent::Cancel)),
        _ => ("set", None),
    };
    let (_, cells) = COMMANDS.iter().find(|(known, _)| *known == row).unwrap();
    // Whoever wants what is under way already waits with the others.
    if before.intent.is_some() {
        return if before.intent == intent { Expected::Ending } else { Expected::Refused(ErrorCode::InvalidState) };
    }
    match (cell(cells, before.state), command) {
        ("!", _) => Expected::Refused(ErrorCode::InvalidState),
        (_, Command::Resume(_)) if before.files_total == 0 => Expected::Refused(ErrorCode::Empty),
        (_, Command::Resume(_))
            if before.properties.dynamic_content && before.properties.priority != Priority::Foreground =>
        {
            Expected::Refused(ErrorCode::UnsupportedJobConfiguration)
        }
        (">", _) => Expected::Ending,
        ("=", Command::Suspend(_) | Command::Resume(_) | Command::SetHeaders { .. }) => Expected::State(before.state),
        ("=", _) => Expected::Open,
        (next, _) => Expected::State(JobState::ALL[LETTERS.find(next).unwrap()]),
    }
}

/// BITS's code for a refusal; none for what is not of BITS.
fn code(error: &CommandError) -> Option<ErrorCode> {
    match error {
        // A final job that is forgotten is as one that is not.
        CommandError::InvalidState(_) | CommandError::NotFound(_) => Some(ErrorCode::InvalidState),
        CommandError::Empty(_) => Some(ErrorCode::Empty),
        CommandError::Limit(limit) => Some(limit.code()),
        CommandError::Change(crate::job::ChangeError::DynamicNeedsForeground) | CommandError::Unsupported { .. } => {
            Some(ErrorCode::UnsupportedJobConfiguration)
        }
        _ => None,
    }
}

/// Compares what became of a command with the table. `changed`: the first change of the job's state after it.
pub(super) fn compare(
    before: &JobRecord,
    command: &Command,
    after: &JobRecord,
    changed: Option<(JobState, JobState)>,
    reply: Option<&Result<Reply, CommandError>>,
) {
    let what = || format!("{command:?} of {before:?}: {reply:?}, {changed:?}");
    if let Some(Err(error)) = reply {
        // What is refused leaves no trace; the scheduler may have gone on with the job in the same step.
        let of = |job: &JobRecord| (job.properties.clone(), job.files_total, job.active_at, job.resumed, job.intent);
        assert_eq!(of(before), of(after), "{}", what());
        assert_eq!((&before.display_name, &before.labels), (&after.display_name, &after.labels), "{}", what());
        match expected(before, command) {
            Expected::Refused(wanted) => assert_eq!(code(error), Some(wanted), "{}", what()),
            Expected::Open => assert_ne!(code(error), Some(ErrorCode::InvalidState), "{}", what()),
            Expected::State(_) | Expected::Ending => panic!("refused: {}", what()),
        }
        return;
    }
    match expected(before, command) {
        Expected::Refused(_) => panic!("not refused: {}", what()),
        Expected::State(state) if state == before.state => {
            // It stayed, or left by a turn that came in the same step.
            assert!(changed.is_none_or(|(from, to)| from == state && is_change(from, to)), "{}", what());
        }
        Expected::State(state) => assert_eq!(changed, Some((before.state, state)), "{}", what()),
        Expected::Ending => assert!(after.intent.is_some() || after.state.is_final(), "{}", what()),
        Expected::Open => {}
    }
}

/// Whether a job with these files may be created beside those of the same owner, and all others.
pub(super) fn compare_create(
    limits: Limits,
    (of_owner, all): (usize, usize),
    command: &Command,
    reply: Option<&Result<Reply, CommandError>>,
) {
    let Command::Create { files, begin, .. } = command else { return };
    let over = |count: usize, limit: u32| count >= usize::try_from(limit).unwrap();
    let wanted = match () {
        () if *begin == Begin::Resumed && files.is_empty() => Some(ErrorCode::Empty),
        () if over(of_owner, limits.jobs_per_owner) => Some(ErrorCode::TooManyJobsPerUser),
        () if over(all, limits.jobs) => Some(ErrorCode::TooManyJobsPerMachine),
        () => None,
    };
    let refused = match reply {
        Some(Err(error)) => code(error),
        _ => None,
    };
    assert_eq!(refused, wanted, "{command:?} beside {of_owner} of {all} jobs: {reply:?}");
}

/// Compares an event with what BITS has.
pub(super) fn check_event(kind: &EventKind, job: Option<JobId>, idle_ms: Option<u64>, grace_ms: u64) {
    match kind {
        EventKind::StateChanged { from, to } => assert!(is_change(*from, *to), "{job:?} went from {from:?} to {to:?}"),
        EventKind::JobInactive { .. } => {
            // However the clock was set: nobody's job is cancelled who has just done something.
            assert!(idle_ms.is_none_or(|idle| idle >= grace_ms), "{job:?} is cancelled after {idle_ms:?} ms");
        }
        _ => {}
    }
}

/// When a client last did something to a job that succeeded.
#[derive(Debug, Default)]
pub(super) struct LastCommand(std::collections::BTreeMap<JobId, BootMillis>);

impl LastCommand {
    pub(super) fn note(&mut self, job: JobId, now: BootMillis) {
        self.0.insert(job, now);
    }

    pub(super) fn idle_ms(&self, job: JobId, now: BootMillis) -> Option<u64> {
        self.0.get(&job).map(|at| now.since(*at))
    }
}
