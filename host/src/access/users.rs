//! Names and groups of users, from /etc/passwd and /etc/group. Users of a directory service are named by their numbers.

use std::path::Path;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A name that is in neither file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} has no {name:?}; a number can stand for it")]
pub struct NoSuchName {
    name: String,
    file: &'static str,
}

/// The number of a user, by its name or as it is.
///
/// # Errors
/// If there is no such user.
pub fn user_id(name: &str) -> Result<u32, NoSuchName> {
    id_of(PASSWD, name)
}

/// The number of a group, by its name or as it is.
///
/// # Errors
/// If there is no such group.
pub fn group_id(name: &str) -> Result<u32, NoSuchName> {
    id_of(GROUP, name)
}

/// The primary group of a user, if /etc/passwd knows the user.
pub(super) fn group_of_user(uid: u32) -> Option<u32> {
    let text = read(PASSWD);
    let mut lines = text.lines().map(fields);
    let line = lines.find(|line| line.get(2).and_then(|field| field.parse().ok()) == Some(uid))?;
    line.get(3)?.parse().ok()
}

fn id_of(file: &'static str, name: &str) -> Result<u32, NoSuchName> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    find(&read(file), name).ok_or_else(|| NoSuchName { name: name.to_owned(), file })
}

/// Both files have the name first and the number third.
fn find(text: &str, name: &str) -> Option<u32> {
    let line = text.lines().map(fields).find(|line| line.first() == Some(&name))?;
    line.get(2)?.parse().ok()
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

fn read(file: &str) -> String {
    // One that cannot be read knows nobody: the refusal names it.
    std::fs::read_to_string(Path::new(file)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_taken() {
        assert_eq!(find("root:x:0:0:r:/root:/bin/sh\nci:x:42:43::/:/bin/false\nbad\n", "ci"), Some(42));
        assert_eq!(find("root:x:0:0\n", "roo"), None);
        assert_eq!((user_id("root"), user_id("1234"), group_id("root")), (Ok(0), Ok(1234), Ok(0)));
        assert!(user_id("nobody-of-this-name").unwrap_err().to_string().contains("/etc/passwd"));
        assert_eq!(group_of_user(0), Some(0));
    }
}
