//! From bytes to lines.

use std::ops::Range;

/// One finding in a chunk of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A complete line, without its line break.
    Line(Range<usize>),
    /// A complete line that is longer than allowed, without its line break.
    Long(Range<usize>),
}

/// Finds the complete lines of `chunk`. Returns them with the number of bytes that they take, line breaks included;
/// what follows is the beginning of a line that is not finished yet. Empty lines are consumed and not returned.
pub fn frame(chunk: &[u8], max_line: usize) -> (Vec<Frame>, usize) {
    let (mut frames, mut start) = (Vec::new(), 0);
    for end in memchr::memchr_iter(b'\n', chunk) {
        let line = start..end - usize::from(end > start && chunk[end - 1] == b'\r');
        if line.len() > max_line {
            frames.push(Frame::Long(line));
        } else if !chunk[line.clone()].trim_ascii().is_empty() {
            frames.push(Frame::Line(line));
        }
        start = end + 1;
    }
    (frames, start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chunk_is_cut_at_line_breaks() {
        for (chunk, expected, consumed) in [
            (&b""[..], vec![], 0),
            (b"half a line", vec![], 0),
            (b"a\n", vec![Frame::Line(0..1)], 2),
            (b"a\r\nbc\nd", vec![Frame::Line(0..1), Frame::Line(3..5)], 6),
            (b"\n\n  \nx\n", vec![Frame::Line(5..6)], 7),
            (b"12345678901\n", vec![Frame::Long(0..11)], 12),
        ] {
            assert_eq!(frame(chunk, 10), (expected, consumed), "{}", chunk.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn cutting_a_file_into_chunks_changes_no_line(text in "[ab\n\r]{0,60}", cut in 0_usize..60) {
            let lines = |bytes: &[u8]| {
                let (frames, used) = frame(bytes, 1000);
                let found: Vec<Vec<u8>> = frames
                    .into_iter()
                    .map(|(Frame::Line(range) | Frame::Long(range))| bytes[range].to_vec())
                    .collect();
                (found, used)
            };
            let bytes = text.as_bytes();
            let (whole, _) = lines(bytes);
            let (mut parts, used) = lines(&bytes[..cut.min(bytes.len())]);
            parts.extend(lines(&bytes[used..]).0);
            prop_assert_eq!(whole, parts);
        }
    }
}
