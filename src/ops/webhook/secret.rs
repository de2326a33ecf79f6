//! The secret that signs what a webhook is told: the bytes of a file, without the line feed at its end.

use crate::error::{Error, Result};
use crate::fs;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A shorter secret could be guessed from one signature.
const LEAST_BYTES: usize = 16;
/// A longer file is no secret.
const MOST_BYTES: usize = 4096;

/// Refuses a path that means something else in another folder.
pub(super) fn check_path(path: &str) -> Result<()> {
    if Path::new(path).is_absolute() && !path.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::Refused(format!("the path of a secret's file begins with /, {path:?} doesn't or isn't a path")))
}

/// Reads a secret.
pub(super) fn read(path: &str) -> Result<Vec<u8>> {
    let place = Path::new(path);
    let mut bytes = Vec::new();
    let file = File::open(place).map_err(fs::Error::at("read", place))?;
    file.take(MOST_BYTES as u64 + 2).read_to_end(&mut bytes).map_err(fs::Error::at("read", place))?;
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    if !(LEAST_BYTES..=MOST_BYTES).contains(&bytes.len()) {
        let text = format!("the secret in {path} has {} bytes: it needs {LEAST_BYTES} to {MOST_BYTES}", bytes.len());
        return Err(Error::Refused(text));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_of_some_bytes_without_its_last_line_feed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let text = path.to_str().unwrap();
        assert!(read(text).is_err());
        for (bytes, is_good) in [(0, false), (15, false), (16, true), (4096, true), (4097, false), (9000, false)] {
            std::fs::write(&path, [vec![b'x'; bytes], b"\n".to_vec()].concat()).unwrap();
            assert_eq!(read(text).ok(), is_good.then(|| vec![b'x'; bytes]), "{bytes}");
        }
        assert!(check_path("hook.key").is_err() && check_path("/etc/a\nb").is_err() && check_path(text).is_ok());
    }
}
