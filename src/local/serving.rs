//! Which engine serves a data folder for other clients, so that they can be told where it is.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Error;

/// Says that an engine serves, until it is dropped.
#[derive(Debug)]
pub struct Announcement(PathBuf);

#[derive(Serialize, Deserialize)]
struct Serving {
    url: String,
    address: SocketAddr,
}

/// Notes where an engine serves. The last one that does so is the one that is found.
pub fn announce(data: &Path, url: &str, address: SocketAddr) -> Result<Announcement, Error> {
    let path = file(data);
    let serving = Serving {
        url: url.to_owned(),
        address,
    };
    let json = serde_json::to_vec(&serving).map_err(|error| Error::System(error.into()))?;
    std::fs::write(&path, json).map_err(Error::at(&path))?;
    Ok(Announcement(path))
}

/// The URL of the engine that serves a data folder, if one does now.
pub fn find(data: &Path) -> Option<String> {
    let serving: Serving = serde_json::from_slice(&std::fs::read(file(data)).ok()?).ok()?;
    // A killed engine leaves its note behind.
    TcpStream::connect_timeout(&serving.address, Duration::from_millis(200)).ok()?;
    Some(serving.url)
}

fn file(data: &Path) -> PathBuf {
    data.join("serving.json")
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // What stays is found to be stale by whoever reads it.
        let _ = std::fs::remove_file(&self.0);
    }
}
