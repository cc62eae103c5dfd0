//! What an upload is given up for only when it lasts.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::outbox::uploads::UploadSeq;

/// What may pass: a meeting that appears late, an API that is being replaced, a disk that is not mounted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The API knows no meeting for the room.
    NoMeeting,
    /// The API does not know uploads.
    NoUploads,
    /// The file is not there.
    Gone,
    /// Nothing is there, not even other recordings: their disk may not be mounted.
    Away,
}

/// How much longer a disk may be away than everything else may last.
const AWAY: u32 = 72;

/// Since when there has been a doubt about uploads, by two clocks: one that is set forward must not end an upload, and
/// neither must a host that slept. What another turn finds otherwise was not lasting, and a restart begins anew.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    since: HashMap<UploadSeq, Since>,
}

#[derive(Debug, Clone, Copy)]
struct Since {
    doubt: Doubt,
    at: Instant,
    /// In milliseconds since 1970.
    wall: i64,
}

impl Patience {
    /// Patience for `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, since: HashMap::new() }
    }

    /// Whether this doubt, which there is now, has lasted for too long. `wall` is in milliseconds since 1970.
    pub(super) fn is_over(&mut self, seq: UploadSeq, doubt: Doubt, now: Instant, wall: i64) -> bool {
        let first = Since { doubt, at: now, wall };
        let since = self.since.entry(seq).or_insert(first);
        if since.doubt != doubt {
            *since = first;
        }
        // A clock that was set back begins anew.
        since.wall = since.wall.min(wall);
        let limit = if doubt == Doubt::Away { self.limit * AWAY } else { self.limit };
        let by_wall = u128::from(wall.saturating_sub(since.wall).unsigned_abs());
        now.duration_since(since.at) > limit && by_wall > limit.as_millis()
    }

    /// There is no doubt about the upload any more.
    pub(super) fn reset(&mut self, seq: UploadSeq) {
        self.since.remove(&seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Whether patience was over at each of the looks: a doubt or none, and both clocks in milliseconds.
    fn looks(looks: &[(Option<Doubt>, i64, i64)]) -> Vec<bool> {
        let (start, mut patience) = (Instant::now(), Patience::new(Duration::from_hours(1)));
        let mut look = |doubt: Option<Doubt>, at: i64, wall: i64| {
            if doubt.is_none() {
                patience.reset(7);
            }
            let at = start + Duration::from_millis(at.unsigned_abs());
            doubt.is_some_and(|doubt| patience.is_over(7, doubt, at, wall))
        };
        looks.iter().map(|(doubt, at, wall)| look(*doubt, *at, *wall)).collect()
    }

    #[test]
    fn an_upload_is_given_up_when_both_clocks_say_that_a_doubt_lasts() {
        let (missing, gone, away) = (Some(Doubt::NoMeeting), Some(Doubt::Gone), Some(Doubt::Away));
        for (name, told, expected) in [
            ("an hour", vec![(missing, 0, 0), (missing, HOUR, HOUR)], vec![false, false]),
            ("more", vec![(missing, 0, 0), (missing, HOUR + 1, HOUR + 1)], vec![false, true]),
            ("clock set forward", vec![(gone, 0, 0), (gone, 1, 9 * HOUR)], vec![false, false]),
            ("clock set back", vec![(gone, 0, 9 * HOUR), (gone, 2 * HOUR, 0)], vec![false, false]),
            (
                "clock set back, and an hour",
                vec![(gone, 0, 9 * HOUR), (gone, HOUR, 0), (gone, 3 * HOUR, 2 * HOUR)],
                vec![false, false, true],
            ),
            (
                "another answer between",
                vec![(missing, 0, 0), (None, 1, 1), (missing, 2 * HOUR, 2 * HOUR)],
                vec![false, false, false],
            ),
            (
                "another doubt between",
                vec![(missing, 0, 0), (gone, 2 * HOUR, 2 * HOUR), (missing, 4 * HOUR, 4 * HOUR)],
                vec![false, false, false],
            ),
            (
                "a disk that is away",
                vec![(away, 0, 0), (away, 72 * HOUR, 72 * HOUR), (away, 72 * HOUR + 1, 72 * HOUR + 1)],
                vec![false, false, true],
            ),
        ] {
            assert_eq!(looks(&told), expected, "{name}");
        }
    }
}
