//! What policies need and the standard library lacks, in plain Rust without dependencies.
//!
//! Compiled both natively (the host's fallback) and to WebAssembly: everything here is integer arithmetic and text, so that equal inputs
//! give equal results in both.

mod jitter;
pub mod json;

pub use jitter::jitter_up_to;

/// Cuts `text` to at most `max` bytes, at a character boundary.
#[must_use]
pub fn clipped(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::clipped;

    #[test]
    fn clipping_keeps_whole_characters() {
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("abc", 2), "ab");
        assert_eq!(clipped("aé", 2), "a");
        assert_eq!(clipped("é", 0), "");
    }
}
