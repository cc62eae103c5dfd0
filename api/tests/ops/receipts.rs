//! Receipts: what came, from whom, and what became of it.

use api::db::receipts::{Filter, StoredReceipt, page};
use api::domain::receipt::Verdict;
use api::receipts::prune;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::app::{App, event};

async fn receipts(app: &App, filter: &Filter) -> Vec<StoredReceipt> {
    app.receipts_are_written().await;
    page(&app.db, filter, i64::MAX, 1000).await.unwrap()
}

/// Verdict, code and room of each receipt, oldest first.
async fn verdicts(app: &App) -> Vec<(String, Option<String>, Option<String>)> {
    let receipts = receipts(app, &Filter::default()).await;
    receipts.into_iter().rev().map(|receipt| (receipt.verdict, receipt.code, receipt.room)).collect()
}

#[tokio::test]
async fn every_delivery_gets_a_receipt_that_says_what_became_of_it() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-a").await;
    let joined = event("evt_1", "muc-occupant-joined", "reflector-a", json!({"occupant_id": "o-1"}));
    assert_eq!(app.deliver("/v1/jitsi/events", &joined).await.status, 200);
    app.receipts_are_written().await;
    assert_eq!(app.deliver("/v1/jitsi/events", &joined).await.status, 200);
    app.receipts_are_written().await;
    let stray = event("evt_2", "muc-occupant-joined", "reflector-gone", json!({"occupant_id": "o-1"}));
    assert_eq!(app.deliver("/v1/jitsi/events", &stray).await.status, 404);
    app.receipts_are_written().await;
    assert_eq!(app.deliver("/v1/jitsi/events", &json!({"event": "e"})).await.status, 422);
    app.receipts_are_written().await;
    let wrong = "ffffffffffffffffffffffffffffff00";
    let body = joined.to_string();
    let answer = app.deliver_with(wrong, "/v1/jitsi/events", "application/json", &body).await;
    assert_eq!(answer.status, 401);

    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        verdicts(&app).await,
        [
            ("stored".to_owned(), None, text("reflector-a")),
            ("duplicate".to_owned(), None, text("reflector-a")),
            ("rejected".to_owned(), text("meeting_not_found"), text("reflector-gone")),
            ("rejected".to_owned(), text("event_invalid"), None),
            ("unauthorised".to_owned(), text("signature_invalid"), None),
        ]
    );
    let newest = &receipts(&app, &Filter::default()).await[0];
    assert_eq!(answer.headers["x-request-id"], newest.request_id.as_str());
    assert_eq!(newest.user_agent.as_deref(), Some("reflector-agent/0.1.0"));
    assert_eq!((newest.route.as_str(), newest.status), ("POST /v1/jitsi/events", 401));
}

#[tokio::test]
async fn a_batch_gets_one_receipt_for_each_room_and_they_are_found_by_room_and_verdict() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-a").await;
    let joined = |id, room| event(id, "muc-occupant-joined", room, json!({"occupant_id": id}));
    let batch =
        [joined("evt_1", "reflector-a"), joined("evt_2", "reflector-a"), joined("evt_3", "reflector-b")];
    assert_eq!(app.deliver_batch(&batch).await.status, 200);

    let of_room = |room: &str| Filter { room: Some(room.to_owned()), ..Filter::default() };
    let [a] = &receipts(&app, &of_room("reflector-a")).await[..] else { panic!("not one") };
    assert_eq!((a.stored, a.rejected, a.requests, a.verdict.as_str()), (2, 0, 1, "stored"));
    let [b] = &receipts(&app, &of_room("reflector-b")).await[..] else { panic!("not one") };
    assert_eq!((b.stored, b.rejected, b.verdict.as_str()), (0, 1, "rejected"));
    assert_eq!(a.request_id, b.request_id);
    for (verdict, expected) in [(Verdict::Stored, 1), (Verdict::Rejected, 1), (Verdict::Failed, 0)] {
        let filter = Filter { verdict: Some(verdict), ..Filter::default() };
        assert_eq!(receipts(&app, &filter).await.len(), expected, "{verdict:?}");
    }
}

#[tokio::test]
async fn a_flood_of_unsigned_requests_costs_a_few_rows_and_is_counted() {
    let app = App::start().await;
    for _ in 0..300 {
        let wrong = "ffffffffffffffffffffffffffffff00";
        app.deliver_with(wrong, "/v1/jitsi/events", "application/json", "{}").await;
    }
    let kept = receipts(&app, &Filter::default()).await;
    let requests: i64 = kept.iter().map(|receipt| i64::from(receipt.requests)).sum();
    // What the last window missed is told by the next receipt.
    app.meeting("m-1", "reflector-a").await;
    app.deliver("/v1/jitsi/events", &event("evt_1", "muc-room-created", "reflector-a", json!({}))).await;
    let missed: i64 = receipts(&app, &Filter::default()).await.iter().map(|receipt| receipt.missed).sum();
    assert_eq!(requests + missed, 300);
    assert!(kept.len() < 30 && missed > 0, "{} rows, {missed} missed", kept.len());
}

#[tokio::test]
async fn a_delivery_is_answered_while_no_receipt_can_be_written() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-a").await;
    sqlx::query("ALTER TABLE reflector.receipt RENAME TO elsewhere").execute(&app.db).await.unwrap();
    for number in 0..3 {
        let event = event(&format!("evt_{number}"), "muc-room-created", "reflector-a", json!({}));
        assert_eq!(app.deliver("/v1/jitsi/events", &event).await.status, 200);
        app.receipts_are_written().await;
    }
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM reflector.meeting_event").fetch_one(&app.db).await.unwrap();
    assert_eq!(stored, 3);
}

#[tokio::test]
async fn receipts_go_when_they_are_too_old_or_too_many() {
    let app = App::with(&[("OPS_RECEIPTS_DAYS", "1"), ("OPS_RECEIPTS_MAX", "1000")]).await;
    sqlx::query(
        "INSERT INTO reflector.receipt (received_at, requests, request_id, route, status, verdict, stored, duplicates, rejected,
           duration_ms, missed)
         SELECT now() - interval '1 hour' * (3000 - n) / 100, 1, n::text, 'POST /v1/jitsi/events', 200, 'stored', 1, 0, 0, 1, 0
         FROM generate_series(1, 3000) n",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let (settings, now) = (&app.state.config.ops, OffsetDateTime::now_utc());
    assert_eq!(prune(&app.db, settings, now).await.unwrap(), 2000, "the newest thousand stay");
    let left = receipts(&app, &Filter::default()).await;
    assert_eq!((left.len(), left[999].request_id.as_str()), (1000, "2001"));

    // There is one every 36 seconds.
    let later = now + Duration::hours(24) - Duration::hours(5) + Duration::seconds(18);
    assert_eq!(prune(&app.db, settings, later).await.unwrap(), 500, "those of a day ago go");
    assert_eq!(prune(&app.db, settings, later).await.unwrap(), 0);
}
