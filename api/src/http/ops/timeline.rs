//! A meeting as a picture: a lane for everybody who was there and for every recording, with a bar from beginning to end.

use time::{Duration, OffsetDateTime};

use super::text::{span, time_of_day};

/// How wide the picture is, in units of its own.
const WIDTH: i64 = 1000;
/// The narrowest bar, so that a short stay is seen.
const LEAST: i64 = 3;
/// The most lanes; a meeting may have thousands.
pub(super) const MAX_LANES: usize = 200;
/// How many times are written below.
const TICKS: i32 = 4;
/// In a meeting that is shorter, seconds tell something.
const SHORT: Duration = Duration::minutes(10);

/// What a lane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Human,
    Machine,
    Recording,
}

/// Somebody's stay, or a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) from: Option<OffsetDateTime>,
    /// `None` while it lasts.
    pub(super) to: Option<OffsetDateTime>,
}

/// A stretch in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) x: i64,
    pub(super) width: i64,
    /// The same in words.
    pub(super) words: String,
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timeline {
    pub(super) lanes: Vec<Lane>,
    /// The times below, at equal distances.
    pub(super) times: Vec<String>,
    /// Where the lines above them stand.
    pub(super) grid: Vec<i64>,
    /// How many stretches are left out.
    pub(super) more: usize,
}

impl Timeline {
    /// The picture of `stretches` until `now`; `None` when there is nothing to see.
    pub(super) fn of(stretches: Vec<Stretch>, now: OffsetDateTime) -> Option<Self> {
        let mut known: Vec<_> = stretches
            .into_iter()
            .filter_map(|stretch| {
                let from = stretch.from.or(stretch.to)?;
                Some((from, stretch.to.map(|to| to.max(from)), stretch))
            })
            .collect();
        known.sort_by_key(|(from, ..)| *from);
        let begin = known.first()?.0;
        let end = known.iter().map(|(from, to, _)| to.unwrap_or(now).max(*from)).max()?;
        let end = end.max(begin + Duration::seconds(1));
        let is_short = end - begin < SHORT;
        let more = known.len().saturating_sub(MAX_LANES);
        let lanes = known.into_iter().take(MAX_LANES).map(|(from, to, stretch)| {
            let (x, right) = (place(from, begin, end), place(to.unwrap_or(now), begin, end));
            let width = (right - x).max(LEAST);
            Lane {
                name: stretch.name,
                class: class(stretch.kind),
                x: x.min(WIDTH - width),
                width,
                words: words(from, to, now, is_short),
            }
        });
        let lanes = lanes.collect();
        let times =
            (0..=TICKS).map(|tick| time_of_day(begin + (end - begin) * tick / TICKS, is_short)).collect();
        let grid = (0..=i64::from(TICKS)).map(|tick| WIDTH * tick / i64::from(TICKS)).collect();
        Some(Self { lanes, times, grid, more })
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Human => "bar-human",
        Kind::Machine => "bar-machine",
        Kind::Recording => "bar-recording",
    }
}

fn place(at: OffsetDateTime, begin: OffsetDateTime, end: OffsetDateTime) -> i64 {
    let part =
        (at - begin).whole_milliseconds() * i128::from(WIDTH) / (end - begin).whole_milliseconds().max(1);
    i64::try_from(part).unwrap_or(WIDTH).clamp(0, WIDTH)
}

fn words(from: OffsetDateTime, to: Option<OffsetDateTime>, now: OffsetDateTime, is_short: bool) -> String {
    let begin = time_of_day(from, is_short);
    match to {
        Some(to) => format!("{begin} to {} ({})", time_of_day(to, is_short), span(to - from)),
        None => format!("since {begin} ({})", span(now - from)),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const BEGIN: OffsetDateTime = datetime!(2026-01-31 10:00 UTC);

    fn at(minute: i64) -> OffsetDateTime {
        BEGIN + Duration::minutes(minute)
    }

    fn stretch(name: &str, from: Option<i64>, to: Option<i64>) -> Stretch {
        Stretch { name: name.to_owned(), kind: Kind::Human, from: from.map(at), to: to.map(at) }
    }

    #[test]
    fn a_bar_begins_and_ends_where_its_stay_does() {
        let stretches = vec![
            stretch("late", Some(50), None),
            stretch("whole", Some(0), Some(100)),
            stretch("short", Some(100), Some(100)),
            stretch("left only", None, Some(25)),
            stretch("backwards", Some(20), Some(10)),
            stretch("unknown", None, None),
        ];
        let timeline = Timeline::of(stretches, at(100)).unwrap();
        let bars: Vec<_> =
            timeline.lanes.iter().map(|lane| (lane.name.as_str(), lane.x, lane.width)).collect();
        assert_eq!(
            bars,
            [
                ("whole", 0, 1000),
                ("backwards", 200, 3),
                ("left only", 250, 3),
                ("late", 500, 500),
                ("short", 997, 3)
            ]
        );
        assert_eq!(timeline.times, ["10:00", "10:25", "10:50", "11:15", "11:40"]);
        assert_eq!(timeline.lanes[0].words, "10:00 to 11:40 (1 h 40 min)");
        assert_eq!(timeline.lanes[3].words, "since 10:50 (50 min)");
    }

    #[test]
    fn a_short_meeting_is_told_to_the_second() {
        let timeline = Timeline::of(vec![stretch("somebody", Some(0), Some(2))], at(2)).unwrap();
        assert_eq!(timeline.times, ["10:00:00", "10:00:30", "10:01:00", "10:01:30", "10:02:00"]);
        assert_eq!(timeline.lanes[0].words, "10:00:00 to 10:02:00 (2 min)");
    }

    #[test]
    fn there_is_no_picture_of_nothing_and_none_of_everything() {
        assert_eq!(Timeline::of(vec![stretch("unknown", None, None)], at(1)), None);
        let many = (0..MAX_LANES + 5).map(|_| stretch("somebody", Some(0), None)).collect();
        let timeline = Timeline::of(many, BEGIN).unwrap();
        assert_eq!((timeline.lanes.len(), timeline.more), (MAX_LANES, 5));
    }
}
