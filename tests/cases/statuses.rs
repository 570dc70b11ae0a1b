//! Failure statuses, bursts of them, and heads of answers that are no heads.

use std::time::Duration;

use super::fetch::{Fetch, for_each_at_once};
use crate::origin::{Accepting, Action, End, Fault, File, On, Origin};

const SIZE_BYTES: u64 = 3000;

#[test]
fn statuses_that_stay_are_errors_after_one_request() {
    let origin = Origin::start();
    for_each_at_once(
        &[400, 401, 402, 403, 404, 405, 406, 407, 410, 411, 412, 414, 418, 451, 499, 501, 505],
        |status| {
            let path = format!("/{status}");
            origin.file(&path, File::seeded(1, SIZE_BYTES));
            origin.fault(&path, On::Every, Fault::status(*status));
            println!("{status}");
            let fetch = Fetch::new(&origin.url(&path));
            let finished = fetch.run_to_status(*status);
            assert_eq!(origin.log_of(&path).len(), 1, "{finished}");
        },
    );
}

#[test]
fn statuses_that_pass_are_tried_again() {
    let origin = Origin::start();
    for_each_at_once(&[408, 409, 421, 423, 425, 429, 500, 502, 503, 504, 507, 520, 599], |status| {
        let path = format!("/{status}");
        let content = origin.file(&path, File::seeded(1, SIZE_BYTES));
        origin.fault(&path, On::UpTo(2), Fault::status(*status));
        println!("{status}");
        Fetch::new(&origin.url(&path)).run_to(content);
        assert_eq!(origin.log_of(&path).len(), 3);
    });
}

#[test]
fn strange_statuses_never_make_a_file() {
    let origin = Origin::start();
    for_each_at_once(&[201, 202, 203, 204, 205, 207, 226, 299, 304, 600, 999], |status| {
        let path = format!("/{status}");
        origin.file(&path, File::seeded(1, SIZE_BYTES));
        origin.fault(
            &path,
            On::Every,
            Fault::edit({
                let status = *status;
                move |_, answer| answer.status = status
            }),
        );
        println!("{status}");
        let code = if (201..300).contains(status) || *status > 599 { "invalid_server_response" } else { "http" };
        Fetch::new(&origin.url(&path)).patience("1").run_to_error(code);
    });
}

#[test]
fn the_page_of_an_error_is_never_the_file() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Every, Fault::status(404));
    let fetch = Fetch::new(&origin.url("/f"));
    fetch.run_to_status(404);
    fetch.assert_alone(&[]);
}

#[test]
fn a_burst_of_errors_is_outlasted_without_hammering() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::UpTo(8), Fault::status(503));
    Fetch::new(&origin.url("/f")).run_to(content);
    let log = origin.log();
    assert_eq!(log.len(), 9);
    for pair in log.windows(2) {
        let pause = pair[1].at - pair[0].at;
        assert!(pause >= Duration::from_millis(150), "{pause:?} between two attempts");
    }
}

#[test]
fn what_is_no_answer_is_tried_again() {
    let origin = Origin::start();
    let garbage: [&[u8]; 12] = [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 -200 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/0.9 hello\r\n",
        b"ICY 200 OK\r\n\r\nhello",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent Length: 5\r\n\r\nhello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    let cases: Vec<_> = garbage.into_iter().enumerate().collect();
    for_each_at_once(&cases, |(number, bytes)| {
        let path = format!("/{number}");
        let content = origin.file(&path, File::seeded(1, SIZE_BYTES));
        let script = vec![Action::Send(bytes.to_vec()), Action::End(End::Orderly)];
        origin.fault(&path, On::Nth(1), Fault::Script(script));
        println!("{:?}", String::from_utf8_lossy(bytes));
        Fetch::new(&origin.url(&path)).run_to_right_or_nothing(content);
    });
}

#[test]
fn connections_that_end_without_an_answer_are_tried_again() {
    let origin = Origin::start();
    for (path, end) in [("/fin", End::Fin), ("/reset", End::Reset)] {
        let content = origin.file(path, File::seeded(1, SIZE_BYTES));
        origin.fault(path, On::UpTo(3), Fault::NoAnswer(end));
        Fetch::new(&origin.url(path)).run_to(content);
        assert!(origin.log_of(path).len() >= 4);
    }
}

#[test]
fn an_origin_that_refuses_connections_is_tried_until_patience_ends() {
    let origin = Origin::start();
    let url = origin.url("/f");
    origin.accepting(Accepting::End(End::Fin));
    Fetch::new(&url).patience("1").run_to_error("connection_closed");
    drop(origin);
    Fetch::new(&url).patience("1").run_to_error("connect_failure");
}

#[test]
fn heads_beyond_the_limits_are_refused() {
    let origin = Origin::start();
    for (path, count, value_bytes) in
        [("/count", 150, 1), ("/size", 80, 1000), ("/one", 1, 100_000), ("/flood", 3000, 200)]
    {
        origin.file(path, File::seeded(1, SIZE_BYTES));
        origin.fault(path, On::Every, Fault::HeaderFlood { count, value_bytes });
        println!("{path}");
        Fetch::new(&origin.url(path)).patience("1").run_to_error("response_too_large");
    }
}

#[test]
fn odd_but_lawful_heads_are_taken() {
    let origin = Origin::start();
    for (path, fault) in [
        ("/many", Fault::HeaderFlood { count: 60, value_bytes: 100 }),
        ("/interim", Fault::Interim { status: 103, count: 3 }),
        ("/empty", Fault::Set("X-Empty", String::new())),
        ("/tabs", Fault::Set("X-Tabs", "\ta\tb\t".into())),
        ("/latin", Fault::Set("X-Latin", "\u{e9}\u{df}".into())),
    ] {
        let content = origin.file(path, File::seeded(1, SIZE_BYTES));
        origin.fault(path, On::Every, fault);
        println!("{path}");
        Fetch::new(&origin.url(path)).run_to(content);
    }
}

#[test]
fn a_flood_of_interim_answers_does_not_hang() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Every, Fault::Interim { status: 102, count: 20_000 });
    Fetch::new(&origin.url("/f")).patience("1").run_to_right_or_nothing(content);
}
