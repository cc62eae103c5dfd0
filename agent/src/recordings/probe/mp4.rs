//! ISO base media: mp4 and mov, whole, cut off or in fragments.
//!
//! As Jibri's ffmpeg writes it, an mp4 has its index (`moov`) at the end, written at a clean exit only. A file without one
//! was cut off, and players refuse it. A fragmented one begins with its index and can be played wherever it ends.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Container, Media};

/// Looks into a file of this length that begins with an `ftyp` box.
pub(super) fn probe<R: Read + Seek>(reader: &mut R, length: u64) -> io::Result<Media> {
    let index = find(reader, 0, length, *b"moov")?;
    let duration_ms = match index {
        Some((start, end)) => duration(reader, start, end)?,
        None => None,
    };
    // What a fragmented file ends with when its writer closed it.
    let fragmented = find(reader, 0, length, *b"moof")?.is_some();
    let unfinished = fragmented && find(reader, 0, length, *b"mfra")?.is_none();
    Ok(Media { container: Container::Mp4, truncated: index.is_none(), unfinished, duration_ms })
}

/// The content of the first box of this kind among the boxes that fill `start..end`, if it is there as a whole.
fn find<R: Read + Seek>(
    reader: &mut R,
    start: u64,
    end: u64,
    kind: [u8; 4],
) -> io::Result<Option<(u64, u64)>> {
    let mut at = start;
    while at + 8 <= end {
        reader.seek(SeekFrom::Start(at))?;
        let (size, name, header) = box_header(reader, end - at)?;
        let Some(next) = at.checked_add(size).filter(|next| *next <= end && size >= header) else {
            return Ok(None);
        };
        if name == kind {
            return Ok(Some((at + header, next)));
        }
        at = next;
    }
    Ok(None)
}

/// Size, name and header length of the box at the reader's position (ISO/IEC 14496-12, 4.2). Size 0 means "to the end".
fn box_header<R: Read>(reader: &mut R, rest: u64) -> io::Result<(u64, [u8; 4], u64)> {
    let (mut size, mut name) = ([0; 4], [0; 4]);
    reader.read_exact(&mut size)?;
    reader.read_exact(&mut name)?;
    match u32::from_be_bytes(size) {
        0 => Ok((rest, name, 8)),
        1 => {
            let mut large = [0; 8];
            if rest < 16 {
                return Ok((u64::MAX, name, 16));
            }
            reader.read_exact(&mut large)?;
            Ok((u64::from_be_bytes(large), name, 16))
        }
        size => Ok((u64::from(size), name, 8)),
    }
}

/// The movie header's duration (ISO/IEC 14496-12, 8.2.2). A fragmented file says 0 there: not known.
fn duration<R: Read + Seek>(reader: &mut R, start: u64, end: u64) -> io::Result<Option<u64>> {
    let Some((at, until)) = find(reader, start, end, *b"mvhd")? else { return Ok(None) };
    let mut header = vec![0; usize::try_from(until - at).unwrap_or(usize::MAX).min(32)];
    reader.seek(SeekFrom::Start(at))?;
    reader.read_exact(&mut header)?;
    let long = header.first() == Some(&1);
    let number = |from: usize, to: usize| {
        header.get(from..to).map(|bytes| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let (scale, length) =
        if long { (number(20, 24), number(24, 32)) } else { (number(12, 16), number(16, 20)) };
    Ok(match (scale, length) {
        (Some(scale), Some(length)) if scale > 0 && length > 0 => {
            u64::try_from(u128::from(length) * 1000 / u128::from(scale)).ok()
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::probed;
    use super::*;

    fn boxed(name: [u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes(), &name[..], content].concat()
    }

    fn mvhd(scale: u32, duration: u32) -> Vec<u8> {
        let content = [&[0; 12][..], &scale.to_be_bytes(), &duration.to_be_bytes()].concat();
        boxed(*b"mvhd", &content)
    }

    #[test]
    fn a_whole_mp4_tells_its_duration() {
        let file = [boxed(*b"ftyp", b"isom"), boxed(*b"mdat", &[0; 100]), boxed(*b"moov", &mvhd(1000, 3200))]
            .concat();
        assert_eq!(
            probed(&file),
            Media { container: Container::Mp4, truncated: false, unfinished: false, duration_ms: Some(3200) }
        );
    }

    #[test]
    fn an_mp4_without_its_index_is_truncated() {
        let whole =
            [boxed(*b"ftyp", b"isom"), boxed(*b"mdat", &[0; 100]), boxed(*b"moov", &mvhd(1000, 3200))]
                .concat();
        for cut in [13, 60, whole.len() - 1] {
            assert!(probed(&whole[..cut]).truncated, "cut at {cut}");
        }
        // ffmpeg's own placeholder: a box that runs to the end of the file.
        let open = [boxed(*b"ftyp", b"isom"), [&[0; 4][..], b"mdat"].concat(), vec![1; 50]].concat();
        assert!(probed(&open).truncated);
    }

    #[test]
    fn a_fragmented_mp4_can_be_played_wherever_it_ends() {
        let whole = [
            boxed(*b"ftyp", b"isom"),
            boxed(*b"moov", &mvhd(1000, 0)),
            boxed(*b"moof", &[0; 20]),
            boxed(*b"mdat", &[0; 100]),
            boxed(*b"mfra", &[0; 10]),
        ]
        .concat();
        for (length, unfinished) in [(whole.len(), false), (whole.len() - 1, true), (whole.len() - 60, true)]
        {
            let media = probed(&whole[..length]);
            assert_eq!((media.truncated, media.unfinished), (false, unfinished), "{length} bytes");
            assert_eq!(media.duration_ms, None, "it says none");
        }
    }

    #[test]
    fn absurd_sizes_are_not_believed() {
        let large =
            [boxed(*b"ftyp", b"isom"), [&1_u32.to_be_bytes()[..], b"mdat", &u64::MAX.to_be_bytes()].concat()]
                .concat();
        assert!(probed(&large).truncated);
        let tiny = [boxed(*b"ftyp", b"isom"), [&3_u32.to_be_bytes()[..], b"mdat"].concat()].concat();
        assert!(probed(&tiny).truncated);
    }
}
