//! `reflector-api agents`: who may deliver with a secret of their own.

use std::io::Write;
use std::process::ExitCode;

use contract::enrolment_token::EnrolmentToken;
use contract::id::hex;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::configuration::{self, Settings};
use super::{EXIT_CONFIG, logging, service_user};
use crate::app;
use crate::config::{Config, Secret, is_web_address};
use crate::db::agent_secrets::{self, Listed, Sharing};
use crate::enrolment;

/// Random bytes in a salt.
const SALT_BYTES: usize = 16;

/// What to do with agents.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Let an agent sign with a secret of its own, and print that secret, this once
    Enroll {
        /// What the agent calls itself: `agent-id` in its configuration
        #[arg(value_parser = name)]
        name: String,
        /// Print an enrolment token instead, which `reflector-agent setup` takes on the Jitsi host
        #[arg(long)]
        token: bool,
        /// The address that the token says this service has [default: `REFLECTOR_API_PUBLIC_URL`]
        #[arg(long, value_parser = address, requires = "token")]
        url: Option<String>,
    },
    /// List the agents that may sign with a secret of their own, and those that once might
    List,
    /// Accept an agent's secret no more, on every replica within seconds
    Revoke {
        /// The agent's name
        #[arg(value_parser = name)]
        name: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    if enrolment::is_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "it must have 1 to {} letters, digits, dots, dashes and underscores",
        enrolment::MAX_NAME_BYTES
    ))
}

fn address(text: &str) -> Result<String, String> {
    if is_web_address(text) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err("it must be an address such as https://reflector.example.com".to_owned())
}

/// Does it on the configured database, also while the service runs.
pub(super) fn run(
    command: &Command,
    settings: &Settings,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let config = match configuration::read(&settings.variables) {
        Ok((config, _)) => config,
        Err(findings) => {
            for finding in findings {
                writeln!(err, "{finding}")?;
            }
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    logging::start(&config.log)?;
    let task = Task::of(command, &config)?;
    service_user::become_it(settings, &config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(app::with_database(&config, async |db| match task {
        Task::Enroll { name, form, key } => enroll(&db, key, name, &form, out, err).await,
        Task::List => list(&db, out).await,
        Task::Revoke(name) => revoke(&db, name, out).await,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// A command with all that it needs. What is missing is said before a database is opened, or made.
enum Task<'a> {
    Enroll { name: &'a str, form: Form<'a>, key: &'a Secret },
    List,
    Revoke(&'a str),
}

impl<'a> Task<'a> {
    fn of(command: &'a Command, config: &'a Config) -> anyhow::Result<Self> {
        let (name, token, url) = match command {
            Command::Enroll { name, token, url } => (name, *token, url.as_deref()),
            Command::List => return Ok(Self::List),
            Command::Revoke { name } => return Ok(Self::Revoke(name)),
        };
        let key = config.agents.secret_key.as_ref().ok_or_else(|| {
            anyhow::anyhow!(
                "SECRET_KEY is not set, which the secrets of agents are derived from; make one with: openssl rand -hex 32, \
                 and set it here and for `serve`"
            )
        })?;
        Ok(Self::Enroll { name, form: Form::of(token, url, config)?, key })
    }
}

/// In which form an agent's secret leaves.
enum Form<'a> {
    /// As it is.
    Secret,
    /// In a token, with this address.
    Token(&'a str),
}

impl<'a> Form<'a> {
    fn of(is_token: bool, url: Option<&'a str>, config: &'a Config) -> anyhow::Result<Self> {
        if !is_token {
            return Ok(Self::Secret);
        }
        let url = url.or(config.public_url.as_deref());
        url.map(Self::Token).ok_or_else(|| {
            anyhow::anyhow!(
                "where the agent reaches this service is not known: say it with --url https://reflector.example.com, or set \
                 REFLECTOR_API_PUBLIC_URL"
            )
        })
    }

    fn of_secret(&self, name: &str, secret: String) -> String {
        match self {
            Self::Secret => secret,
            Self::Token(url) => {
                EnrolmentToken { url: (*url).to_owned(), agent_id: name.to_owned(), secret }.encode()
            }
        }
    }

    fn next_step(&self, name: &str) -> String {
        match self {
            Self::Secret => format!(
                "Put the secret into the file that the agent's `secret-file` names, and write `agent-id = \"{name}\"` in [api]."
            ),
            Self::Token(_) => {
                "The token holds its secret and is not shown again. On the Jitsi host, this asks for it: sudo reflector-agent setup"
                    .to_owned()
            }
        }
    }
}

/// The secret or token alone goes to `out`, so that it can be sent into a file.
async fn enroll(
    db: &PgPool,
    key: &Secret,
    name: &str,
    form: &Form<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<()> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| anyhow::anyhow!("the system has no random bytes: {error}"))?;
    let salt = hex(&salt);
    if !agent_secrets::enroll(db, name, &salt).await? {
        anyhow::bail!(
            "{name} is enrolled already, and its secret is not shown again; revoke it first for a new one"
        );
    }
    writeln!(out, "{}", form.of_secret(name, enrolment::secret(key, name, &salt)))?;
    writeln!(err, "{name} is enrolled. {}", form.next_step(name))?;
    Ok(())
}

async fn revoke(db: &PgPool, name: &str, out: &mut impl Write) -> anyhow::Result<()> {
    if !agent_secrets::revoke(db, name).await? {
        anyhow::bail!("no agent {name} is enrolled; `reflector-api agents list` says who is");
    }
    writeln!(
        out,
        "{name} is revoked: what it sends is answered with 401 from now on, on every replica within seconds."
    )?;
    Ok(())
}

async fn list(db: &PgPool, out: &mut impl Write) -> anyhow::Result<()> {
    let (agents, sharing) = (agent_secrets::list(db).await?, agent_secrets::sharing(db).await?);
    if agents.is_empty() {
        writeln!(out, "No agent has a secret of its own.")?;
    }
    let names = agents.iter().map(|agent| agent.name.as_str());
    let width =
        names.chain(sharing.iter().map(|host| host.host.as_str())).map(str::len).max().unwrap_or_default();
    for agent in &agents {
        writeln!(out, "{}", line(agent, width))?;
    }
    if !sharing.is_empty() {
        writeln!(out, "Hosts that sign with the secret that all share:")?;
    }
    for Sharing { host, heard_at } in &sharing {
        writeln!(out, "{host:width$}  heard of {}", minute(*heard_at))?;
    }
    Ok(())
}

fn line(agent: &Listed, width: usize) -> String {
    let mut line = format!("{:width$}  enrolled {}", agent.name, minute(agent.enrolled_at));
    let heard = agent.heard_at.map(|at| format!("  heard of {}", minute(at)));
    line.push_str(heard.as_deref().unwrap_or("  never heard of"));
    let revoked = agent.revoked_at.map(|at| format!("  revoked {}", minute(at)));
    line + revoked.as_deref().unwrap_or_default()
}

fn minute(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!("{} {:02}:{:02}Z", at.date(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_line_says_since_when_until_when_and_whether_anybody_uses_it() {
        let agent = Listed {
            name: "a".into(),
            enrolled_at: datetime!(2026-01-02 03:04 UTC),
            revoked_at: None,
            heard_at: None,
        };
        assert_eq!(line(&agent, 3), "a    enrolled 2026-01-02 03:04Z  never heard of");
        let heard_at = Some(datetime!(2026-01-03 01:00 +2));
        let revoked = Listed { revoked_at: Some(datetime!(2026-01-04 00:00 UTC)), heard_at, ..agent };
        assert_eq!(
            line(&revoked, 1),
            "a  enrolled 2026-01-02 03:04Z  heard of 2026-01-02 23:00Z  revoked 2026-01-04 00:00Z"
        );
    }
}
