//! A headless Chromium, driven by `testbed/tools/ops.py`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A browser with one window. It ends when it is dropped.
pub(crate) struct Browser {
    program: Child,
    /// Closed first: the program ends with its input.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pictures: PathBuf,
}

impl Browser {
    /// A browser whose addresses begin with `url`, and that signs in with `password`.
    pub(crate) fn start(url: &str, password: &str) -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let python = project.join(".tools/python/bin/python");
        assert!(python.exists(), "{} is not there; run: make setup", python.display());
        let mut program = Command::new(python)
            .arg(project.join("testbed/tools/ops.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ops");
        fs::create_dir_all(&pictures).unwrap();
        let (input, output) = (program.stdin.take(), BufReader::new(program.stdout.take().unwrap()));
        let mut browser = Self { program, input, output, pictures };
        browser.ask(&json!({"url": url, "password": password}));
        browser
    }

    fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("the browser has ended at {command}"));
        if let Some(error) = answer.get("error") {
            let picture = self.pictures.join("failure.png");
            let picture = json!({"do": "picture", "path": picture});
            let _ = writeln!(self.input.as_mut().unwrap(), "{picture}");
            let _ = self.output.read_line(&mut line);
            panic!("{command}: {error}");
        }
        answer["ok"].clone()
    }

    /// A new window of this size, in light or dark, with scripts or without.
    pub(crate) fn open(&mut self, size: (u32, u32), scheme: &str, script: bool) {
        self.ask(&json!({"do": "open", "size": [size.0, size.1], "scheme": scheme, "script": script}));
    }

    /// Goes to a page, which must be there.
    pub(crate) fn goto(&mut self, path: &str) {
        assert_eq!(self.ask(&json!({"do": "goto", "path": path})), 200, "{path}");
    }

    /// Waits until a text can be seen.
    pub(crate) fn see(&mut self, text: &str) {
        self.ask(&json!({"do": "see", "text": text}));
    }

    /// Clicks on the first element that fits.
    pub(crate) fn click(&mut self, selector: &str) {
        self.ask(&json!({"do": "click", "selector": selector}));
    }

    /// Waits until an expression holds in the page.
    pub(crate) fn until(&mut self, expression: &str) {
        self.ask(&json!({"do": "until", "expression": expression}));
    }

    /// What an expression is in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        self.ask(&json!({"do": "evaluate", "expression": expression}))
    }

    /// Takes a picture of the whole page, for people to look at: `target/tmp/ops/<name>.png`.
    pub(crate) fn picture(&mut self, name: &str) {
        let path = self.pictures.join(name).with_extension("png");
        self.ask(&json!({"do": "picture", "path": path}));
    }

    /// Everything that pages complained of so far.
    pub(crate) fn complaints(&mut self) -> Value {
        self.ask(&json!({"do": "report"}))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.program.wait();
    }
}
