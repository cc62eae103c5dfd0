//! What Whereby says of a room's sessions.

use testbed::whereby::Person;

use crate::app::App;

#[tokio::test]
async fn a_session_is_open_while_two_people_are_in_the_room() {
    let app = App::start().await;
    let name = app.visit().await.ok()["room_name"].as_str().unwrap().to_owned();
    let whereby = app.replica.state.whereby.clone().unwrap();
    let open = async || {
        let sessions = whereby.room_sessions(&name).await.unwrap();
        sessions.iter().map(|session| session.ended_at.is_none()).collect::<Vec<_>>()
    };
    app.whereby.join(&name, &Person::new("p1", "Ann", "host")).unwrap();
    assert!(open().await.is_empty());
    app.whereby.join(&name, &Person::new("p2", "Bob", "visitor")).unwrap();
    assert_eq!(open().await, [true]);
    app.whereby.leave(&name, "p2").unwrap();
    assert_eq!(open().await, [false]);
}
