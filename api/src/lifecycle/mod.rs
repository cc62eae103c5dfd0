//! Meetings begin and end by themselves: by who is in them, and by their time.
//!
//! Every look reads what is known of a meeting, and notes what [`crate::domain::lifecycle`] makes of it. One meeting's trouble is not
//! that of the others.

use sqlx::PgPool;

use crate::db::lifecycle::{self, Open};
use crate::db::{meetings, record};
use crate::domain::lifecycle::{Attendance, Course, EndedReason, is_to_be_asked};
use crate::domain::meeting::Meeting;
use crate::domain::room::Platform;
use crate::whereby::{Whereby, WherebyError};

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

/// What one look at all meetings may ask of Whereby.
#[derive(Debug)]
struct Questions<'a> {
    whereby: &'a Whereby,
    /// It has not answered, or wants to be left alone. To ask on would only hold up the other meetings.
    is_over: bool,
}

impl Lifecycle {
    /// Looks at every meeting that is on.
    pub async fn sweep(&self) -> Result<Swept, sqlx::Error> {
        let mut swept = Swept::default();
        let mut after = String::new();
        let mut questions = self.whereby.as_ref().map(|whereby| Questions { whereby, is_over: false });
        loop {
            let page = lifecycle::list(&self.db, &after, i64::try_from(PAGE).unwrap_or(i64::MAX)).await?;
            for open in &page {
                if let Some(course) = self.look_at(open, questions.as_mut()).await? {
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
    async fn look_at(
        &self,
        open: &Open,
        questions: Option<&mut Questions<'_>>,
    ) -> Result<Option<Course>, sqlx::Error> {
        let Some((meeting, _)) = meetings::find(&self.db, &open.id).await? else { return Ok(None) };
        let questions = questions.filter(|_| meeting.settings.platform == Platform::Whereby);
        let somebody = open.ever && record::people(&self.db, &meeting).await? > 0;
        let after = |now| {
            let attendance = Attendance { ever: open.ever, now };
            open.course.after(attendance, open.end_date, open.now, self.grace)
        };
        let mut course = after(somebody);
        // Whereby is asked only where it decides: it does not take many questions.
        if let Some(questions) = questions {
            match (somebody, course.ended) {
                (false, Some(_)) => match questions.is_in_session(&meeting).await {
                    Some(true) => course = after(true),
                    Some(false) => {}
                    None => return Ok(None),
                },
                (true, None)
                    if !questions.is_over && is_to_be_asked(open.end_date, open.asked_at, open.now) =>
                {
                    lifecycle::note_question(&self.db, open).await?;
                    if questions.is_in_session(&meeting).await == Some(false) {
                        course.ended = Some(EndedReason::Expired);
                    }
                }
                _ => {}
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
}

impl Questions<'_> {
    /// Whether Whereby knows of people in the meeting; `None` when it does not say.
    async fn is_in_session(&mut self, meeting: &Meeting) -> Option<bool> {
        if self.is_over {
            return None;
        }
        match self.whereby.room_sessions(&meeting.room_name).await {
            Ok(sessions) => Some(sessions.iter().any(|session| session.ended_at.is_none())),
            Err(error) => {
                tracing::info!(meeting.id, "a meeting stays on until Whereby says who is in it: {error}");
                self.is_over = matches!(error, WherebyError::Silent { .. } | WherebyError::Throttled { .. });
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
