//! The VMs that are watched, with the last that each of them said.

use std::collections::{HashMap, HashSet, VecDeque};

use super::row::{Figures, Row, Signs};
use super::sample::Sample;
use fastvm_api::types::vm::{Vm, status};

/// How many shares of processors a sparkline shows.
const HISTORY: usize = 12;

/// All VMs, in the order of the API's list.
#[derive(Debug)]
pub(super) struct Board {
    order: Vec<String>,
    vms: HashMap<String, Watched>,
    /// VMs that are being asked.
    asked: HashSet<String>,
    signs: Signs,
}

#[derive(Debug)]
struct Watched {
    vm: Vm,
    last: Option<Sample>,
    answers: bool,
    figures: Figures,
    history: VecDeque<Option<f64>>,
}

impl Board {
    pub(super) fn new(signs: Signs) -> Self {
        Self {
            order: Vec::new(),
            vms: HashMap::new(),
            asked: HashSet::new(),
            signs,
        }
    }

    /// Takes over a new list. A VM that does not run any more has said nothing.
    pub(super) fn list(&mut self, vms: Vec<Vm>) {
        self.order = vms.iter().map(|vm| vm.id.clone()).collect();
        let mut before = std::mem::take(&mut self.vms);
        for vm in vms {
            let watched = before.remove(&vm.id);
            let mut watched = watched.unwrap_or_else(|| Watched::new(vm.clone()));
            if !vm.has_status(status::RUNNING) {
                watched.forget();
            }
            watched.vm = vm;
            self.vms.insert(watched.vm.id.clone(), watched);
        }
    }

    /// The ids of VMs that run and are not being asked. They count as being asked from now on.
    pub(super) fn take_due(&mut self) -> Vec<String> {
        let runs = |id: &&String| {
            let watched = self.vms.get(*id);
            watched.is_some_and(|watched| watched.vm.has_status(status::RUNNING))
        };
        let due = self.order.iter().filter(runs);
        let due: Vec<_> = due
            .filter(|id| !self.asked.contains(*id))
            .cloned()
            .collect();
        self.asked.extend(due.iter().cloned());
        due
    }

    /// Notes what a VM said. `None` if it did not answer.
    pub(super) fn answer(&mut self, id: &str, sample: Option<Sample>) {
        self.asked.remove(id);
        let Some(watched) = self.vms.get_mut(id) else {
            return;
        };
        match sample {
            Some(sample) if watched.vm.has_status(status::RUNNING) => watched.hear(sample),
            _ => watched.forget(),
        }
    }

    /// The rows to show: who works most comes first, who does not answer last.
    pub(super) fn rows(&self) -> Vec<Row> {
        let watched = self.order.iter().filter_map(|id| self.vms.get(id));
        let mut rows: Vec<_> = watched.map(|watched| watched.row(self.signs)).collect();
        let share = |row: &Row| row.figures.cpu_percent.unwrap_or(-1.0);
        rows.sort_by(|left, right| share(right).total_cmp(&share(left)));
        rows
    }

    /// How many VMs there are, and how many of them answer.
    pub(super) fn counts(&self) -> (usize, usize) {
        let answering = self.vms.values().filter(|watched| watched.answers);
        (self.vms.len(), answering.count())
    }
}

impl Watched {
    fn new(vm: Vm) -> Self {
        Self {
            vm,
            last: None,
            answers: false,
            figures: Figures::default(),
            history: VecDeque::new(),
        }
    }

    fn hear(&mut self, sample: Sample) {
        let memory = self.vm.memory_mib.and_then(|mib| u64::try_from(mib).ok());
        let (cpu, memory) = (self.vm.cpu.unwrap_or(0), memory.unwrap_or(0) << 20);
        self.figures = sample.figures(self.last.as_ref(), cpu, memory);
        self.answers = true;
        self.last = Some(sample);
        self.remember();
    }

    fn forget(&mut self) {
        self.figures = Figures::default();
        self.answers = false;
        self.last = None;
        self.remember();
    }

    fn remember(&mut self) {
        self.history.push_back(self.figures.cpu_percent);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    fn row(&self, signs: Signs) -> Row {
        Row {
            id: self.vm.id.clone(),
            name: self.vm.name.clone().unwrap_or_default(),
            status: self.vm.status.clone().unwrap_or_default(),
            answers: self.answers,
            figures: self.figures,
            history: self.history.iter().copied().collect(),
            signs,
        }
    }
}
