//! Consoles: one-time tokens, and a login shell on a terminal of the VM.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::vm_lock::VmLocks;
use super::{Core, Error, environment};
use fastvm_api::types::console::ConsoleToken;
use fastvm_sandbox::{self, Console, ExecSpec, Stdin};

/// How long a token waits for its one connection.
const TOKEN_TTL: Duration = Duration::from_secs(60);

/// The user's shell if there is one, as a login shell.
const LOGIN_SHELL: &str = r#"for shell in "$SHELL" /bin/bash /bin/sh; do
  [ -x "$shell" ] && SHELL=$shell exec "$shell" -l
done
exec sh -l"#;

/// Tokens that were given out and not used, with their VMs.
#[derive(Default)]
pub(super) struct ConsoleTokens(Mutex<HashMap<String, (String, Instant)>>);

impl std::fmt::Debug for ConsoleTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConsoleTokens")
    }
}

impl ConsoleTokens {
    fn put(&self, token: String, vm: String) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, until)| *until > Instant::now());
        tokens.insert(token, (vm, Instant::now() + TOKEN_TTL));
    }

    /// Takes a token out, whatever becomes of it.
    fn take(&self, token: &str, vm: &str) -> bool {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens
            .remove(token)
            .is_some_and(|(of, until)| of == vm && until > Instant::now())
    }
}

impl Core {
    /// A token for one console of a running VM.
    pub(crate) fn console_token(&self, id: &str) -> Result<ConsoleToken, Error> {
        let held = self.hold(id, VmLocks::Shared)?;
        self.machine(&held)?;
        // Two random UUIDs: 244 bits of the system's random source.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        self.console_tokens.put(token.clone(), held.vm.id.clone());
        Ok(ConsoleToken {
            token,
            expires_in_sec: Some(TOKEN_TTL.as_secs() as i32),
            websocket_path: format!("/v1/vms/{}/console/ws", held.vm.id),
        })
    }

    /// Returns whether a token is good for a console of this VM; from now on it is not.
    pub(crate) fn use_console_token(&self, token: &str, id: &str) -> bool {
        self.console_tokens.take(token, id)
    }

    /// Starts a login shell on a terminal. It hangs up when its handle is dropped.
    pub(crate) fn console(&self, id: &str) -> Result<Console, Error> {
        let held = self.hold(id, VmLocks::Shared)?;
        let known = self.machine(&held)?;
        let mut more = self
            .proxy
            .as_ref()
            .map(|(port, _)| port.environment())
            .unwrap_or_default();
        more.push(("TERM".to_owned(), "xterm-256color".to_owned()));
        let spec = ExecSpec {
            argv: ["sh", "-c", LOGIN_SHELL].map(Into::into).to_vec(),
            env: environment::of(&held.vm, more),
            cwd: PathBuf::from(environment::HOME),
            stdin: Stdin::Null,
        };
        match known.machine.console(&spec) {
            Err(fastvm_sandbox::Error::Gone) => Err(self.note_gone(&held.vm)?),
            other => Ok(other?),
        }
    }
}
