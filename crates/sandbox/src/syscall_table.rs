//! The system calls of this computer by number: which ones programs in a machine may make, and which ones fail how.
//!
//! What is left out follows the default profiles of moby and podman. Root of a machine has more than root of their containers: it mounts,
//! makes namespaces and runs containers of its own, all of which the kernel confines to the user namespace of the machine.

use std::ops::RangeInclusive;

/// The last call that was looked through (Linux 6.17). The kernel numbers all later ones alike on every architecture.
const NEWEST_CALL: i32 = 469;

/// One way of calling the kernel: the one of the architecture, or the 32-bit one beside it.
pub(super) struct Abi {
    /// How `seccomp_data` names it.
    pub(super) audit_arch: u32,
    is_known: fn(usize) -> bool,
    /// Calls of the architecture alone, far above all others.
    private: Option<RangeInclusive<i32>>,
    /// Calls that need rights over the whole computer. The kernel refuses most of them anyway; it need not even look at them.
    privileged: &'static [&'static [i32]],
    /// Calls that fail as on a kernel without them, which is what programs expect: newer ones with a fallback, and forgotten ones.
    /// The oldest are not listed: no kernel that machines run on has them.
    absent: &'static [&'static [i32]],
    pub(super) socket: i32,
    pub(super) socketpair: i32,
    pub(super) setsockopt: i32,
    pub(super) getsockopt: i32,
    pub(super) personality: i32,
    /// Calls that change what a process may use, with the place of its number among their arguments.
    pub(super) of_process: [(i32, u8); 5],
    pub(super) setpriority: i32,
    pub(super) ioprio_set: i32,
    /// Calls that give a file away, with the place of the user among their arguments. The group comes next.
    pub(super) chown: &'static [(i32, u8)],
    /// The same with 16-bit users.
    pub(super) chown_16: &'static [(i32, u8)],
}

impl Abi {
    /// Calls in order, each with its error whatever its arguments, or `None` if it goes ahead. One that is not listed
    /// fares like the one before it.
    pub(super) fn calls(&self) -> impl Iterator<Item = (i32, Option<i32>)> {
        let mut errors: Vec<_> = (0..=NEWEST_CALL)
            .map(
                |call| match usize::try_from(call).is_ok_and(self.is_known) {
                    true => None,
                    false => Some(libc::ENOSYS),
                },
            )
            .collect();
        for (lists, error) in [(self.privileged, libc::EPERM), (self.absent, libc::ENOSYS)] {
            for call in lists.iter().copied().flatten() {
                let place = usize::try_from(*call).ok();
                if let Some(place) = place.and_then(|place| errors.get_mut(place)) {
                    *place = Some(error);
                }
            }
        }
        let mut later = vec![(NEWEST_CALL + 1, Some(libc::ENOSYS))];
        if let Some(private) = &self.private {
            later.push((*private.start(), None));
            later.push((*private.end() + 1, Some(libc::ENOSYS)));
        }
        (0..).zip(errors).chain(later)
    }
}

macro_rules! numbers {
    ($table:ident: $($call:ident)*) => { &[$(syscalls::$table::Sysno::$call.id()),*] };
}

macro_rules! abi {
    (
        $table:ident, $audit_arch:expr, private: $private:expr,
        privileged: $($privileged:ident)*, absent: $($absent:ident)*, chown: $($chown:ident)*, chown_16: $($chown_16:ident)*
    ) => {
        Abi {
            audit_arch: $audit_arch,
            is_known: |call| syscalls::$table::Sysno::new(call).is_some(),
            private: $private,
            privileged: &[
                numbers!($table: acct bpf clock_settime delete_module fanotify_init finit_module init_module
                    kexec_load lsm_set_self_attr migrate_pages move_pages open_by_handle_at perf_event_open quotactl
                    quotactl_fd reboot settimeofday swapoff swapon syslog),
                numbers!($table: $($privileged)*),
            ],
            absent: &[
                // Kernel keys have no namespace: those of whoever started the engine could be read inside.
                numbers!($table: add_key keyctl request_key),
                // What is asked for by `io_setup` is counted for the whole computer.
                numbers!($table: io_setup io_uring_enter io_uring_register io_uring_setup lookup_dcookie userfaultfd),
                numbers!($table: $($absent)*),
            ],
            socket: syscalls::$table::Sysno::socket.id(),
            socketpair: syscalls::$table::Sysno::socketpair.id(),
            setsockopt: syscalls::$table::Sysno::setsockopt.id(),
            getsockopt: syscalls::$table::Sysno::getsockopt.id(),
            personality: syscalls::$table::Sysno::personality.id(),
            of_process: [
                (syscalls::$table::Sysno::prlimit64.id(), 0),
                (syscalls::$table::Sysno::sched_setaffinity.id(), 0),
                (syscalls::$table::Sysno::sched_setattr.id(), 0),
                (syscalls::$table::Sysno::sched_setparam.id(), 0),
                (syscalls::$table::Sysno::sched_setscheduler.id(), 0),
            ],
            setpriority: syscalls::$table::Sysno::setpriority.id(),
            ioprio_set: syscalls::$table::Sysno::ioprio_set.id(),
            chown: &[
                (syscalls::$table::Sysno::fchownat.id(), 2),
                $((syscalls::$table::Sysno::$chown.id(), 1)),*
            ],
            chown_16: &[$((syscalls::$table::Sysno::$chown_16.id(), 1)),*],
        }
    };
}

/// `socketcall` has its arguments in memory, where no filter sees them. 32-bit programs of libraries that know no other call for it have
/// no sockets.
#[cfg(target_arch = "x86_64")]
pub(super) const ABIS: [Abi; 2] = [
    // The x32 calls have numbers far above these.
    abi!(
        x86_64, 0xc000_003e, private: None,
        privileged: ioperm iopl kexec_file_load,
        absent: sysfs uselib ustat,
        chown: chown fchown lchown, chown_16:
    ),
    abi!(
        x86, 0x4000_0003, private: None,
        privileged: clock_settime64 ioperm iopl stime,
        absent: socketcall sysfs uselib ustat vm86 vm86old,
        chown: chown32 fchown32 lchown32, chown_16: chown fchown lchown
    ),
];

#[cfg(target_arch = "aarch64")]
pub(super) const ABIS: [Abi; 2] = [
    abi!(aarch64, 0xc000_00b7, private: None, privileged: kexec_file_load, absent: , chown: fchown, chown_16: ),
    abi!(
        arm, 0x4000_0028, private: Some(0x000f_0001..=0x000f_0006), // breakpoint to get_tls
        privileged: clock_settime64 kexec_file_load pciconfig_iobase pciconfig_read pciconfig_write,
        absent: sysfs uselib ustat,
        chown: chown32 fchown32 lchown32, chown_16: chown fchown lchown
    ),
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "the system calls of this architecture are unknown: add them to src/local/sandbox/syscall_table.rs"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_numbers_of_this_computer() {
        let native = &ABIS[0];
        for (ours, number) in [
            (native.socket, libc::SYS_socket),
            (native.setsockopt, libc::SYS_setsockopt),
            (native.personality, libc::SYS_personality),
            (native.chown[0].0, libc::SYS_fchownat),
        ] {
            assert_eq!(i64::from(ours), number);
        }
        let calls: Vec<_> = native.calls().collect();
        let error_of = |number: libc::c_long| {
            let found = calls.iter().find(|(call, _)| i64::from(*call) == number);
            found.map(|(_, error)| *error)
        };
        assert_eq!(error_of(libc::SYS_bpf), Some(Some(libc::EPERM)));
        assert_eq!(error_of(libc::SYS_io_uring_setup), Some(Some(libc::ENOSYS)));
        for allowed in [libc::SYS_read, libc::SYS_clone3, libc::SYS_mseal] {
            assert_eq!(error_of(allowed), Some(None));
        }
    }

    #[test]
    fn later_calls_look_absent() {
        for abi in ABIS {
            let mut calls: Vec<_> = abi.calls().collect();
            assert!(calls.is_sorted_by(|one, next| one.0 < next.0));
            assert!(calls.contains(&(NEWEST_CALL, None)));
            assert_eq!(
                calls.pop().map(|(_, error)| error),
                Some(Some(libc::ENOSYS))
            );
        }
    }
}
