//! The tool `delete`.

use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

pub(crate) async fn delete(session: &Session, word: &str) -> Result<Answer, Failure> {
    let vm = session.find_vm(word).await?;
    session.delete_vm(&vm.id).await?;
    Ok(Answer::new(format!("VM {} is deleted.", vm.label())))
}
