//! One line in the user's `~/.ssh/config`. Nothing else of that file changes, and it can be taken back byte for byte.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::{Files, failed};
use super::options::quoted;
use crate::config::{make_private_folder, replace_foreign};
use crate::error::{Error, Kind};

/// What stands in the list of what `setup` made.
const FILE: &str = "config";
const FOLDER: &str = "folder";

/// The user's configuration of OpenSSH.
#[derive(Debug)]
pub(super) struct UserConfig {
    home: PathBuf,
    pub(super) path: PathBuf,
    included: PathBuf,
    /// The line, without its end.
    pub(super) line: String,
}

/// A file that is to get the line.
#[derive(Debug)]
pub(super) struct Addition<'a> {
    config: &'a UserConfig,
    /// `None` if there is no file yet.
    old: Option<Found>,
}

/// A file that is there.
#[derive(Debug)]
struct Found {
    /// The file itself, behind symbolic links.
    path: PathBuf,
    content: Vec<u8>,
}

impl UserConfig {
    pub(super) fn of(home: PathBuf, files: &Files) -> Result<Self, Error> {
        let included = files.config();
        Ok(Self {
            path: home.join(".ssh/config"),
            line: format!("Include {}", quoted(&included)?),
            home,
            included,
        })
    }

    /// Returns the change that adds the line. `None` if the file has it.
    ///
    /// # Errors
    /// The file cannot be read, or OpenSSH would refuse it.
    pub(super) fn addition(&self) -> Result<Option<Addition<'_>>, Error> {
        let old = self.find()?;
        let has_line = old
            .as_ref()
            .is_some_and(|old| self.line_in(&old.content).is_some());
        Ok((!has_line).then_some(Addition { config: self, old }))
    }

    pub(super) fn has_line(&self) -> Result<bool, Error> {
        let old = self.find()?;
        Ok(old.is_some_and(|old| self.line_in(&old.content).is_some()))
    }

    /// Removes the line, and the file and folder if `setup` made them and nothing else is in them. False if there is none.
    pub(super) fn remove(&self, made: &Path) -> Result<bool, Error> {
        let Some(old) = self.find()? else {
            return Ok(false);
        };
        let Some(line) = self.line_in(&old.content) else {
            return Ok(false);
        };
        let mut content = old.content;
        content.drain(line);
        let made = fs::read_to_string(made).unwrap_or_default();
        let was_made = |what| made.lines().any(|line| line == what);
        let write_failed = |error: std::io::Error| failed("write", &old.path, &error);
        if !content.is_empty() || !was_made(FILE) {
            replace_foreign(&old.path, &content).map_err(write_failed)?;
            return Ok(true);
        }
        fs::remove_file(&old.path).map_err(write_failed)?;
        if was_made(FOLDER) {
            // It stays if something else is in it by now.
            let _ = self.path.parent().map(fs::remove_dir);
        }
        Ok(true)
    }

    /// Whether the file still names ours, in a place that is not where `setup` puts it.
    pub(super) fn still_names_ours(&self) -> Result<bool, Error> {
        let old = self.find()?;
        let included = self.included.to_string_lossy();
        Ok(old.is_some_and(|old| String::from_utf8_lossy(&old.content).contains(&*included)))
    }

    /// Reads the file. `None` if there is none.
    fn find(&self) -> Result<Option<Found>, Error> {
        let read_failed = |error: std::io::Error| failed("read", &self.path, &error);
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(read_failed)?,
        };
        let path = fs::canonicalize(&self.path).map_err(read_failed)?;
        let metadata = path.metadata().map_err(read_failed)?;
        if let Some(why) = why_refused(&metadata) {
            let message = format!("{} {why}: nothing was changed", self.path.display());
            return Err(Error::new(Kind::LocalIo, message));
        }
        Ok(Some(Found {
            content: fs::read(&path).map_err(read_failed)?,
            path,
        }))
    }

    /// Where the line is, with its end. It has to stand before all that is for some hosts only.
    fn line_in(&self, content: &[u8]) -> Option<std::ops::Range<usize>> {
        let mut begin = 0;
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let (keyword, rest) = keyword_of(&text);
            if ["host", "match"].contains(&keyword.as_str()) {
                return None;
            }
            if keyword == "include" && self.names_ours(rest) {
                return Some(begin..begin + line.len());
            }
            begin += line.len();
        }
        None
    }

    /// Whether the word after `Include` is our file, and the only one.
    fn names_ours(&self, rest: &str) -> bool {
        let rest = rest.split(" #").next().unwrap_or_default().trim();
        let unquoted = rest
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let word = unquoted.unwrap_or(rest);
        let path = match word.strip_prefix("~/") {
            Some(below) => self.home.join(below),
            None => self.home.join(".ssh").join(word),
        };
        path == self.included
    }
}

impl Addition<'_> {
    /// Adds the line at the top, and notes what had to be made for it.
    pub(super) fn make(self, made: &Path) -> Result<(), Error> {
        let Some(old) = self.old else {
            return self.make_file(made);
        };
        let first = old.content.split_inclusive(|&byte| byte == b'\n').next();
        let end = match first.is_some_and(|line| line.ends_with(b"\r\n")) {
            true => "\r\n",
            false => "\n",
        };
        let mut content = format!("{}{end}", self.config.line).into_bytes();
        content.extend_from_slice(&old.content);
        replace_foreign(&old.path, &content).map_err(|error| failed("write", &old.path, &error))
    }

    fn make_file(&self, made: &Path) -> Result<(), Error> {
        let path = &self.config.path;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut list = format!("{FILE}\n");
        if !folder.exists() {
            make_private_folder(folder).map_err(|error| failed("make", folder, &error))?;
            list.push_str(&format!("{FOLDER}\n"));
        }
        let line = format!("{}\n", self.config.line);
        replace_foreign(path, line.as_bytes()).map_err(|error| failed("write", path, &error))?;
        replace_foreign(made, list.as_bytes()).map_err(|error| failed("write", made, &error))
    }
}

/// The first word of a line, in small letters, and the rest.
fn keyword_of(line: &str) -> (String, &str) {
    let line = line.trim();
    let end = line.find(|letter: char| letter.is_whitespace() || letter == '=');
    let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    (keyword.to_ascii_lowercase(), rest)
}

/// Why a file is none that OpenSSH takes from this user.
fn why_refused(metadata: &Metadata) -> Option<&'static str> {
    if !metadata.is_file() {
        return Some("is not a file");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let owner = metadata.uid();
        if owner != rustix::process::geteuid().as_raw() && owner != 0 {
            return Some("belongs to another user");
        }
        if metadata.mode() & 0o022 != 0 {
            return Some("can be written by others, so ssh would refuse it");
        }
    }
    None
}
