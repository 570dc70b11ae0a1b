//! No name of a file leads out of the roots of its owner.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::super::directory::{Directory, has_openat2};
use super::super::part_file::PartFile;
use crate::access::{EgressClass, Reach, Root, Tenant};
use crate::job::{ErrorCode, LocalName};

/// A root with every kind of way out, and what lies outside.
struct Place {
    _scratch: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let base = scratch.path().canonicalize().unwrap();
        let (root, outside) = (base.join("root"), base.join("outside"));
        for directory in [&root, &outside, &base.join("root-too"), &root.join("d"), &root.join("d/e")] {
            fs::create_dir(directory).unwrap();
        }
        for (to, name) in [
            (Path::new("d"), "in"),
            (Path::new("d/e"), "in2"),
            (Path::new(".."), "up"),
            (Path::new("../outside"), "out"),
            (Path::new("d/../../outside"), "winding"),
            (outside.as_path(), "absolute"),
            // Where it leads is inside, but the way there begins outside.
            (root.join("d").as_path(), "absolute-in"),
            (Path::new("/proc/self/root"), "magic"),
            (Path::new("/proc/self/cwd"), "magic2"),
            (Path::new("loop"), "loop"),
            (Path::new("/"), "top"),
        ] {
            symlink(to, root.join(name)).unwrap();
            symlink(to, root.join("d").join(name)).unwrap();
        }
        Self { _scratch: scratch, root, outside }
    }

    fn tenant(&self) -> Tenant {
        let root = Root { named: self.root.clone(), real: self.root.clone() };
        Tenant { reach: Reach::Below(vec![root]), file_owner: None, class: EgressClass::Users }
    }
}

/// Where a directory really is.
fn place_of(directory: &Directory) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd())).unwrap()
}

#[test]
fn ten_thousand_names_lead_nowhere_else() {
    assert!(has_openat2());
    let place = Place::new();
    let tenant = place.tenant();
    let long = "n".repeat(255);
    let words = [
        "d",
        "e",
        "in",
        "in2",
        "up",
        "out",
        "winding",
        "absolute",
        "absolute-in",
        "magic",
        "magic2",
        "loop",
        "top",
        "..",
        ".",
        "",
        "tmp",
        "etc",
        "outside",
        "root",
        "\u{2024}\u{2024}",
        "%2e%2e",
        "..\\..",
        " ",
        &long,
        "d\n",
        "-",
        "~",
    ];
    let begins = [
        place.root.display().to_string(),
        format!("{}/.", place.root.display()),
        format!("/{}", place.root.display()),
        format!("{}-too", place.root.display()),
        place.outside.display().to_string(),
        "/etc".to_owned(),
        String::new(),
    ];
    let (mut opened, mut kept, mut dice) = (0, 0, 7_u64);
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).unwrap() % sides
    };
    for _ in 0..10_000 {
        // Most begin where they may.
        let begin = if roll(4) > 0 { 0 } else { roll(begins.len()) };
        let mut text = begins[begin].clone();
        for _ in 0..=roll(5) {
            text.push('/');
            text.push_str(words[roll(words.len())]);
        }
        text.push_str("/f");
        let Ok(name) = LocalName::new(PathBuf::from(&text)) else { continue };
        match Directory::open_for(name.directory(), &tenant) {
            Ok(directory) => {
                opened += 1;
                let found = place_of(&directory);
                assert!(found.starts_with(&place.root), "{text} led to {}", found.display());
                assert!(tenant.reach.allows(&name), "{text}");
            }
            Err(error) => {
                kept += 1;
                assert!(
                    matches!(error.code(), ErrorCode::AccessDenied | ErrorCode::LocalNameUnusable),
                    "{text}: {error}"
                );
            }
        }
    }
    assert!(opened > 300 && kept > 3_000, "{opened} opened, {kept} not");
}

#[test]
fn a_root_that_became_a_link_is_none() {
    let place = Place::new();
    let tenant = place.tenant();
    fs::rename(&place.root, place.root.with_extension("away")).unwrap();
    symlink(&place.outside, &place.root).unwrap();
    let error = Directory::open_for(&place.root, &tenant).unwrap_err();
    assert_eq!(error.code(), ErrorCode::AccessDenied, "{error}");
}

/// Rounds of the race: some seconds.
const ROUNDS: usize = 20_000;

#[test]
fn nothing_is_created_outside_while_directories_are_exchanged() {
    let place = Place::new();
    let tenant = place.tenant();
    fs::create_dir_all(place.root.join("way/deep")).unwrap();
    fs::create_dir(place.outside.join("deep")).unwrap();
    symlink("../outside", place.root.join("link")).unwrap();
    let over = AtomicBool::new(false);
    let (mut created, mut kept) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (way, link) = (place.root.join("way"), place.root.join("link"));
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &way, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for round in 0..ROUNDS {
            match Directory::open_for(&place.root.join("way/deep"), &tenant) {
                Ok(directory) => {
                    created += 1;
                    let directory = Arc::new(directory);
                    // The identity of what was created is that of a file inside: its directory is known by descriptor.
                    assert!(PartFile::create(&directory, &format!("{}.part", round % 8)).is_ok());
                }
                Err(_) => kept += 1,
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(place.outside.join("deep")).unwrap().count(), 0, "{created} created, {kept} kept");
    assert!(created > 0 && kept > 0, "{created} created, {kept} kept: no race");
}
