//! "What comes with time" and "Another PostgreSQL": a private database is backed up, left behind and restored.

use packaging::handbook;
use packaging::machine::Release;

use crate::manual;
use crate::place::{AGENT, Whole};

#[test]
fn a_backup_is_restored_into_the_database_that_the_service_makes_anew() {
    let over_time = manual::section("What comes with time");
    let (backup, restore) = over_time.split_once("It is restored").unwrap();
    let another = manual::section("Another PostgreSQL");
    let left = handbook::quoted(&another).into_iter().find(|quoted| quoted.contains("postgres-old")).unwrap();
    let whole = Whole::prepare(Release::Bookworm);
    whole.install();
    let run = |command: &str| whole.machine.ok(command).unwrap();

    for command in handbook::commands(backup) {
        run(command);
    }
    run(left);
    run("systemctl start reflector-api");
    assert!(!run("reflector-api agents list").contains(AGENT), "it is the old database");
    let restore = handbook::commands(restore);
    assert!(!restore.is_empty());
    for command in restore {
        run(command);
    }
    assert!(run("reflector-api agents list").contains(AGENT));
    whole.machine.eventually("curl --fail --silent http://127.0.0.1:1250/health").unwrap();
}
