//! Meetings begin and end by themselves: by who is in them, and by their time.
//!
//! Every look reads what is known of a meeting, and notes what [`crate::domain::lifecycle`] makes of it. One meeting's trouble is not
//! that of the others.

use sqlx::PgPool;

use crate::db::lifecycle::{self, Open};
use crate::db::{meetings, record};
use crate::domain::lifecycle::{Attendance, Course};
use crate::domain::meeting::Meeting;
use crate::domain::room::Platform;
use crate::whereby::Whereby;

/// How many meetings are read at a time.
const PAGE: usize = 200;

/// Looks after meetings.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    /// The database.
    pub db: PgPool,
    /// Whom to ask who is in a meeting at Whereby; `None` where only its webhooks tell.
    pub whereby: Option<Whereby>,
    /// How long a meeting may be empty.
    pub grace: time::Duration,
}

/// What a look at all meetings did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Meetings that somebody was seen in for the first time.
    pub started: u64,
    /// Meetings that ended.
    pub ended: u64,
}

impl Lifecycle {
    /// Looks at every meeting that is on.
    pub async fn sweep(&self) -> Result<Swept, sqlx::Error> {
        let mut swept = Swept::default();
        let mut after = String::new();
        loop {
            let page = lifecycle::list(&self.db, &after, i64::try_from(PAGE).unwrap_or(i64::MAX)).await?;
            for open in &page {
                if let Some(course) = self.look_at(open).await? {
                    swept.started +=
                        u64::from(open.course.started_at.is_none() && course.started_at.is_some());
                    swept.ended += u64::from(course.ended.is_some());
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after.clone_from(&last.id),
                _ => return Ok(swept),
            }
        }
    }

    /// Looks at one meeting; returns what was noted, if something was.
    async fn look_at(&self, open: &Open) -> Result<Option<Course>, sqlx::Error> {
        let Some((meeting, _)) = meetings::find(&self.db, &open.id).await? else { return Ok(None) };
        let somebody = open.ever && record::people(&self.db, &meeting).await? > 0;
        let after = |now| {
            let attendance = Attendance { ever: open.ever, now };
            open.course.after(attendance, open.end_date, open.now, self.grace)
        };
        let mut course = after(somebody);
        // Whereby is asked only where it decides: it does not take many questions.
        if course.ended.is_some() && !somebody {
            match self.is_in_session(&meeting).await {
                Some(true) => course = after(true),
                Some(false) => {}
                None => return Ok(None),
            }
        }
        if course == open.course || !lifecycle::note(&self.db, open, &course).await? {
            return Ok(None);
        }
        if let Some(reason) = course.ended {
            tracing::info!(meeting.id, reason = reason.as_str(), "a meeting ended");
        }
        Ok(Some(course))
    }

    /// Whether the meeting's platform knows of people in it that no event told of; `None` when it does not answer.
    async fn is_in_session(&self, meeting: &Meeting) -> Option<bool> {
        let (Platform::Whereby, Some(whereby)) = (meeting.settings.platform, &self.whereby) else {
            return Some(false);
        };
        match whereby.room_sessions(&meeting.room_name).await {
            Ok(sessions) => Some(sessions.iter().any(|session| session.ended_at.is_none())),
            Err(error) => {
                tracing::info!(meeting.id, "a meeting stays on until Whereby says who is in it: {error}");
                None
            }
        }
    }
}

impl std::fmt::Display for Swept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self { started: 0, ended: 0 } => Ok(()),
            Self { started, ended } => write!(f, "saw {started} meetings begin and ended {ended}"),
        }
    }
}
