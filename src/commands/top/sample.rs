//! What one command in a VM says about it, and what two of them say about the time between.

use super::row::Figures;

/// The command: POSIX tools alone. What it cannot read is missing in its output.
const SCRIPT: &str = include_str!("sample.sh");

/// Clock ticks of a second in `/proc/PID/stat`: the same on every Linux that runs in a VM.
const TICKS: f64 = 100.0;

/// Bytes of a sector in `/proc/diskstats`, whatever the disk says of itself.
const SECTOR: u64 = 512;

/// The command, as words.
pub(super) fn command() -> Vec<String> {
    ["sh", "-c", SCRIPT].map(str::to_owned).to_vec()
}

/// One look at a VM. `None` is what the VM did not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Seconds since the VM, or the machine it shares a kernel with, was started.
    uptime: Option<f64>,
    processor: Option<Processor>,
    memory_used: Option<u64>,
    memory_total: Option<u64>,
    disk_used: Option<u64>,
    disk_total: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    received: Option<u64>,
    sent: Option<u64>,
}

/// Time of processors so far.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Processor {
    /// Of all processors of the VM, in ticks: busy, and altogether.
    Own { busy: u64, all: u64 },
    /// Of the processes of the VM, in ticks.
    Shared(u64),
}

impl Sample {
    /// Reads the output of the command. `None` if it says nothing that can be used.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut sample = Self::default();
        let mut is_own = false;
        let mut loopback = None;
        // Kernels before 3.14 do not tell what is available.
        let (mut available, mut unused) = (None, None);
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("own") => is_own = true,
                Some("shared") => sample.processor = Some(Processor::Shared(0)),
                Some("uptime") => sample.uptime = words.next().and_then(|word| word.parse().ok()),
                Some("stat") => sample.processor = own_processor(&numbers(words.skip(1))),
                Some("p") => sample.add_process(line),
                Some("a") => add(&mut sample.memory_used, first(words).map(|kib| kib << 10)),
                Some("r") => add(&mut sample.read, first(words)),
                Some("w") => add(&mut sample.written, first(words)),
                Some("MemTotal:") => sample.memory_total = first(words).map(|kib| kib << 10),
                Some("MemAvailable:") => available = first(words).map(|kib| kib << 10),
                Some("MemFree:" | "Buffers:" | "Cached:") => {
                    add(&mut unused, first(words).map(|kib| kib << 10));
                }
                Some(_) => {
                    sample.add_interface(line, &mut loopback);
                    if is_own {
                        sample.add_disk(line);
                    }
                }
                None => {}
            }
        }
        if let Some((total, free)) = sample.memory_total.zip(available.or(unused)) {
            sample.memory_used = Some(total.saturating_sub(free));
        }
        if sample.received.is_none() {
            // A VM without a network reaches the world through a proxy on its loopback.
            (sample.received, sample.sent) = loopback.unzip();
        }
        (sample.processor.is_some() && sample.uptime.is_some()).then_some(sample)
    }

    /// What is known at this moment, and what two samples say of the time between. `processors` is how many the VM has,
    /// `memory` what it was given.
    pub(super) fn figures(&self, before: Option<&Self>, processors: i32, memory: u64) -> Figures {
        let shares_kernel = matches!(self.processor, Some(Processor::Shared(_)));
        let elapsed = before.and_then(|before| {
            let elapsed = self.uptime? - before.uptime?;
            (elapsed > 0.0).then_some(elapsed)
        });
        let rate = |of: fn(&Self) -> Option<u64>| {
            // What goes back belongs to another process, or to a VM that was started again.
            let moved = of(self)?.saturating_sub(of(before?)?);
            Some((moved as f64 / elapsed?).round() as u64)
        };
        Figures {
            cpu_percent: self.cpu(before, elapsed, processors),
            memory_used_bytes: self.memory_used,
            memory_total_bytes: match shares_kernel {
                true => Some(memory),
                false => self.memory_total,
            },
            disk_used_bytes: self.disk_used,
            disk_total_bytes: self.disk_total,
            disk_read_bytes_per_second: rate(|sample| sample.read),
            disk_write_bytes_per_second: rate(|sample| sample.written),
            net_received_bytes_per_second: rate(|sample| sample.received),
            net_sent_bytes_per_second: rate(|sample| sample.sent),
        }
    }

    /// The share of all processors of the VM, in percent with one decimal.
    fn cpu(&self, before: Option<&Self>, elapsed: Option<f64>, processors: i32) -> Option<f64> {
        let share = match (self.processor?, before?.processor?) {
            (Processor::Own { busy, all }, Processor::Own { busy: b, all: a }) => {
                let all = all.checked_sub(a).filter(|all| *all > 0)?;
                busy.saturating_sub(b) as f64 / all as f64
            }
            (Processor::Shared(now), Processor::Shared(then)) => {
                let ticks = elapsed? * TICKS * f64::from(processors.max(1));
                now.saturating_sub(then) as f64 / ticks
            }
            _ => return None,
        };
        Some((share.clamp(0.0, 1.0) * 1000.0).round() / 10.0)
    }

    /// Adds the time of a process and of its children that have ended. Its name is in brackets and may hold any character.
    fn add_process(&mut self, line: &str) {
        let Some((_, fields)) = line.rsplit_once(") ") else {
            return;
        };
        let times = numbers(fields.split_ascii_whitespace().skip(11).take(4));
        if let (Some(Processor::Shared(ticks)), 4) = (&mut self.processor, times.len()) {
            *ticks += times.iter().sum::<u64>();
        }
    }

    /// A line of `/proc/net/dev`: `eth0: RECEIVED … SENT …`, with or without a blank after the colon.
    fn add_interface(&mut self, line: &str, loopback: &mut Option<(u64, u64)>) {
        let Some((name, counters)) = line.split_once(':') else {
            return;
        };
        let counters = numbers(counters.split_ascii_whitespace());
        let &[received, _, _, _, _, _, _, _, sent, ..] = counters.as_slice() else {
            return;
        };
        if name.trim() == "lo" {
            *loopback = Some((received, sent));
        } else {
            add(&mut self.received, Some(received));
            add(&mut self.sent, Some(sent));
        }
    }

    /// A line of `/proc/diskstats`, or of `df -Pk /`.
    fn add_disk(&mut self, line: &str) {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [_, total, used, _, share, "/"] if share.ends_with('%') => {
                self.disk_total = total.parse().ok().map(|kib: u64| kib << 10);
                self.disk_used = used.parse().ok().map(|kib: u64| kib << 10);
            }
            [_, _, name, _, _, read, _, _, _, written, ..] if is_disk(name) => {
                let bytes = |sectors: &str| Some(sectors.parse::<u64>().ok()? * SECTOR);
                add(&mut self.read, bytes(read));
                add(&mut self.written, bytes(written));
            }
            _ => {}
        }
    }
}

/// Returns whether a device is a whole disk, not a part of one, nor one that is made of others or of memory.
fn is_disk(name: &str) -> bool {
    let ends_in_digit = name.ends_with(|last: char| last.is_ascii_digit());
    let is_part = |rest: &str| rest.contains('p');
    match name {
        _ if ["sd", "vd", "xvd", "hd"]
            .iter()
            .any(|kind| name.starts_with(kind)) =>
        {
            !ends_in_digit
        }
        _ if name.starts_with("nvme") => !is_part(&name["nvme".len()..]),
        _ if name.starts_with("mmcblk") => !is_part(&name["mmcblk".len()..]),
        _ => false,
    }
}

/// Of the counters user, nice, system, idle, iowait, irq, softirq, steal: what was not idle, and all. Guests are in user.
fn own_processor(counters: &[u64]) -> Option<Processor> {
    let counted = counters.get(..counters.len().min(8))?;
    let idle = counted.get(3)? + counted.get(4).unwrap_or(&0);
    let all: u64 = counted.iter().sum();
    Some(Processor::Own {
        busy: all - idle,
        all,
    })
}

fn add(sum: &mut Option<u64>, value: Option<u64>) {
    if let Some(value) = value {
        *sum = Some(sum.unwrap_or(0).saturating_add(value));
    }
}

fn first<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<u64> {
    words.next()?.parse().ok()
}

/// The numbers up to the first word that is none.
fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Vec<u64> {
    words.map_while(|word| word.parse().ok()).collect()
}

#[cfg(test)]
#[cfg(unix)]
mod kernels;

#[cfg(test)]
mod tests {
    use super::*;

    fn own(busy: u64, idle: u64, uptime: f64, sectors: u64, bytes: u64) -> Sample {
        let text = format!(
            "uptime {uptime} 1.0\nown\nstat cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\nMemTotal: 2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n\
             \x20254 0 vda 1 2 {sectors} 4 5 6 {sectors} 8 9 10 11\n 254 1 vda1 1 2 999 4 5 6 999 8 9 10 11\n 7 0 loop0 1 2 999 4 5 6 999 8 9 10 11\n\
             Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 100 40 60 40% /\n\
             Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n  lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\neth0:{bytes} 1 0 0 0 0 0 0 {bytes} 1 0 0 0 0 0 0\n"
        );
        Sample::parse(&text).unwrap()
    }

    #[test]
    fn a_kernel_of_its_own_tells_of_the_vm() {
        let before = own(100, 900, 10.0, 10, 1000);
        let now = own(150, 950, 12.0, 14, 3000);
        let figures = now.figures(Some(&before), 4, 1 << 40);
        assert_eq!(
            figures,
            Figures {
                cpu_percent: Some(50.0),
                memory_used_bytes: Some(1 << 20),
                memory_total_bytes: Some(2 << 20),
                disk_used_bytes: Some(40 << 10),
                disk_total_bytes: Some(100 << 10),
                disk_read_bytes_per_second: Some(1024),
                disk_write_bytes_per_second: Some(1024),
                net_received_bytes_per_second: Some(1000),
                net_sent_bytes_per_second: Some(1000),
            }
        );
    }

    fn shared(ticks: u64, uptime: f64) -> Sample {
        let text = format!(
            "uptime {uptime} 1\nshared\np 1 (init) S 0 1 1 0 -1 0 0 0 0 0 {ticks} 1 2 3 20 0 1 0\np 7 (a ) b\n) R 1 7 7 0 -1 0 0 0 0 0 4 0 0 0 20 0\n\
             a 100 kB\na 24 kB\nr 5\nw 6\n    lo:    50       2    0    0    0     0          0         0       60       2    0    0    0     0       0          0\n"
        );
        Sample::parse(&text).unwrap()
    }

    #[test]
    fn a_shared_kernel_tells_of_the_processes_alone() {
        let (before, now) = (shared(100, 10.0), shared(200, 12.0));
        let figures = now.figures(Some(&before), 2, 1 << 30);
        assert_eq!(figures.cpu_percent, Some(25.0));
        assert_eq!(figures.memory_used_bytes, Some(124 << 10));
        assert_eq!(figures.memory_total_bytes, Some(1 << 30));
        assert_eq!(figures.disk_used_bytes, None);
        assert_eq!(figures.disk_read_bytes_per_second, Some(0));
        assert_eq!(figures.net_sent_bytes_per_second, Some(0));
    }

    #[test]
    fn what_is_not_said_is_not_zero() {
        for text in ["", "own\n", "uptime x\nshared\n", "sh: not found\n"] {
            assert_eq!(Sample::parse(text), None, "{text:?}");
        }
        let bare = Sample::parse("uptime 5.0 1\nown\nstat cpu  1 2 3 4\n").unwrap();
        assert_eq!(bare.figures(None, 1, 1), Figures::default());
        let now = own(150, 950, 12.0, 14, 3000);
        assert_eq!(now.figures(None, 1, 1).cpu_percent, None);
        // A VM that was started again counts from the beginning.
        let earlier = own(900, 9000, 99.0, 99, 9999);
        let figures = now.figures(Some(&earlier), 1, 1);
        assert_eq!(
            (figures.cpu_percent, figures.net_sent_bytes_per_second),
            (None, None)
        );
    }

    #[test]
    fn whole_disks_count_and_their_parts_do_not() {
        for (name, counts) in [
            ("vda", true),
            ("vda1", false),
            ("nvme0n1", true),
            ("nvme0n1p2", false),
            ("mmcblk0", true),
            ("mmcblk0p1", false),
            ("loop0", false),
            ("dm-0", false),
            ("md127", false),
        ] {
            assert_eq!(is_disk(name), counts, "{name}");
        }
    }
}
