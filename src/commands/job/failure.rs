//! What failures about jobs are to the user.

use crate::commands::shared::resolve_name::Named;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use fastvm_jobs::Error as JobError;

/// Says on which VM something could not be done with a job.
pub(crate) fn explain(vm: &Named, error: JobError) -> Error {
    let list = || format!("see its jobs with `fastvm job list {}`", visible(vm.word()));
    let message = error.to_string();
    let made = |kind| Error::new(kind, format!("VM {}: {}", vm.label(), visible(&message)));
    let error = match error {
        JobError::Api(error) => return vm.explain(error),
        JobError::Unknown { cause, .. } => {
            let kind = Error::from(cause).kind();
            made(kind).hint(list())
        }
        JobError::Refused { code, .. } => made(Kind::CommandFailed).exits(Exit::of_command(code)),
        JobError::Impossible(_) => made(Kind::VmFailed),
        JobError::NotFound(_) => made(Kind::NotFound).hint(list()),
        JobError::Ambiguous { .. } => made(Kind::Ambiguous).hint("use a full id"),
        JobError::NotRunning(_) => made(Kind::Conflict).hint(list()),
        _ => made(Kind::Server),
    };
    vm.about(error)
}
