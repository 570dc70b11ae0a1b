//! Answers that end too early: at every byte, by FIN and by RST, in plain and within TLS, in every framing.

use super::fetch::{Fetch, RESUMABLE_BYTES, for_each_at_once};
use crate::origin::{At, Certificate, End, Fault, File, Framing, On, Origin};

/// Small, so that every byte of an answer can be a case.
const SIZE_BYTES: u64 = 24;

fn small(framing: Framing) -> File {
    File { framing, ..File::seeded(1, SIZE_BYTES) }
}

/// What is on the wire when such a file is fetched, head and framing included: an upper bound for the offsets.
fn answer_bytes(framing: Framing) -> u64 {
    let request = crate::origin::Request { method: "GET".into(), target: "/".into(), headers: Vec::new() };
    let head_and_body = small(framing).answer(&request, 1).script("GET");
    head_and_body.iter().map(crate::origin::Action::len_bytes).sum()
}

/// Cuts the first answer at each of these offsets, and asserts that the file is right after one more.
fn cut_at_every(origin: &Origin, offsets: &[u64], file: &File, at: fn(u64) -> At, end: End) {
    for_each_at_once(offsets, |&offset| {
        let path = format!("/{end:?}-{offset}");
        let content = origin.file(&path, file.clone());
        origin.fault(&path, On::Nth(1), Fault::Cut(at(offset), end));
        let url = origin.url(&path);
        let fetch = if url.starts_with("https") { Fetch::new(&url).trusting(origin) } else { Fetch::new(&url) };
        fetch.run_to(content);
        let log = origin.log_of(&path);
        assert!(log.len() <= 2, "one cut, one retry: {log:#?}");
        if let Some(again) = log.get(1).filter(|row| row.range().is_some()) {
            assert_eq!(again.if_range(), Some(file.strong_etag().as_str()), "{again:#?}");
            assert!(again.first_byte() <= log[0].body_sent, "{again:#?} after {} bytes", log[0].body_sent);
        }
    });
}

#[test]
fn a_cut_at_every_byte_is_repaired() {
    let origin = Origin::start();
    let offsets: Vec<_> = (0..answer_bytes(Framing::Length)).collect();
    cut_at_every(&origin, &offsets, &small(Framing::Length), At::Answer, End::Fin);
}

#[test]
fn a_cut_at_every_byte_within_tls_is_repaired() {
    let origin = Origin::start_tls(Certificate::Good);
    let offsets: Vec<_> = (0..answer_bytes(Framing::Length)).collect();
    cut_at_every(&origin, &offsets, &small(Framing::Length), At::Answer, End::Fin);
}

#[test]
fn a_cut_within_a_tls_record_is_repaired() {
    // Beyond the answer's own bytes lie those of its records.
    let origin = Origin::start_tls(Certificate::Good);
    let offsets: Vec<_> = (0..answer_bytes(Framing::Length) + 44).step_by(5).collect();
    cut_at_every(&origin, &offsets, &small(Framing::Length), At::Wire, End::Fin);
}

#[test]
fn a_cut_in_every_byte_of_chunked_framing_is_repaired() {
    let origin = Origin::start();
    let framing = Framing::Chunked { chunk_bytes: 7 };
    let whole = answer_bytes(framing);
    let offsets: Vec<_> = (whole - 60..whole).collect();
    cut_at_every(&origin, &offsets, &small(framing), At::Answer, End::Fin);
}

#[test]
fn a_reset_in_the_body_is_repaired() {
    let origin = Origin::start();
    let offsets: Vec<_> = (0..SIZE_BYTES).step_by(5).collect();
    cut_at_every(&origin, &offsets, &small(Framing::Length), At::Body, End::Reset);
}

/// Places in a large body: its ends to the byte, and the surroundings of what is written and sent in one go.
fn places() -> Vec<u64> {
    let around = |middle: u64| (middle - 2..middle + 2).collect();
    let ends = [(0..12).collect(), (RESUMABLE_BYTES - 12..RESUMABLE_BYTES).collect()];
    let blocks: [Vec<u64>; 4] = [4096, 16_384, 65_536, 131_072].map(around);
    ends.into_iter().chain(blocks).flatten().collect()
}

fn large(framing: Framing) -> File {
    File { framing, ..File::seeded(2, RESUMABLE_BYTES) }
}

fn assert_each_resumed(origin: &Origin) {
    for first in origin.log().iter().filter(|row| row.nth == 1 && row.body_sent > 0) {
        let again = &origin.log_of(first.path())[1];
        assert_eq!(again.first_byte(), first.body_sent, "every byte that came is kept: {again:#?}");
    }
}

#[test]
fn a_large_body_goes_on_where_it_was_cut() {
    let origin = Origin::start();
    cut_at_every(&origin, &places(), &large(Framing::Length), At::Body, End::Fin);
    assert_each_resumed(&origin);
}

#[test]
fn a_large_body_goes_on_where_it_was_cut_within_tls() {
    let origin = Origin::start_tls(Certificate::Good);
    cut_at_every(&origin, &places(), &large(Framing::Length), At::Body, End::Fin);
    assert_each_resumed(&origin);
}

#[test]
fn a_large_body_in_chunks_goes_on_where_it_was_cut() {
    let origin = Origin::start();
    cut_at_every(&origin, &places(), &large(Framing::Chunked { chunk_bytes: 65_536 }), At::Body, End::Fin);
    assert_each_resumed(&origin);
}

#[test]
fn a_large_body_survives_a_reset() {
    let origin = Origin::start();
    cut_at_every(&origin, &places(), &large(Framing::Length), At::Body, End::Reset);
}
