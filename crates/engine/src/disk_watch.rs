//! Which VMs outgrow their disks, found with as little looking as possible.
//!
//! A look is one question to the file system. Trees are measured only when the file system has filled by as much as
//! the disk in question has left, or when much time has passed and something was written: an idle computer does nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::disk::Space;

/// How long it is between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// And where a disk fills fast.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
/// When a tree is measured again that may have grown while others shrank.
const MEASURE_INTERVAL: Duration = Duration::from_secs(20);
/// Measuring takes at most one part in so many of the time.
const MEASURE_SHARE: u32 = 4;
/// And what is only a precaution one part in so many.
const PRECAUTION_SHARE: u32 = 100;
/// What is always to be left of a file system: so many bytes …
const FLOOR: u64 = 256 << 20;
/// … or one part in so many of it, whatever is more …
const FLOOR_SHARE: u64 = 100;
/// … but not more than one part in so many of a small one.
const LARGEST_FLOOR_SHARE: u64 = 16;
/// What a nearly full file system must have grown by before somebody is paused again, in bytes.
const NOTICED_GROWTH: u64 = 1 << 20;

/// A tree that may not outgrow its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchedDisk {
    pub(super) key: DiskKey,
    pub(super) path: PathBuf,
    /// What it may take, in bytes.
    pub(super) limit: u64,
}

/// Whose tree it is, by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum DiskKey {
    Vm(String),
    Volume(String),
}

/// What was found about a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It takes more than it may, in bytes.
    Outgrown { key: DiskKey, used: u64 },
    /// The file system is nearly full, and this one filled it most.
    FillsLast { key: DiskKey, free: u64 },
    /// It was measured and is within its limit, in bytes.
    Fits { key: DiskKey, used: u64 },
}

/// What is known of one tree.
#[derive(Clone, Copy, Debug)]
struct Measured {
    used: u64,
    /// What the whole file system took then.
    of_all: u64,
    at: Instant,
    took: Duration,
    /// How much it had grown since the time before.
    growth: u64,
}

/// The watch over one data folder.
#[derive(Debug)]
pub(super) struct DiskWatch {
    measured: HashMap<DiskKey, Measured>,
    floor: u64,
    last: Option<(Space, Instant)>,
    /// How fast the file system filled between the last two looks, in bytes a second.
    rate: f64,
    /// What it took at the least since it last had grown noticeably.
    base: u64,
}

impl DiskWatch {
    /// Begins with a file system as it is: where little is left from the beginning, half of that may be taken.
    pub(super) fn new(space: Space) -> Self {
        let floor = FLOOR
            .max(space.total / FLOOR_SHARE)
            .min(space.total / LARGEST_FLOOR_SHARE)
            .min(space.free / 2);
        Self {
            measured: HashMap::new(),
            floor,
            last: None,
            rate: 0.0,
            base: space.used,
        }
    }

    /// Looks at the file system and measures what may have outgrown its limit. `measure` returns what a tree takes.
    pub(super) fn look(
        &mut self,
        disks: &[WatchedDisk],
        space: Space,
        now: Instant,
        measure: impl Fn(&WatchedDisk) -> u64,
    ) -> Vec<Finding> {
        self.measured
            .retain(|key, _| disks.iter().any(|disk| disk.key == *key));
        self.note_growth(space, now);
        let has_grown = space.used >= self.base + NOTICED_GROWTH;
        if has_grown {
            self.base = space.used;
        }
        let is_short = space.free < self.floor && has_grown;
        let mut findings = Vec::new();
        for disk in disks {
            if !self.is_due(disk, space, now, is_short) {
                continue;
            }
            let used = self.measure(disk, space, &measure);
            let key = disk.key.clone();
            findings.push(if used > disk.limit {
                Finding::Outgrown { key, used }
            } else {
                Finding::Fits { key, used }
            });
        }
        if is_short
            && let Some(key) = self.fastest(disks)
            && !findings
                .iter()
                .any(|finding| matches!(finding, Finding::Outgrown { .. }))
        {
            let free = space.free;
            findings.push(Finding::FillsLast { key, free });
        }
        findings
    }

    /// Returns how long to wait before the next look: the faster a disk fills, the shorter.
    pub(super) fn interval(&self, disks: &[WatchedDisk]) -> Duration {
        let Some((space, _)) = self.last else {
            return LOOK_INTERVAL;
        };
        let left = disks
            .iter()
            .filter_map(|disk| {
                Some(
                    disk.limit
                        .saturating_sub(self.measured.get(&disk.key)?.used),
                )
            })
            .chain([space.free.saturating_sub(self.floor)])
            .min()
            .unwrap_or(0);
        // Half of the time until the nearest limit, if it goes on like this.
        let seconds = left as f64 / self.rate / 2.0;
        if seconds < LOOK_INTERVAL.as_secs_f64() {
            Duration::from_secs_f64(seconds).max(SHORTEST_INTERVAL)
        } else {
            LOOK_INTERVAL
        }
    }

    fn note_growth(&mut self, space: Space, now: Instant) {
        if let Some((last, at)) = self.last {
            let growth = space.used.saturating_sub(last.used);
            let time = now
                .saturating_duration_since(at)
                .max(Duration::from_millis(1));
            self.rate = growth as f64 / time.as_secs_f64();
        }
        self.base = self.base.min(space.used);
        self.last = Some((space, now));
    }

    fn is_due(&self, disk: &WatchedDisk, space: Space, now: Instant, is_short: bool) -> bool {
        let Some(known) = self.measured.get(&disk.key) else {
            return true;
        };
        let age = now.saturating_duration_since(known.at);
        if age < known.took * MEASURE_SHARE {
            return false;
        }
        let grown = space.used.saturating_sub(known.of_all);
        let left = disk.limit.saturating_sub(known.used);
        let is_changed = space.used != known.of_all;
        let is_old = age >= MEASURE_INTERVAL.max(known.took * PRECAUTION_SHARE);
        let is_over = known.used > disk.limit;
        is_short || is_over || (is_changed && (grown >= left || is_old))
    }

    fn measure(
        &mut self,
        disk: &WatchedDisk,
        space: Space,
        measure: impl Fn(&WatchedDisk) -> u64,
    ) -> u64 {
        let start = Instant::now();
        let used = measure(disk);
        let before = self
            .measured
            .get(&disk.key)
            .map_or(used, |known| known.used);
        let measured = Measured {
            used,
            of_all: space.used,
            at: start,
            took: start.elapsed(),
            growth: used.saturating_sub(before),
        };
        self.measured.insert(disk.key.clone(), measured);
        used
    }

    /// The disk that grew most between its last two measures, if it did.
    fn fastest(&self, disks: &[WatchedDisk]) -> Option<DiskKey> {
        let growths = disks.iter().filter_map(|disk| {
            let growth = self.measured.get(&disk.key)?.growth;
            (growth > 0).then_some((growth, disk))
        });
        let fastest = growths.max_by_key(|(growth, _)| *growth);
        fastest.map(|(_, disk)| disk.key.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn space(used: u64) -> Space {
        Space {
            total: 100 * GIB,
            used,
            free: 100 * GIB - used,
        }
    }

    fn disk(id: &str, limit: u64) -> WatchedDisk {
        WatchedDisk {
            key: DiskKey::Vm(id.to_owned()),
            path: PathBuf::from(id),
            limit,
        }
    }

    /// A world where time and sizes are as the test says.
    struct World {
        watch: DiskWatch,
        disks: Vec<WatchedDisk>,
        start: Instant,
        /// What each disk takes.
        sizes: HashMap<PathBuf, u64>,
        measured: RefCell<Vec<String>>,
    }

    impl World {
        fn new(disks: &[(&str, u64)]) -> Self {
            Self {
                watch: DiskWatch::new(space(10 * GIB)),
                disks: disks.iter().map(|(id, limit)| disk(id, *limit)).collect(),
                start: Instant::now(),
                sizes: HashMap::new(),
                measured: RefCell::default(),
            }
        }

        /// Looks after so many seconds at a file system of which so much is used.
        fn look(&mut self, seconds: u64, used: u64) -> Vec<Finding> {
            self.measured.borrow_mut().clear();
            let now = self.start + Duration::from_secs(seconds);
            let (sizes, measured) = (&self.sizes, &self.measured);
            let measure = |disk: &WatchedDisk| {
                measured.borrow_mut().push(disk.path.display().to_string());
                sizes.get(&disk.path).copied().unwrap_or(0)
            };
            let findings = self.watch.look(&self.disks, space(used), now, measure);
            let is_news = |finding: &Finding| !matches!(finding, Finding::Fits { .. });
            findings.into_iter().filter(is_news).collect()
        }
    }

    #[test]
    fn an_idle_computer_measures_each_disk_once() {
        let mut world = World::new(&[("a", GIB), ("b", 2 * GIB)]);
        world.look(0, 10 * GIB);
        assert_eq!(*world.measured.borrow(), ["a", "b"]);
        for seconds in 1..10_000 {
            assert!(world.look(seconds, 10 * GIB).is_empty());
            assert!(world.measured.borrow().is_empty());
        }
    }

    #[test]
    fn a_disk_is_measured_when_all_has_grown_by_what_it_has_left() {
        let mut world = World::new(&[("a", GIB), ("b", 3 * GIB)]);
        world.look(0, 10 * GIB);
        world.look(1, 11 * GIB - 1);
        assert!(world.measured.borrow().is_empty());
        world.sizes.insert("a".into(), GIB + 1);
        let findings = world.look(2, 11 * GIB + 1);
        assert_eq!(*world.measured.borrow(), ["a"]);
        let key = DiskKey::Vm("a".to_owned());
        assert_eq!(findings, [Finding::Outgrown { key, used: GIB + 1 }]);
    }

    #[test]
    fn growth_that_hides_behind_what_others_free_is_found_later() {
        let mut world = World::new(&[("a", GIB)]);
        world.look(0, 10 * GIB);
        world.sizes.insert("a".into(), 2 * GIB);
        assert!(world.look(1, 10 * GIB - 4096).is_empty());
        assert_eq!(world.look(61, 10 * GIB - 4096).len(), 1);
    }

    #[test]
    fn on_a_nearly_full_file_system_the_one_that_grows_is_found() {
        let mut world = World::new(&[("a", 90 * GIB), ("b", 90 * GIB)]);
        world.look(0, 98 * GIB);
        world.sizes.insert("a".into(), GIB / 8);
        world.sizes.insert("b".into(), GIB);
        let free = 100 * GIB - (99 * GIB + GIB / 8);
        let key = DiskKey::Vm("b".to_owned());
        let findings = world.look(1, 99 * GIB + GIB / 8);
        assert_eq!(findings, [Finding::FillsLast { key, free }]);
        // What stands still is left alone.
        assert!(world.look(2, 99 * GIB + GIB / 8).is_empty());
    }

    #[test]
    fn what_grows_slowly_is_found_too() {
        let mut world = World::new(&[("a", 90 * GIB)]);
        world.look(0, 100 * GIB - (200 << 20));
        let mut found = 0;
        for step in 1..=64 {
            world.sizes.insert("a".into(), step << 14);
            found += world
                .look(step, 100 * GIB - (200 << 20) + (step << 14))
                .len();
        }
        assert_eq!(found, 1);
    }

    #[test]
    fn a_file_system_that_was_nearly_full_from_the_beginning_may_be_used() {
        let mut world = World::new(&[("a", 90 * GIB)]);
        world.watch = DiskWatch::new(space(100 * GIB - (100 << 20)));
        let used = |left_mib: u64| 100 * GIB - (left_mib << 20);
        world.look(0, used(100));
        world.sizes.insert("a".into(), 40 << 20);
        assert!(world.look(1, used(60)).is_empty());
        world.sizes.insert("a".into(), 60 << 20);
        assert_eq!(world.look(2, used(40)).len(), 1);
    }

    #[test]
    fn looks_come_faster_while_a_disk_fills() {
        let mut world = World::new(&[("a", 10 * GIB)]);
        world.look(0, 10 * GIB);
        world.look(1, 10 * GIB);
        assert_eq!(world.watch.interval(&world.disks), LOOK_INTERVAL);
        world.look(2, 30 * GIB);
        assert!(world.watch.interval(&world.disks) < LOOK_INTERVAL);
        world.look(3, 90 * GIB);
        assert!(world.watch.interval(&world.disks) >= SHORTEST_INTERVAL);
        world.look(4, 90 * GIB);
        assert_eq!(world.watch.interval(&world.disks), LOOK_INTERVAL);
    }
}
