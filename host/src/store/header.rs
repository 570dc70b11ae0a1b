//! The first bytes of a database file (sqlite.org/fileformat2.html section 1.3), read before SQLite is let near it. Pure.

/// "BHUL": what says that a database is a store of ours.
pub(super) const APPLICATION_ID: u32 = 0x4248_554C;

/// Length of the header.
pub(super) const HEADER_BYTES: usize = 100;

/// How every SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What the first bytes of a file say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A store of ours.
    Store {
        /// Its `user_version`.
        version: u32,
        /// Length of the whole file, if the header says it.
        bytes: Option<u64>,
    },
    /// It begins as a store does and is not one any more.
    Damaged(&'static str),
    /// Something else, in words.
    Foreign(String),
}

/// Reads the first bytes of a file: at most [`HEADER_BYTES`], fewer only if the file has no more.
pub(super) fn parse(bytes: &[u8]) -> Header {
    if bytes.is_empty() {
        return Header::Foreign("an empty file".into());
    }
    if !bytes.starts_with(MAGIC) {
        return match MAGIC.starts_with(bytes) {
            true => Header::Damaged("it ends within its header"),
            false => Header::Foreign("no SQLite database".into()),
        };
    }
    let Ok(bytes) = <&[u8; HEADER_BYTES]>::try_from(bytes) else {
        return Header::Damaged("it ends within its header");
    };
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let application = word(68);
    if application != APPLICATION_ID {
        return Header::Foreign(format!("a database of another program (application id {application:#010x})"));
    }
    let page = match u16::from_be_bytes([bytes[16], bytes[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    if !page.is_power_of_two() || page < 512 {
        return Header::Damaged("its page size is impossible");
    }
    // The page count holds only if the change counter says that it was written with the last change.
    let pages = (word(24) == word(92)).then(|| u64::from(word(28))).filter(|pages| *pages > 0);
    Header::Store { version: word(60), bytes: pages.map(|pages| pages * page) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..18].copy_from_slice(&4096_u16.to_be_bytes());
        bytes[28..32].copy_from_slice(&3_u32.to_be_bytes());
        bytes[60..64].copy_from_slice(&7_u32.to_be_bytes());
        bytes[68..72].copy_from_slice(&APPLICATION_ID.to_be_bytes());
        bytes
    }

    #[test]
    fn a_store_is_known_by_its_application_id() {
        assert_eq!(parse(&store()), Header::Store { version: 7, bytes: Some(3 * 4096) });
        let mut other = store();
        other[68] = 0;
        assert!(matches!(parse(&other), Header::Foreign(_)));
    }

    #[test]
    fn what_ends_early_is_damaged_and_what_begins_otherwise_is_foreign() {
        let whole = store();
        for end in 1..HEADER_BYTES {
            assert!(matches!(parse(&whole[..end]), Header::Damaged(_)), "{end}");
        }
        assert!(matches!(parse(b""), Header::Foreign(_)));
        assert!(matches!(parse(b"hello"), Header::Foreign(_)));
        assert!(matches!(parse(&[0; HEADER_BYTES]), Header::Foreign(_)));
    }
}
