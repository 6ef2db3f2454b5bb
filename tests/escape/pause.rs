//! Processes that do not want to stop when their machine is stopped.

use crate::counters::{self, Counters};
use fastvm_sandbox::LimitsSupport;

use crate::lab::Lab;

/// Stops a machine in which a counter of this kind runs; see [`counters::attack`].
fn assert_stops(kind: &str) {
    let lab = Lab::new();
    let guest = lab.boot_as(counters::spec(&lab));
    let counters = Counters::start(&guest.machine, &guest.spec, &[kind]);
    for _ in 0..3 {
        counters.assert_stop_and_go_on(&guest.machine, kind);
    }
}

#[test]
fn a_process_stops() {
    assert_stops("plain");
}

#[test]
fn a_thread_stops() {
    assert_stops("thread");
}

#[test]
fn a_process_that_is_told_to_go_on_by_a_timer_stops() {
    // Without a control group there are only signals, and a timer sends the one that lets a process go on.
    if Lab::new().host.limits() != LimitsSupport::ProcessLimits {
        assert_stops("timer");
    }
}

#[test]
fn a_process_that_is_told_to_go_on_by_its_child_stops() {
    assert_stops("child");
}

#[test]
fn processes_that_follow_one_another_stop() {
    assert_stops("forks");
}

#[test]
fn programs_that_replace_themselves_again_and_again_stop() {
    assert_stops("execs");
}

#[test]
fn a_process_whose_parent_waits_for_it_in_the_kernel_stops() {
    assert_stops("vfork");
}

#[test]
fn a_process_whose_tracer_suppresses_signals_stops() {
    assert_stops("traced");
}

#[test]
fn a_process_in_a_process_namespace_of_its_own_stops() {
    assert_stops("nested");
}
