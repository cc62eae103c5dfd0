//! What Debian's own judges say of the packages, and systemd of the units.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packaging::machine::Release;

use crate::host::{Host, current, tell};
use crate::turn;

/// The programs that have packages.
const PROGRAMS: [&str; 2] = ["reflector-agent", "reflector-api"];

/// The exposure that a unit may have, as `--threshold` wants it: tenths.
const EXPOSURE: u32 = 13;

on_each_release! {
    systemd_finds_nothing_wrong_with_the_units_and_little_exposed,
}

fn systemd_finds_nothing_wrong_with_the_units_and_little_exposed(release: Release) {
    let host = Host::knowing(release, &current());
    host.machine
        .ok("apt-get install --yes --no-install-recommends reflector-agent reflector-api man-db")
        .unwrap();
    for program in PROGRAMS {
        for kind in ["service", "path"] {
            let unit = format!("{program}.{kind}");
            let verdict = host.machine.run(&format!("systemd-analyze verify {unit}")).unwrap();
            assert_eq!((verdict.code, verdict.text().as_str()), (Some(0), ""), "{unit}");
        }
        let unit = format!("{program}.service");
        let judge = format!("systemd-analyze security --no-pager --threshold={EXPOSURE}");
        let live = host.machine.ok(&format!("{judge} {unit}")).unwrap();
        host.machine.ok(&format!("{judge} --offline=true /usr/lib/systemd/system/{unit}")).unwrap();
        tell(&format!("{release:?}: {}", live.lines().last().unwrap_or_default()));
    }
}

#[test]
fn lintian_finds_neither_errors_nor_warnings() {
    let _turn = turn::shared();
    let archive = tempfile::tempdir().unwrap();
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]).args(packages(archive.path()));
    passes(&mut lintian);
}

#[test]
fn piuparts_finds_nothing_left_over() {
    let _turn = turn::shared();
    let archive = tempfile::tempdir().unwrap();
    let tree = Release::Bookworm.tree().unwrap();
    let mut piuparts = Command::new("piuparts");
    piuparts.args(["--distribution=bookworm", "--keep-sources-list", "--no-upgrade-test", "--no-eatmydata"]);
    passes(piuparts.arg("--existing-chroot").arg(tree).args(packages(archive.path())));
}

/// The packages that an archive of ours has: those that `make deb` has built, and the keyring's.
fn packages(archive: &Path) -> Vec<PathBuf> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("apt/build");
    passes(Command::new(build).arg(current()).arg(archive.join("served")));
    let pool = archive.join("served/pool/main/r/reflector");
    let mut packages: Vec<PathBuf> = fs::read_dir(pool).unwrap().map(|entry| entry.unwrap().path()).collect();
    packages.sort();
    assert_eq!(packages.len(), PROGRAMS.len() + 1, "{packages:?}");
    packages
}

/// The output of a program that must succeed.
fn passes(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{command:?}: {}\n{said}{}", output.status, text(&output.stderr));
    said
}
