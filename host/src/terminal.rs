//! Asking a person. Questions go to standard error, answers come from the terminal on standard input.

use std::io::{self, IsTerminal, Stdin, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// The longest answer, in bytes.
const LONGEST: usize = 16 << 10;

/// A person at a terminal.
#[derive(Debug)]
pub struct Terminal(Stdin);

impl Terminal {
    /// The terminal on standard input, if there is one.
    pub fn open() -> Option<Self> {
        let stdin = io::stdin();
        stdin.is_terminal().then_some(Self(stdin))
    }

    /// Asks for one line, without the blanks around it.
    pub fn ask(&self, question: &str) -> io::Result<String> {
        say(question)?;
        self.line()
    }

    /// Asks for one line that nobody is to see.
    pub fn ask_hidden(&self, question: &str) -> io::Result<String> {
        // Before the question stands there: who answers quickly is not shown either.
        let hidden = Hidden::begin(&self.0)?;
        say(question)?;
        let line = self.line();
        drop(hidden);
        say("\n")?;
        line
    }

    /// Asks whether to go on; only a yes is one.
    pub fn agrees(&self, question: &str) -> io::Result<bool> {
        let answer = self.ask(&format!("{question} [y/N] "))?;
        Ok(["y", "yes"].contains(&answer.to_lowercase().as_str()))
    }

    fn line(&self) -> io::Result<String> {
        let mut line = Line::default();
        loop {
            let mut byte = [0];
            let read = rustix::io::retry_on_intr(|| rustix::io::read(self.0.as_fd(), &mut byte))?;
            match if read == 0 { Step::GivenUp } else { line.take(byte[0]) } {
                Step::More => {}
                Step::Done => return line.text(),
                Step::GivenUp => {
                    return Err(io::Error::new(
                        io::ErrorKind::Interrupted,
                        "there was no answer, so nothing was written",
                    ));
                }
            }
        }
    }
}

/// The terminal shows nothing of what is typed while this lives. It reads byte by byte and Ctrl-C is a byte like others:
/// a signal would end the program and leave the terminal dumb, and a line of the terminal's own has 4095 bytes at most.
struct Hidden<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn begin(stdin: &'a Stdin) -> io::Result<Self> {
        let before = tcgetattr(stdin)?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        now.special_codes[SpecialCodeIndex::VMIN] = 1;
        now.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin, OptionalActions::Drain, &now)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(self.stdin, OptionalActions::Drain, &self.before);
    }
}

/// What is typed.
#[derive(Default)]
struct Line(Vec<u8>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    More,
    Done,
    GivenUp,
}

impl Line {
    fn take(&mut self, byte: u8) -> Step {
        const CTRL_C: u8 = 3;
        const CTRL_D: u8 = 4;
        const CTRL_U: u8 = 21;
        const CTRL_BACKSLASH: u8 = 28;
        match byte {
            b'\n' | b'\r' => return Step::Done,
            CTRL_C | CTRL_BACKSLASH => return Step::GivenUp,
            CTRL_D if self.0.is_empty() => return Step::GivenUp,
            CTRL_D => return Step::Done,
            CTRL_U => self.0.clear(),
            8 | 127 => {
                // A letter may have several bytes.
                while self.0.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
            }
            byte if byte.is_ascii_control() && byte != b'\t' => {}
            byte if self.0.len() < LONGEST => self.0.push(byte),
            _ => {}
        }
        Step::More
    }

    fn text(self) -> io::Result<String> {
        let text = String::from_utf8(self.0)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what was typed is no text"))?;
        Ok(text.trim().to_owned())
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut stderr = io::stderr();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_typed_mended_and_ended() {
        for (typed, step, text) in [
            (&b"abc\n"[..], Step::Done, "abc"),
            (b"  a b\t\r", Step::Done, "a b"),
            (b"ab\x7fc\x08\x08d\n", Step::Done, "d"),
            ("ü\u{7f}x\n".as_bytes(), Step::Done, "x"),
            (b"wrong\x15right\n", Step::Done, "right"),
            (b"a\x1bb\x00\n", Step::Done, "ab"),
            (b"abc\x04", Step::Done, "abc"),
            (b"\x7f\x04", Step::GivenUp, ""),
            (b"abc\x03", Step::GivenUp, "abc"),
            (b"abc", Step::More, "abc"),
        ] {
            let mut line = Line::default();
            let last = typed.iter().map(|byte| line.take(*byte)).last().unwrap();
            assert_eq!((last, line.text().unwrap().as_str()), (step, text), "{}", typed.escape_ascii());
        }
        assert!(Line(b"M\xfcller".to_vec()).text().is_err());
    }

    #[test]
    fn an_endless_line_has_an_end() {
        let mut line = Line::default();
        for _ in 0..LONGEST + 100 {
            assert_eq!(line.take(b'a'), Step::More);
        }
        assert_eq!(line.text().unwrap().len(), LONGEST);
    }
}
