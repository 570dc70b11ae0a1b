//! Skips: a test that cannot run here says so, where it can be counted.

use std::io::Write;

/// Ends the calling test as skipped, with the reason; see [`record`].
macro_rules! skip {
    ($($why:tt)+) => {{
        fn here() {}
        $crate::rig::skip::record(std::any::type_name_of_val(&here), &format!($($why)+));
        return;
    }};
}
pub(crate) use skip;

/// Prints `SKIPPED name: why`, and appends it to the file that `BACKHAUL_SKIP_LOG` names.
///
/// # Panics
///
/// With `BACKHAUL_NO_SKIP=1`: there, every test has to run.
pub(crate) fn record(here: &str, why: &str) {
    let name = test_name(here);
    assert!(std::env::var_os("BACKHAUL_NO_SKIP").is_none_or(|value| value != "1"), "{name} cannot run here: {why}");
    let line = format!("SKIPPED {name}: {why}\n");
    print!("{line}");
    let Some(log) = std::env::var_os("BACKHAUL_SKIP_LOG") else { return };
    // One write of one line: appends of several tests do not mix.
    let mut log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    log.write_all(line.as_bytes()).unwrap();
}

/// The name that the test harness prints, from the path of an item within the test.
fn test_name(here: &str) -> &str {
    let name = here.strip_suffix("::here").unwrap_or(here);
    name.split_once("::").map_or(name, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_knows_its_name() {
        fn here() {}
        assert_eq!(test_name(std::any::type_name_of_val(&here)), "rig::skip::tests::a_test_knows_its_name");
    }
}
