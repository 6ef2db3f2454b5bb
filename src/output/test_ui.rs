//! A Ui whose streams the tests can read, and a table for it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::{Column, Now, Record, Settings, Shown, SortKey, Streams, Style, Table, Ui};

/// What was written to a stream so far.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A Ui that reads `input`, with what it writes to stdout and stderr.
pub(super) fn ui(settings: Settings, input: &'static str) -> (Ui, Captured, Captured) {
    let (stdout, stderr) = (Captured::default(), Captured::default());
    let streams = Streams {
        stdin: Box::new(input.as_bytes()),
        stdout: Box::new(stdout.clone()),
        stderr: Box::new(stderr.clone()),
    };
    let mut ui = Ui::with_streams(settings, streams);
    ui.clock = || Now("2026-01-02T03:04:05Z".parse().unwrap());
    (ui, stdout, stderr)
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Machine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) cpu: u32,
    pub(super) created_at: String,
}

pub(super) const MACHINES: Table<Machine> = Table {
    noun: "VM",
    plural: "VMs",
    columns: &[
        Column::new("name", |vm: &Machine| vm.name.clone()),
        Column::new("id", |vm: &Machine| vm.id.clone()),
        Column::new("status", |vm: &Machine| vm.status.clone())
            .tone(|vm| Style::of_status(&vm.status)),
        Column::new("cpu", |vm: &Machine| vm.cpu.to_string())
            .shown(Shown::Wide)
            .sort(|vm| SortKey::Number(vm.cpu.into())),
        Column::new("age", |vm: &Machine| vm.created_at.clone())
            .text(|vm, now| now.age(&vm.created_at))
            .sort(|vm| SortKey::time(&vm.created_at)),
        Column::new("note", |_: &Machine| String::new()).shown(Shown::OnRequest),
    ],
    name: |vm| &vm.name,
    id: |vm| &vm.id,
    empty_hint: Some("fastvm vm launch"),
};

/// Two VMs as a server may write them: odd spacing, an unknown field, a number that no `f64` holds.
pub(super) fn machines() -> Vec<Record<Machine>> {
    let text = r#"[ {"id":"b-2","name":"web-2","status":"running","cpu":10,"createdAt":"2026-01-02T03:00:05Z","big":12345678901234567890123},
        {"id":"a-1","name":"web-1","status":"error", "cpu":9,"createdAt":"2025-12-28T00:00:00Z"} ]"#;
    serde_json::from_str(text).unwrap()
}
