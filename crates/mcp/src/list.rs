//! The tool `list`.

use fastvm_api::vms::VmFilter;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;
use crate::text::{self, visible_word};

pub(crate) async fn list(session: &Session) -> Result<Answer, Failure> {
    let client = session.client().await?;
    let vms = client.list_vms(&VmFilter::default()).await;
    let vms = vms.map_err(|error| session.explain(error))?;
    let own: Vec<_> = {
        let own = session.vms();
        own.iter()
            .map(|own| (own.vm.id.clone(), own.is_kept))
            .collect()
    };
    let mut lines: Vec<_> = vms
        .iter()
        .map(|vm| {
            let vm = &vm.value;
            let of = own.iter().find(|(id, _)| *id == vm.id);
            let whose = match of {
                Some((_, true)) => "of this server, kept",
                Some((_, false)) => "of this server",
                None => "not of this server",
            };
            let field = |text: &Option<String>| match text.as_deref() {
                Some(text) if !text.is_empty() => visible_word(text),
                _ => "-".to_owned(),
            };
            let line = format!(
                "{} {} {} {} ({whose})\n",
                visible_word(&vm.id),
                field(&vm.name),
                field(&vm.status),
                field(&vm.machine_name)
            );
            (of.is_none(), line)
        })
        .collect();
    lines.sort_by_key(|(is_other, _)| *is_other);
    let lines: String = lines.into_iter().map(|(_, line)| line).collect();
    let (shown, length) = text::head(lines.as_bytes(), session.room());
    let mut said = format!("{} VMs: id, name, status, type.", vms.len());
    if length < lines.len() {
        let left_out = vms.len() - shown.lines().count();
        said.push_str(&format!(" {left_out} are left out."));
    }
    let answer = Answer::new(said);
    Ok(match shown.is_empty() {
        true => answer,
        false => answer.data("names of VMs", &shown),
    })
}
