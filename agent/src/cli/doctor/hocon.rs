//! One key of a HOCON file of jicofo or Jibri.

use std::io::{Error, ErrorKind};
use std::path::Path;

use hocon::{HoconError, ParseOptions, ResolveOptions};

/// The key's value as text, if the file sets it. Of a file that cannot be understood nothing is shown: passwords stand there.
pub(super) fn text(file: &Path, key: &str) -> Result<Option<String>, Error> {
    if !file.try_exists()? {
        return Err(ErrorKind::NotFound.into());
    }
    let options = ParseOptions::defaults().with_resolve_substitutions(false);
    let resolve = ResolveOptions::defaults().with_use_system_environment(false).with_allow_unresolved(true);
    let config = ::hocon::parse_file_with_options(file, options).and_then(|config| config.resolve(resolve));
    match config {
        Ok(config) => Ok(config.get_string(key).ok()),
        Err(HoconError::Io(error)) => Err(Error::from(error.kind())),
        Err(HoconError::Parse(error)) => Err(Error::other(format!("line {} is not valid HOCON", error.line))),
        Err(_) => Err(Error::other("it cannot be understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_through_its_sections_whatever_its_type() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("jicofo.conf");
        std::fs::write(&file, "jicofo { conference { enable-auto-owner = false }\n  password = \"x\" }\n")
            .unwrap();
        let key = |key| text(&file, key).unwrap();
        assert_eq!(key("jicofo.conference.enable-auto-owner").as_deref(), Some("false"));
        assert_eq!(key("jicofo.conference.nothing"), None);
        std::fs::write(&file, "jicofo { password = \"hunter2\n").unwrap();
        assert!(!format!("{:?}", text(&file, "jicofo")).contains("hunter2"));
        assert_eq!(text(&directory.path().join("x"), "x").err().unwrap().kind(), ErrorKind::NotFound);
    }
}
