//! Moving through a tree of held folders.

use std::io;
use std::sync::Arc;

use super::Folder;
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;

/// Holds the folders from a root down to the last one asked for, so that neighbours cost no second walk.
#[derive(Debug)]
pub(crate) struct FolderStack {
    root: Arc<Folder>,
    held: Vec<(Vec<u8>, Folder)>,
}

impl FolderStack {
    pub(crate) fn new(root: Arc<Folder>) -> Self {
        Self {
            root,
            held: Vec::new(),
        }
    }

    /// The folder at `path` below the root. No part of the way may be a link.
    pub(crate) fn to(&mut self, path: &MemberPath) -> io::Result<&Folder> {
        let shared = self
            .held
            .iter()
            .zip(path.parts())
            .take_while(|((held, _), part)| held == part)
            .count();
        self.held.truncate(shared);
        for part in path.parts().skip(shared) {
            let name = path_bytes::from_bytes(part).ok_or(io::ErrorKind::InvalidFilename)?;
            let next = self.last().folder(&name)?;
            self.held.push((part.to_vec(), next));
        }
        Ok(self.last())
    }

    fn last(&self) -> &Folder {
        self.held.last().map_or(&self.root, |(_, folder)| folder)
    }
}
