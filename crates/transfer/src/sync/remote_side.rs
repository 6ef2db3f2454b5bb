//! The end that is in the VM.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::guest_path;
use crate::guest::remote::Guest;
use crate::guest::script::{self, Digest};

/// A folder, or a lone file in it.
#[derive(Clone, Debug)]
pub(super) struct RemoteSide {
    /// Absolute.
    pub(super) folder: String,
    pub(super) lone: Option<MemberPath>,
}

impl RemoteSide {
    pub(super) fn folder(path: &str) -> Self {
        Self {
            folder: path.to_owned(),
            lone: None,
        }
    }

    pub(super) fn file(path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Self {
            folder: if folder.is_empty() { "/" } else { folder }.to_owned(),
            lone: Some(MemberPath::default().join(&guest_path::bytes(name))),
        }
    }

    /// Hashes files; what is not there or can't be read is not in the answer.
    pub(super) async fn hash(
        &self,
        guest: &impl Guest,
        paths: &BTreeSet<MemberPath>,
    ) -> Result<BTreeMap<MemberPath, Digest>, Error> {
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let Some(name) = &self.lone else {
            return script::hash(guest, &self.folder, paths).await;
        };
        let digests = script::hash(guest, &self.folder, &BTreeSet::from([name.clone()])).await?;
        let digests = digests.into_values();
        Ok(digests
            .map(|digest| (MemberPath::default(), digest))
            .collect())
    }
}
