//! The threads that help a thread with its kernels.
//!
//! Waking a sleeping thread takes longer than a small layer does. So a helper that has come stays for a while after
//! each job and watches for the next one, which it then joins within a microsecond. When nothing comes it goes back to
//! its pool; nobody waits for one that has not come.

use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::pool::Pool;

/// How long a helper stays when nothing is to be done: longer than a layer that needs no help, and than what lies
/// between two calls of a model in a loop.
const PATIENCE: Duration = Duration::from_micros(200);

/// How much longer a helper may have waited than worked: what waiting costs is bounded by the help that it gave.
const ADVANCE: Duration = Duration::from_micros(50);

/// So often a waiting thread looks before it lets others have its core.
const LOOKS: usize = 1 << 10;

static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

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
    work_together_with(&POOL, helpers, job);
}

fn work_together_with(pool: &'static Pool, helpers: usize, job: &(dyn Fn(usize) + Sync)) {
    if LEADS.replace(true) {
        // A job within a job: the helpers have work already.
        return job(0);
    }
    let _end = OnDrop(|| LEADS.set(false));
    TEAM.with(|team| {
        call_helpers(team, pool, helpers);
        team.lead(helpers, job);
    });
}

/// Calls the helpers that are missing, as far as the pool has them.
fn call_helpers(team: &Arc<Team>, pool: &'static Pool, helpers: usize) {
    while team.called.load(Ordering::Relaxed) < helpers {
        let number = team.called.fetch_add(1, Ordering::Relaxed) + 1;
        if !pool.call(team, number, helpers) {
            team.let_go();
            break;
        }
    }
}

/// A leader's helpers, and the job that they may join.
#[derive(Default)]
pub(super) struct Team {
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
        // Of a job whose leader panicked too.
        self.helper_panicked.store(false, Ordering::Relaxed);
        let seats = (helpers as u64).min(State::SEATS / State::SEAT);
        let number = self.state().job().wrapping_add(1);
        self.state.store(number.wrapping_mul(State::JOB) + seats * State::SEAT, Ordering::Release);
        let end = OnDrop(|| {
            self.state.fetch_and(!State::SEATS, Ordering::Relaxed);
            wait_until(|| self.state().helpers() == 0);
        });
        job(0);
        drop(end);
        assert!(!self.helper_panicked.load(Ordering::Relaxed), "a kernel panicked on another thread");
    }

    /// Works on each job that comes, as helper `number`, until none has come for a while.
    pub(super) fn help(&self, number: usize) {
        let mut last = None;
        let mut credit = ADVANCE;
        let mut free = Instant::now();
        while let Some(joined) = self.join(last, free, credit.min(PATIENCE)) {
            last = Some(joined);
            let start = Instant::now();
            // SAFETY: this helper is counted, so the field is set, not written, and what it borrows is alive.
            let job = unsafe { (*self.job.get()).map(|job| &*job) };
            if catch_unwind(AssertUnwindSafe(|| job.map(|job| job(number)))).is_err() {
                self.helper_panicked.store(true, Ordering::Relaxed);
            }
            self.state.fetch_sub(State::HELPER, Ordering::Release);
            let end = Instant::now();
            credit = credit.saturating_sub(start - free) + (end - start);
            free = end;
        }
    }

    /// One helper that was called is no longer there.
    pub(super) fn let_go(&self) {
        self.called.fetch_sub(1, Ordering::Relaxed);
    }

    /// Joins a job that is not the last one, and returns its number, unless none comes within `patience` of `arrival`.
    fn join(&self, last: Option<u64>, arrival: Instant, patience: Duration) -> Option<u64> {
        let mut joined = None;
        wait_until(|| {
            let state = self.state();
            if state.has_seat() && Some(state.job()) != last {
                let next = state.0 - State::SEAT + State::HELPER;
                let joins = self.state.compare_exchange(state.0, next, Ordering::Acquire, Ordering::Relaxed);
                joined = joins.is_ok().then_some(state.job());
            }
            joined.is_some() || arrival.elapsed() > patience
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

    /// Runs `job` with `helpers` until all of them have come in the same call, and returns what that call did.
    fn meet(pool: &'static Pool, helpers: usize, job: impl Fn(usize) + Sync) -> std::thread::Result<()> {
        loop {
            let here = AtomicUsize::new(0);
            let all_came = AtomicBool::new(false);
            let result = catch_unwind(AssertUnwindSafe(|| {
                work_together_with(pool, helpers, &|thread| {
                    here.fetch_add(1, Ordering::Relaxed);
                    let arrival = Instant::now();
                    wait_until(|| {
                        let all = here.load(Ordering::Relaxed) == helpers + 1;
                        all_came.fetch_or(all, Ordering::Relaxed);
                        all || arrival.elapsed() > Duration::from_millis(5)
                    });
                    if all_came.load(Ordering::Relaxed) {
                        job(thread);
                    }
                });
            }));
            if all_came.into_inner() {
                return result;
            }
        }
    }

    #[test]
    fn helpers_that_have_gone_come_again() {
        let pool = Box::leak(Box::default());
        for _ in 0..3 {
            meet(pool, 2, |_| {}).unwrap();
            TEAM.with(|team| wait_until(|| team.called.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn many_leaders_share_a_pool() {
        std::thread::scope(|scope| {
            for count in 0..50 {
                scope.spawn(move || assert_eq!(sum_up(count), count * count.saturating_sub(1) / 2));
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
        let pool = Box::leak(Box::default());
        let panics = |who: fn(usize) -> bool| meet(pool, 1, |thread| assert!(!who(thread))).is_err();
        // Whoever panicked, the next job is not concerned.
        for who in [|thread| thread == 0, |thread| thread == 1, |_| true] {
            assert!(panics(who));
            assert!(!panics(|_| false));
        }
    }

    #[test]
    fn a_pool_has_no_more_threads_than_are_wanted() {
        let pool: &'static Pool = Box::leak(Box::default());
        let numbers = std::sync::Mutex::new(std::collections::HashSet::new());
        let note = |_| {
            let thread = std::thread::current();
            numbers.lock().unwrap().insert(thread.name().unwrap_or_default().to_owned());
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..200).for_each(|_| work_together_with(pool, 2, &note)));
            }
        });
        let numbers = numbers.into_inner().unwrap();
        assert!(numbers.iter().filter(|name| name.starts_with("qkernels-")).count() <= 2, "{numbers:?}");
    }
}
