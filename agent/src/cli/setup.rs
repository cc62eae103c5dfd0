//! `reflector-agent setup`: one command that makes a freshly installed agent run.
//!
//! Everything is checked before anything is written: the configuration as `check` does, and the way to the API. The
//! configuration is written first and the secret last, each durably, because the secret's appearance starts the service.

mod drop_in;
mod place;
mod trial;
mod wish;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use host::service::{Brought, Service};
use host::terminal::Terminal;
use toml::Table;

use self::place::{Place, Standing};
use self::trial::Verdict;
use self::wish::Wish;
use super::{Failure, doctor, print, say, warned};
use crate::config::{self, Config, Environment, Proposal};

/// The package's service.
const SERVICE: Service =
    Service { name: "reflector-agent", by_hand: "`reflector-agent run`", patience: Duration::from_mins(2) };

/// The exit code for a command line that says too little.
const MISUSED: u8 = 2;

/// The exit code when it is set up, and something else has to happen before it delivers.
const NOT_YET: u8 = 4;

/// What the agent is to be set up with. No option takes a secret itself: the process list would show it.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Read the enrolment token from this file (`-`: standard input).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "agent_id"])]
    token_file: Option<PathBuf>,
    /// The API's address, for example `https://reflector.example.com`; wins over the token's.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Read the secret from this file (`-`: standard input).
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The name that the API has enrolled this agent under; empty: none.
    #[arg(long, value_name = "NAME")]
    agent_id: Option<String>,
    /// Which rooms are reported, as patterns with `*` and `?`, separated by commas.
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    rooms: Vec<String>,
    /// Replace what is there, even if it delivers to another API or under another name, or cannot be read.
    #[arg(long)]
    replace: bool,
    /// Do not try the API before writing.
    #[arg(long)]
    offline: bool,
    /// Write into the tree of an image, and start nothing.
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
}

/// `chosen`: another configuration file than the service's.
pub(super) fn setup(arguments: &Arguments, chosen: Option<&Path>) -> Result<ExitCode, Failure> {
    if chosen.is_some() {
        say(
            "setup: it writes what the service reads, so --config and REFLECTOR_AGENT_CONFIG do not go with it",
        );
        return Ok(ExitCode::from(MISUSED));
    }
    if arguments.root.is_none() && !rustix::process::geteuid().is_root() {
        say("setup: it writes to /etc/reflector-agent and starts the service, which only root may");
        say("Next: `sudo reflector-agent setup`");
        return Ok(ExitCode::FAILURE);
    }
    let place = Place::below(arguments.root.as_deref().unwrap_or(Path::new("/")))?;
    let before = before(&place, arguments.replace)?;
    let standing = place.standing();
    let terminal = Terminal::open();
    let mut wish = Wish::from_options(arguments, terminal.as_ref())?;
    if let Some(terminal) = &terminal {
        wish.ask(&standing, terminal)?;
    }
    let missing = wish.missing(&standing);
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        say(&format!(
            "setup: nobody can be asked here, so --token-file FILE (`-`: standard input) is needed, or {missing}"
        ));
        return Ok(ExitCode::from(MISUSED));
    }
    let person = terminal.as_ref();
    may_replace(&wish, &standing, arguments.replace, person)?;
    let text = drop_in::text(&before, &wish.keys(&standing));
    let config = proposed(&place, &text, wish.secret.as_deref())?;
    let answers = arguments.offline || answers(&config, person, wish.moves(&standing))?;
    let service = arguments.root.is_none().then(|| SERVICE.look());
    let changed = write(&place, &text, wish.secret.as_deref())?;
    let code = if answers { ExitCode::SUCCESS } else { ExitCode::from(NOT_YET) };
    match service {
        Some(service) => Ok(finish(&service.bring_up(changed), code)?),
        None => Ok(code),
    }
}

/// What the drop-in says so far. One that cannot be read is written anew only if that is said: its keys would be lost.
fn before(place: &Place, replace: bool) -> anyhow::Result<Table> {
    match drop_in::read(&place.drop_in) {
        Err(_) if replace => Ok(Table::new()),
        read => read.with_context(|| {
            let path = place.drop_in.display();
            format!("{path} cannot be read, so nothing was written: mend it, or --replace writes it anew")
        }),
    }
}

/// Another API gets what this host has not delivered yet: that is for a person, or an option, to say.
fn may_replace(
    wish: &Wish,
    standing: &Standing,
    replace: bool,
    person: Option<&Terminal>,
) -> anyhow::Result<()> {
    let Some(said) = wish.replaces(standing).filter(|_| !replace) else { return Ok(()) };
    let Some(person) = person else {
        return Err(anyhow!("{said}; nothing was written: --replace replaces that"));
    };
    say(&format!("Note that {said}."));
    if person.agrees("Replace that?")? { Ok(()) } else { Err(anyhow!("nothing was written")) }
}

/// What the service would be configured with, if it is right.
fn proposed(place: &Place, text: &str, secret: Option<&str>) -> Result<Config, Failure> {
    let proposal =
        Proposal { main: &place.main, drop_in: &place.drop_in, text, secret_file: &place.secret, secret };
    let loaded = config::load_proposed(&proposal);
    if loaded.is_err() {
        say("Nothing was written, because the agent would not start with this:");
    }
    Ok(warned(loaded?))
}

/// Whether the API answers as it should. When it does not answer at all, a person is asked, and automation goes on: the
/// agent tries again by itself. What it refuses is not written, nor is an address where nobody answers when the agent `moves`
/// there from another one.
fn answers(config: &Config, person: Option<&Terminal>, moves: bool) -> anyhow::Result<bool> {
    let trial = trial::run(config)?;
    if trial.verdict == Verdict::Accepted {
        print(&trial.found)?;
        return Ok(true);
    }
    say(&trial.found);
    say(&format!("Next: {}", trial.next));
    if trial.verdict == Verdict::Refused {
        return Err(anyhow!("nothing was written; --offline writes it without asking the API"));
    }
    if moves && person.is_none() {
        return Err(anyhow!(
            "nothing was written: what is set up so far stays; --offline writes the new address without asking it"
        ));
    }
    let goes_on = person
        .map_or(Ok(true), |person| person.agrees("Write it all the same? The agent goes on trying."))?;
    if goes_on { Ok(false) } else { Err(anyhow!("nothing was written")) }
}

/// Writes both files; whether anything is other than before.
fn write(place: &Place, text: &str, secret: Option<&str>) -> anyhow::Result<bool> {
    let written = place.write(text, secret).map_err(|(path, error)| {
        anyhow::Error::from(error).context(format!("{} cannot be written", path.display()))
    })?;
    for path in &written {
        print(&format!("Wrote {}.", path.display()))?;
    }
    if written.is_empty() {
        print(&format!("{} and {} are so already.", place.drop_in.display(), place.secret.display()))?;
    }
    if place.group.is_none() {
        say(
            "There is no group reflector-agent here, so root alone can read the configuration: install the package, or give the files to the group of the agent's user.",
        );
    }
    Ok(!written.is_empty())
}

/// Says what became of the service and what else is wrong on this host, which decides nothing about the exit code: what is
/// not there yet, like Prosody's module, is no fault of the set-up.
fn finish(brought: &Brought, when_up: ExitCode) -> anyhow::Result<ExitCode> {
    let code = match brought {
        Brought::Up(what) => {
            print(&format!("The service {what}."))?;
            when_up
        }
        Brought::Left(why) => {
            say(&format!("Next: {why}"));
            ExitCode::from(NOT_YET)
        }
        Brought::Down(why) => {
            say(&format!("The service does not run: {why}"));
            say("Next: `journalctl -u reflector-agent -e` says why");
            ExitCode::FAILURE
        }
    };
    print("")?;
    doctor::what_is_left(config::survey(None, &Environment::empty()))
        .context("the host cannot be looked at")?;
    if matches!(brought, Brought::Up(_)) {
        print(
            "Then hold a meeting: `reflector-agent deliveries list` shows what was delivered, `reflector-agent status` what waits.",
        )?;
    }
    Ok(code)
}
