//! Local names: what stands there already, what cannot be written, and what tries to lead elsewhere.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::fetch::{DONE, Fetch, JOB_FAILED, USAGE, for_each_at_once};
use crate::origin::{Content, File, Origin};
use crate::rig::{Backhaul, Finished, Scratch, Tmpfs, assert_absent, assert_published, names_in, skip};

const SIZE_BYTES: u64 = 3000;

/// The run failed, as a job or at once, and not by a signal or a limit.
#[track_caller]
fn assert_refused(finished: &Finished) {
    assert!(matches!(finished.code, Some(JOB_FAILED | USAGE)), "a refusal expected: {finished}");
}

fn origin() -> (Origin, Content) {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    (origin, content)
}

#[test]
fn an_existing_file_is_kept_unless_overwriting_is_asked_for() {
    let (origin, content) = origin();
    let fetch = Fetch::new(&origin.url("/f"));
    fs::write(&fetch.out, b"mine").unwrap();
    let finished = fetch.run();
    assert_refused(&finished);
    assert!(finished.output().contains(&fetch.out), "the error names the file: {finished}");
    assert_eq!(fs::read(&fetch.out).unwrap(), b"mine");
    assert_eq!(origin.body_sent(), 0, "no byte is fetched for nothing");
    let fetch = Fetch::new(&origin.url("/f")).with(["--overwrite"]);
    fs::write(&fetch.out, b"mine").unwrap();
    fetch.run_to(content);
}

#[test]
fn a_file_that_appears_meanwhile_is_kept() {
    use crate::origin::{Fault, Gate, On, SOON};
    let (origin, _) = origin();
    let gate = Gate::shut();
    origin.fault("/f", On::Every, Fault::HoldBody(1000, gate.clone()));
    let fetch = Fetch::new(&origin.url("/f"));
    let running = fetch.command().start();
    gate.wait_reached(1, SOON);
    fs::write(&fetch.out, b"mine").unwrap();
    gate.open();
    let finished = running.finish(SOON).expect_code(JOB_FAILED);
    assert!(finished.output().contains("local_file_exists"), "{finished}");
    assert_eq!(fs::read(&fetch.out).unwrap(), b"mine");
    // Nothing is lost: once the name is free, the same command publishes without another byte.
    fs::remove_file(&fetch.out).unwrap();
    let sent = origin.body_sent();
    fetch.run().expect_code(DONE);
    assert_eq!(origin.body_sent(), sent);
}

/// Makes something at a path.
type Make = fn(&str);

const NO_FILES: [(&str, Make); 5] = [
    ("directory", |path| fs::create_dir(path).unwrap()),
    ("fifo", |path| mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).unwrap()),
    ("socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("dangling symlink", |path| symlink(format!("{path}-target"), path).unwrap()),
    ("symlink to itself", |path| symlink(path, path).unwrap()),
];

#[test]
fn what_is_no_file_is_neither_opened_nor_replaced() {
    let (origin, _) = origin();
    let cases: Vec<_> = NO_FILES
        .into_iter()
        .flat_map(|(what, make)| [None, Some("--overwrite")].map(|overwrite| (what, make, overwrite)))
        .collect();
    for_each_at_once(&cases, |(what, make, overwrite)| {
        println!("{what} {overwrite:?}");
        let mut fetch = Fetch::new(&origin.url("/f"));
        if let Some(overwrite) = overwrite {
            fetch = fetch.with([overwrite]);
        }
        make(&fetch.out);
        let before = fs::symlink_metadata(&fetch.out).unwrap();
        let finished = fetch.run();
        assert_refused(&finished);
        let after = fs::symlink_metadata(&fetch.out).unwrap();
        assert_eq!((before.ino(), before.file_type()), (after.ino(), after.file_type()), "{what}: {finished}");
        assert_absent(format!("{}-target", fetch.out));
    });
}

#[test]
fn a_device_is_neither_written_nor_replaced() {
    let (origin, _) = origin();
    let fetch = Fetch::new(&origin.url("/f")).with(["--overwrite"]);
    let null = rustix::fs::makedev(1, 3);
    if let Err(error) = mknodat(CWD, &fetch.out, FileType::CharacterDevice, Mode::from(0o600), null) {
        skip!("mknod failed: {error}");
    }
    assert_refused(&fetch.run());
    assert!(fs::symlink_metadata(&fetch.out).unwrap().file_type().is_char_device());
}

#[test]
fn the_target_of_a_symlink_is_never_written() {
    let (origin, content) = origin();
    for overwrite in [None, Some("--overwrite")] {
        let mut fetch = Fetch::new(&origin.url("/f"));
        if let Some(overwrite) = overwrite {
            fetch = fetch.with([overwrite]);
        }
        let target = fetch.scratch.write("target", b"mine");
        symlink(&target, &fetch.out).unwrap();
        let finished = fetch.run();
        assert_eq!(fs::read(&target).unwrap(), b"mine", "{finished}");
        if finished.code == Some(DONE) {
            assert_published(&fetch.out, content);
        } else {
            assert_refused(&finished);
            assert!(fs::symlink_metadata(&fetch.out).unwrap().is_symlink());
        }
    }
}

#[test]
fn names_of_255_bytes_work_and_of_256_are_refused() {
    let (origin, content) = origin();
    for name in ["n".repeat(255), "\u{e9}".repeat(127)] {
        Fetch::named(&origin.url("/f"), &name).run_to(content);
    }
    let fetch = Fetch::named(&origin.url("/f"), &"n".repeat(256));
    assert_refused(&fetch.run());
    fetch.assert_alone(&[]);
}

#[test]
fn odd_names_are_names() {
    let (origin, content) = origin();
    for name in [" ", "a b", "-", "-o", "a\nb", "'\"`$(x)", "%2e%2e", "...", "\u{202e}x", ".hidden"] {
        println!("{name:?}");
        Fetch::named(&origin.url("/f"), name).run_to(content);
    }
}

#[test]
fn directories_that_cannot_hold_the_file_are_refused() {
    let (origin, _) = origin();
    for name in ["missing/f", "file/f", "loop/f"] {
        println!("{name}");
        let fetch = Fetch::named(&origin.url("/f"), name);
        fetch.scratch.write("out/file", b"mine");
        symlink("loop", fetch.scratch.file("out/loop")).unwrap();
        assert_refused(&fetch.run());
        fetch.assert_alone(&["file", "loop"]);
        assert_eq!(fs::read(fetch.scratch.file("out/file")).unwrap(), b"mine");
    }
}

#[test]
fn a_directory_on_a_read_only_disk_is_refused() {
    let (origin, _) = origin();
    let fetch = Fetch::new(&origin.url("/f")).patience("1");
    let tmpfs = match Tmpfs::mount(&fetch.scratch.file("out"), 1 << 20) {
        Ok(tmpfs) => tmpfs,
        Err(why) => skip!("{why}"),
    };
    tmpfs.make_read_only();
    let finished = fetch.run();
    assert_refused(&finished);
    assert!(finished.output().to_lowercase().contains("read-only"), "{finished}");
}

/// Runs a list into `out`, with a file beside it that no name may reach.
fn run_list(origin: &Origin, list: &str) -> (Scratch, Finished) {
    let scratch = Scratch::new();
    let (dir, state) = (scratch.dir("out"), scratch.file("state"));
    scratch.write("beside", b"mine");
    let list = scratch.write("list", list.replace("URL", &origin.url("/f")).as_bytes());
    let finished = Backhaul::new()
        .args(["get", "-i", &list, "-d", &dir, "--state-dir", &state, "--json", "--overwrite"])
        .current_dir(scratch.path().to_str().unwrap())
        .run();
    assert_eq!(fs::read(scratch.file("beside")).unwrap(), b"mine", "{finished}");
    (scratch, finished)
}

#[test]
fn names_in_a_list_stay_below_their_directory() {
    let (origin, _) = origin();
    let cases =
        ["../beside", "../../x", "a/../../beside", "/tmp/backhaul-escaped", "..", ".", "a/..", "./../beside", "a\0b"];
    for_each_at_once(&cases, |name| {
        println!("{name:?}");
        let (scratch, finished) = run_list(&origin, &format!("URL {name}\n"));
        assert!(finished.code == Some(USAGE), "{name:?}: {finished}");
        assert_eq!(names_in(scratch.file("out")), [""; 0]);
        assert_absent("/tmp/backhaul-escaped");
    });
    assert!(origin.log().is_empty(), "nothing is asked for before the list is right");
}

#[test]
fn one_wrong_line_refuses_the_whole_list_and_is_named() {
    let (origin, _) = origin();
    for wrong in ["URL ../beside", "not-a-url x", "ftp://127.0.0.1/f x", "URL same\nURL same"] {
        let (scratch, finished) = run_list(&origin, &format!("URL good\n\n{wrong}\n"));
        assert!(finished.code == Some(USAGE), "{wrong}: {finished}");
        assert!(finished.output().contains('3') || finished.output().contains('4'), "the line is named: {finished}");
        assert_eq!(names_in(scratch.file("out")), [""; 0]);
    }
    assert!(origin.log().is_empty());
}

#[test]
fn a_symlink_below_the_directory_is_not_a_way_out() {
    let (origin, _) = origin();
    let scratch = Scratch::new();
    let (dir, state, outside) = (scratch.dir("out"), scratch.file("state"), scratch.dir("outside"));
    symlink(&outside, scratch.file("out/link")).unwrap();
    let list = scratch.write("list", format!("{} link/f\n", origin.url("/f")).as_bytes());
    let finished = Backhaul::new().args(["get", "-i", &list, "-d", &dir, "--state-dir", &state, "--json"]).run();
    assert_refused(&finished);
    assert_eq!(names_in(outside), [""; 0], "{finished}");
}

#[test]
fn names_taken_from_addresses_stay_below_their_directory() {
    let origin = Origin::start();
    for (path, name) in
        [("/a/..%2fbeside", None), ("/a/%2e%2e", None), ("/a/.", None), ("/a/%00", None), ("/a/x%20y", Some("x y"))]
    {
        println!("{path}");
        let content = origin.file(path, File::seeded(1, SIZE_BYTES));
        let scratch = Scratch::new();
        let (dir, state) = (scratch.dir("out"), scratch.file("state"));
        scratch.write("beside", b"mine");
        let finished =
            Backhaul::new().args(["get", &origin.url(path), "-d", &dir, "--state-dir", &state, "--json"]).run();
        assert_eq!(fs::read(scratch.file("beside")).unwrap(), b"mine");
        match name {
            Some(name) => {
                let finished = finished.expect_code(DONE);
                assert_published(format!("{dir}/{name}"), content);
                assert_eq!(names_in(&dir), [name], "{finished}");
            }
            None => {
                assert_refused(&finished);
                assert_eq!(names_in(&dir), [""; 0], "{finished}");
            }
        }
    }
}
