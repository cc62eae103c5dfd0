//! `testbed demo`: a meeting from a real Prosody and a real ffmpeg to Postgres, told as it happens.

mod advice;
mod feed;
mod place;
mod playback;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args as Arguments;
use serde_json::Value;

use self::feed::{Feed, WIDTH};
use self::place::Place;
use crate::api;
use crate::guide;
use crate::meeting::{Invitation, Meeting};
use crate::ports;
use crate::stack::Stack;
use crate::wait::eventually;

/// The API's usual port.
const PORT: u16 = 1250;
/// How much is recorded before people begin to leave.
const RECORD_BYTES: u64 = 60_000;
/// How long the box rests between two meetings.
const REST: Duration = Duration::from_secs(20);

/// What the demo is told.
#[derive(Debug, Arguments)]
pub struct Args {
    /// Hold one meeting and end; without it, meetings follow each other until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Where everything is kept; what an earlier demo left there is removed.
    #[arg(long, default_value = ".demo")]
    directory: PathBuf,
}

/// Runs the demo. With `once`, an error means that something did not arrive; without it, a visitor may have killed a process
/// to see what happens, so the demo says what it missed and goes on.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let place = Place::prepare(&args.directory)?;
    let mut stack = start(&place, out)?;
    place.write_environment(&stack)?;
    guide::prepare(&stack)?;
    let mut round = 1;
    loop {
        let held = hold(&stack, round, &interrupted, out);
        if interrupted.load(Ordering::SeqCst) {
            break;
        }
        if args.once {
            return held;
        }
        if let Err(error) = held {
            writeln!(out, "\nThis meeting was not shown to its end: {error:#}")?;
            writeln!(
                out,
                "What the host wrote down is delivered all the same, once agent and API run; both are looked after."
            )?;
            stack.revive()?;
        }
        if round == 1 {
            advice::show(&place, &stack, out)?;
        }
        writeln!(out, "\nThe next meeting begins in {} s; Ctrl-C ends the demo.", REST.as_secs())?;
        if eventually(REST, || interrupted.load(Ordering::SeqCst)) {
            break;
        }
        round += 1;
    }
    writeln!(out, "\nStopping. The logs stay in {}.", place.directory().display())?;
    Ok(())
}

fn start(place: &Place, out: &mut dyn Write) -> Result<Stack> {
    writeln!(
        out,
        "Starting Prosody, an S3 server, reflector-api with a private Postgres, and reflector-agent …"
    )?;
    let begun = Instant::now();
    let port = if ports::answers(PORT) { ports::free()? } else { PORT };
    let stack = Stack::start(place.directory(), port, None)?;
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(out, "  ready after {seconds:.1} s; the API listens on {}", stack.api.url())?;
    Ok(stack)
}

/// Holds one meeting from beginning to end and shows what became of it.
fn hold(stack: &Stack, round: u32, interrupted: &AtomicBool, out: &mut dyn Write) -> Result<()> {
    let room = if round == 1 { "demo".to_owned() } else { format!("demo-{round}") };
    let (alice, bob) = lead_in(stack, &room)?;
    writeln!(out, "\nMeeting {} in Jitsi's room {}", alice.id, alice.room_name)?;
    writeln!(out, "  {:<14}{:<24}{:<WIDTH$}{:>13}", "at the source", "event", "", "source → API")?;
    let mut feed = Feed::new(stack, &alice);
    let invitation = Invitation {
        room: &alice.room_name,
        alice: &alice.host_room_url,
        bob: &bob.room_url,
        session_id: &place::session_id()?,
    };
    let mut says = |step: &str| {
        if interrupted.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        feed.catch_up(out)?;
        Ok(writeln!(out, "  ▸ {step}")?)
    };
    let meeting = Meeting::begin_by_rule(&stack.prosody, &stack.jibri, invitation, &mut says)?;
    meeting.record(RECORD_BYTES)?;
    let media = meeting.end(&mut says)?.context("nothing was recorded")?;
    feed.catch_up_with_recording(&media, out)?;
    playback::show(&stack.client.meeting(&alice.id)?, &media, out)?;
    conclude(stack, &alice.id, out)
}

/// Creates a meeting in a room, whose recordings start by themselves and are uploaded, as its owner, and asks for the same one as somebody else.
fn lead_in(stack: &Stack, room: &str) -> Result<(api::Meeting, api::Meeting)> {
    stack.client.ensure_room_with(room, "cloud", "automatic-2nd-participant")?;
    let owner = stack.client.create_meeting(room)?;
    let other = stack.api.client("bob")?.create_meeting(room)?;
    ensure!(owner.id == other.id, "two users who ask for the meeting of {room} were led into different ones");
    Ok((owner, other))
}

/// Shows the meeting as the API tells it, and the agent's own log of its deliveries.
fn conclude(stack: &Stack, id: &str, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "\nGET /v1/meetings/{id}")?;
    let mut meeting = stack.client.meeting(id)?;
    for address in ["room_url", "host_room_url"] {
        hide_token(&mut meeting[address]);
    }
    playback::hide_links(&mut meeting);
    writeln!(out, "{}", serde_json::to_string_pretty(&meeting)?)?;
    writeln!(out, "\nreflector-agent deliveries list --config {}", stack.agent.config().display())?;
    writeln!(out, "{}", stack.agent.ask(&["deliveries", "list"])?)?;
    Ok(())
}

/// Tokens open the room to whoever reads them over somebody's shoulder.
fn hide_token(address: &mut Value) {
    if let Some((place, _)) = address.as_str().and_then(|text| text.split_once("?jwt=")) {
        *address = Value::String(format!("{place}?jwt=…"));
    }
}
