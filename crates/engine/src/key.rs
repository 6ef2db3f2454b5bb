//! The API key of the data folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use super::Error;
use super::error::is_of_file;
use fastvm_api::secret::ApiKey;

/// Reads the key in a file, made with mode 0600 at the first start.
pub(crate) fn read_or_make(path: &Path) -> Result<ApiKey, Error> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    // Two first starts at once must agree: the key is written beside, and `link` lets only one of them win.
    let beside = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    let written = write_new(&beside, &fresh_key()?).map_err(Error::at(&beside));
    let linked = written.map(|()| fs::hard_link(&beside, path));
    fs::remove_file(&beside).unwrap_or_default();
    match linked? {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::at(path)(error)),
        _ => read(path)?.ok_or_else(|| Error::at(path)(io::ErrorKind::NotFound.into())),
    }
}

/// Moves a file that holds no key aside and makes a new key; says whether that was needed.
pub(super) fn mend(path: &Path) -> Result<bool, Error> {
    match read(path) {
        Err(Error::Key { .. }) => {}
        other => return other.map(|_| false),
    }
    let named = |number: u32| path.with_extension(format!("broken-{number}"));
    let is_free = |path: &std::path::PathBuf| fs::symlink_metadata(path).is_err();
    if let Some(aside) = (1..).map(named).find(is_free) {
        fs::rename(path, aside).map_err(Error::at(path))?;
    }
    read_or_make(path)?;
    Ok(true)
}

/// Returns whether a file has the name of a key that was being made.
pub(super) fn is_unfinished(name: &str) -> bool {
    let id = name.strip_prefix("key.");
    id.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads the key. `None` if there is no file.
///
/// # Errors
/// [`Error::Key`] if the file holds nothing that can be a key.
fn read(path: &Path) -> Result<Option<ApiKey>, Error> {
    let damaged = |problem: String| Error::Key {
        path: path.to_owned(),
        problem,
    };
    match fs::read_to_string(path) {
        Ok(text) => match text.trim() {
            "" => Err(damaged("it is empty".to_owned())),
            key if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(ApiKey::new(key))),
            _ => Err(damaged("it is not a key".to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(damaged("it is not a key".to_owned()))
        }
        Err(error) if is_of_file(&error) => Err(damaged(error.to_string())),
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

    #[test]
    fn a_file_that_holds_no_key_is_told_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for content in [&b""[..], b" \n", b"two words", b"\xff\xfe", b"a\0b"] {
            fs::write(&path, content).unwrap();
            let error = read_or_make(&path).unwrap_err();
            assert!(matches!(error, Error::Key { .. }), "{error}");
            assert!(mend(&path).unwrap());
            read_or_make(&path).unwrap();
            assert!(!mend(&path).unwrap());
        }
    }
}
