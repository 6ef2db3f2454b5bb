//! When and how soon a failed request is made again.

use std::time::Duration;

use crate::error::{Error, RemoteClass, RemoteError};
use crate::guest::script;

/// Tries of one request, the first included.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Counts the failures of one request.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    failures: u32,
}

impl Retries {
    /// Waits before the next try; an error comes back when there is no point in one.
    pub(crate) async fn wait(
        &mut self,
        error: RemoteError,
        again: &[RemoteClass],
    ) -> Result<(), RemoteError> {
        self.failures += 1;
        if self.failures >= TRIES || !again.contains(&error.class()) {
            return Err(error);
        }
        tracing::info!("trying again after a failure: {error}");
        tokio::time::sleep(pause(self.failures)).await;
        Ok(())
    }

    /// Waits before a shard is sent again; an error comes back when that makes no sense: only what happened to the bytes on their way is
    /// worth it.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Remote(error) => {
                let again = [
                    RemoteClass::Retryable,
                    RemoteClass::Lost,
                    RemoteClass::Expired,
                ];
                Ok(self.wait(error, &again).await?)
            }
            error if script::lost_on_the_way(&error) && self.failures + 1 < TRIES => {
                self.failures += 1;
                tracing::info!("sending a part again: {error}");
                tokio::time::sleep(pause(self.failures)).await;
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Forgets failures: something got through since.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

fn pause(failures: u32) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(1 << (failures - 1));
    wait.min(LONGEST_WAIT).mul_f64(jitter())
}

/// Between 0.5 and 1.5, so that clients that failed together do not come back together.
fn jitter() -> f64 {
    let random = uuid::Uuid::new_v4().into_bytes();
    0.5 + f64::from(u16::from_be_bytes([random[14], random[15]])) / f64::from(u16::MAX)
}
