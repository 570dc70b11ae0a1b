//! Content-Length wrong in every way, and no length at all.

use super::fetch::{DONE, Fetch, RESUMABLE_BYTES, for_each_at_once};
use crate::origin::{Action, At, Certificate, End, Fault, File, Framing, On, Origin};

const SIZE_BYTES: u64 = 3000;

/// Content-Length values, and whether the body that comes can be the whole file by them.
const LENGTHS: [&[&str]; 15] = [
    &["2999"],
    &["3001"],
    &["1"],
    &["0"],
    &["2999", "3000"],
    &["3000", "3001"],
    &["3000, 3001"],
    &["-1"],
    &["-3000"],
    &["+3000"],
    &["0x0bb8"],
    &["3000.0"],
    &["9223372036854775808"],
    &["18446744073709551616"],
    &["99999999999999999999999999"],
];

#[test]
fn one_wrong_length_never_makes_a_wrong_file() {
    lengths(On::Nth(1));
}

#[test]
fn a_length_that_stays_wrong_never_makes_a_wrong_file() {
    lengths(On::Every);
}

fn lengths(on: On) {
    let origin = Origin::start();
    let cases: Vec<_> = LENGTHS.into_iter().enumerate().collect();
    for_each_at_once(&cases, |(number, values)| {
        let path = format!("/{number}");
        let content = origin.file(&path, File::seeded(1, SIZE_BYTES));
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        println!("{values:?}");
        origin.fault(&path, on, Fault::ContentLength(values));
        // What is shorter by its own length is the file, as far as a client without a digest can know: so it is given one.
        let fetch = Fetch::new(&origin.url(&path)).patience("1").with(["--sha256", &content.sha256()]);
        fetch.run_to_right_or_nothing(content);
    });
}

#[test]
fn a_body_longer_than_its_length_is_not_taken_on() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault(
        "/f",
        On::Nth(1),
        Fault::edit(|_, answer| answer.body.push(crate::origin::Piece::Bytes(vec![0; 500]))),
    );
    origin.fault("/f", On::Nth(1), Fault::ContentLength(vec![SIZE_BYTES.to_string()]));
    Fetch::new(&origin.url("/f")).run_to(content);
}

#[test]
fn two_equal_lengths_are_one() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Nth(1), Fault::ContentLength(vec!["3000".into(), "3000".into()]));
    Fetch::new(&origin.url("/f")).run_to(content);
}

#[test]
fn a_length_and_chunks_together_never_make_a_wrong_file() {
    let origin = Origin::start();
    let content =
        origin.file("/f", File { framing: Framing::Chunked { chunk_bytes: 1000 }, ..File::seeded(1, SIZE_BYTES) });
    origin.fault("/f", On::Every, Fault::Set("Content-Length", "1500".into()));
    Fetch::new(&origin.url("/f")).patience("1").run_to_right_or_nothing(content);
}

#[test]
fn an_absurd_length_reserves_nothing() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Every, Fault::ContentLength(vec![(1_u64 << 50).to_string()]));
    let fetch = Fetch::new(&origin.url("/f")).patience("1");
    let running = fetch.command().start();
    origin.wait("a request", crate::origin::SOON, |rows| !rows.is_empty());
    // A petabyte is over any disk: that may be a wait for space, which no patience ends, or an error.
    let finished = running.kill();
    fetch.assert_unpublished();
    assert_ne!(finished.code, Some(DONE));
}

#[test]
fn a_chunked_file_is_done_at_its_last_chunk() {
    let origin = Origin::start();
    for chunk_bytes in [1, 7, 1000, 100_000] {
        let path = format!("/{chunk_bytes}");
        let file = File { framing: Framing::Chunked { chunk_bytes }, ..File::seeded(1, SIZE_BYTES) };
        let content = origin.file(&path, file);
        Fetch::new(&origin.url(&path)).run_to(content);
    }
}

#[test]
fn broken_chunks_never_make_a_wrong_file() {
    let origin = Origin::start();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (number, body) in [
        "5\r\nhello\r\nzz\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello",
        "5\r\nhel",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{number}");
        let content = origin.file(&path, File::seeded(1, SIZE_BYTES));
        let script = vec![Action::Send(format!("{head}{body}").into_bytes()), Action::End(End::Orderly)];
        origin.fault(&path, On::Nth(1), Fault::Script(script));
        Fetch::new(&origin.url(&path)).run_to(content);
    }
}

#[test]
fn a_body_that_ends_with_its_connection_is_taken_as_unverified() {
    let origin = Origin::start();
    let content = origin.file("/f", File { framing: Framing::Close, ..File::seeded(1, SIZE_BYTES) });
    let finished = Fetch::new(&origin.url("/f")).run_to(content);
    assert!(finished.output().contains("unverified"), "{finished}");
}

#[test]
fn a_body_that_ends_with_its_connection_is_never_resumed() {
    let origin = Origin::start();
    let content = origin.file("/f", File { framing: Framing::Close, ..File::seeded(1, RESUMABLE_BYTES) });
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(100_000), End::Reset));
    Fetch::new(&origin.url("/f")).run_to(content);
    assert!(origin.log().iter().all(|row| row.range().is_none()), "{:#?}", origin.log());
}

#[test]
fn tls_tells_a_cut_from_an_end() {
    let origin = Origin::start_tls(Certificate::Good);
    let content = origin.file("/f", File { framing: Framing::Close, ..File::seeded(1, RESUMABLE_BYTES) });
    // Without close_notify, a body that ends with its connection has been cut by somebody.
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(100_000), End::Fin));
    Fetch::new(&origin.url("/f")).trusting(&origin).run_to(content);
    assert!(origin.log().len() >= 2);
}

#[test]
fn an_empty_file_is_a_file() {
    let origin = Origin::start();
    for (path, framing) in
        [("/l", Framing::Length), ("/c", Framing::Chunked { chunk_bytes: 1 }), ("/e", Framing::Close)]
    {
        let content = origin.file(path, File { framing, ..File::seeded(1, 0) });
        Fetch::new(&origin.url(path)).run_to(content);
    }
}
