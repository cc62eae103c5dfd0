//! `reflector-api setup`: from an installed package to a running service in one command.
//!
//! - `plan`: decides which settings a file lacks.
//! - `file`: writes it.
//! - `service`: says what is started, and sees that it answers.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use contract::id::hex;
use host::service::{Before, Brought};
use host::terminal::Terminal;

use super::configuration::{self, SERVICE_FILE};
use super::{EXIT_CONFIG, service_user};
use crate::config::{Config, Database, Finding, Severity, Variables, environment_file};
use crate::db::{connect, embedded};

mod file;
mod plan;
mod service;

use plan::Wishes;
use service::SERVICE;

/// The exit code when it is set up, and the service was left alone.
const NOT_YET: u8 = 4;

/// What is asked where no option says it.
const DOMAIN_QUESTION: &str = "The domain of your Jitsi (such as meet.example.com): ";

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// The command's options. Secrets are made, or come from files: what stands on a command line is seen by every user of the host.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The domain of the Jitsi that meetings are held on, such as meet.example.com
    #[arg(long, value_name = "DOMAIN")]
    jitsi_domain: Option<String>,
    /// The address at which agents reach this service, such as `https://reflector.example.com`
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// A file with the address of a Postgres (- for standard input); without it a private one is run
    #[arg(long, value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// Address and port to serve on
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Replace settings that say something else; without this they are left, and nothing is written
    #[arg(long)]
    replace: bool,
}

/// Writes what is missing into `path`, the service's own file by default, and has the service start with it.
pub(super) fn run(
    arguments: &Arguments,
    path: Option<&Path>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let is_service = path.is_none();
    let path = path.unwrap_or(Path::new(SERVICE_FILE));
    if is_service && !nix::unistd::Uid::effective().is_root() {
        anyhow::bail!("only root may write {SERVICE_FILE}; run: sudo reflector-api setup");
    }
    let existing = read(path)?;
    let known = existing.as_deref().map(environment_file::parse).unwrap_or_default();
    let wishes = wishes(arguments, &known)?;
    let additions = plan::additions(&known, &wishes, secret).map_err(|others| {
        anyhow::anyhow!(
            "{} says something else about {}; edit it, or use --replace",
            path.display(),
            others.join(", ")
        )
    })?;
    let text = file::with(existing.as_deref(), &additions);
    let written = file::reads_back(&text, &known, &additions).map_err(|name| {
        anyhow::anyhow!(
            "{} would not say what is meant of {name}: a quote that is open or a backslash at its end takes what follows, or the value \
             has a control character; mend it. Nothing was written",
            path.display()
        )
    })?;
    let config = match checked(&written, &configuration::ambiguities(&text), err)? {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let is_moved = additions.iter().any(|addition| addition.name == "DATABASE_URL");
    if is_moved && !arguments.replace && embedded::has_data(&config.state_dir) {
        anyhow::bail!(
            "a private Postgres has data in {}, which the service would leave behind; carry it over with pg_dump, or use --replace",
            config.state_dir.display()
        );
    }
    if is_moved {
        database_answers(&config)?;
    }
    if let Some(mode) = configuration::mode_for_everybody(path).filter(|_| !additions.is_empty()) {
        anyhow::bail!(
            "everybody on this host may read {0} (mode {mode:o}), and secrets would come into it; run: chmod 600 {0}",
            path.display()
        );
    }
    if let Some(url) = config.public_url.as_deref().filter(|url| plan::is_of_this_host(url)) {
        writeln!(err, "warning: REFLECTOR_API_PUBLIC_URL: {url} leads agents of other hosts to themselves")?;
    }
    // Before anything is written: what appears may start it.
    let service = is_service.then(|| SERVICE.look());
    if additions.is_empty() {
        writeln!(out, "{} has all that is needed.", path.display())?;
    } else {
        if is_service {
            file::make_directory(path)
                .with_context(|| format!("cannot make the directory of {}", path.display()))?;
        }
        file::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        let names: Vec<_> = additions.iter().map(|addition| addition.name).collect();
        writeln!(out, "Wrote {} to {}.", names.join(", "), path.display())?;
    }
    let is_left = match service {
        Some(service) => !starts(&service, !additions.is_empty(), config.listen, out, err)?,
        None => false,
    };
    write!(out, "{}", next_steps(&config, path))?;
    Ok(if is_left { ExitCode::from(NOT_YET) } else { ExitCode::SUCCESS })
}

/// Has the service run with what was written, and sees that it answers; whether it does, or was left alone.
fn starts(
    before: &Before,
    has_changed: bool,
    listen: SocketAddr,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<bool> {
    match before.bring_up(has_changed) {
        Brought::Up(_) => {
            service::answers(listen).map_err(|error| {
                anyhow::anyhow!(
                    "the service runs, and does not answer on {listen}: {error}; journalctl -u reflector-api says more"
                )
            })?;
            writeln!(out, "reflector-api serves on http://{listen}.")?;
            Ok(true)
        }
        Brought::Left(why) => {
            writeln!(err, "warning: {why}")?;
            Ok(false)
        }
        Brought::Down(why) => {
            anyhow::bail!("the service does not start: {why}; journalctl -u reflector-api says more")
        }
    }
}

/// Whether a database that is not ours is there, and takes us. A service that cannot reach it would only wait. Over a socket the server
/// may know the service by its user, which this is not: there `check` tells.
fn database_answers(config: &Config) -> anyhow::Result<()> {
    match &config.database {
        Database::Server(url) if service_user::is_another() && connect::is_by_socket(url.expose()) => Ok(()),
        Database::Server(url) => connect::probe_address(url.expose()).context("nothing was written"),
        Database::Embedded => Ok(()),
    }
}

/// The file's text; `None` while there is none.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// What the options say, and what is asked for where somebody is there to answer.
fn wishes(arguments: &Arguments, known: &Variables) -> anyhow::Result<Wishes> {
    let is_known = |name| known.get(name).is_some_and(|value| !value.trim().is_empty());
    let person = Terminal::open();
    let mut values = Vec::new();
    let domain = match &arguments.jitsi_domain {
        None if is_known("JITSI_DOMAIN") => None,
        None => match &person {
            Some(person) => Some(person.ask(DOMAIN_QUESTION)?),
            None => {
                anyhow::bail!("--jitsi-domain is missing: the domain of your Jitsi, such as meet.example.com")
            }
        },
        given => given.clone(),
    };
    let domain = domain.map(|domain| domain.trim().to_owned());
    if domain.as_deref() == Some("") {
        anyhow::bail!(
            "the domain of your Jitsi is empty; it is needed, such as meet.example.com. Nothing was written"
        );
    }
    values.extend(domain.map(|domain| ("JITSI_DOMAIN", domain)));
    let url = match (&arguments.public_url, &person) {
        (None, Some(person)) if !is_known("REFLECTOR_API_PUBLIC_URL") => {
            let question = "The address at which agents will reach this service (such as https://reflector.example.com; empty: later): ";
            Some(person.ask(question)?)
        }
        (given, _) => given.clone(),
    };
    let url = url.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty());
    if let Some(why) = url.as_deref().and_then(plan::no_way_in) {
        anyhow::bail!("the address at which agents reach this service {why}. Nothing was written");
    }
    values.extend(url.map(|url| ("REFLECTOR_API_PUBLIC_URL", url)));
    if let Some(file) = &arguments.database_url_file {
        values.push(("DATABASE_URL", database_url(file, person.as_ref())?));
    }
    values.extend(arguments.listen.map(|listen| ("REFLECTOR_API_LISTEN", listen.to_string())));
    Ok(Wishes { values, replaces: arguments.replace })
}

/// The address of the database. Where a person is at the standard input that `file` names, nobody sees what is typed.
fn database_url(file: &Path, person: Option<&Terminal>) -> anyhow::Result<String> {
    const QUESTION: &str = "The address of the Postgres (postgresql://USER:PASSWORD@HOST:5432/DATABASE; what you type is not shown): ";
    let text = match (file.to_str(), person) {
        (Some("-"), Some(person)) => person.ask_hidden(QUESTION),
        (Some("-"), None) => io::read_to_string(io::stdin()),
        _ => fs::read_to_string(file),
    };
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    match text.trim() {
        "" => anyhow::bail!(
            "{} is empty; it must hold postgresql://USER:PASSWORD@HOST:5432/DATABASE",
            file.display()
        ),
        url => Ok(url.to_owned()),
    }
}

fn secret() -> String {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    hex(&bytes)
}

/// The configuration that the service will have, if it can start with it. Only what would keep it from starting is written: a
/// fresh set-up lacks much that nobody has asked for.
fn checked(
    written: &Variables,
    ambiguities: &[Finding],
    err: &mut impl Write,
) -> anyhow::Result<Result<Config, ExitCode>> {
    let (config, findings) = match configuration::read(written) {
        Ok((config, _)) => (Some(config), Vec::new()),
        Err(findings) => (None, findings),
    };
    let Some(config) = config.filter(|_| ambiguities.is_empty()) else {
        let findings = findings.iter().chain(ambiguities);
        for finding in findings.filter(|finding| finding.severity == Severity::Error) {
            writeln!(err, "{finding}")?;
        }
        writeln!(err, "Nothing was written.")?;
        return Ok(Err(ExitCode::from(EXIT_CONFIG)));
    };
    if config.database == Database::Embedded {
        embedded::is_installed().context("nothing was written")?;
    }
    Ok(Ok(config))
}

/// What remains to be done elsewhere. Secrets are not shown: this may end in a log.
fn next_steps(config: &Config, path: &Path) -> String {
    let path = path.display();
    let mut steps = Vec::new();
    if let Ok(jitsi) = &config.jitsi.meetings {
        steps.push(format!(
            "Have the Prosody of {} accept this service's tokens: authentication = \"token\", app_id = \"{}\", and as app_secret what \
             this shows:\n     sudo grep JITSI_JWT_SECRET {path}",
            jitsi.domain, jitsi.issuer
        ));
    }
    let address = config.public_url.as_deref().unwrap_or("https://reflector.example.com");
    let url = if config.public_url.is_some() { String::new() } else { format!(" --url {address}") };
    steps.push(format!(
        "Put a proxy with TLS in front, such that {address} leads to http://{}.",
        config.listen
    ));
    steps.push(format!(
        "For each Jitsi host make a token, and give it to `sudo reflector-agent setup` there:\n     \
         sudo reflector-api agents enroll NAME --token{url}"
    ));
    let numbered = steps.iter().enumerate().map(|(index, step)| format!("{:2}. {step}\n", index + 1));
    format!("Next:\n{}", numbered.collect::<String>())
}
