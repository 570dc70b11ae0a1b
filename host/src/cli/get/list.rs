//! Lists of files to fetch: one `URL [local-name] [sha256=HEX]` a line.
//!
//! The URL ends at the first blank; what follows is the local name, blanks and all, but for a last word that begins with `sha256=`
//! (a name that does is written `./sha256=...`). A last word that looks like a digest of another kind or spelling is refused: taken for
//! a part of the name, it would leave a file unverified that was meant to be verified. Empty lines and lines that begin with `#` are left out. A byte order mark and CRLF
//! are tolerated.

use crate::job::{DigestError, RemoteNameError, SafeUrl, Sha256};

/// Files that one job may be given by a command: as many as the host is built to add at once.
pub(crate) const FILES_MAX: usize = 100_000;

/// Bytes of a list that are read: [`FILES_MAX`] lines of a long URL and a long name.
pub(crate) const LIST_BYTES_MAX: usize = 256 << 20;

/// One file of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Where it is fetched from.
    pub(crate) remote_name: SafeUrl,
    /// Where it shall appear, relative to the directory; none: named as the URL's last segment.
    pub(crate) local_name: Option<String>,
    /// What its bytes must hash to.
    pub(crate) digest: Option<Sha256>,
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct ListError {
    /// Which line, from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) problem: Problem,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// The text is not UTF-8.
    #[error("the list is no UTF-8 text")]
    NotUtf8,
    /// The URL.
    #[error("{0}; a line is `URL [local-name] [sha256=HEX]`")]
    RemoteName(#[from] RemoteNameError),
    /// The digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A digest, but not as one is written.
    #[error("{0:?} looks like a digest; one is written sha256=HEX, and a name that ends so begins with `./`")]
    DigestForm(String),
    /// Over [`FILES_MAX`].
    #[error("at most {FILES_MAX} files are allowed in one command")]
    TooMany,
}

/// Reads a list. The first bad line is the error; nothing of the list is used then.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, ListError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut entries = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line_number = number + 1;
        let error = |problem| ListError { line: line_number, problem };
        let text = std::str::from_utf8(line).map_err(|_| error(Problem::NotUtf8))?.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if entries.len() == FILES_MAX {
            return Err(error(Problem::TooMany));
        }
        entries.push(parse_line(line_number, text).map_err(error)?);
    }
    Ok(entries)
}

/// Reads one line, which is trimmed and not empty.
fn parse_line(line: usize, text: &str) -> Result<Entry, Problem> {
    let (url, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim_start();
    let (before, last) = rest.rsplit_once(char::is_whitespace).unwrap_or(("", rest));
    let (name, digest) = match last.strip_prefix("sha256=") {
        Some(hex) => (before.trim_end(), Some(hex.parse()?)),
        None if looks_like_digest(last) && !rest.starts_with("./") => return Err(Problem::DigestForm(last.to_owned())),
        None => (rest, None),
    };
    Ok(Entry {
        line,
        remote_name: SafeUrl::parse(url)?,
        local_name: (!name.is_empty()).then(|| name.to_owned()),
        digest,
    })
}

/// Whether a word is an algorithm and a digest, as other lists and tools write them: `SHA256=...`, `sha-512=...`, `md5:...`.
fn looks_like_digest(word: &str) -> bool {
    const ALGORITHMS: [&str; 4] = ["md5", "sha", "blake", "crc32"];
    let Some((algorithm, _)) = word.split_once(['=', ':']) else { return false };
    let algorithm = algorithm.to_ascii_lowercase();
    ALGORITHMS.iter().any(|known| {
        let rest = algorithm.strip_prefix(known);
        rest.is_some_and(|rest| {
            rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'b' | b's'))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "00ff10e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b78";

    fn one(text: &str) -> Entry {
        let entries = parse(text.as_bytes()).unwrap();
        assert_eq!(entries.len(), 1, "{text:?}");
        entries.into_iter().next().unwrap()
    }

    #[test]
    fn columns_are_told_apart() {
        assert_eq!(one("http://h/a").local_name, None);
        assert_eq!(one("http://h/a b").local_name.as_deref(), Some("b"));
        assert_eq!(one("http://h/a\tdir/b  c").local_name.as_deref(), Some("dir/b  c"));
        let entry = one(&format!("http://h/a  b c  sha256={HEX}"));
        assert_eq!(entry.local_name.as_deref(), Some("b c"));
        assert_eq!(entry.digest, Some(HEX.parse().unwrap()));
        let entry = one(&format!("http://h/a sha256={HEX}"));
        assert_eq!((entry.local_name, entry.digest.is_some()), (None, true));
        assert_eq!(one(&format!("http://h/a ./sha256={HEX}")).digest, None);
    }

    #[test]
    fn a_digest_that_is_written_otherwise_is_refused_and_not_a_part_of_the_name() {
        for word in ["SHA256=00ff", "sha-256=00ff", "sha512=00ff", "md5:00ff", "Sha256:00ff", "blake2b=00ff"] {
            for line in [format!("http://h/a b {word}"), format!("http://h/a {word}")] {
                let error = parse(line.as_bytes()).unwrap_err().to_string();
                assert!(error.contains("one is written sha256=HEX"), "{line}: {error}");
            }
            let name = format!("./b {word}");
            assert_eq!(one(&format!("http://h/a {name}")).local_name, Some(name));
        }
        for name in ["sha256", "shared=1", "a=b", "b sha256sum.txt", "md5sums:x"] {
            assert_eq!(one(&format!("http://h/a {name}")).local_name.as_deref(), Some(name));
        }
    }

    #[test]
    fn comments_empty_lines_byte_order_marks_and_line_ends_are_tolerated() {
        let text = "\u{feff}# files\r\n\r\n  http://h/a  one \r\n   # more\nhttp://h/b#fragment";
        let entries = parse(text.as_bytes()).unwrap();
        let lines: Vec<_> = entries.iter().map(|entry| (entry.line, entry.local_name.as_deref())).collect();
        assert_eq!(lines, [(3, Some("one")), (5, None)]);
        assert_eq!(parse(b""), Ok(Vec::new()));
    }

    #[test]
    fn an_error_names_the_line_and_not_the_secret() {
        let message = |text: &[u8]| parse(text).unwrap_err().to_string();
        assert_eq!(
            message(b"http://h/a\nftp://user:secret@h/b"),
            "line 2: remote names begin with http:// or https://, not ftp:; a line is `URL [local-name] [sha256=HEX]`"
        );
        assert!(!message(b"user:secret@h/b").contains("secret"));
        assert!(message(b"\nhttp://h/a b sha256=12").starts_with("line 2: a SHA-256 digest is 64 hexadecimal digits"));
        assert_eq!(message(b"http://h/\xff"), "line 1: the list is no UTF-8 text");
    }

    #[test]
    fn a_list_has_a_limit() {
        let text = "http://h/a\n".repeat(FILES_MAX + 1);
        assert_eq!(parse(text.as_bytes()), Err(ListError { line: FILES_MAX + 1, problem: Problem::TooMany }));
        assert_eq!(parse(&text.as_bytes()[11..]).unwrap().len(), FILES_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_written_reads_back(
            files in proptest::collection::vec(("[a-z0-9]{1,8}", proptest::option::of("[^\\s#\\pC][^\\pC\\pZ]{0,10}( [^\\pC\\pZ]{1,5})?"), any::<bool>()), 0..20),
            end in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n"), Just("\n# x\n")],
        ) {
            let text: String = files.iter().map(|(path, name, digest)| {
                let name = name.as_deref().unwrap_or("");
                format!("http://h/{path} {name}{}{end}", if *digest { format!(" sha256={HEX}") } else { String::new() })
            }).collect();
            // A name that ends as a digest does is one: the documented exception.
            prop_assume!(files.iter().all(|(_, name, _)| !name.as_deref().unwrap_or("").split(' ').any(looks_like_digest)));
            let entries = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(entries.len(), files.len());
            for (entry, (path, name, digest)) in entries.iter().zip(&files) {
                prop_assert_eq!(entry.remote_name.expose().path(), format!("/{path}"));
                prop_assert_eq!(&entry.local_name, name);
                prop_assert_eq!(entry.digest.is_some(), *digest);
            }
        }
    }
}
