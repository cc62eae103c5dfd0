//! How a file is cut into parts: pure arithmetic.

use std::ops::Range;

use contract::upload::{StoredPart, Upload};

/// A file's parts, numbered from 1. An empty file is one empty part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    size: u64,
    part_size: u64,
    count: u32,
}

impl Cut {
    /// The cut that the API asks for; `None` if its parts do not make up a file of `size` bytes.
    pub(super) fn of(size: u64, upload: &Upload) -> Option<Self> {
        let (part_size, count) = (upload.part_size_bytes, upload.part_count);
        let expected = size.checked_div(part_size)? + u64::from(!size.is_multiple_of(part_size) || size == 0);
        (expected == u64::from(count)).then_some(Self { size, part_size, count })
    }

    /// The bytes of part `number`.
    pub(super) fn range(&self, number: u32) -> Range<u64> {
        let start = u64::from(number.saturating_sub(1)).saturating_mul(self.part_size).min(self.size);
        start..start.saturating_add(self.part_size).min(self.size)
    }

    /// The parts that the storage does not have, or not as they should be.
    pub(super) fn missing(&self, stored: &[StoredPart]) -> Vec<u32> {
        let mut has = vec![false; self.count as usize + 1];
        for part in stored {
            if let Some(has) = has.get_mut(part.number as usize) {
                *has = self.is_whole(part);
            }
        }
        (1..=self.count).filter(|number| !has[*number as usize]).collect()
    }

    fn is_whole(&self, part: &StoredPart) -> bool {
        let range = self.range(part.number);
        part.size_bytes == range.end - range.start
    }

    /// The bytes of these parts.
    pub(super) fn bytes(&self, numbers: &[u32]) -> u64 {
        numbers.iter().map(|number| self.range(*number)).map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use contract::upload::{UploadId, UploadState};

    use super::*;

    fn upload(part_size_bytes: u64, part_count: u32) -> Upload {
        Upload {
            upload_id: UploadId::parse("upl_1").unwrap(),
            state: UploadState::Open,
            bucket: "b".into(),
            object_key: "k".into(),
            part_size_bytes,
            part_count,
        }
    }

    #[test]
    fn the_parts_make_up_the_file() {
        for (size, part_size, count, fits) in [
            (0, 5, 1, true),
            (1, 5, 1, true),
            (5, 5, 1, true),
            (6, 5, 2, true),
            (10, 5, 2, true),
            (0, 5, 0, false),
            (6, 5, 1, false),
            (10, 5, 3, false),
            (1, 0, 1, false),
            (u64::MAX, 1, 1, false),
        ] {
            let cut = Cut::of(size, &upload(part_size, count));
            assert_eq!(cut.is_some(), fits, "{size} bytes in {count} parts of {part_size}");
            let Some(cut) = cut else { continue };
            let mut end = 0;
            for number in 1..=count {
                let range = cut.range(number);
                assert_eq!(range.start, end, "part {number}");
                end = range.end;
            }
            assert_eq!(end, size);
            assert_eq!(cut.bytes(&cut.missing(&[])), size);
        }
    }

    #[test]
    fn a_part_of_another_size_is_missing() {
        let cut = Cut::of(11, &upload(5, 3)).unwrap();
        let part = |number, size_bytes| StoredPart { number, size_bytes };
        for (stored, missing) in [
            (vec![], vec![1, 2, 3]),
            (vec![part(1, 5), part(3, 1)], vec![2]),
            (vec![part(1, 5), part(2, 4), part(3, 5)], vec![2, 3]),
            (vec![part(1, 5), part(2, 5), part(3, 1), part(4, 5), part(0, 0)], vec![]),
        ] {
            assert_eq!(cut.missing(&stored), missing, "{stored:?}");
        }
    }
}
