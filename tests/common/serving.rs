//! `fastvm local serve` with a VM, for clients that come by a bad way.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use super::Home;

/// The key of every engine that a test serves.
const KEY: &str = "fv_test_key_0123456789";

/// An engine that listens, and its VM named `dev`.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    url: String,
    home: Home,
}

impl Serving {
    pub(crate) fn start() -> Self {
        let home = Home::new();
        let mut child = home
            .command(&["local", "serve", "--quiet", "-o", "json", "--api-key", KEY])
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
        let serving = Self { child, url, home };
        serving
            .client()
            .ok(&["launch", "-n", "dev", "--quiet", "--no-console"]);
        serving
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A client that comes straight here.
    pub(crate) fn client(&self) -> Home {
        Home::with_server(&self.url)
    }

    /// What a line of shell prints in the VM.
    pub(crate) fn sh(&self, line: &str) -> String {
        self.client().ok(&["exec", "dev", line])
    }

    /// Paths of ours in the VM, and objects in the storage.
    pub(crate) fn leftovers(&self) -> String {
        self.sh("find / -xdev -name '.fastvm-*' -not -path '/proc/*'")
    }

    /// The folder of the engine's data.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.home.join("local")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
