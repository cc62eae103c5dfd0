//! Operators at their page: a real Chromium, the real API, agent, Prosody, ffmpeg and storage. The pictures that are taken are in
//! `target/tmp/ops`.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod browser;
mod receiver;

use serde_json::json;
use testbed::meeting::{Invitation, Meeting};
use testbed::stack::Stack;

use browser::Browser;
use receiver::Receiver;

const SESSION: &str = "5f0c1a9e-27d4-4f0c-9d57-2f7a1b8c6d3e";
/// A phone.
const PHONE: (u32, u32) = (390, 844);
const DESK: (u32, u32) = (1280, 900);

/// A room with a webhook, whose recordings go into the storage.
fn room(stack: &Stack, name: &str, webhook: &str) {
    let room = json!({
        "name": name, "platform": "jitsi", "recording_type": "cloud", "recording_trigger": "none", "is_locked": false,
        "room_mode": "normal", "webhook_url": webhook, "webhook_secret": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    });
    let bearer = format!("Bearer {}", stack.client.token());
    let request = ureq::post(format!("{}/v1/rooms", stack.api.url())).header("Authorization", bearer);
    request.send_json(room).unwrap();
}

/// Somebody who does not have the secret.
fn knock(stack: &Stack) {
    let request = ureq::post(format!("{}/v1/jitsi/events", stack.api.url()));
    let request = request.header("X-Jitsi-Signature", "00").header("User-Agent", "curl/8.0");
    assert!(request.send_json(json!({"event": "muc-room-created"})).is_err());
}

/// Goes through the pages at a size and takes pictures. Nothing may be wider than the window.
fn look_around(browser: &mut Browser, meeting: &str, size: &str) {
    let meeting = format!("/ops/meetings/{meeting}");
    for (name, path) in [
        ("overview", "/ops"),
        ("agents", "/ops/agents"),
        ("deliveries", "/ops/deliveries"),
        ("meetings", "/ops/meetings"),
        ("meeting", &meeting),
        ("recordings", "/ops/recordings"),
        ("webhooks", "/ops/webhooks"),
    ] {
        browser.goto(path);
        browser.picture(&format!("{name}-{size}"));
        let excess = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth");
        assert!(excess.as_i64().unwrap() <= 0, "{path} is {excess} px too wide at {size}");
    }
}

#[test]
fn operators_see_a_meeting_live_play_its_recording_and_mend_a_webhook() {
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start_anywhere(directory.path()).unwrap();
    let receiver = Receiver::start();
    room(&stack, "standup", &receiver.url());
    knock(&stack);
    let mut browser = Browser::start(&stack.api.url(), &stack.secrets.operators);

    // A meeting appears while the list is open, and the list is not loaded anew for it.
    browser.goto("/ops/meetings");
    browser.see("There is no meeting");
    browser.evaluate("window.marker = 1");
    let alice = stack.client.create_meeting("standup").unwrap();
    let bob = stack.api.client("bob").unwrap().create_meeting("standup").unwrap();
    browser.see(&alice.room_name);
    let invitation = Invitation {
        room: &alice.room_name,
        alice: &alice.host_room_url,
        bob: &bob.room_url,
        session_id: SESSION,
    };
    let meeting = Meeting::begin(&stack.prosody, &stack.jibri, invitation, &mut |_| Ok(())).unwrap();
    browser.until("document.querySelector('td[data-label=\"People now\"]').textContent === '2'");
    assert_eq!(browser.evaluate("window.marker"), 1, "the page was loaded anew");

    // People come, and what is opened stays open meanwhile.
    browser.click("tbody th a");
    browser.see("2 in it now");
    browser.click("summary");
    browser.evaluate("window.scrollTo(0, 300); window.before = window.scrollY");
    browser.picture("meeting-under-way");
    meeting.record(60_000).unwrap();
    assert!(meeting.end(&mut |_| Ok(())).unwrap().is_some());
    browser.see("nobody in it now");
    browser.until("document.querySelector('details').open && window.scrollY === window.before");

    play(&mut browser);
    mend(&mut browser, &receiver);

    browser.goto("/docs/");
    browser.until("document.querySelectorAll('.opblock').length > 20");
    browser.picture("docs");

    for (size, name, scheme) in
        [(DESK, "desk", "light"), (DESK, "desk-dark", "dark"), (PHONE, "phone", "light")]
    {
        browser.open(size, scheme, true);
        look_around(&mut browser, &alice.id, name);
    }
    browser.open(PHONE, "dark", false);
    browser.goto("/ops");
    browser.see("carried no valid signature");
    browser.goto(&format!("/ops/meetings/{}", alice.id));
    browser.see("Alice Liddell");
    assert_eq!(browser.complaints(), json!([]), "pages complain, or ask for something elsewhere");
}

/// The recording is found, and plays.
fn play(browser: &mut Browser) {
    browser.goto("/ops/recordings?state=stored");
    browser.until("document.querySelector('tbody th a')");
    browser.click("tbody th a");
    browser.until("document.querySelector('video').readyState >= 1");
    browser.evaluate(
        "(async () => { const v = document.querySelector('video'); v.muted = true; await v.play() })()",
    );
    browser.until("document.querySelector('video').currentTime > 0.2");
    browser.picture("recording");
}

/// A webhook that was refused is found, and arrives once its receiver is mended and the button pressed.
fn mend(browser: &mut Browser, receiver: &Receiver) {
    browser.goto("/ops/webhooks?state=parked");
    browser.until("document.querySelector('tbody form')");
    browser.picture("webhooks-parked");
    receiver.accept();
    browser.click("tbody form button");
    browser.until("document.querySelector('.badge').textContent === 'delivered'");
    browser.until("document.querySelectorAll('tr[id^=attempt-]').length === 2");
    browser.picture("webhook-delivered");
}
