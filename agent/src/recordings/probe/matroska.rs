//! Matroska and `WebM` (RFC 8794, RFC 9559), whole or cut off.
//!
//! A writer that ends well goes back and writes the duration. Where it did not, the time of the last block tells how long
//! the recording is, at least; such a file can be played as far as it goes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::{Container, Media};

/// The first bytes of every EBML document.
pub(super) const MAGIC: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];

/// The identifiers of the elements that matter here.
mod id {
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const INFO: u32 = 0x1549_a966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub(super) const DURATION: u32 = 0x4489;
    pub(super) const CLUSTER: u32 = 0x1f43_b675;
    pub(super) const TIMESTAMP: u32 = 0xe7;
    pub(super) const SIMPLE_BLOCK: u32 = 0xa3;
    pub(super) const BLOCK_GROUP: u32 = 0xa0;
    pub(super) const BLOCK: u32 = 0xa1;
}

/// Nanoseconds per tick where the file does not say.
const DEFAULT_SCALE: u64 = 1_000_000;

/// The most elements that are looked at: days of recording by a writer that does not say how long its clusters are.
const MOST: usize = 20_000_000;

/// Looks into a file of this length that begins with [`MAGIC`].
pub(super) fn probe(file: &File, length: u64) -> io::Result<Media> {
    let mut walk = Walk { file, found: Found::default(), looked_at: 0 };
    walk.through(0..length)?;
    if let Some(cluster) = walk.found.last_cluster.take() {
        walk.found.cluster_time = 0;
        walk.through(cluster)?;
    }
    let found = walk.found;
    let scale = found.scale.unwrap_or(DEFAULT_SCALE);
    let milliseconds = |ticks: u64| u64::try_from(u128::from(ticks) * u128::from(scale) / 1_000_000).ok();
    Ok(Media {
        container: Container::Matroska,
        truncated: !found.any_cluster,
        unfinished: found.any_cluster && (found.cut || found.duration.is_none()),
        duration_ms: found.duration.or(found.last_block).and_then(milliseconds),
    })
}

/// What was found so far. Times are in ticks.
#[derive(Default)]
struct Found {
    scale: Option<u64>,
    duration: Option<u64>,
    any_cluster: bool,
    /// The content of the latest cluster that was not looked into.
    last_cluster: Option<Range<u64>>,
    cluster_time: u64,
    last_block: Option<u64>,
    /// An element runs beyond the end of the file.
    cut: bool,
}

struct Walk<'a> {
    file: &'a File,
    found: Found,
    looked_at: usize,
}

impl Walk<'_> {
    /// Looks at the elements of a range, one behind the other, and into those that hold others: then the elements in
    /// them are the next ones, so that it does not matter whether they say where they end.
    fn through(&mut self, range: Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end && self.looked_at < MOST {
            self.looked_at += 1;
            let Some(element) = self.element(at, range.end)? else {
                self.found.cut = true;
                return Ok(());
            };
            let whole = element.end.is_none_or(|end| end <= range.end);
            at = match element.id {
                id::SEGMENT | id::INFO | id::BLOCK_GROUP => element.content,
                id::CLUSTER => {
                    self.found.any_cluster = true;
                    (self.found.cluster_time, self.found.last_cluster) = (0, None);
                    match element.end.filter(|_| whole) {
                        Some(end) => {
                            self.found.last_cluster = Some(element.content..end);
                            end
                        }
                        None => element.content,
                    }
                }
                _ => {
                    let Some(end) = element.end.filter(|_| whole) else {
                        self.found.cut = true;
                        return Ok(());
                    };
                    self.take(element.id, element.content..end)?;
                    end
                }
            };
        }
        Ok(())
    }

    /// Takes what an element says whose content lies in this range.
    fn take(&mut self, id: u32, content: Range<u64>) -> io::Result<()> {
        match id {
            id::TIMESTAMP_SCALE => self.found.scale = self.number(content)?.filter(|scale| *scale > 0),
            id::DURATION => self.found.duration = self.float(content)?,
            id::TIMESTAMP => self.found.cluster_time = self.number(content)?.unwrap_or(0),
            id::SIMPLE_BLOCK | id::BLOCK => {
                if let Some(relative) = self.block_time(content)? {
                    let time = self.found.cluster_time.saturating_add_signed(i64::from(relative));
                    self.found.last_block = self.found.last_block.max(Some(time));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The element at `at`, if its head is there as a whole.
    fn element(&self, at: u64, end: u64) -> io::Result<Option<Element>> {
        let mut bytes = [0; 12];
        let there = usize::try_from(end - at).unwrap_or(usize::MAX).min(bytes.len());
        self.file.read_exact_at(&mut bytes[..there], at)?;
        let head = &bytes[..there];
        let Some((id, id_length)) = vint(head).filter(|(_, length)| *length <= 4) else { return Ok(None) };
        let Some((size, size_length)) = head.get(id_length..).and_then(vint) else { return Ok(None) };
        let content = at + (id_length + size_length) as u64;
        // The marker belongs to an identifier, and not to a size; a size of ones alone is not known.
        let marker = 1_u64 << (7 * size_length);
        let size = Some(size & (marker - 1)).filter(|size| *size != marker - 1);
        let end = size.map(|size| content.saturating_add(size));
        Ok(Some(Element { id: u32::try_from(id).unwrap_or(0), content, end }))
    }

    fn number(&self, content: Range<u64>) -> io::Result<Option<u64>> {
        Ok(self.bytes::<8>(content)?.map(u64::from_be_bytes))
    }

    /// A floating-point number of ticks; `None` when it says nothing, as it does before it is known.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest integer there is"
    )]
    fn float(&self, content: Range<u64>) -> io::Result<Option<u64>> {
        let value = match content.end - content.start {
            4 => self.bytes::<4>(content)?.map(|bytes| f64::from(f32::from_be_bytes(bytes))),
            8 => self.bytes::<8>(content)?.map(f64::from_be_bytes),
            _ => None,
        };
        Ok(value.filter(|value| *value >= 1.0).map(|value| value as u64))
    }

    /// The time of a block, relative to its cluster's.
    fn block_time(&self, content: Range<u64>) -> io::Result<Option<i16>> {
        let mut bytes = [0; 10];
        let there = usize::try_from(content.end - content.start).unwrap_or(usize::MAX).min(bytes.len());
        self.file.read_exact_at(&mut bytes[..there], content.start)?;
        let Some((_, track)) = vint(&bytes[..there]) else { return Ok(None) };
        let time = bytes[..there].get(track..track + 2);
        Ok(time.and_then(|time| time.try_into().ok()).map(i16::from_be_bytes))
    }

    /// The content as the last of `N` bytes, if it has no more.
    fn bytes<const N: usize>(&self, content: Range<u64>) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        let Some(from) = usize::try_from(content.end - content.start).ok().and_then(|n| N.checked_sub(n))
        else {
            return Ok(None);
        };
        self.file.read_exact_at(&mut bytes[from..], content.start)?;
        Ok(Some(bytes))
    }
}

struct Element {
    id: u32,
    /// Where its content begins.
    content: u64,
    /// Where it ends; `None` if it does not say.
    end: Option<u64>,
}

/// A number of variable length with its marker, and its length in bytes.
fn vint(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let bytes = bytes.get(..length).filter(|_| length <= 8)?;
    Some((bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), length))
}

#[cfg(test)]
mod tests {
    use super::super::tests::probed;
    use super::*;

    /// An element with its size in eight bytes.
    fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
        let size = (content.len() as u64 | 1 << 56).to_be_bytes();
        [id, &size, content].concat()
    }

    /// An element that does not say how long it is.
    fn open(id: &[u8], content: &[u8]) -> Vec<u8> {
        [id, &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], content].concat()
    }

    const SEGMENT: &[u8] = &[0x18, 0x53, 0x80, 0x67];
    const CLUSTER: &[u8] = &[0x1f, 0x43, 0xb6, 0x75];

    fn header() -> Vec<u8> {
        element(&MAGIC, b"a header")
    }

    fn info(duration: Option<f64>) -> Vec<u8> {
        let scale = element(&[0x2a, 0xd7, 0xb1], &2_000_000_u32.to_be_bytes());
        let duration = duration.map(|ticks| element(&[0x44, 0x89], &ticks.to_be_bytes())).unwrap_or_default();
        element(&[0x15, 0x49, 0xa9, 0x66], &[scale, duration].concat())
    }

    /// The content of a cluster at this time with blocks at these times behind it.
    fn blocks(time: u16, relative: &[i16]) -> Vec<u8> {
        let mut content = element(&[0xe7], &time.to_be_bytes());
        for (index, relative) in relative.iter().enumerate() {
            let block = [&[0x81][..], &relative.to_be_bytes(), &[0x80, 1, 2, 3]].concat();
            content.extend(if index % 2 == 0 {
                element(&[0xa3], &block)
            } else {
                element(&[0xa0], &element(&[0xa1], &block))
            });
        }
        content
    }

    #[test]
    fn a_whole_file_tells_its_duration() {
        let clusters =
            [element(CLUSTER, &blocks(0, &[0, 5])), element(CLUSTER, &blocks(100, &[0, 9, 4]))].concat();
        let file = [header(), element(SEGMENT, &[info(Some(150.0)), clusters].concat())].concat();
        let media = probed(&file);
        assert_eq!((media.container, media.truncated, media.unfinished), (Container::Matroska, false, false));
        assert_eq!(media.duration_ms, Some(300));
    }

    #[test]
    fn a_file_whose_writer_died_tells_the_time_of_its_last_block() {
        let first = element(CLUSTER, &blocks(0, &[0, 5]));
        let second = blocks(100, &[0, 9, -4]);
        for (clusters, expected) in [
            (element(CLUSTER, &second), 218),
            (open(CLUSTER, &second), 218),
            // The last block is cut: the one before counts.
            ([CLUSTER, &element(&[], &second)[..second.len()]].concat(), 218),
            ([&open(CLUSTER, &blocks(50, &[1]))[..], &open(CLUSTER, &second)].concat(), 218),
        ] {
            let file = [header(), open(SEGMENT, &[info(None), first.clone(), clusters].concat())].concat();
            let media = probed(&file);
            assert_eq!((media.truncated, media.unfinished), (false, true));
            assert_eq!(media.duration_ms, Some(expected));
        }
    }

    #[test]
    fn a_file_without_media_cannot_be_played() {
        let whole = [header(), open(SEGMENT, &info(Some(0.0)))].concat();
        for length in 8..=whole.len() {
            let media = probed(&whole[..length]);
            assert_eq!((media.truncated, media.duration_ms), (true, None), "{length} bytes");
        }
    }

    #[test]
    fn nonsense_ends() {
        for tail in [vec![0; 1000], vec![0xff; 1000], open(SEGMENT, &[0; 100]), element(SEGMENT, &[0xec; 40])]
        {
            let media = probed(&[header(), tail].concat());
            assert!(media.truncated);
        }
    }
}
