//! Every record comes back as it was written, in memory and in a file; every changed column is noticed.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::*;
use crate::job::arbitrary::{event, file_record, job_id, job_record, policy_name, request_headers, text as any_text};
use crate::job::{FileIndex, FileRecord, JobRecord};
use crate::notify::tests::a_webhook;
use crate::notify::{Delivery, DeliveryState, Webhook};
use crate::policy::contract::Hook;
use crate::policy::{DecisionRow, Fault, FilesPage, Memo, Outcome, Source};
use crate::store::schema::Schema;

/// Runs a test on a database in memory and on one in a file.
fn on_each(
    test: impl Fn(&Connection) -> std::result::Result<(), TestCaseError>,
) -> std::result::Result<(), TestCaseError> {
    let directory = tempfile::tempdir().unwrap();
    for path in [":memory:".into(), directory.path().join("rows.db")] {
        let mut connection = Connection::open(path).unwrap();
        // Nothing crashes here: a sync would only cost time.
        connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
        Schema::current().migrate(&mut connection).unwrap();
        test(&connection)?;
    }
    Ok(())
}

fn decision_row() -> impl Strategy<Value = DecisionRow> {
    let json = prop_oneof![
        Just(serde_json::Value::Null),
        (any::<u64>(), any_text()).prop_map(|(number, text)| serde_json::json!({ "n": number, "t": [text] })),
    ];
    let outcome = prop_oneof![
        Just(Outcome::Answered),
        any_text().prop_map(Outcome::Declined),
        any_text().prop_map(|detail| Outcome::Fault { fault: Fault::FuelExhausted, detail }),
    ];
    let texts = (any_text(), any_text(), any_text(), policy_name());
    let numbers = any::<(u32, u64, u64, u64, u64)>();
    (job_id(), json, outcome, texts, numbers, any::<bool>()).prop_map(
        |(job, input, outcome, texts, numbers, redacted)| {
            let (decision, wit, line, policy) = texts;
            let (position, at, fuel, peak_memory, duration_us) = numbers;
            DecisionRow {
                decision: crate::job::DecisionId(decision),
                position,
                job,
                at: crate::clock::UnixMillis(at),
                hook: Hook::Retry,
                policy,
                component: None,
                settings: None,
                wit,
                engine: "48".into(),
                answer: redacted.then(|| serde_json::json!({ "answer": input })),
                input: input.into(),
                files_read: vec![FilesPage { first: position, files: Vec::new() }],
                clamps: vec![line.clone()],
                source: Source::BuiltIn,
                outcome,
                fuel,
                peak_memory,
                duration_us,
                log: vec![line],
                redacted,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn jobs_and_files_come_back(job in job_record().boxed(), other in job_record().boxed(), file in file_record().boxed(), changed in file_record().boxed()) {
        on_each(|connection| {
            let other = JobRecord { id: job.id, ..other.clone() };
            let changed = FileRecord { index: file.index, ..changed.clone() };
            job::insert(connection, &job).unwrap();
            prop_assert_eq!(job::get(connection, job.id).unwrap(), Some(job.clone()));
            job::update(connection, &other).unwrap();
            prop_assert_eq!(job::get(connection, job.id).unwrap(), Some(other.clone()));
            let open = job::not_final(connection).unwrap();
            prop_assert_eq!(open, if other.state.is_final() { vec![] } else { vec![other] });
            file::insert(connection, job.id, &file).unwrap();
            prop_assert_eq!(file::get(connection, job.id, file.index).unwrap(), Some(file.clone()));
            file::update(connection, job.id, &changed).unwrap();
            prop_assert_eq!(file::page(connection, job.id, FileIndex(0), 2).unwrap(), vec![changed.clone()]);
            // The checksum is still right, or this would be an error.
            file::mark_published(connection, job.id).unwrap();
            let published = FileRecord { published: changed.finished, ..changed };
            prop_assert_eq!(file::get(connection, job.id, file.index).unwrap(), Some(published));
            Ok(())
        })?;
    }

    #[test]
    fn events_decisions_memos_and_headers_come_back(
        job in job_record().boxed(),
        events in proptest::collection::vec(event().boxed(), 1..5),
        decision in decision_row().boxed(),
        headers in request_headers(),
        policy in policy_name(),
        bytes in any::<Vec<u8>>(),
    ) {
        on_each(|connection| {
            job::insert(connection, &job).unwrap();
            let written: Vec<_> =
                events.iter().map(|event| (event::insert(connection, event).unwrap(), event.clone())).collect();
            prop_assert!(written.iter().map(|(number, _)| *number).eq(1..=events.len() as u64));
            prop_assert_eq!(&event::after(connection, 0, 100, None).unwrap(), &written);
            prop_assert_eq!(&event::after(connection, 1, 100, None).unwrap()[..], &written[1..]);
            if let Some(of) = events[0].job {
                let wanted: Vec<_> = written.iter().filter(|(_, event)| event.job == Some(of)).cloned().collect();
                prop_assert_eq!(event::after(connection, 0, 100, Some(of)).unwrap(), wanted);
            }
            let decision = DecisionRow { job: job.id, ..decision.clone() };
            decision::insert(connection, &decision).unwrap();
            prop_assert_eq!(decision::of_job(connection, job.id, 0, 9).unwrap(), vec![(1, decision)]);
            header::insert(connection, job.id, &headers).unwrap();
            prop_assert_eq!(&header::of_job(connection, job.id).unwrap(), &headers);
            for bytes in [b"before".to_vec(), bytes.clone()] {
                let memo = Memo { job: job.id, policy: policy.clone(), hook: Hook::Recovery, bytes };
                memo::upsert(connection, &memo).unwrap();
                prop_assert_eq!(memo::get(connection, job.id, &policy, memo.hook).unwrap(), Some(memo.bytes));
            }
            Ok(())
        })?;
    }

    #[test]
    fn webhooks_and_deliveries_come_back(
        event in event().boxed(),
        texts in (any_text(), any_text(), any_text()),
        numbers in any::<(u32, u64, u64, u16)>(),
        flags in any::<(bool, bool)>(),
    ) {
        let (owner, label, detail) = texts;
        let (attempts, due_at, delay_ms, status) = numbers;
        let disabled_because = (!flags.0).then_some(detail.clone());
        let labels = vec![(label.clone(), label)];
        let webhook = Webhook { owner, labels, enabled: flags.0, disabled_because, ..a_webhook() };
        let delivery = Delivery {
            webhook: webhook.id,
            number: 7,
            event,
            state: DeliveryState::ALL[usize::from(flags.1)],
            attempts,
            due_at: crate::clock::UnixMillis(due_at),
            delay_ms,
            attempted_at: flags.0.then_some(crate::clock::UnixMillis(due_at)),
            status: flags.1.then_some(status),
            detail: flags.0.then_some(detail),
        };
        on_each(|connection| {
            webhook::insert(connection, &a_webhook()).unwrap();
            webhook::update(connection, &webhook).unwrap();
            let all = |sql| connection.query_row(sql, [], |row| Ok(webhook::from_row(row))).unwrap();
            prop_assert_eq!(all(webhook::SELECT_ALL), Ok(webhook.clone()));
            for number in [3, u64::MAX >> 1] {
                webhook::put_cursor(connection, webhook.id, number).unwrap();
                let cursor =
                    connection.query_row(webhook::SELECT_CURSORS, [], |row| Ok(webhook::cursor_from_row(row))).unwrap();
                prop_assert_eq!(cursor, Ok((webhook.id, number)));
            }
            let first = Delivery { attempts: 0, status: None, ..delivery.clone() };
            for one in [&first, &delivery] {
                delivery::put(connection, one).unwrap();
                prop_assert_eq!(&delivery::get(connection, webhook.id, 7).unwrap(), &Some(one.clone()));
            }
            let page = |after| delivery::page(connection, webhook.id, delivery.state, after, 9).unwrap();
            prop_assert_eq!((page(6), page(7)), (vec![delivery.clone()], vec![]));
            prop_assert_eq!(delivery::count(connection, webhook.id, delivery.state).unwrap(), 1);
            webhook::remove(connection, webhook.id).unwrap();
            prop_assert_eq!(delivery::get(connection, webhook.id, 7).unwrap(), None, "they go with their webhook");
            Ok(())
        })?;
    }

    /// Whatever a column held before, another value in it is an error that names the row.
    #[test]
    fn a_changed_column_is_noticed(job in job_record().boxed(), file in file_record().boxed(), column in any::<usize>(), bit in 0..8_u32) {
        on_each(|connection| {
            connection.execute_batch("PRAGMA ignore_check_constraints = 1; PRAGMA foreign_keys = 0").unwrap();
            job::insert(connection, &job).unwrap();
            file::insert(connection, job.id, &file).unwrap();
            let change = |table: &Table| {
                let name = table.columns[table.key + column % (table.columns.len() - table.key)];
                let sql = format!("SELECT {name} FROM {}", table.name);
                let before: Value = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
                let after = match before {
                    Value::Integer(number) => Value::Integer(number ^ (1 << bit)),
                    Value::Text(text) => Value::Text(format!("{text}x")),
                    Value::Blob(mut bytes) => {
                        bytes.push(0);
                        Value::Blob(bytes)
                    }
                    _ => return,
                };
                connection.execute(&format!("UPDATE {} SET {name} = ?1", table.name), params![after]).unwrap();
                let error = match table.name {
                    "job" => job::get(connection, job.id).unwrap_err(),
                    _ => file::get(connection, job.id, file.index).unwrap_err(),
                };
                let crate::store::error::Problem::Row(error) = error else { panic!("{error:?}") };
                assert_eq!((error.table, error.column), (table.name, "checksum"));
                assert!(error.row.contains(&job.id.to_string()), "{error}");
            };
            change(&job::TABLE);
            change(&file::TABLE);
            Ok(())
        })?;
    }
}

#[test]
fn statements_have_the_columns_of_their_tables_in_order() {
    let mut connection = Connection::open_in_memory().unwrap();
    Schema::current().migrate(&mut connection).unwrap();
    for table in [&job::TABLE, &file::TABLE, &event::TABLE, &webhook::TABLE, &webhook::CURSOR, &delivery::TABLE] {
        // Columns that were added stand last in a table, whatever the order of the statements is.
        let in_schema: BTreeSet<String> = connection
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .unwrap()
            .query_map([table.name], |row| row.get(0))
            .unwrap()
            .map(std::result::Result::unwrap)
            .collect();
        assert_eq!(in_schema, table.columns.iter().map(|column| (*column).to_owned()).collect());
    }
    for (sql, table) in [(job::SELECT_ONE, &job::TABLE), (file::SELECT_ONE, &file::TABLE)] {
        assert_eq!(connection.prepare(sql).unwrap().column_names(), table.columns);
    }
}

#[test]
fn rows_of_before_keep_their_checksums_when_columns_are_added() {
    let added = &job::TABLE.added;
    let columns = |filled: Option<usize>| {
        (0..job::TABLE.columns.len() - 1).map(move |position| match added.contains(&position) {
            true if filled == Some(position) => ValueRef::Integer(1),
            true => ValueRef::Null,
            false => ValueRef::Integer(7),
        })
    };
    let before = Table { added: 0..0, ..job::TABLE };
    let of_before = checksum(&before, columns(None).take(added.start));
    assert_eq!(checksum(&job::TABLE, columns(None)), of_before);
    // The same value in another column is another row.
    let of_each: BTreeSet<_> = added.clone().map(|position| checksum(&job::TABLE, columns(Some(position)))).collect();
    assert_eq!(of_each.len(), added.len());
    assert!(!of_each.contains(&of_before));
}

#[test]
fn unfinished_files_are_found_without_reading_finished_ones() {
    let mut connection = Connection::open_in_memory().unwrap();
    Schema::current().migrate(&mut connection).unwrap();
    let explain = format!("EXPLAIN QUERY PLAN {}", file::SELECT_UNFINISHED);
    let plan: String =
        connection.query_row(&explain, params![[0_u8; 16].as_slice(), 0, 1], |row| row.get("detail")).unwrap();
    assert!(plan.contains("USING INDEX file_unfinished (job_id=? AND file_index>?)"), "{plan}");
}
