//! `job why`: the story of a job, and where it has led.

use serde_json::Value;

use super::arguments::Format;
use super::job_id::{resolve, short};
use super::table::local_time;
use super::{Session, names, story};
use crate::api::wire::{DecisionView, JobView, JobWhy, WaitingOnView};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::get::{Names, waiting_for};
use crate::cli::printer::{Printer, Tone, one_line};
use crate::cli::units::{countdown, millis};
use crate::clock::{Now, UnixMillis};

/// `job why`.
pub(super) async fn why(session: &Session<'_>, job: &str) -> Result<ExitCode, Failure> {
    let id = resolve(session, job).await?;
    let why = session.client.why(id).await?;
    if session.format == Format::Json {
        session.printer.json(&why);
        return Ok(ExitCode::Success);
    }
    let job = session.client.job(id).await?.value;
    let names = names::of_job(session, id, job.progress.files_total).await?;
    for line in tell(&job, &why, &names, Now::read().wall) {
        show(session.printer, &line);
    }
    Ok(ExitCode::Success)
}

/// A line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    tone: Tone,
    text: String,
}

fn show(printer: &Printer, line: &Line) {
    printer.toned_result(line.tone, &line.text);
}

fn tell(job: &JobView, why: &JobWhy, names: &Names, now: UnixMillis) -> Vec<Line> {
    let plain = |text: String| Line { tone: Tone::Plain, text };
    let name = if job.display_name.is_empty() { String::new() } else { format!(" {:?}", one_line(&job.display_name)) };
    let mut lines = vec![plain(format!("job {}{name}: {}", short(job.id), one_line(&why.summary)))];
    lines.extend(why.waiting_on.as_ref().map(|waiting| plain(format!("now: {}", waiting_text(waiting, now)))));
    if let Some(error) = &why.error {
        let text = format!("error since {}: {}", local_time(error.at), names::error_text(error));
        lines.push(Line { tone: Tone::Bad, text: one_line(&text) });
    }
    if !why.events.is_empty() {
        lines.push(plain(String::new()));
        lines.push(Line { tone: Tone::Dim, text: "What happened:".into() });
    }
    let mut before = None;
    for event in &why.events {
        let (tone, text) = story::sentence(names, &event.kind);
        let pause = before.map(|before| event.at.0.since(before)).filter(|pause| *pause >= WORTH_TELLING_MS);
        lines.extend(pause.map(|pause| Line { tone: Tone::Dim, text: format!("  ({} later)", millis(pause)) }));
        before = Some(event.at.0);
        lines.push(Line { tone, text: format!("  {}  {text}", local_time(event.at)) });
    }
    if !why.decisions.is_empty() {
        lines.push(plain(String::new()));
        lines.push(Line { tone: Tone::Dim, text: "Who decided, and what it took:".into() });
        lines.extend(why.decisions.iter().map(|decision| plain(format!("  {}", decided(decision)))));
    }
    lines
}

/// Milliseconds between two events that a reader should not have to work out.
const WORTH_TELLING_MS: u64 = 60_000;

fn waiting_text(waiting: &WaitingOnView, now: UnixMillis) -> String {
    let mut text = waiting_for(&waiting.code).to_owned();
    if !waiting.detail.is_empty() {
        text.push_str(&format!(": {}", waiting.detail));
    }
    if let Some(until) = waiting.until {
        text.push_str(&format!(", at most until {} (in {})", local_time(until), countdown(until.0.since(now))));
    }
    if let Some(policy) = &waiting.policy {
        text.push_str(&format!(", held by policy {policy}"));
    }
    one_line(&text)
}

/// A row of the decision log in a sentence. Rows grow fields; what is not there is left out.
fn decided(decision: &DecisionView) -> String {
    let field = |name: &str| decision.row.get(name).and_then(Value::as_str).map(one_line);
    let mut text = format!("{}. ", decision.number);
    text.push_str(&field("policy").unwrap_or_else(|| "somebody".into()));
    if let Some(hook) = field("hook") {
        text.push_str(&format!(" was asked about {hook}"));
    }
    let answer = decision.row.get("answer").and_then(|answer| answer.get("verdict"));
    match answer {
        Some(Value::String(verdict)) => text.push_str(&format!(" and answered {}", one_line(verdict))),
        Some(verdict) if !verdict.is_null() => {
            text.push_str(&format!(" and answered {}", one_line(&verdict.to_string())))
        }
        _ => {}
    }
    let reason = decision.row.get("answer").and_then(|answer| answer.get("reason"));
    if let Some(note) =
        reason.and_then(|reason| reason.get("note")).and_then(Value::as_str).filter(|note| !note.is_empty())
    {
        text.push_str(&format!(": {}", one_line(note)));
    }
    if let Some(duration) = decision.row.get("duration_us").and_then(Value::as_u64) {
        text.push_str(&format!(" ({duration} µs)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decision(row: Value) -> DecisionView {
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_decision_is_a_sentence_whatever_its_row_has() {
        let row = json!({
            "number": 3, "policy": "mirrors", "hook": "recovery", "duration_us": 41,
            "answer": { "verdict": { "resume": { "after": 200 } }, "reason": { "note": "goes on at the mirror" } },
        });
        assert_eq!(
            decided(&decision(row)),
            r#"3. mirrors was asked about recovery and answered {"resume":{"after":200}}: goes on at the mirror (41 µs)"#
        );
        assert_eq!(decided(&decision(json!({ "number": 1 }))), "1. somebody");
        let default = json!({ "number": 2, "policy": "built-in", "hook": "retry", "answer": { "verdict": "default" } });
        assert_eq!(decided(&decision(default)), "2. built-in was asked about retry and answered default");
    }

    #[test]
    fn a_wait_says_until_when_and_who_holds_it() {
        let waiting: WaitingOnView = serde_json::from_value(json!({
            "code": "policy_hold", "detail": "the plan is used up", "until": "1970-01-01T00:01:00Z", "policy": "night",
        }))
        .unwrap();
        let text = waiting_text(&waiting, UnixMillis(30_000));
        assert!(text.starts_with("held by a policy: the plan is used up, at most until "), "{text}");
        assert!(text.ends_with("(in 30 s), held by policy night"), "{text}");
    }
}
