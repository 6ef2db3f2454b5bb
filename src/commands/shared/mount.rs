//! `VOLUME:/path[:ro]`: a volume to mount in a VM.

use std::str::FromStr;

use super::resolve_name;
use crate::error::Error;
use fastvm_api::Client;
use fastvm_api::types::vm::VolumeMount;

/// A mount as typed; the volume is still a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountText {
    volume: String,
    path: String,
    read_only: bool,
}

impl FromStr for MountText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write VOLUME:/path, or VOLUME:/path:ro";
        // a name may have a colon in it, so the path begins at the first `:/`
        let Some((volume, rest)) = text
            .split_once(":/")
            .filter(|(volume, _)| !volume.is_empty())
        else {
            return Err(form.to_owned());
        };
        let (path, read_only) = match rest.rsplit_once(':') {
            Some((path, "ro")) => (path, true),
            Some((path, "rw")) => (path, false),
            Some((_, mode)) => return Err(format!("the mode {mode:?} is neither ro nor rw")),
            None => (rest, false),
        };
        if path.split('/').any(|name| name == "..") {
            return Err(format!("the path {:?} has `..` in it", format!("/{path}")));
        }
        if path.trim_matches('/').is_empty() {
            return Err("a volume cannot be mounted on / itself".to_owned());
        }
        Ok(Self {
            volume: volume.to_owned(),
            path: format!("/{path}"),
            read_only,
        })
    }
}

/// Looks up the volumes of some mounts, with one list at most.
pub(crate) async fn find(client: &Client, mounts: &[MountText]) -> Result<Vec<VolumeMount>, Error> {
    if mounts.is_empty() {
        return Ok(Vec::new());
    }
    let words: Vec<String> = mounts.iter().map(|mount| mount.volume.clone()).collect();
    let found = resolve_name::volumes(client, &words).await?;
    let mount = |(named, mount): (
        Result<resolve_name::Named, resolve_name::Missing>,
        &MountText,
    )| {
        Ok(VolumeMount {
            volume_id: named.map_err(resolve_name::Missing::into_error)?.id,
            mount_path: mount.path.clone(),
            read_only: mount.read_only,
        })
    };
    found.into_iter().zip(mounts).map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_volume_a_path_and_a_mode() {
        let mount = |text: &str| {
            let mount: MountText = text.parse().unwrap();
            (mount.volume, mount.path, mount.read_only)
        };
        assert_eq!(mount("data:/a/b"), ("data".into(), "/a/b".into(), false));
        assert_eq!(mount("a:b:/c:ro"), ("a:b".into(), "/c".into(), true));
        for text in [
            "data",
            "data:a",
            ":/a",
            "data:/",
            "data:/a:xx",
            "data:/a/../b",
            "",
        ] {
            assert!(text.parse::<MountText>().is_err(), "{text}");
        }
    }
}
