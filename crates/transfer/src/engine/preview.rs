//! What a copy would move, without moving it.

use std::path::PathBuf;

use crate::disk::tree::{Position, Tree};
use crate::engine::request::{RemotePath, Settings};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;
use crate::guest::remote::Guest;
use crate::guest::script::{self, Entry, Found};
use crate::summary::Skipped;

/// What would move.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// Below the target; of a lone file, its source.
    pub paths: Vec<PathBuf>,
    /// What would be left out though it was not asked for.
    pub skipped: Vec<Skipped>,
}

/// Looks at what an upload of local paths would send.
///
/// # Errors
/// As an upload has them before it sends anything.
pub async fn preview_upload(
    paths: Vec<PathBuf>,
    into: bool,
    settings: &Settings,
) -> Result<Preview, Error> {
    let position = if into || paths.len() > 1 {
        Position::Into
    } else {
        Position::Is
    };
    let chosen = settings.chosen();
    let tree = tokio::task::spawn_blocking(move || Tree::scan(&paths, position, chosen))
        .await
        .map_err(|error| Error::Worker(error.to_string()))??;
    if !tree.unreadable.is_empty() {
        return Err(Error::Unreadable(tree.unreadable));
    }
    let place = |entry| {
        let place = tree.place(entry);
        if place.is_root() {
            tree.shown(entry)
        } else {
            path_bytes::shown(place.as_bytes())
        }
    };
    Ok(Preview {
        paths: tree.entries.iter().map(place).collect(),
        skipped: tree.skipped.clone(),
    })
}

/// Looks at what a download would bring.
///
/// # Errors
/// As a download has them before it asks for anything.
pub async fn preview_download(
    guest: &impl Guest,
    sources: &[RemotePath],
    settings: &Settings,
) -> Result<Preview, Error> {
    let mut preview = Preview::default();
    for source in sources {
        match script::read_small(guest, &source.path, 0, None).await? {
            Found::Inline(_) | Found::File { .. } => {
                preview.paths.push(PathBuf::from(&source.path));
            }
            Found::Folder { path, .. } => {
                let listed = script::list(guest, &path, settings.links).await?;
                let kept = listed.iter().filter(|entry| {
                    !settings
                        .filter
                        .leaves_out(&entry.path, entry.kind == Entry::Folder)
                });
                let below = |path: &MemberPath| {
                    let path = path_bytes::shown(path.as_bytes());
                    if sources.len() > 1 {
                        PathBuf::from(&source.path).join(path)
                    } else {
                        path
                    }
                };
                preview.paths.extend(kept.map(|entry| below(&entry.path)));
            }
            Found::Other => return Err(crate::engine::download::special(&source.path)),
        }
    }
    Ok(preview)
}
