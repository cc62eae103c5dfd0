//! `reflector-agent doctor`: everything that the guides' troubleshooting sections tell people to try, tried.
//!
//! Each check gathers facts and judges them: gathering is thin, judging is a function of values with a table as its test.
//! Nothing is changed on the host, and nothing secret is shown. A check that cannot see what it needs says so.

mod agent;
mod api;
mod check;
mod hocon;
mod host;
mod jibri;
mod jitsi;
mod listener;
mod lua;
mod prosody;
mod readable;
mod recordings;
mod scene;
mod spool;

use std::process::ExitCode;

use serde_json::json;

use self::check::{Check, Outcome};
use self::host::Host;
use self::scene::Scene;
use super::print;
use super::view::{count, printable};
use crate::clock::now_ms;
use crate::config::{Finding, Survey};

/// The exit code when the worst finding is a warning.
const WARNINGS: u8 = 4;

pub(super) fn doctor(survey: Survey, json: bool) -> anyhow::Result<ExitCode> {
    let scene = scene(survey);
    let checks = all(&scene);
    if json {
        print(&json!({ "checks": checks, "worst": worst(&checks) }).to_string())?;
    } else {
        print(&as_text(&checks, scene.am_root(), |_| true))?;
    }
    Ok(code(worst(&checks)))
}

/// Says what is not as it should be, and of the rest how much there is.
pub(super) fn what_is_left(survey: Survey) -> anyhow::Result<()> {
    let scene = scene(survey);
    let checks = all(&scene);
    let said = as_text(&checks, scene.am_root(), |check| check.outcome > Outcome::Ok);
    print(&said)
}

/// What this user can read of the service's configuration and the service cannot.
pub(super) fn hidden_from_service(survey: &Survey) -> Vec<Finding> {
    readable::by_service(&Host::new("/"), &survey.service_files)
}

fn scene(mut survey: Survey) -> Scene {
    let hidden = hidden_from_service(&survey);
    survey.findings.extend(hidden);
    Scene::look(Host::new("/"), survey, now_ms())
}

/// Every check, always the same ones: one for which there is nothing to look at is skipped and says why.
fn all(scene: &Scene) -> Vec<Check> {
    let known = prosody::configuration(&scene.host);
    let mut checks = agent::checks(scene);
    checks.extend(api::checks(scene));
    checks.extend(prosody::checks(scene, &known));
    checks.extend(jitsi::checks(scene, &known));
    checks.extend(jibri::checks(scene));
    checks.extend(recordings::checks(scene));
    checks
}

fn worst(checks: &[Check]) -> Outcome {
    checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Ok)
}

fn code(worst: Outcome) -> ExitCode {
    match worst {
        Outcome::Skipped | Outcome::Ok | Outcome::Note => ExitCode::SUCCESS,
        Outcome::Warning => ExitCode::from(WARNINGS),
        Outcome::Failure => ExitCode::FAILURE,
    }
}

/// The checks that are to be `shown`, and a sum of all.
fn as_text(checks: &[Check], am_root: bool, shown: impl Fn(&&Check) -> bool) -> String {
    let mut lines = Vec::new();
    for check in checks.iter().filter(shown) {
        let (outcome, found) = (check.outcome.name(), printable(&check.found));
        lines.push(format!("{outcome:8} {:23} {}: {found}", check.name, check.tried));
        lines.extend(check.next.as_ref().map(|next| format!("{:32} Next: {next}", "")));
    }
    let of = |outcome| checks.iter().filter(|check| check.outcome == outcome).count() as u64;
    lines.push(format!(
        "\n{}: {} ok, {}, {}, {}, {} skipped.",
        count(checks.len() as u64, "check", "checks"),
        of(Outcome::Ok),
        count(of(Outcome::Note), "note", "notes"),
        count(of(Outcome::Warning), "warning", "warnings"),
        count(of(Outcome::Failure), "failure", "failures"),
        of(Outcome::Skipped),
    ));
    if !am_root {
        lines.push(
            "Run `sudo reflector-agent doctor` to see what this user may not: other users' files, and what only root may ask."
                .to_owned(),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::check::trial;
    use super::*;

    #[test]
    fn the_worst_finding_decides_the_exit_code() {
        let (ok, note) = (trial("a", "tried").ok("fine"), trial("b", "tried").note("so", "do"));
        let (warning, failure) =
            (trial("c", "tried").warning("bad", "do"), trial("d", "tried").failure("worse", "do"));
        let skipped = trial("e", "tried").skipped("why");
        for (checks, expected) in [
            (vec![skipped.clone()], ExitCode::SUCCESS),
            (vec![ok.clone(), note, skipped], ExitCode::SUCCESS),
            (vec![warning.clone(), ok.clone()], ExitCode::from(WARNINGS)),
            (vec![warning, failure, ok], ExitCode::FAILURE),
        ] {
            // Exit codes cannot be compared.
            assert_eq!(format!("{:?}", code(worst(&checks))), format!("{expected:?}"), "{checks:?}");
        }
    }

    #[test]
    fn a_finding_says_what_was_tried_what_came_of_it_and_what_to_do() {
        let text =
            as_text(&[trial("clock", "compared clocks").failure("\u{1b}[31mwrong", "set it")], false, |_| {
                true
            });
        for part in [
            "FAILURE  clock",
            "compared clocks: \\u{1b}[31mwrong",
            "Next: set it",
            "1 check: 0 ok",
            "sudo reflector-agent doctor",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
