//! What Debian's own judges say of the packages, and systemd of the units.

use std::path::{Path, PathBuf};
use std::process::Command;

use packaging::machine::Release;

use crate::host::{Host, current, tell};

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
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]).args(packages());
    passes(&mut lintian);
}

#[test]
fn piuparts_finds_nothing_left_over() {
    let tree = Release::Bookworm.tree().unwrap();
    let mut piuparts = Command::new("piuparts");
    piuparts.args(["--distribution=bookworm", "--keep-sources-list", "--no-upgrade-test"]);
    piuparts.args(["--warn-on-leftovers-after-purge", "--no-eatmydata"]).arg("--existing-chroot").arg(tree);
    passes(piuparts.args(packages()));
}

#[test]
fn every_program_runs_where_glibc_is_that_of_ubuntu_22_04() {
    for package in packages() {
        let directory = tempfile::tempdir().unwrap();
        passes(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(directory.path()));
        for program in PROGRAMS {
            let path = directory.path().join("usr/bin").join(program);
            if path.exists() {
                let newest = newest_glibc(&path);
                tell(&format!("{program} needs GLIBC {}.{}", newest.0, newest.1));
                assert!(newest <= (2, 35), "{program}: {newest:?}");
            }
        }
    }
}

/// The newest version of glibc's symbols that a program links.
fn newest_glibc(program: &Path) -> (u32, u32) {
    let symbols = passes(Command::new("objdump").arg("-T").arg(program));
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|text| {
        let version = text.split([')', ' ']).next()?;
        let mut numbers = version.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max().expect("a program links glibc")
}

/// The packages that `make deb` has built.
fn packages() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(current()).unwrap().map(|entry| entry.unwrap().path());
    let mut packages: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect();
    packages.sort();
    assert!(packages.len() >= PROGRAMS.len(), "{packages:?}: run make deb");
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
