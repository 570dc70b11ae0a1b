//! Answers and meddling that are made to get wrong bytes in, or secrets out.

use std::time::Duration;

use super::origin::{Origin, Reply, Then, head};
use super::rig::{Rig, failed, wanted};
use crate::job::{ErrorCode, FailureClass};

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_that_is_longer_than_it_said_is_not_gathered() {
    for fields in [("Content-Range", "bytes 0-9/10"), ("Content-Length", "10")] {
        let origin = Origin::start(move |_| {
            let mut bytes = head("200 OK", &[fields, ("Transfer-Encoding", "chunked")]);
            (0..64).for_each(|_| bytes.extend(chunk(&[b'x'; 128 << 10])));
            Reply { bytes, then: Then::Stall }
        });
        let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
        rig.settings.idle_timeout = Duration::from_secs(1);
        let reports = rig.attempt().await;
        let failure = failed(&reports);
        let expected = (ErrorCode::InvalidServerResponse, FailureClass::Transient);
        assert_eq!((failure.error.code, failure.error.class), expected, "{}", failure.error.description);
        let received = rig.progress.snapshot().received;
        assert!(received < 1 << 20, "{received} bytes were taken in of a file of 10");
    }
}
