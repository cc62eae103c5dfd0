//! A real Prosody with Jitsi's hosts, on loopback, in a directory of its own.

mod clock;
mod config;

pub use clock::Clock;
pub use config::{AUTH_DOMAIN, BREAKOUT, CONFERENCE, DOMAIN, GUEST_DOMAIN, PASSWORD, RECORDER_DOMAIN};

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::ports;
use crate::process::Process;
use crate::xmpp::{Client, Login};

const START: Duration = Duration::from_secs(20);
/// Modules that are added to a running Prosody lie here.
const EXTRAS: &str = "modules";
/// How many components load the event module.
const COMPONENTS: usize = 2;

/// A running Prosody. It is stopped when dropped.
#[derive(Debug)]
pub struct Prosody {
    process: Process,
    directory: PathBuf,
    port: u16,
    clock: Clock,
}

impl Prosody {
    /// Starts Prosody with its files in `directory` and the event module writing to `spool`, which is not created.
    ///
    /// `token_secret` signs the tokens that open rooms.
    pub fn start(directory: &Path, spool: &Path, token_secret: &str) -> Result<Self> {
        Self::start_with_clock(directory, spool, token_secret, Clock::System)
    }

    /// The same for a Prosody that sees the time of `clock`.
    pub fn start_with_clock(
        directory: &Path,
        spool: &Path,
        token_secret: &str,
        clock: Clock,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        let port = ports::free()?;
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let plugins =
            [here.join("../agent/prosody").canonicalize()?, here.join("prosody"), directory.join(EXTRAS)];
        let text = config::text(&directory, &plugins, spool, token_secret, port);
        fs::write(directory.join("prosody.cfg.lua"), text)?;
        create_account(&directory, AUTH_DOMAIN, "focus")?;
        for user in ["recorder", "transcriber"] {
            create_account(&directory, RECORDER_DOMAIN, user)?;
        }
        let process = launch(&directory, port, &clock)?;
        Ok(Self { process, directory, port, clock })
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection as focus.
    pub fn focus(&self) -> Result<Client> {
        Client::connect(self.port, Login::Account { domain: AUTH_DOMAIN, user: "focus", password: PASSWORD })
    }

    /// What Prosody has logged so far.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join("prosody.log"))?)
    }

    /// Loads the event module anew in the main MUC component, as an operator does without ending any meeting.
    pub fn reload_module(&self) -> Result<()> {
        self.shell(&["module", "reload", "reflector_events", CONFERENCE])
    }

    /// Takes the event module out of the main MUC component.
    pub fn unload_module(&self) -> Result<()> {
        self.shell(&["module", "unload", "reflector_events", CONFERENCE])
    }

    /// Puts the event module into the main MUC component while meetings are held, as an operator does who installs it.
    pub fn load_module(&self) -> Result<()> {
        self.shell(&["module", "load", "reflector_events", CONFERENCE])
    }

    /// Adds the module in `file` and the text that configures it, and starts Prosody anew with them.
    pub fn install(&mut self, file: &Path, configuration: &str) -> Result<()> {
        let extras = self.directory.join(EXTRAS);
        fs::create_dir_all(&extras)?;
        let name = file.file_name().context("the module has no file name")?;
        fs::copy(file, extras.join(name)).with_context(|| file.display().to_string())?;
        let path = self.directory.join("prosody.cfg.lua");
        let text = fs::read_to_string(&path)?;
        fs::write(path, format!("{text}\n{configuration}\n"))?;
        self.stop()?;
        self.restart()
    }

    /// Marks `breakout` as a breakout room of the room `main`, as Jitsi's breakout module does when a moderator adds one.
    pub fn open_breakout(&self, main: &str, breakout: &str) -> Result<()> {
        let find = format!("prosody.hosts[\"{CONFERENCE}\"].modules.muc.get_room_from_jid(\"{main}\")");
        self.shell(&[&format!("> {find}._data.breakout_rooms = {{ [\"{breakout}\"] = \"group\" }}")])
    }

    /// Lets looking at the people in `room` fail, as the error of another module would, until [`Prosody::mend_room`].
    pub fn break_room(&self, room: &str) -> Result<()> {
        let find = format!("prosody.hosts[\"{CONFERENCE}\"].modules.muc.get_room_from_jid(\"{room}\")");
        self.shell(&[&format!("> {find}.each_occupant = function () error(\"broken\") end")])
    }

    /// Takes [`Prosody::break_room`] back.
    pub fn mend_room(&self, room: &str) -> Result<()> {
        let find = format!("prosody.hosts[\"{CONFERENCE}\"].modules.muc.get_room_from_jid(\"{room}\")");
        self.shell(&[&format!("> {find}.each_occupant = nil")])
    }

    /// Gives a command to Prosody's administration shell.
    fn shell(&self, command: &[&str]) -> Result<()> {
        let output = Command::new("prosodyctl")
            .arg("--config")
            .arg(self.directory.join("prosody.cfg.lua"))
            .arg("shell")
            .args(command)
            .output()
            .context("prosodyctl does not start; `make setup` installs it")?;
        let answer = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !(answer.contains("OK:") || answer.contains("Result:")) {
            bail!("prosodyctl refused {command:?}: {answer}{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Moves Prosody's [`Clock::Movable`] to so many seconds after the system's.
    pub fn advance_clock(&self, seconds: u32) -> Result<()> {
        ensure!(self.clock == Clock::Movable, "this Prosody's clock cannot be moved");
        clock::move_by(&self.directory, seconds)
    }

    /// Tells Prosody that its logs were rotated (SIGHUP), as logrotate does.
    pub fn reopen_logs(&self) -> Result<()> {
        self.process.signal(Signal::SIGHUP)
    }

    /// Ends Prosody in order, as `systemctl stop` does.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.stop()
    }

    /// Ends Prosody without a warning.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts Prosody again after [`Prosody::stop`] or [`Prosody::kill`].
    pub fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.directory, self.port, &self.clock)?;
        Ok(())
    }
}

fn launch(directory: &Path, port: u16, clock: &Clock) -> Result<Process> {
    let mut command = Command::new("prosody");
    clock.apply(&mut command, directory)?;
    command.arg("-F").arg("--config").arg(directory.join("prosody.cfg.lua"));
    let log = directory.join("prosody.log");
    let before = boots(&log);
    let mut process = Process::spawn("prosody", &command, &log)?;
    // Prosody accepts connections before it has loaded its components.
    process.wait_until(START, || boots(&log) == before + COMPONENTS && ports::answers(port))?;
    Ok(process)
}

/// How often the event module says in the log that it has begun.
fn boots(log: &Path) -> usize {
    fs::read_to_string(log).map_or(0, |text| text.matches("writes events to").count())
}

/// Prosody's own file format for an account, under its escaped host name.
fn create_account(directory: &Path, host: &str, user: &str) -> Result<()> {
    let accounts = directory.join("data").join(host.replace('.', "%2e")).join("accounts");
    fs::create_dir_all(&accounts)?;
    fs::write(
        accounts.join(format!("{user}.dat")),
        format!("return {{ [\"password\"] = \"{PASSWORD}\"; }};\n"),
    )?;
    Ok(())
}
