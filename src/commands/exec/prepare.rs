//! From what was asked for to the request that a VM gets.

use std::rc::Rc;
use std::time::Duration;

use super::guest_leftovers::{Folder, GuestLeftovers};
use super::input::Input;
use super::staged_input;
use super::wrapper::{PlaceOptions, Wrapper};
use crate::error::Error;
use fastvm_api::Client;
use fastvm_api::secret::SignedUrl;
use fastvm_api::types::EnvVars;
use fastvm_api::types::base64;
use fastvm_api::types::exec::ExecRequest;

/// What is to run, wherever it runs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) command: Vec<String>,
    pub(crate) place: PlaceOptions,
    pub(crate) variables: EnvVars,
    /// The server's limit for the command.
    pub(crate) limit: Option<Duration>,
}

/// How the input gets to VMs.
#[derive(Debug)]
pub(crate) enum Delivery {
    Nothing,
    /// Base64 in the request.
    InRequest(String),
    /// VMs pull it from here.
    Staged(SignedUrl),
}

/// A request, and the folder that its command takes its input from.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: ExecRequest,
    pub(crate) staged: Option<Rc<Folder>>,
}

impl Delivery {
    /// What is too large for a request goes to a staging object of this VM, where others find it too.
    pub(crate) async fn of(
        client: &Client,
        vm: &str,
        input: Option<Input>,
        leftovers: &GuestLeftovers,
    ) -> Result<Self, Error> {
        Ok(match input {
            None => Self::Nothing,
            Some(Input::Small(bytes)) => Self::InRequest(base64::encode(&bytes)),
            Some(Input::Large(input)) => {
                Self::Staged(staged_input::upload(client, vm, input, leftovers).await?)
            }
        })
    }
}

impl Plan {
    /// The server's limit as a request has it.
    pub(super) fn limit_sec(&self) -> Option<i64> {
        let seconds = |limit: Duration| i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        self.limit.map(seconds)
    }

    /// Makes the request for one VM, which has its input by then.
    pub(crate) async fn prepare(
        &self,
        client: &Client,
        vm: &str,
        delivery: &Delivery,
        leftovers: &GuestLeftovers,
    ) -> Result<Prepared, Error> {
        let (stdin, staged) = match delivery {
            Delivery::Nothing => (None, None),
            Delivery::InRequest(text) => (Some(text.clone()), None),
            Delivery::Staged(url) => (
                None,
                Some(staged_input::deliver(client, vm, url, leftovers).await?),
            ),
        };
        let surroundings = Wrapper {
            place: &self.place,
            variables: &self.variables,
            input: staged.as_deref(),
        };
        Ok(Prepared {
            request: ExecRequest {
                command: surroundings.around(&self.command),
                stdin,
                timeout_sec: self.limit_sec(),
            },
            staged,
        })
    }
}
