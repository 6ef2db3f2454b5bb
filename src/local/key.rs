//! The API key of the data folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use super::Error;
use crate::secret::ApiKey;

/// Reads the key in a file, made with mode 0600 at the first start.
pub(crate) fn read_or_make(path: &Path) -> Result<ApiKey, Error> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    // Two first starts at once must agree: the key is written beside, and `link` lets only one of them win.
    let beside = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    write_new(&beside, &fresh_key()?).map_err(Error::at(&beside))?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside).map_err(Error::at(&beside))?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::at(path)(error)),
        _ => read(path)?
            .ok_or_else(|| Error::at(path)(io::Error::new(io::ErrorKind::InvalidData, "no key"))),
    }
}

fn read(path: &Path) -> Result<Option<ApiKey>, Error> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(Error::at(path)(io::Error::new(
            io::ErrorKind::InvalidData,
            "the key is empty",
        ))),
        Ok(text) => Ok(Some(ApiKey::new(text.trim()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::at(path)(error)),
    }
}

fn fresh_key() -> Result<String, Error> {
    Ok(format!(
        "fvl_{}",
        URL_SAFE_NO_PAD.encode(random_bytes::<32>()?)
    ))
}

fn write_new(path: &Path, key: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{key}")
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::System(io::Error::other("no random bytes")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), first);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
