//! What the account may use and uses.

use rusqlite::Connection;

use super::{Core, Error};
use crate::store::usage;
use fastvm_api::types::quota::{QuotaUsage, QuotaValues};

impl Core {
    /// Limits and usage.
    pub(crate) fn quota_usage(&self) -> Result<QuotaUsage, Error> {
        Ok(QuotaUsage {
            org_id: Some(self.org_id.clone()),
            limits: self.quotas.clone().into(),
            usage: self.store.read(usage::sum)?.into(),
        })
    }

    /// Refuses what would go over a limit. To be asked in the transaction that adds.
    pub(super) fn check_quotas(
        &self,
        connection: &Connection,
        wanted: &QuotaValues,
    ) -> Result<(), Error> {
        let used = usage::sum(connection)?;
        let limits = &self.quotas;
        for (name, limit, used, wanted) in [
            ("vcpu", limits.vcpu, used.vcpu, wanted.vcpu),
            (
                "memoryMiB",
                limits.memory_mib,
                used.memory_mib,
                wanted.memory_mib,
            ),
            ("diskGiB", limits.disk_gib, used.disk_gib, wanted.disk_gib),
            (
                "snapshotCount",
                limits.snapshot_count,
                used.snapshot_count,
                wanted.snapshot_count,
            ),
            (
                "volumeCount",
                limits.volume_count.unwrap_or(i64::MAX),
                used.volume_count.unwrap_or(0),
                wanted.volume_count.unwrap_or(0),
            ),
            (
                "volumeGiB",
                limits.volume_gib.unwrap_or(i64::MAX),
                used.volume_gib.unwrap_or(0),
                wanted.volume_gib.unwrap_or(0),
            ),
        ] {
            if wanted > 0 && used.saturating_add(wanted) > limit {
                let left = limit.saturating_sub(used).max(0);
                return Err(Error::OverQuota(format!(
                    "over quota: {name} is limited to {limit}, {used} in use, {left} left, {wanted} more wanted"
                )));
            }
        }
        Ok(())
    }
}
