//! Makes deliveries of what is to be told.

use std::time::Duration;

use uuid::Uuid;

use super::body::{RECORDING_READY, Subject, body};
use super::{Target, Webhooks};
use crate::db::is_outage;
use crate::db::patience::patiently;
use crate::db::webhook_deliveries::{self as deliveries, Fact, NewDelivery};
use crate::db::{meetings, record, recordings, rooms};
use crate::domain::meeting::is_person;

/// How many facts are looked at, at a time.
const BATCH: i64 = 100;

/// How long a fact is put off that cannot be announced. What its meeting is to tell later waits for it; other meetings do not.
const PUT_OFF: Duration = Duration::from_mins(1);

impl Webhooks {
    /// Makes deliveries of all that is to be told, other than what somebody else is at.
    pub(super) async fn announce(&self) -> Result<(), sqlx::Error> {
        loop {
            let facts = deliveries::facts(&self.db, BATCH).await?;
            let mut done = 0;
            for fact in facts {
                done += i64::from(self.announce_or_put_off(&fact).await?);
            }
            if done < BATCH {
                return Ok(());
            }
        }
    }

    /// `false` when somebody else is at it.
    async fn announce_or_put_off(&self, fact: &Fact) -> Result<bool, sqlx::Error> {
        match patiently(self.announce_one(fact)).await {
            Err(error) if !is_outage(&error) => {
                tracing::error!(
                    fact.event,
                    fact.subject_id,
                    meeting.id = fact.meeting_id,
                    "webhooks of a meeting wait: {error}"
                );
                deliveries::put_off(&self.db, fact, PUT_OFF).await?;
                Ok(true)
            }
            result => result,
        }
    }

    /// `false` when somebody else is at it. What is read before the fact is taken may change meanwhile, as it may after.
    async fn announce_one(&self, fact: &Fact) -> Result<bool, sqlx::Error> {
        let made = match self.subject(fact).await? {
            Some(subject) => self.deliveries(fact, &subject),
            None => Vec::new(),
        };
        let Some(mut transaction) = deliveries::take_fact(&self.db, fact).await? else { return Ok(false) };
        for delivery in &made {
            deliveries::create(&mut transaction, fact, delivery).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    fn deliveries(&self, fact: &Fact, subject: &Subject) -> Vec<NewDelivery> {
        let room = subject.room.webhook_url.as_ref().map(|_| Target::Room(&subject.room.id));
        let pipeline = self.pipeline.as_ref().map(|_| Target::Pipeline);
        let delivery = |target: Target<'_>| {
            let id = format!("msg_{}", Uuid::new_v4().simple());
            let body = body(&id, &fact.event, fact.occurred_at, subject);
            NewDelivery { id, target: target.to_string(), body }
        };
        room.into_iter().chain(pipeline).map(delivery).collect()
    }

    /// What there is to tell; `None` when nobody is to be told, because nobody listens, it is gone or withheld, or it belongs to no room.
    async fn subject(&self, fact: &Fact) -> Result<Option<Subject>, sqlx::Error> {
        let Some((meeting, _)) = meetings::find(&self.db, &fact.meeting_id).await? else { return Ok(None) };
        let Some(room_id) = &meeting.room_id else { return Ok(None) };
        let Some(room) = rooms::find(&self.db, room_id).await? else { return Ok(None) };
        if room.webhook_url.is_none() && self.pipeline.is_none() {
            return Ok(None);
        }
        let recording = if fact.event == RECORDING_READY {
            match recordings::find(&self.db, &fact.subject_id).await? {
                Some((file, _)) if file.is_available() => Some(file),
                _ => return Ok(None),
            }
        } else {
            None
        };
        let (occupants, boots) = record::presence(&self.db, &meeting.id).await?;
        let people = occupants.into_iter().filter(|(_, occupant)| is_person(occupant)).collect();
        let chronicle = deliveries::chronicle(&self.db, &meeting.id).await?;
        Ok(Some(Subject { meeting, chronicle, room, people, boots, recording }))
    }
}
