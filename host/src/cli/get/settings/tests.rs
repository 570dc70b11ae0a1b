use std::fs;

use clap::Parser as _;
use tempfile::TempDir;

use super::*;
use crate::cli::arguments::{Cli, Command};
use crate::job::{CostFlags, CostState, Priority};

const HEX: &str = "00ff10e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b78";

struct Place {
    directory: TempDir,
    stdin: &'static str,
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap(), stdin: "" }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn resolve(&self, words: &[&str]) -> Result<GetSettings, SettingsError> {
        let cli = Cli::try_parse_from(["backhaul", "get"].iter().chain(words)).unwrap();
        let Command::Get(arguments) = cli.command else { panic!("get was asked for") };
        let mut around = Surroundings {
            working_directory: self.directory.path(),
            xdg_state_home: Some("/state".into()),
            home: None,
            embedded_policies: &["standard", "mirrors"],
            stdin: &mut self.stdin.as_bytes(),
        };
        GetSettings::resolve(&arguments, &mut around)
    }

    fn error(&self, words: &[&str]) -> String {
        self.resolve(words).unwrap_err().to_string()
    }

    fn names(&self, words: &[&str]) -> Vec<PathBuf> {
        let files = self.resolve(words).unwrap().files;
        files.into_iter().map(|file| file.local_name.as_path().to_path_buf()).collect()
    }
}

#[test]
fn urls_are_named_by_themselves_by_o_or_below_d() {
    let place = Place::new();
    assert_eq!(place.names(&["http://h/a", "http://h/b?x"]), [place.path("a"), place.path("b")]);
    assert_eq!(place.names(&["http://h/a", "-d", "x/y"]), [place.path("x/y/a")]);
    assert_eq!(place.names(&["http://h/", "-o", "c"]), [place.path("c")]);
    assert!(!place.path("x").exists(), "settings change nothing");
}

#[test]
fn lists_come_after_urls_and_name_their_lines() {
    let mut place = Place::new();
    fs::write(place.path("list"), format!("# a\nhttp://h/b\nhttp://h/c d/e sha256={HEX}\n")).unwrap();
    let settings = place.resolve(&["http://h/a", "-i", "list", "-d", "x"]).unwrap();
    let names: Vec<_> = settings.files.iter().map(|file| file.local_name.as_path().to_path_buf()).collect();
    assert_eq!(names, [place.path("x/a"), place.path("x/b"), place.path("x/d/e")]);
    assert_eq!(settings.files[2].digest, Some(HEX.parse().unwrap()));
    place.stdin = "http://h/a one\nhttp://h/b ../two";
    assert_eq!(
        place.error(&["-i", "-"]),
        "<stdin>:2: the local name \"../two\" is refused: it must be relative, without `..`, and stay below \".\""
    );
    place.stdin = "http://h/a\n\nnonsense";
    assert_eq!(
        place.error(&["-i", "-"]),
        "<stdin>:3: the remote name is no URL: relative URL without a base; a line is `URL [local-name] [sha256=HEX]`"
    );
    assert!(place.error(&["-i", "list", "http://h/b"]).starts_with("list:2 and URL 1 have the same local name /"));
    place.stdin = "# nothing";
    assert!(place.error(&["-i", "-"]).starts_with("<stdin> has no URL in it"));
    assert!(place.error(&["-i", "missing"]).starts_with("failed to read -i missing: No such file"));
    place.stdin = "http://h/a x/one/two\nhttp://h/b x/one";
    let error = place.error(&["-i", "-"]);
    assert!(error.starts_with("<stdin>:1 needs the directory /"), "{error}");
    assert!(error.contains("/x/one, which is the local name of <stdin>:2"), "{error}");
}

#[test]
fn what_is_for_a_single_url_is_refused_for_more() {
    let place = Place::new();
    fs::write(place.path("list"), "http://h/b").unwrap();
    for words in [&["http://h/a", "http://h/b", "-o", "c"][..], &["-i", "list", "-o", "c"]] {
        assert!(place.error(words).starts_with("-o FILE is for a single URL"), "{words:?}");
    }
    for words in [&["http://h/a", "http://h/b", "--sha256", HEX][..], &["http://h/a", "-i", "list", "--sha256", HEX]] {
        assert!(place.error(words).starts_with("--sha256 HEX is for a single URL"), "{words:?}");
    }
    assert_eq!(place.resolve(&["http://h/a", "--sha256", HEX]).unwrap().files[0].digest, Some(HEX.parse().unwrap()));
}

#[test]
fn bad_words_have_one_clear_error() {
    let place = Place::new();
    assert!(place.error(&[]).starts_with("nothing to fetch"));
    let error = place.error(&["http://h/a", "ftp://user:secret@h/b"]);
    assert_eq!(error, "URL 2: remote names begin with http:// or https://, not ftp:");
    assert!(place.error(&["http://h/a", "-o", "-"]).starts_with("-o -: a file is needed"));
    assert!(place.error(&["http://h/a/"]).starts_with("URL 1: the URL http://h/a/ has no last segment"));
    assert!(place.error(&["http://h/a", "-o", "x/a"]).starts_with("-o: the directory "));
    assert_eq!(
        place.error(&["http://h/a", "-H", "Range: x"]),
        "-H: range is set by Backhaul itself and cannot be given"
    );
    assert!(place.error(&["http://h/a", "--policy", "nobody"]).starts_with("--policy \"nobody\""));
}

#[test]
fn the_rest_is_taken_as_it_is_given() {
    let place = Place::new();
    fs::write(place.path("headers"), "A: b\n\nCookie: c=d\r\n").unwrap();
    let words = "http://h/a -j 64 --priority low --minimum-retry-delay 200ms --no-progress-timeout 0 --network near-cap,roaming \
                 --cost-flags standard --overwrite --json -q --state-dir s -H @headers";
    let settings = place.resolve(&words.split_whitespace().collect::<Vec<_>>()).unwrap();
    let expected = Properties {
        priority: Priority::Low,
        minimum_retry_delay_ms: 200,
        no_progress_timeout_ms: 0,
        parallel_files: 64,
        cost_flags: CostFlags::STANDARD,
        auto_complete: true,
        overwrite: true,
        ..Properties::default()
    };
    assert_eq!(settings.properties, expected);
    assert_eq!(settings.network.interfaces[0].cost, CostState::NearCap);
    assert_eq!(settings.output, Output::JsonSummary);
    assert_eq!(settings.headers.0, [("a".into(), "b".into()), ("cookie".into(), "c=d".into())]);
    assert_eq!(settings.state_dir.parent(), Some(place.directory.path().join("s").as_path()));
}

#[test]
fn options_do_not_change_the_store_but_files_do() {
    let place = Place::new();
    let state = |words: &[&str]| place.resolve(words).unwrap().state_dir;
    let plain = state(&["http://h/a"]);
    assert!(plain.starts_with("/state/backhaul/get"));
    assert_eq!(plain, state(&["http://h/a", "-j", "3", "-H", "a: b", "--policy", "mirrors", "--overwrite"]));
    assert_ne!(plain, state(&["http://h/b"]));
    assert_ne!(plain, state(&["http://h/a", "-d", "x"]));
    assert_ne!(plain, state(&["http://h/a", "--sha256", HEX]));
}
