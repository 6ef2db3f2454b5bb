//! `fastvm local serve`, for tests that are other clients.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::Home;

/// A served engine with the data of a home. It ends when this goes; its VMs live on until the home goes.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    pub(crate) url: String,
    pub(crate) key: String,
}

impl Serving {
    pub(crate) fn start(home: &Home) -> Self {
        let (child, url) = started(home, &[]);
        let key = std::fs::read_to_string(home.join("local/key")).unwrap();
        Self {
            child,
            url,
            key: key.trim().to_owned(),
        }
    }

    /// How many descriptors the engine has open.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(folder).unwrap().count()
    }

    /// With a key that the test chooses.
    pub(crate) fn start_with_key(home: &Home, key: &str) -> Self {
        let (child, url) = started(home, &["--quiet", "--api-key", key]);
        Self {
            child,
            url,
            key: key.to_owned(),
        }
    }
}

fn started(home: &Home, options: &[&str]) -> (Child, String) {
    let mut child = home
        .command(&[&["local", "serve", "-o", "json"], options].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let started: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = started["url"].as_str().unwrap().to_owned();
    (child, url)
}

impl Serving {
    /// Sends a signal, as `kill` calls it.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
