use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::control_socket::{ask, expect_descriptor};
use super::error::Error;
use super::message::{RawPath, Reply, Request};

/// A file being written into a machine. Until it is committed nobody inside sees it under its name, and
/// dropping it removes what was written.
#[derive(Debug)]
pub struct GuestFile {
    /// The file, open for reading and writing.
    pub file: File,
    control: OwnedFd,
    path: PathBuf,
}

impl GuestFile {
    pub(super) fn create(control: OwnedFd, path: &Path) -> Result<Self, Error> {
        let request = Request::Create(RawPath::from(path));
        let answer = ask(&control, &request, || path.display().to_string())?;
        Ok(Self {
            file: File::from(expect_descriptor(answer)?),
            control,
            path: path.to_owned(),
        })
    }

    /// Puts the file in place of what was there, at once.
    pub fn commit(self) -> Result<(), Error> {
        let what = || self.path.display().to_string();
        match ask(&self.control, &Request::Commit, what)? {
            (Reply::Done, _) => Ok(()),
            _ => Err(Error::Socket(io::Error::from(io::ErrorKind::InvalidData))),
        }
    }
}
