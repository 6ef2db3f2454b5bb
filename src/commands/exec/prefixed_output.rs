//! The output of several VMs: each line with its VM, equal outputs folded, events, or one JSON array.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Output;
use super::lines::Lines;
use super::several_vms::Layout;
use super::sink::{self, Whose, exit_event, output_event, unwritable};
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::{Format, Ui};
use fastvm_api::exec::ExitStatus;

/// Colours of names, as codes of a terminal: not red, which is for failures, and not the ones that are hard to read.
const COLORS: &[u8] = &[36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// What all VMs print through.
#[derive(Debug)]
pub(super) struct PrefixedOutput<'a> {
    ui: &'a mut Ui,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Lines,
    Events,
    /// Kept to the end; equal ones are told apart by nothing.
    Groups(Vec<Group>),
    /// Kept to the end, each with the place of its VM.
    Objects(BTreeMap<usize, Box<RawValue>>),
}

/// An output, and the VMs that made it, by their places.
#[derive(Debug)]
struct Group {
    names: BTreeMap<usize, String>,
    exit: Exit,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// One VM's way to the printer.
#[derive(Debug)]
pub(super) struct VmOutput<'p, 'a> {
    printer: &'p RefCell<PrefixedOutput<'a>>,
    /// The place of the VM among the targets.
    index: usize,
    name: String,
    id: String,
    stdout: SharedBuffer,
    stderr: SharedBuffer,
}

#[derive(Debug)]
enum SharedBuffer {
    Lines(Lines),
    Events,
    Bytes(Vec<u8>),
}

#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl<'a> PrefixedOutput<'a> {
    pub(super) fn new(ui: &'a mut Ui, layout: Layout) -> Self {
        let settings = ui.settings();
        let shape = match settings.format {
            _ if settings.jq.is_some() => Shape::Objects(BTreeMap::new()),
            Some(Format::Json | Format::Yaml) => Shape::Objects(BTreeMap::new()),
            Some(Format::Jsonl) => Shape::Events,
            _ if layout == Layout::Grouped => Shape::Groups(Vec::new()),
            _ => Shape::Lines,
        };
        Self { ui, shape }
    }

    /// The way to the printer for the VM that is the `index`th; names are padded to `width`.
    pub(super) fn output_of<'p>(
        printer: &'p RefCell<Self>,
        name: &str,
        id: &str,
        index: usize,
        width: usize,
    ) -> VmOutput<'p, 'a> {
        let this = printer.borrow();
        let settings = this.ui.settings();
        let name = visible(name).into_owned();
        let collected = |color: bool| match &this.shape {
            Shape::Events => SharedBuffer::Events,
            Shape::Groups(_) | Shape::Objects(_) => SharedBuffer::Bytes(Vec::new()),
            Shape::Lines if color => {
                let code = COLORS[index % COLORS.len()];
                SharedBuffer::Lines(Lines::new(&format!("\x1b[{code}m{name:width$} |\x1b[0m ")))
            }
            Shape::Lines => SharedBuffer::Lines(Lines::new(&format!("{name:width$} | "))),
        };
        VmOutput {
            printer,
            stdout: collected(settings.stdout_color),
            stderr: collected(settings.stderr_color),
            id: id.to_owned(),
            index,
            name,
        }
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        match stream {
            Stream::Stdout => Ok(self.ui.bytes(bytes)?),
            Stream::Stderr => {
                self.ui.flush()?;
                self.ui.messages().bytes(bytes).map_err(|error| {
                    Error::new(Kind::LocalIo, format!("cannot write to stderr: {error}"))
                })
            }
        }
    }

    /// Prints what is printed at the end.
    pub(super) fn end(mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.shape, Shape::Lines) {
            Shape::Lines | Shape::Events => {}
            Shape::Objects(objects) => {
                let objects: Vec<_> = objects.into_values().collect();
                let json = serde_json::value::to_raw_value(&objects).map_err(unwritable)?;
                self.ui.raw_json(&json)?;
            }
            Shape::Groups(mut groups) => {
                groups.sort_by_key(|group| group.names.keys().next().copied());
                for group in &groups {
                    self.write(Stream::Stdout, group.heading().as_bytes())?;
                    self.write(Stream::Stdout, &with_line_end(&group.stdout))?;
                    self.write(Stream::Stderr, &with_line_end(&group.stderr))?;
                }
            }
        }
        Ok(self.ui.flush()?)
    }
}

impl Group {
    /// The VMs, and the exit code where it is a failure.
    fn heading(&self) -> String {
        let count = match self.names.len() {
            1 => String::new(),
            count => format!(" ({count})"),
        };
        let exit = match self.exit {
            Exit::SUCCESS => String::new(),
            Exit(code) => format!(", exit {code}"),
        };
        let names: Vec<&str> = self.names.values().map(String::as_str).collect();
        format!("== {}{count}{exit}\n", names.join(", "))
    }
}

fn with_line_end(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    bytes
}

impl VmOutput<'_, '_> {
    /// Says how the command ended.
    pub(super) fn end(&mut self, ended: ExitStatus, exit: Exit) -> Result<(), Error> {
        self.unfinished_lines()?;
        let (stdout, stderr) = (self.stdout.collected(), self.stderr.collected());
        let mut printer = self.printer.borrow_mut();
        match &mut printer.shape {
            Shape::Lines => Ok(()),
            Shape::Events => {
                let line = exit_event(Some(whose(&self.name, &self.id)), ended)?;
                printer.write(Stream::Stdout, &line)
            }
            Shape::Objects(objects) => {
                let whose = Some(whose(&self.name, &self.id));
                let object = sink::whole(whose, stdout, stderr, ended);
                objects.insert(
                    self.index,
                    serde_json::value::to_raw_value(&object).map_err(unwritable)?,
                );
                Ok(())
            }
            Shape::Groups(groups) => {
                let equal = groups.iter_mut().find(|group| {
                    group.exit == exit && group.stdout == stdout && group.stderr == stderr
                });
                match equal {
                    Some(group) => {
                        group.names.insert(self.index, self.name.clone());
                    }
                    None => groups.push(Group {
                        names: BTreeMap::from([(self.index, self.name.clone())]),
                        exit,
                        stdout,
                        stderr,
                    }),
                }
                Ok(())
            }
        }
    }

    /// Says that the command did not come to an end. The reason is talk; a stream of JSON carries it as well.
    pub(super) fn fail(&mut self, error: &Error) -> Result<(), Error> {
        #[derive(serde::Serialize)]
        struct Failure<'a> {
            #[serde(flatten)]
            whose: Whose<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            t: Option<&'a str>,
            error: &'a str,
        }
        self.unfinished_lines()?;
        let mut printer = self.printer.borrow_mut();
        let failure = |t| Failure {
            whose: whose(&self.name, &self.id),
            t,
            error: error.message(),
        };
        match &mut printer.shape {
            Shape::Lines | Shape::Groups(_) => Ok(()),
            Shape::Events => {
                let line = sink::line(&failure(Some("error")))?;
                printer.write(Stream::Stdout, &line)
            }
            Shape::Objects(objects) => {
                objects.insert(
                    self.index,
                    serde_json::value::to_raw_value(&failure(None)).map_err(unwritable)?,
                );
                Ok(())
            }
        }
    }

    fn unfinished_lines(&mut self) -> Result<(), Error> {
        let mut printer = self.printer.borrow_mut();
        if let SharedBuffer::Lines(lines) = &mut self.stdout {
            printer.write(Stream::Stdout, &lines.rest())?;
        }
        if let SharedBuffer::Lines(lines) = &mut self.stderr {
            printer.write(Stream::Stderr, &lines.rest())?;
        }
        Ok(())
    }
}

impl Output for VmOutput<'_, '_> {
    fn stdout(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut printer = self.printer.borrow_mut();
        match &mut self.stdout {
            SharedBuffer::Lines(lines) => printer.write(Stream::Stdout, &lines.take(bytes)),
            SharedBuffer::Events => {
                let line = output_event(Some(whose(&self.name, &self.id)), "o", bytes)?;
                printer.write(Stream::Stdout, &line)
            }
            SharedBuffer::Bytes(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn stderr(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut printer = self.printer.borrow_mut();
        match &mut self.stderr {
            SharedBuffer::Lines(lines) => printer.write(Stream::Stderr, &lines.take(bytes)),
            SharedBuffer::Events => {
                let line = output_event(Some(whose(&self.name, &self.id)), "e", bytes)?;
                printer.write(Stream::Stdout, &line)
            }
            SharedBuffer::Bytes(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        match &self.stdout {
            SharedBuffer::Bytes(_) => Ok(()),
            SharedBuffer::Lines(_) | SharedBuffer::Events => {
                Ok(self.printer.borrow_mut().ui.flush()?)
            }
        }
    }
}

impl SharedBuffer {
    fn collected(&mut self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => std::mem::take(bytes),
            Self::Lines(_) | Self::Events => Vec::new(),
        }
    }
}

fn whose<'a>(vm: &'a str, vm_id: &'a str) -> Whose<'a> {
    Whose { vm, vm_id }
}
