//! A served engine with a VM, for clients that come by a bad way.

use super::{Home, Serving};

/// The key that [`Home::with_server`] has.
const KEY: &str = "fv_test_key_0123456789";

/// An engine that listens, and its VM named `dev`.
#[derive(Debug)]
pub(crate) struct Served {
    serving: Serving,
    /// Goes after what is served from it.
    home: Home,
}

impl Served {
    pub(crate) fn start() -> Self {
        let home = Home::new();
        let served = Self {
            serving: Serving::start_with_key(&home, KEY),
            home,
        };
        // The first folder is for programs that a test puts in front of the VM's own: an ordinary user cannot write in `/usr`.
        let path = "PATH=/srv/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let launch = ["launch", "-n", "dev", "--quiet", "--no-console", "-e", path];
        served.client().ok(&launch);
        served.sh("mkdir /srv/tools");
        served
    }

    pub(crate) fn url(&self) -> &str {
        &self.serving.url
    }

    /// A client that comes straight here.
    pub(crate) fn client(&self) -> Home {
        Home::with_server(self.url())
    }

    /// What a line of shell prints in the VM.
    pub(crate) fn sh(&self, line: &str) -> String {
        self.client().ok(&["exec", "dev", line])
    }

    /// Paths of ours in the VM, and objects at the storage that are not empty.
    pub(crate) fn cleanup(&self) -> String {
        self.left_in_vm() + &self.objects()
    }

    /// Paths of ours in the VM. An upload that gets through once its client is gone is emptied by nobody.
    pub(crate) fn left_in_vm(&self) -> String {
        self.sh("find / -xdev -name '.fastvm-*' -not -path '/proc/*'")
    }

    /// Objects at the storage that are not empty.
    pub(crate) fn objects(&self) -> String {
        let folder = self.home.join("local/blobs");
        let objects = std::fs::read_dir(folder).unwrap().flatten();
        objects
            .filter(|object| object.metadata().is_ok_and(|found| found.len() > 0))
            .map(|object| format!("{} at the storage\n", object.file_name().display()))
            .collect()
    }
}
