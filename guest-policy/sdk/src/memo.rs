use std::fmt::Write as _;

use crate::types::Call;

/// The contract's limit on a memo.
const MEMO_MAX: usize = 4096;

/// What a policy remembers about a job: names with values, kept as lines of text so that a person can read it in the decision log.
///
/// ```
/// use backhaul_policy::{Memo, Reason};
///
/// let mut memo = Memo::default();
/// memo.set("tried", "2");
/// let reason = Reason::new("again", "once more").memo(&memo);
///
/// let mut call = backhaul_policy::sample::call();
/// call.memo = reason.memo.expect("set above");
/// assert_eq!(Memo::of(&call).get("tried"), Some("2"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memo(Vec<(String, String)>);

impl Memo {
    /// What the last answer left. Bytes that are no memo of this form count as nothing remembered.
    #[must_use]
    pub fn of(call: &Call) -> Self {
        let text = std::str::from_utf8(&call.memo).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Sets `name` to `value`. Neither may hold a line break, nor the name `=`: such a pair is left out of the memo.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
    }

    /// The memo as the host keeps it. A pair that would take it beyond the contract's 4 KiB is left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        for (name, value) in &self.0 {
            let broken = name.contains(['=', '\n', '\r']) || value.contains(['\n', '\r']);
            if broken || text.len() + name.len() + value.len() + 2 > MEMO_MAX {
                continue;
            }
            writeln!(text, "{name}={value}").expect("writing to a string cannot fail");
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{MEMO_MAX, Memo};

    fn read_back(memo: &Memo) -> Memo {
        let mut call = crate::sample::call();
        call.memo = memo.to_bytes();
        Memo::of(&call)
    }

    #[test]
    fn a_memo_reads_back_as_written() {
        let mut memo = Memo::default();
        memo.set("a", "1");
        memo.set("b", "x=y");
        memo.set("a", "2");
        assert_eq!(read_back(&memo), memo);
        assert_eq!(read_back(&memo).get("a"), Some("2"));
        assert_eq!(read_back(&memo).get("b"), Some("x=y"));
    }

    #[test]
    fn what_cannot_be_kept_is_left_out() {
        let mut memo = Memo::default();
        memo.set("long", "x".repeat(MEMO_MAX));
        memo.set("lines", "a\nb");
        memo.set("kept", "1");
        let bytes = memo.to_bytes();
        assert_eq!(bytes, b"kept=1\n");
    }

    #[test]
    fn a_foreign_memo_counts_as_none() {
        let mut call = crate::sample::call();
        call.memo = vec![0xff, 0xfe];
        assert_eq!(Memo::of(&call), Memo::default());
    }
}
