//! "What the packages put where" against an installed host, both ways: everything in the table is there as it says, and nothing
//! is there that is not in the table.

use std::collections::{BTreeMap, BTreeSet};

use packaging::handbook;
use packaging::machine::{Machine, Release};

use crate::manual;
use crate::place::Whole;

/// Where apt, dpkg, systemd, the users' database and what tests bring keep their own books.
const BOOKS: &[&str] = &[
    "/etc/.pwd.lock",
    "/etc/group",
    "/etc/gshadow",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/subgid",
    "/etc/subuid",
    "/etc/systemd/system",
    "/run/credentials",
    "/run/log",
    "/run/systemd",
    "/srv",
    "/tmp/systemd-private-",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/log",
    "/var/tmp/systemd-private-",
];

/// Downloaded before there is a package that has it.
const KEYRING: &str = "/usr/share/keyrings/reflector-archive-keyring.pgp";

/// A row of the table.
#[derive(Debug, Clone)]
struct Row {
    what: Vec<String>,
    kind: Kind,
    /// Owner, group and mode, as `stat` says them; for users and groups what else is said of them.
    rights: Vec<String>,
    goes_with: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Path,
    User,
    Group,
    Port,
}

/// What is there, with owner, group, mode and kind of file as `stat` says them.
type Files = BTreeMap<String, String>;

/// Everything on a host that a package could have brought.
#[derive(Debug)]
struct Survey {
    files: Files,
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    ports: BTreeSet<String>,
}

impl Survey {
    fn of(machine: &Machine) -> Self {
        let files = machine
            .ok("find / /run /tmp /dev/shm -xdev -printf '%p\\t%u:%g %#m\\t%y\\n' 2>/dev/null || true")
            .unwrap();
        let files = files.lines().filter_map(|line| line.split_once('\t'));
        let files = files.filter(|(path, _)| !BOOKS.iter().any(|book| path.starts_with(book)));
        let lines = |command: &str| machine.ok(command).unwrap().lines().map(str::to_owned).collect();
        Self {
            files: files.map(|(path, rights)| (path.to_owned(), rights.to_owned())).collect(),
            users: lines("getent passwd | cut -d : -f 1"),
            groups: lines("getent group | cut -d : -f 1"),
            ports: lines("ss --listening --tcp --udp --numeric --no-header | awk '{ print $5 }'"),
        }
    }

    /// What has come since `before`.
    fn since(mut self, before: &Self) -> Self {
        self.files.retain(|path, _| !before.files.contains_key(path));
        self.users.retain(|user| !before.users.contains(user));
        self.groups.retain(|group| !before.groups.contains(group));
        self.ports.retain(|port| !before.ports.contains(port));
        self
    }
}

fn table() -> Vec<Row> {
    let section = manual::section("What the packages put where");
    let rows: Vec<Row> = handbook::rows(&section)
        .into_iter()
        .map(|cells| {
            let words = |cell: &str| handbook::quoted(cell).into_iter().map(str::to_owned).collect();
            let kind = match cells[0].split('`').next().unwrap_or_default().trim() {
                "" => Kind::Path,
                "user" => Kind::User,
                "group" | "groups" => Kind::Group,
                "port" => Kind::Port,
                other => panic!("{other:?} is no kind of thing"),
            };
            Row { what: words(cells[0]), kind, rights: words(cells[1]), goes_with: cells[4].to_owned() }
        })
        .collect();
    assert!(rows.len() > 30, "{rows:?}");
    rows
}

/// Whether a path is what a row speaks of: `*` is any part of a name, and `/**` is a directory with everything in it.
fn is_meant(pattern: &str, path: &str) -> bool {
    if let Some(directory) = pattern.strip_suffix("/**") {
        return path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    }
    is_like(pattern.trim_end_matches('/'), path)
}

/// Whether a path is what a pattern with `*` describes.
fn is_like(pattern: &str, path: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == path };
    let Some(rest) = path.strip_prefix(head) else { return false };
    let part = rest.split('/').next().unwrap_or_default();
    let ends = part.char_indices().map(|(at, _)| at).chain([part.len()]);
    ends.into_iter().any(|end| is_like(tail, &rest[end..]))
}

/// The row for a path. One that names it wins over one that names a whole directory.
fn row_of<'a>(rows: &'a [Row], path: &str) -> Option<&'a Row> {
    let has = |row: &&Row, whole: bool| {
        let mut patterns = row.what.iter().filter(|pattern| pattern.ends_with("/**") == whole);
        row.kind == Kind::Path && patterns.any(|pattern| is_meant(pattern, path))
    };
    rows.iter().find(|row| has(row, false)).or_else(|| rows.iter().find(|row| has(row, true)))
}

/// Whether rights are as the table says. In a directory that it gives as a whole, who may read a file may enter a directory.
fn is_right(expected: &str, found: &str) -> bool {
    let (found, kind) = found.split_once('\t').unwrap_or((found, ""));
    let (Some((owner, mode)), Some((of, is))) = (expected.split_once(' '), found.split_once(' ')) else {
        return false;
    };
    let number = |mode: &str| u32::from_str_radix(mode, 8).unwrap_or_default();
    let (mode, is) = (number(mode), number(is));
    let enterable = mode | ((mode & 0o444) >> 2);
    owner == of && (kind == "l" || is == mode || (kind == "d" && is == enterable))
}

/// Everything that is there and is not as the table says.
fn strangers(rows: &[Row], files: &Files) -> Vec<String> {
    let on_the_way = |path: &str| {
        let directory = format!("{path}/");
        rows.iter().flat_map(|row| &row.what).any(|what| what.starts_with(&directory))
    };
    let mut strange = Vec::new();
    for (path, rights) in files {
        match row_of(rows, path) {
            Some(row) if row.rights.iter().any(|expected| is_right(expected, rights)) => {}
            Some(row) => strange.push(format!("{path} is {rights}, not {:?}", row.rights)),
            None if on_the_way(path) && rights == "root:root 0755\td" => {}
            None => strange.push(format!("{path} ({rights}) is not in the table")),
        }
    }
    strange
}

/// The paths in rows that go with any of `events`, of which nothing is there.
fn missing(rows: &[Row], files: &Files, events: &[&str]) -> Vec<String> {
    let rows = rows.iter().filter(|row| row.kind == Kind::Path && events.contains(&row.goes_with.as_str()));
    let patterns = rows.flat_map(|row| row.what.clone());
    patterns.filter(|pattern| !files.keys().any(|path| is_meant(pattern, path))).collect()
}

fn named(rows: &[Row], kind: Kind) -> BTreeSet<String> {
    rows.iter().filter(|row| row.kind == kind).flat_map(|row| row.what.clone()).collect()
}

fn compare(release: Release) {
    let rows = table();
    let whole = Whole::prepare(release);
    let mut before = Survey::of(&whole.machine);
    before.files.remove(KEYRING);
    whole.install();
    let after = Survey::of(&whole.machine).since(&before);

    let strange = strangers(&rows, &after.files);
    assert!(strange.is_empty(), "{}", strange.join("\n"));
    let missing_now = missing(&rows, &after.files, &["remove", "purge", "stop", "stays"]);
    assert!(missing_now.is_empty(), "in the table, and not there: {missing_now:?}");
    assert_eq!(after.users, named(&rows, Kind::User));
    let joined: BTreeSet<String> = ["jibri", "jitsi"].map(str::to_owned).into();
    assert_eq!(after.groups.union(&joined).cloned().collect::<BTreeSet<_>>(), named(&rows, Kind::Group));
    assert_eq!(after.ports, named(&rows, Kind::Port));
    users_are_as_said(&whole.machine, &rows);

    whole.machine.ok("apt-get remove --yes reflector-agent reflector-api reflector-archive-keyring").unwrap();
    let removed = Survey::of(&whole.machine).since(&before);
    assert_eq!(strangers(&rows, &removed.files), [""; 0]);
    assert_eq!(missing(&rows, &removed.files, &["purge", "stays"]), [""; 0]);
    let should_be_gone = |goes: &str| ["remove", "stop"].contains(&goes);
    assert_eq!(left(&rows, &removed.files, should_be_gone), [""; 0]);
    assert!(removed.ports.is_empty(), "{:?}", removed.ports);

    whole.machine.ok("apt-get purge --yes reflector-agent reflector-api reflector-archive-keyring").unwrap();
    let purged = Survey::of(&whole.machine).since(&before);
    assert!(purged.files.is_empty(), "{:?}", purged.files);
    assert_eq!(purged.users, named(&rows, Kind::User), "users stay");
}

/// Paths that are there although their row says that they are gone.
fn left(rows: &[Row], files: &Files, gone: impl Fn(&str) -> bool) -> Vec<String> {
    let paths = files.keys().filter(|path| row_of(rows, path).is_some_and(|row| gone(&row.goes_with)));
    paths.cloned().collect()
}

fn users_are_as_said(machine: &Machine, rows: &[Row]) {
    for row in rows.iter().filter(|row| row.kind == Kind::User) {
        let user = &row.what[0];
        let entry = machine.ok(&format!("getent passwd {user}")).unwrap();
        let fields: Vec<&str> = entry.trim().split(':').collect();
        assert_eq!([fields[6], fields[5]], [row.rights[0].as_str(), row.rights[1].as_str()], "{entry}");
        let shadow = machine.ok(&format!("getent shadow {user}")).unwrap();
        assert!(shadow.split(':').nth(1).is_some_and(|password| password.starts_with(['!', '*'])), "{user}");
        let uid: u32 = fields[2].parse().unwrap();
        assert!(uid < 1000, "{user} is no system user: {uid}");
    }
    let groups = machine.ok("id --name --groups reflector-agent").unwrap();
    assert_eq!(
        groups.split_whitespace().collect::<BTreeSet<_>>(),
        ["jibri", "jitsi", "reflector-agent"].into()
    );
    assert_eq!(machine.ok("id --name --groups reflector-api").unwrap().trim(), "reflector-api");
}

#[test]
fn debian_12_has_what_the_table_says_and_nothing_else() {
    compare(Release::Bookworm);
}

#[test]
fn debian_13_has_what_the_table_says_and_nothing_else() {
    compare(Release::Trixie);
}

#[test]
fn patterns_and_rights_mean_what_the_table_means() {
    for (pattern, path, meant) in [
        ("/usr/bin/a", "/usr/bin/a", true),
        ("/usr/bin/a", "/usr/bin/ab", false),
        ("/etc/a/", "/etc/a", true),
        ("/etc/a/", "/etc/a/b", false),
        ("/etc/a/**", "/etc/a", true),
        ("/etc/a/**", "/etc/a/b/c", true),
        ("/etc/a/**", "/etc/ab", false),
        ("/man/man*/a*.gz", "/man/man8/a-b.8.gz", true),
        ("/man/man*/a*.gz", "/man/de/man8/a.gz", false),
        ("/man/man*/a*.gz", "/man/man8/b.gz", false),
        ("/dev/shm/A.*", "/dev/shm/A.12", true),
        ("/dev/shm/A.*", "/dev/shm/A.1/2", false),
    ] {
        assert_eq!(is_meant(pattern, path), meant, "{pattern} {path}");
    }
    for (expected, found, right) in [
        ("root:root 0644", "root:root 0644\tf", true),
        ("root:root 0644", "root:root 0755\td", true),
        ("root:root 0644", "root:root 0755\tf", false),
        ("root:root 0640", "root:root 0755\td", false),
        ("root:root 0644", "root:a 0644\tf", false),
        ("root:root 0644", "root:root 0777\tl", true),
        ("a:b 2770", "a:b 02770\td", true),
    ] {
        assert_eq!(is_right(expected, found), right, "{expected} {found}");
    }
}
