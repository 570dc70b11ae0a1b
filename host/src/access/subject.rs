//! Subjects: users of this machine, and tokens. Each owns the jobs that it creates.

use std::fmt;
use std::str::FromStr;

/// Who calls, and whose a job is. Written `uid:1000` or `token:ci`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A user, as the kernel says (SO_PEERCRED).
    User(u32),
    /// Whoever has a token of this name.
    Token(TokenName),
}

/// The name of a token: 1 to 64 of a-z, 0-9, `.`, `_` and `-`, the first a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(String);

/// Why a text names no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Neither of the two forms.
    #[error("{0:?} is no subject: a user is written uid:1000, a token token:ci")]
    Form(String),
    /// No name of a token.
    #[error("{0:?} is no name of a token: 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit")]
    TokenName(String),
}

impl TokenName {
    /// Characters: it stands in lists and in every job of the token.
    pub const CHARS_MAX: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let is_name = (1..=Self::CHARS_MAX).contains(&bytes.len())
            && is_word(bytes[0])
            && bytes.iter().all(|byte| is_word(*byte) || matches!(byte, b'.' | b'_' | b'-'));
        if is_name { Ok(Self(text.to_owned())) } else { Err(SubjectError::TokenName(text.to_owned())) }
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let form = || SubjectError::Form(text.to_owned());
        match text.split_once(':').ok_or_else(form)? {
            // One written form only: an owner is compared as text.
            ("uid", uid) => match uid.parse::<u32>() {
                Ok(number) if number.to_string() == uid => Ok(Self::User(number)),
                _ => Err(form()),
            },
            ("token", name) => name.parse().map(Self::Token),
            _ => Err(form()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::Token(name) => write!(f, "token:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_written_form() {
        for text in ["uid:0", "uid:4294967295", "token:ci", "token:a.b_c-9"] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        let long = format!("token:{}", "a".repeat(65));
        for text in ["", "uid:", "uid:-1", "uid:01", "uid:+1", "uid:4294967296", "gid:1", "token:", "token:A", &long] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
        for text in ["token:-a", "token:a b", "token:a/b", "token:a:b", "token:\u{e9}"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
