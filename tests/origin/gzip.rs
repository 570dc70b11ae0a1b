//! A gzip member made of stored blocks: real gzip, without a compressor.

/// Longest stored block: its length is a 16-bit number.
const BLOCK_BYTES_MAX: usize = 65_535;

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = content.chunks(BLOCK_BYTES_MAX).peekable();
    if blocks.peek().is_none() {
        block(&mut out, &[], 1);
    }
    while let Some(bytes) = blocks.next() {
        block(&mut out, bytes, u8::from(blocks.peek().is_none()));
    }
    out.extend(crc32(content).to_le_bytes());
    // The format wants the length modulo 2^32.
    out.extend((content.len() as u32).to_le_bytes());
    out
}

fn block(out: &mut Vec<u8>, bytes: &[u8], last: u8) {
    let length = u16::try_from(bytes.len()).unwrap();
    out.push(last);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn an_empty_member_is_whole() {
        assert_eq!(gzip(b"").len(), 10 + 5 + 8);
    }
}
