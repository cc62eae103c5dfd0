//! The spool and the outbox against a reference model.
//!
//! A case is a list of random steps: a host that writes, rotates, copies, truncates and deletes files in every way that a
//! spool allows, an agent that is stopped at any point, an outbox that refuses at any point, an API that gives every kind of
//! answer, a clock that jumps. The agent's parts are the real ones, on real files; the API is a list of ids.
//!
//! The reference is what the bytes say. Whenever the agent has looked at all files without being refused, every complete
//! line that then stands in a file *must* reach the API, once, whatever comes later; so must every line that stands in a
//! file at the end. A truncation or a deletion may therefore lose exactly the lines that it removed before the agent had looked,
//! and a deletion not even those if the agent has the file open. Nothing that was not written may arrive, and nothing twice.
//!
//! `MODEL_SEED` repeats a run, `MODEL_CASES` makes a longer one. A failure prints both, and the smallest case that fails.

mod api;
mod host;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestRunner};

use self::api::Mood;
use self::host::{Family, Form};
use self::world::{Shelf, World};

/// How many cases are tried.
const CASES: u64 = 10_000;

/// How many are tried at the same time: a case waits for the kernel more than it works.
const HOSTS: u64 = 8;

/// One step of a case.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The host writes a line, or with `cut` its first half.
    Write { form: Form, cut: bool },
    /// The host writes the other half of the line that it has begun.
    Finish,
    /// The file is renamed and a new one begun.
    Rotate,
    /// The file is copied.
    Copy,
    /// The file is cut to this share of its length, in percent.
    Truncate(u8),
    /// The file is copied and cut to nothing.
    CopyTruncate,
    /// One of the files is deleted.
    Delete(u8),
    /// From now on, or no longer, changes within a second do not show in the files' time stamps.
    CoarseClock,
    /// So many hours pass, or the clock is set back by them.
    Jump(i8),
    /// The agent looks at the files.
    Pass,
    /// The outbox takes so many more readings, and then none.
    Refuse(u8),
    /// The outbox takes readings again.
    Accept,
    /// The agent looks while the directory cannot be read.
    Unreadable,
    /// The agent dies: what it knew beyond the outbox is gone.
    Crash,
    /// The agent is stopped and started.
    Restart,
    /// A room has its turn, and the API is in this mood.
    Deliver(Mood),
    /// The outbox has written down what the API answered.
    WriteDown,
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        40 => (0..2_u8).prop_map(Form::Event),
        8 => (0..2_u8).prop_map(Form::WithoutId),
        4 => Just(Form::Nonsense),
        2 => Just(Form::NotText),
        3 => Just(Form::WindowsEvent),
        3 => Just(Form::Blank),
        3 => Just(Form::OtherRoom),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        300 => (form(), prop::bool::weighted(0.15)).prop_map(|(form, cut)| Step::Write { form, cut }),
        1 => prop_oneof![Just(Form::Long), Just(Form::Huge)].prop_map(|form| Step::Write { form, cut: false }),
        40 => Just(Step::Finish),
        40 => Just(Step::Rotate),
        10 => Just(Step::Copy),
        15 => (0..100_u8).prop_map(Step::Truncate),
        25 => Just(Step::CopyTruncate),
        20 => any::<u8>().prop_map(Step::Delete),
        20 => Just(Step::CoarseClock),
        20 => prop_oneof![Just(-30), Just(2), Just(30)].prop_map(Step::Jump),
        150 => Just(Step::Pass),
        25 => (0..4_u8).prop_map(Step::Refuse),
        25 => Just(Step::Accept),
        8 => Just(Step::Unreadable),
        40 => Just(Step::Crash),
        3 => Just(Step::Restart),
        90 => api::mood().prop_map(Step::Deliver),
        40 => Just(Step::WriteDown),
    ]
}

fn case() -> impl Strategy<Value = (Family, Vec<Step>)> {
    let family = prop_oneof![Just(Family::Rotated), Just(Family::Segments)];
    (family, prop::collection::vec(step(), 1..32))
}

/// Tries random cases, one after the other on one outbox.
fn try_cases(seed: u64, cases: u64) -> Result<(), String> {
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        // The quicker of the two: in a debug build the other takes a fifth of the time.
        rng_algorithm: RngAlgorithm::XorShift,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let shelf = Shelf::default();
    let outcome = TestRunner::new(config).run(&case(), |(family, steps)| run(&shelf, family, &steps));
    outcome.map_err(|failure| failure.to_string())
}

/// Takes the steps, lets everything come to rest, and compares.
fn run(shelf: &Shelf, family: Family, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new(shelf, family);
    for step in steps {
        world.take(*step)?;
    }
    world.settle()?;
    world.check()?;
    world.give_back(shelf);
    Ok(())
}

#[test]
fn every_complete_line_is_stored_exactly_once() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("MODEL_SEED").unwrap_or_else(|| fastrand::u64(..));
    let cases = number("MODEL_CASES").unwrap_or(CASES);
    std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..HOSTS)
            .map(|host| scope.spawn(move || try_cases(seed.wrapping_add(host), cases.div_ceil(HOSTS))))
            .collect();
        for host in hosts {
            if let Err(failure) = host.join().unwrap() {
                panic!("MODEL_SEED={seed} MODEL_CASES={cases}: {failure}");
            }
        }
    });
}
