//! The threads that help a thread with its kernels.
//!
//! Waking a sleeping thread takes longer than a small layer does. So a helper that has come stays for a while after
//! each job and watches for the next one, which it then joins within a microsecond. Helpers are borrowed from rayon's
//! pool and go back to it when nothing comes; nobody waits for one that has not come.

use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a helper stays when nothing is to be done: longer than a layer that needs no help, and than what lies
/// between two calls of a model in a loop.
const PATIENCE: Duration = Duration::from_micros(200);

/// So often a waiting thread looks before it lets others have its core.
const LOOKS: usize = 1 << 10;

thread_local! {
    static TEAM: Arc<Team> = Arc::default();
    static LEADS: Cell<bool> = const { Cell::new(false) };
}

/// Calls `job` on this thread and at the same time on up to `helpers` others, and returns when all calls have.
///
/// There may be fewer calls, so each has to do whatever it finds left. Threads have numbers: this one is 0, and a
/// helper has the same one as long as it stays.
///
/// # Panics
/// If one of the calls does.
pub(super) fn work_together(helpers: usize, job: &(dyn Fn(usize) + Sync)) {
    if LEADS.replace(true) {
        // A job within a job: the helpers have work already.
        return job(0);
    }
    let _end = OnDrop(|| LEADS.set(false));
    TEAM.with(|team| {
        call_helpers(team, helpers);
        team.lead(helpers, job);
    });
}

/// Calls the helpers that are missing, of those that the pool may have.
fn call_helpers(team: &Arc<Team>, helpers: usize) {
    let leader_is_in_pool = rayon::current_thread_index().is_some();
    let helpers = helpers.min(rayon::current_num_threads() - usize::from(leader_is_in_pool));
    while team.called.load(Ordering::Relaxed) < helpers {
        let number = team.called.fetch_add(1, Ordering::Relaxed) + 1;
        let team = Arc::clone(team);
        rayon::spawn(move || {
            // The leader finds the call in its own queue if nobody has come.
            if !TEAM.with(|own| Arc::ptr_eq(own, &team)) {
                team.help(number);
            }
            team.called.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// A leader's helpers, and the job that they may join.
#[derive(Default)]
struct Team {
    state: AtomicU64,
    /// Written by the leader while nobody works on it.
    job: UnsafeCell<Option<Job>>,
    /// Helpers that were called and have not gone.
    called: AtomicUsize,
    helper_panicked: AtomicBool,
}

type Job = *const (dyn Fn(usize) + Sync);

// SAFETY: any thread may call a job. The leader sets the field while no helper is counted in `state`; helpers read it
// while they are.
unsafe impl Send for Team {}
// SAFETY: as above.
unsafe impl Sync for Team {}

/// What [`Team::state`] holds: the number of a job, how many more helpers may join it, and how many work on it.
#[derive(Clone, Copy)]
struct State(u64);

impl State {
    const HELPER: u64 = 1;
    const SEAT: u64 = 1 << 16;
    const SEATS: u64 = 0xffff << 16;
    const JOB: u64 = 1 << 32;

    fn job(self) -> u64 {
        self.0 / Self::JOB
    }

    fn has_seat(self) -> bool {
        self.0 & Self::SEATS != 0
    }

    fn helpers(self) -> u64 {
        self.0 % Self::SEAT
    }
}

impl Team {
    /// To be called by the thread whose team this is, and by no job of it.
    fn lead(&self, helpers: usize, job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes, and helpers call the job only until `end` is dropped.
        let job_of_helpers =
            unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(job) };
        // SAFETY: the last job ended when no helper was left, and nobody joins before the next one has seats.
        unsafe { *self.job.get() = Some(job_of_helpers) };
        let seats = (helpers as u64).min(State::SEATS / State::SEAT);
        let number = self.state().job().wrapping_add(1);
        self.state.store(number.wrapping_mul(State::JOB) + seats * State::SEAT, Ordering::Release);
        let end = OnDrop(|| {
            self.state.fetch_and(!State::SEATS, Ordering::Relaxed);
            wait_until(|| self.state().helpers() == 0);
        });
        job(0);
        drop(end);
        assert!(!self.helper_panicked.swap(false, Ordering::Relaxed), "a kernel panicked on another thread");
    }

    /// Works on each job that comes.
    fn help(&self, number: usize) {
        let mut last = None;
        while let Some(joined) = self.join(last) {
            last = Some(joined);
            // SAFETY: this helper is counted, so the field is set, not written, and what it borrows is alive.
            let job = unsafe { (*self.job.get()).map(|job| &*job) };
            if catch_unwind(AssertUnwindSafe(|| job.map(|job| job(number)))).is_err() {
                self.helper_panicked.store(true, Ordering::Relaxed);
            }
            self.state.fetch_sub(State::HELPER, Ordering::Release);
        }
    }

    /// Joins a job that is not the last one, and returns its number, unless none comes for a while.
    fn join(&self, last: Option<u64>) -> Option<u64> {
        let arrival = Instant::now();
        let mut joined = None;
        wait_until(|| {
            let state = self.state();
            if state.has_seat() && Some(state.job()) != last {
                let next = state.0 - State::SEAT + State::HELPER;
                let joins = self.state.compare_exchange(state.0, next, Ordering::Acquire, Ordering::Relaxed);
                joined = joins.is_ok().then_some(state.job());
            }
            joined.is_some() || arrival.elapsed() > PATIENCE
        });
        joined
    }

    fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    for look in 0_usize.. {
        if is_so() {
            break;
        }
        if look < LOOKS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// Calls a function at the end of a scope, also if that panics.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds up numbers with up to two helpers.
    fn sum_up(count: usize) -> usize {
        let [next, sum] = [(); 2].map(|()| AtomicUsize::new(0));
        work_together(2, &|_| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    break;
                }
                sum.fetch_add(index, Ordering::Relaxed);
            }
        });
        sum.into_inner()
    }

    #[test]
    fn all_is_done_once_when_the_job_ends() {
        for count in 0..2000 {
            assert_eq!(sum_up(count), count * count.saturating_sub(1) / 2);
        }
    }

    #[test]
    fn helpers_that_have_gone_come_again() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| {
            let here = AtomicUsize::new(0);
            let meet = |_| {
                here.fetch_add(1, Ordering::Relaxed);
                wait_until(|| here.load(Ordering::Relaxed) == 3);
            };
            work_together(2, &meet);
            TEAM.with(|team| wait_until(|| team.called.load(Ordering::Relaxed) == 0));
            here.store(0, Ordering::Relaxed);
            work_together(2, &meet);
        });
    }

    #[test]
    fn many_leaders_share_a_pool() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.scope(|scope| {
            for count in 0..50 {
                scope.spawn(move |_| assert_eq!(sum_up(count), count * count.saturating_sub(1) / 2));
            }
        });
    }

    #[test]
    fn a_job_may_have_a_job() {
        let calls = AtomicUsize::new(0);
        work_together(1, &|_| {
            assert_eq!(sum_up(5), 10);
            calls.fetch_add(1, Ordering::Relaxed);
        });
        assert!((1..=2).contains(&calls.into_inner()));
    }

    #[test]
    fn a_panic_of_any_call_is_one_of_the_leader() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            let leader = std::thread::current().id();
            for leader_panics in [true, false] {
                let calls = AtomicUsize::new(0);
                let job = |_| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    wait_until(|| calls.load(Ordering::Relaxed) == 2);
                    assert_ne!(std::thread::current().id() == leader, leader_panics);
                };
                assert!(catch_unwind(AssertUnwindSafe(|| work_together(1, &job))).is_err());
                assert_eq!(sum_up(10), 45);
            }
        });
    }
}
