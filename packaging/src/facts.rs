//! What a manual says that the command line does not know: exit codes, files, examples.

/// What is said of a program and its commands.
pub struct Facts {
    /// The program.
    pub program: &'static str,
    /// What it exits with.
    pub exits: &'static [Exit],
    /// What it reads and writes, and what stands there. A directory ends with `/`.
    pub files: &'static [(&'static str, &'static str)],
    /// What one may type.
    pub examples: &'static [Example],
}

/// An exit code and what it says.
pub struct Exit {
    /// The code.
    pub code: u8,
    /// What it says.
    pub meaning: &'static str,
    /// The commands that exit with it.
    pub of: Of,
}

/// Commands, each as in `deliveries list`.
pub enum Of {
    /// All commands.
    All,
    /// All commands but these.
    AllBut(&'static [&'static str]),
    /// These commands.
    Only(&'static [&'static str]),
}

/// A command line and what it is for.
pub struct Example {
    /// The command in whose manual it stands; empty: in the program's.
    pub command: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// The line.
    pub line: &'static str,
}

const fn exit(code: u8, meaning: &'static str, of: Of) -> Exit {
    Exit { code, meaning, of }
}

const fn example(command: &'static str, what: &'static str, line: &'static str) -> Example {
    Example { command, what, line }
}

const FAILED: &str = "It did not work. Standard error says why, and what to do.";
const MISUSED: &str = "The command line is wrong.";
const MISCONFIGURED: &str = "The configuration is wrong.";

/// What is said of both programs.
pub const ALL: [Facts; 2] = [
    Facts {
        program: "reflector-agent",
        exits: &[
            exit(0, "It worked.", Of::AllBut(&["finalize"])),
            exit(0, "Always, because Jibri waits for it.", Of::Only(&["finalize"])),
            exit(1, FAILED, Of::AllBut(&["doctor", "finalize"])),
            exit(1, "The worst finding is a failure.", Of::Only(&["doctor"])),
            exit(2, MISUSED, Of::AllBut(&["finalize"])),
            exit(3, "The agent does not run.", Of::Only(&["drain", "status"])),
            exit(4, "It is set up, and does not deliver yet.", Of::Only(&["setup"])),
            exit(4, "The worst finding is a warning.", Of::Only(&["doctor"])),
            exit(78, MISCONFIGURED, Of::AllBut(&["doctor", "finalize"])),
        ],
        files: &[
            ("/etc/reflector-agent/agent.toml", "Settings, if there are any of your own."),
            (
                "/etc/reflector-agent/agent.d/",
                "Settings in files of their own, which win; `setup` writes one.",
            ),
            ("/etc/reflector-agent/secret", "The secret that deliveries are signed with."),
            ("/var/lib/reflector-agent/", "What is not delivered yet, and the log of what was."),
            ("/var/spool/reflector-agent/prosody/", "What Prosody's module writes."),
            ("/usr/share/jitsi-meet/prosody-plugins/mod_reflector_events.lua", "The module."),
        ],
        examples: &[
            example("", "After the installation:", "sudo reflector-agent setup"),
            example("", "When something does not arrive:", "sudo reflector-agent doctor"),
            example("setup", "With answers, at a terminal:", "sudo reflector-agent setup"),
            example(
                "setup",
                "By a script, with an enrolment token on standard input:",
                "reflector-agent setup --token-file - < token",
            ),
            example(
                "setup",
                "With the secret that all hosts share:",
                "sudo reflector-agent setup --url https://reflector.example.com --secret-file secret",
            ),
            example("status", "As it changes:", "sudo reflector-agent status --watch"),
            example(
                "deliveries",
                "What waits for a person:",
                "sudo reflector-agent deliveries list --state parked",
            ),
            example(
                "deliveries list",
                "What became of a room's events since yesterday:",
                "sudo reflector-agent deliveries list --room standup --since 1d",
            ),
            example(
                "deliveries retry",
                "Once what parked them is put right:",
                "sudo reflector-agent deliveries retry --all",
            ),
            example(
                "deliveries discard",
                "Lines of the spool that are no events:",
                "sudo reflector-agent deliveries discard --kind unreadable --reason nonsense",
            ),
            example(
                "deliveries export",
                "For a spreadsheet:",
                "sudo reflector-agent deliveries export --format csv > deliveries.csv",
            ),
            example("drain", "Before a host is taken away:", "sudo reflector-agent drain --timeout 30min"),
        ],
    },
    Facts {
        program: "reflector-api",
        exits: &[
            exit(0, "It worked.", Of::All),
            exit(1, FAILED, Of::All),
            exit(2, MISUSED, Of::All),
            exit(4, "It is set up, and the service was left alone.", Of::Only(&["setup"])),
            exit(78, MISCONFIGURED, Of::AllBut(&["openapi"])),
        ],
        files: &[
            ("/etc/reflector-api/api.env", "Settings and secrets; `setup` writes it."),
            ("/var/lib/reflector-api/", "The private Postgres, where no other database is named."),
        ],
        examples: &[
            example("", "After the installation:", "sudo reflector-api setup"),
            example(
                "",
                "For each Jitsi host, under a name of its own:",
                "sudo reflector-api agents enroll jitsi-1 --token",
            ),
            example(
                "setup",
                "By a script, with a private Postgres:",
                "reflector-api setup --jitsi-domain meet.example.com --public-url https://reflector.example.com",
            ),
            example(
                "setup",
                "With a Postgres of your own, whose address is read from standard input:",
                "reflector-api setup --database-url-file - < database-url",
            ),
            example("check", "After a change of the settings:", "sudo reflector-api check"),
            example("agents", "Who may deliver:", "sudo reflector-api agents list"),
            example(
                "agents enroll",
                "The line that `reflector-agent setup` asks for on that host:",
                "sudo reflector-api agents enroll jitsi-1 --token",
            ),
            example(
                "agents revoke",
                "When a host is given away:",
                "sudo reflector-api agents revoke jitsi-1",
            ),
            example("openapi", "For generators of clients:", "reflector-api openapi > openapi.json"),
            example("token", "For trying the API as somebody:", "sudo reflector-api token --subject alice"),
        ],
    },
];

impl Facts {
    /// What is said of a program.
    pub fn of(program: &str) -> Option<&'static Self> {
        ALL.iter().find(|facts| facts.program == program)
    }

    /// What a command exits with; for the program itself everything, each with the commands that alone exit with it.
    pub fn exits_of(&self, command: &str) -> Vec<(u8, String)> {
        let is_meant = |exit: &&Exit| command.is_empty() || exit.of.has(command);
        let said = |exit: &Exit| match exit.of {
            Of::Only(commands) if command.is_empty() => format!("{} ({})", exit.meaning, commands.join(", ")),
            _ => exit.meaning.to_owned(),
        };
        self.exits.iter().filter(is_meant).map(|exit| (exit.code, said(exit))).collect()
    }

    /// The examples for a command.
    pub fn examples_of(&self, command: &str) -> impl Iterator<Item = &'static Example> {
        self.examples.iter().filter(move |example| example.command == command)
    }
}

impl Of {
    fn has(&self, command: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(others) => !others.contains(&command),
            Self::Only(these) => these.contains(&command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_said_to_exit_with_what_is_of_it() {
        let codes = |program: &str, command: &str| -> Vec<u8> {
            let exits = Facts::of(program).unwrap().exits_of(command);
            exits.into_iter().map(|(code, _)| code).collect()
        };
        assert_eq!(codes("reflector-agent", "finalize"), [0]);
        assert_eq!(codes("reflector-agent", "doctor"), [0, 1, 2, 4]);
        assert_eq!(codes("reflector-agent", "deliveries list"), [0, 1, 2, 78]);
        assert_eq!(codes("reflector-api", "openapi"), [0, 1, 2]);
        let all = Facts::of("reflector-api").unwrap().exits_of("");
        assert!(all.iter().any(|(code, said)| *code == 4 && said.ends_with(" (setup)")), "{all:?}");
    }
}
