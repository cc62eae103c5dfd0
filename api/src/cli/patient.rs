//! Output that does not stop the work when nobody reads it any more.

use std::io::{self, ErrorKind, Write};

/// Drops what a closed pipe refuses: `reflector-api setup | head -1` must start the service all the same.
pub(super) struct Patient<W>(pub(super) W);

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.0.flush(), ())
    }
}

fn unless_closed<T>(result: io::Result<T>, otherwise: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(otherwise),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
        let mut unread = Patient(Refusing(ErrorKind::BrokenPipe));
        assert!(writeln!(unread, "a line").is_ok() && unread.flush().is_ok());
        let mut full = Patient(Refusing(ErrorKind::StorageFull));
        assert!(writeln!(full, "a line").is_err() && full.flush().is_err());
    }
}
