use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fastvm_sandbox::Rootfs;
use uuid::Uuid;

use crate::lab::{Lab, is_root};

/// A folder below `/etc` that goes with the test.
struct Configuration(PathBuf);

impl Configuration {
    fn new() -> Self {
        let folder = PathBuf::from(format!("/etc/fastvm-test-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.0.join(name), text).unwrap();
        fs::set_permissions(self.0.join(name), Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn credentials_in_configuration_stay_outside() {
    if !is_root() {
        // Nobody else can write to /etc; the copy itself has tests of its own.
        return;
    }
    let etc = Configuration::new();
    etc.write(
        "pip.conf",
        "[global]\nindex-url = https://u:hunter2@host/simple\n",
        0o644,
    );
    etc.write(
        "npmrc",
        "//host/:_authToken=hunter2\nregistry=https://host/\n",
        0o644,
    );
    etc.write(
        "gitconfig",
        "[http]\n\textraHeader = Authorization: Basic hunter2\n",
        0o644,
    );
    etc.write(
        "a.sources",
        "URIs: https://hunter2@host/debian\nSuites: x\n",
        0o644,
    );
    etc.write(
        "profile.sh",
        "export GITHUB_TOKEN=hunter2\nexport EDITOR=vi\n",
        0o755,
    );
    etc.write("key.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n", 0o644);
    etc.write("netrc", "machine host login u password hunter2\n", 0o644);
    etc.write(
        "auth.json",
        "{\"auths\": {\"host\": {\"auth\": \"hunter2\"}}}\n",
        0o644,
    );
    etc.write("mine", "hunter2\n", 0o640);
    let outer = Lab::new();
    let lab = Lab::at(Rootfs::Host, &outer.folder.join("data"));
    let guest = lab.boot();
    let folder = etc.0.display();
    assert_eq!(guest.says("grep -rl hunter2 /etc; true"), "");
    assert_eq!(
        guest.says(&format!("ls {folder}")),
        "a.sources\ngitconfig\nnpmrc\npip.conf\nprofile.sh\n"
    );
    assert_eq!(
        guest.says(&format!("cd {folder}; cat a.sources npmrc pip.conf; . ./profile.sh; echo $EDITOR; stat -c %a profile.sh")),
        "URIs: https://host/debian\nSuites: x\n\
         //host/:_authToken=\nregistry=https://host/\n\
         [global]\nindex-url = https://host/simple\n\
         vi\n755\n"
    );
}

#[test]
fn configuration_without_credentials_is_the_same_inside() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut compared = 0;
    for name in [
        "apt/sources.list.d/debian.sources",
        "ld.so.conf",
        "login.defs",
        "npmrc",
        "nsswitch.conf",
        "pam.d/common-password",
        "pip.conf",
        "protocols",
        "ssl/certs/ca-certificates.crt",
        "ssl/openssl.cnf",
    ] {
        let path = Path::new("/etc").join(name);
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        if text.contains('@') {
            continue; // perhaps the account of a URL
        }
        assert_eq!(
            guest.says(&format!("cat {}", path.display())),
            text,
            "{name}"
        );
        compared += 1;
    }
    assert!(compared >= 3, "{compared}");
    if !is_root() && Path::new("/etc/apt/apt.conf.d").is_dir() {
        let user = guest.says("apt-config dump APT::Sandbox::User");
        assert_eq!(user, "APT::Sandbox::User \"root\";\n");
    }
}
