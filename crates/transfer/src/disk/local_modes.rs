//! What the modes of local files say.

use std::fs::File;
use std::io;

use super::folder::Folder;

/// Whether the modes of files on this machine say who may do what in a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalModes {
    /// They go along with the files.
    Meaningful,
    /// The system or the disk has none. What is replaced in a VM keeps its mode; what is new gets the usual one, and a file that begins
    /// with `#!` can be run.
    Unknown,
}

impl Default for LocalModes {
    fn default() -> Self {
        if cfg!(unix) {
            Self::Meaningful
        } else {
            Self::Unknown
        }
    }
}

impl LocalModes {
    /// The mode that a folder gets where it is new.
    pub(crate) fn of_folder(self, mode: u32) -> u32 {
        match self {
            Self::Meaningful => mode,
            Self::Unknown => 0o755,
        }
    }

    /// The mode that a file gets where it is new.
    pub(crate) fn of_file(self, mode: u32, file: &File) -> io::Result<u32> {
        match self {
            Self::Meaningful => Ok(mode),
            Self::Unknown => {
                let mut start = [0; 2];
                let count = Folder::read_at(file, &mut start, 0)?;
                Ok(of_content(&start[..count]))
            }
        }
    }
}

fn of_content(start: &[u8]) -> u32 {
    if start == b"#!" { 0o755 } else { 0o644 }
}
