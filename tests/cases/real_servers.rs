//! nginx, and a server without ranges: what holds against our own origin holds against servers that we did not write.

use std::fs;
use std::time::Duration;

use super::fetch::{DONE, Fetch};
use crate::origin::Content;
use crate::rig::{Nginx, PythonServer, Scratch, assert_published, skip};

const MIB: u64 = 1 << 20;

/// A directory with one file of so many bytes.
fn served(size_bytes: u64) -> (Scratch, String, Content) {
    let scratch = Scratch::new();
    let content = Content::new(3, size_bytes);
    let root = scratch.dir("root");
    scratch.write("root/f", &content.all());
    (scratch, root, content)
}

/// nginx before a directory, or the end of the test where it cannot run.
macro_rules! nginx {
    ($scratch:ident, $root:ident) => {
        match Nginx::start(&$root, &$scratch.dir("nginx")) {
            Ok(nginx) => nginx,
            Err(why) => skip!("{why}"),
        }
    };
}

/// A fetch that was killed in the middle, with something durable to go on from.
fn killed_after_a_checkpoint(nginx: &Nginx) -> Fetch {
    let fetch = Fetch::new(&nginx.url("/slow/f"));
    let mut running = fetch.command().start();
    running.wait_until("a checkpoint", Duration::from_secs(30), || fetch.part_bytes() > 24 * MIB);
    running.kill();
    fetch
}

#[test]
fn a_file_comes_from_nginx() {
    let (scratch, root, content) = served(20 * MIB);
    let nginx = nginx!(scratch, root);
    Fetch::new(&nginx.url("/f")).with(["--sha256", &content.sha256()]).run_to(content);
}

#[test]
fn a_killed_download_from_nginx_goes_on_with_a_range() {
    let (scratch, root, content) = served(64 * MIB);
    let nginx = nginx!(scratch, root);
    let fetch = killed_after_a_checkpoint(&nginx);
    fetch.assert_unpublished();
    fetch.check_stores();
    fetch.run_to(content);
    let log = nginx.access_log();
    let statuses: Vec<_> = log.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(statuses.last(), Some(&"206"), "{log}");
}

#[test]
fn a_file_that_changed_on_nginx_is_wholly_the_new_one() {
    let (scratch, root, _) = served(64 * MIB);
    let nginx = nginx!(scratch, root);
    let fetch = killed_after_a_checkpoint(&nginx);
    let content = Content::new(4, 30 * MIB);
    scratch.write("new", &content.all());
    fs::rename(scratch.file("new"), scratch.file("root/f")).unwrap();
    fetch.run_to(content);
}

#[test]
fn nginx_that_would_compress_serves_the_file_as_it_is() {
    let (scratch, root, _) = served(1);
    scratch.write("root/f.html", &b"abc".repeat(10_000));
    let nginx = nginx!(scratch, root);
    let fetch = Fetch::new(&nginx.url("/gzip/f.html"));
    fetch.run().expect_code(DONE);
    assert_eq!(fs::read(&fetch.out).unwrap(), b"abc".repeat(10_000));
}

#[test]
fn a_killed_download_from_a_server_without_ranges_begins_again() {
    let (_scratch, root, content) = served(96 * MIB);
    let python = match PythonServer::start(&root) {
        Ok(python) => python,
        Err(why) => skip!("{why}"),
    };
    let fetch = Fetch::new(&python.url("/f"));
    for moment_ms in [50, 100, 150] {
        match fetch.command().start().kill_after(Duration::from_millis(moment_ms)) {
            Some(finished) => {
                finished.expect_code(DONE);
                return assert_published(&fetch.out, content);
            }
            // The kill came when nothing was left to do but to exit.
            None if fetch.stores().is_empty() && fs::exists(&fetch.out).unwrap() => {
                return assert_published(&fetch.out, content);
            }
            None => fetch.check_stores(),
        }
    }
    fetch.run_to(content);
}
