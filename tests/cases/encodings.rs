//! Encoded bodies that nobody asked for.

use super::fetch::{Fetch, RESUMABLE_BYTES, for_each_at_once};
use crate::origin::{At, Encoding, End, Fault, File, Framing, On, Origin, RangeLie};

const SIZE_BYTES: u64 = 3000;

#[test]
fn identity_is_asked_for() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, RESUMABLE_BYTES));
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(100_000), End::Fin));
    Fetch::new(&origin.url("/f")).run_to(content);
    assert_eq!(origin.log().len(), 2);
    assert!(origin.log().iter().all(|row| row.request.header("accept-encoding") == Some("identity")));
}

#[test]
fn an_encoded_body_is_an_error_and_never_the_file() {
    let origin = Origin::start();
    let cases: Vec<_> =
        ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "GZIP", "gzip, identity", "identity, br", "x"]
            .into_iter()
            .enumerate()
            .collect();
    for_each_at_once(&cases, |(number, label)| {
        let path = format!("/{number}");
        origin.file(&path, File { encoding: Encoding::Labelled(label), ..File::seeded(1, SIZE_BYTES) });
        println!("{label}");
        Fetch::new(&origin.url(&path)).patience("1").run_to_error("encoded_body");
    });
}

#[test]
fn gzip_that_nobody_asked_for_is_an_error_in_every_framing() {
    let origin = Origin::start();
    for (path, framing) in
        [("/l", Framing::Length), ("/c", Framing::Chunked { chunk_bytes: 100 }), ("/e", Framing::Close)]
    {
        origin.file(path, File { encoding: Encoding::Gzip, framing, ..File::seeded(1, SIZE_BYTES) });
        Fetch::new(&origin.url(path)).patience("1").run_to_error("encoded_body");
    }
}

#[test]
fn the_label_identity_is_no_encoding() {
    let origin = Origin::start();
    for label in ["identity", "Identity"] {
        let path = format!("/{label}");
        let content = origin.file(&path, File { encoding: Encoding::Labelled(label), ..File::seeded(1, SIZE_BYTES) });
        Fetch::new(&origin.url(&path)).run_to(content);
    }
}

#[test]
fn an_encoded_resume_never_makes_a_wrong_file() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, RESUMABLE_BYTES));
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(100_000), End::Fin));
    origin.fault("/f", On::Ranged, Fault::Range(RangeLie::Gzip));
    Fetch::new(&origin.url("/f")).patience("1").run_to_right_or_nothing(content);
}

#[test]
fn encoded_bytes_without_a_label_do_not_have_the_digest() {
    let origin = Origin::start();
    let content = origin.file("/f", File { encoding: Encoding::GzipUnlabelled, ..File::seeded(1, SIZE_BYTES) });
    let fetch = Fetch::new(&origin.url("/f")).with(["--sha256", &content.sha256()]);
    fetch.run_to_error("digest_mismatch");
}
