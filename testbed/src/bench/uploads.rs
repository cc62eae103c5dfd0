//! Uploads: from Jibri's last byte to a verified object, against `curl -T` of the same file to the same server.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rusty_s3::actions::PutObject;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tempfile::TempDir;

use super::announce;
use super::figure::{Aim, Figure};
use super::scale::Scale;
use super::stats::{median, number, percentile};
use crate::api::{self, Api};
use crate::home;
use crate::load::{self, Agent, Settings};
use crate::ports;
use crate::s3::{BUCKET, S3};
use crate::secrets::Secrets;
use crate::wait::eventually;

/// How long anything that must happen may take.
const DEADLINE: Duration = Duration::from_mins(10);

/// The size of the parts that the API asks for when nothing else is configured, in bytes.
const PART: usize = 16 << 20;

/// How long an address of the storage is good.
const LIFETIME: Duration = Duration::from_hours(1);

/// The agent's and curl's uploads, in turns.
pub(super) fn measure(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    let stage = Stage::start(scale.upload_bytes)?;
    let (mut curl, mut runs) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        announce(out, &format!("uploads: {} MiB, round {round}", scale.upload_bytes >> 20))?;
        curl.push(stage.curl(round)?);
        runs.push(stage.upload(round)?);
    }
    let times = |of: fn(&Run) -> Duration| runs.iter().map(|run| of(run).as_secs_f64()).collect::<Vec<_>>();
    let curl: Vec<f64> = curl.iter().map(Duration::as_secs_f64).collect();
    for (what, of, aim) in [
        (
            "agent, upload of 2 GiB, hashing included, until the last part is stored, against curl -T",
            Run::stored as fn(&Run) -> Duration,
            0.8,
        ),
        (
            "agent, upload of 2 GiB, hashing included, until the API has read it back and verified it, against curl -T",
            Run::verified,
            0.4,
        ),
    ] {
        let ratios: Vec<f64> = times(of).iter().zip(&curl).map(|(agent, curl)| curl / agent).collect();
        figures.push(Figure {
            what,
            product: format!("{}; hashing {}", seconds(&times(of)), seconds(&times(Run::hashed))),
            reference: seconds(&curl),
            value: median(&ratios),
            unit: "",
            aim: Aim::AtLeast(aim),
        });
    }
    let peaks: Vec<f64> = runs.iter().map(|run| run.peak).collect();
    figures.push(Figure {
        what: "agent, resident memory, peak over these uploads",
        product: format!("{} runs", runs.len()),
        reference: String::new(),
        value: percentile(&peaks, 100),
        unit: "MiB",
        aim: Aim::AtMost(32.0),
    });
    Ok(())
}

fn seconds(times: &[f64]) -> String {
    let texts: Vec<String> = times.iter().map(|time| format!("{time:.2}")).collect();
    format!("{} s", texts.join(", "))
}

/// One upload.
struct Run {
    /// From the end of the recording until the agent has read it through.
    hashed: Duration,
    /// Until the storage has the last part.
    stored: Duration,
    /// Until the agent knows that the object is verified.
    verified: Duration,
    /// The agent's highest resident memory so far, in MiB.
    peak: f64,
}

impl Run {
    fn hashed(&self) -> Duration {
        self.hashed
    }

    fn stored(&self) -> Duration {
        self.stored
    }

    fn verified(&self) -> Duration {
        self.verified
    }
}

/// An agent, the API and an object storage, and a file to be uploaded.
struct Stage {
    agent: Agent,
    meeting: api::Meeting,
    s3: S3,
    file: PathBuf,
    length: usize,
    home: TempDir,
    _api: Api,
}

impl Stage {
    fn start(length: usize) -> anyhow::Result<Self> {
        let home = home::directory()?;
        let at = home.path();
        let secrets = Secrets::random()?;
        let s3 = S3::start(&at.join("s3"))?;
        let api =
            Api::start(&at.join("api"), &at.join("api.log"), ports::free()?, &secrets, s3.environment())?;
        let client = api.client("bench")?;
        client.ensure_cloud_room("bench")?;
        let meeting = client.create_meeting("bench")?;
        let settings = Settings { url: api.url(), secret: secrets.webhook.clone(), batch_max_events: None };
        let mut agent = Agent::prepare(&at.join("agent"), &settings)?;
        agent.start()?;
        let file = at.join("file");
        write_noise(&file, length)?;
        Ok(Self { agent, meeting, s3, file, length, home, _api: api })
    }

    /// How long curl takes to put the file into the storage.
    fn curl(&self, round: usize) -> anyhow::Result<Duration> {
        let bucket = Bucket::new(self.s3.url().parse()?, UrlStyle::Path, BUCKET, "us-east-1")?;
        let keys = self.s3.keys();
        let keys = Credentials::new(&keys.access_key, &keys.secret_key);
        let key = format!("curl-{round}");
        let url = PutObject::new(&bucket, Some(&keys), &key).sign(LIFETIME);
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail", "--upload-file"])
            .arg(&self.file)
            .arg(url.as_str());
        let started = Instant::now();
        let output = command.output().context("curl does not start; `make setup` installs it")?;
        let took = started.elapsed();
        ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(self.s3.object(&key))?;
        Ok(took)
    }

    /// The same file as a recording that Jibri finishes now.
    fn upload(&self, round: usize) -> anyhow::Result<Run> {
        let directory = self.agent.home().join("recordings").join(format!("session-{round}"));
        fs::create_dir_all(&directory)?;
        let media = directory.join(format!("{}_2026-08-05-13-56-46.ts", self.meeting.room_name));
        fs::hard_link(&self.file, &media)?;
        let url = format!("{{\"meeting_url\":\"https://meet.test/{}\"}}", self.meeting.room_name);
        let started = Instant::now();
        fs::write(directory.join("metadata.json"), url)?;
        let until = |what: &str, reached: &dyn Fn() -> bool| {
            let reached = eventually(DEADLINE, reached);
            ensure!(reached, "{what} took longer than {DEADLINE:?}; {}", self.agent.log_end());
            Ok(started.elapsed())
        };
        let said = |words: &str| self.agent.log().matches(words).count() >= round;
        let hashed = until("reading", &|| said("a recording is finished"))?;
        let parts = self.length.div_ceil(PART);
        let stored = until("sending", &|| self.parts() >= parts || said("its checksum confirmed"))?;
        let verified = until("verifying", &|| said("its checksum confirmed"))?;
        fs::remove_dir_all(&directory)?;
        let pid = self.agent.pid().context("the agent is not running")?;
        let peak = number(usize::try_from(load::memory(pid)?.peak_kib)?) / 1_024.0;
        Ok(Run { hashed, stored, verified, peak })
    }

    /// How many parts the storage has. Each is a file that begins with its number.
    fn parts(&self) -> usize {
        let entries = |path: &Path| -> Vec<PathBuf> {
            let Ok(list) = fs::read_dir(path) else { return Vec::new() };
            list.flatten().map(|entry| entry.path()).collect()
        };
        let is_part = |path: &&PathBuf| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
        };
        let uploads = entries(&self.home.path().join("s3/.uploads"));
        uploads.iter().map(|upload| entries(upload).iter().filter(is_part).count()).sum()
    }
}

/// A file that nothing can make shorter.
fn write_noise(path: &Path, length: usize) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut block = vec![0; 1 << 20];
    let mut file = BufWriter::new(fs::File::create(path)?);
    let mut left = length;
    while left > 0 {
        random.fill(&mut block);
        let piece = left.min(block.len());
        file.write_all(&block[..piece])?;
        left -= piece;
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}
