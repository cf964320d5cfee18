//! The threads that can be called for help.
//!
//! They are the kernels' own: a thread pool of the host, such as rayon's, is never kept from its work. A thread is made
//! when help is wanted and none is idle, and then kept; a call of an idle one allocates nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use super::team::Team;

/// Threads that wait for a [`Team`] to help.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    called: Condvar,
}

#[derive(Default)]
struct State {
    /// At most as many as are idle.
    calls: VecDeque<Call>,
    threads: usize,
    idle: usize,
    /// The system gave no thread: it is not asked again.
    is_refused: bool,
}

/// A place in a team, and the number of the helper who takes it.
struct Call {
    team: Arc<Team>,
    number: usize,
}

impl Pool {
    /// Has an idle thread, or a new one while there are fewer than `max_threads`, take place `number` in `team`.
    ///
    /// Returns whether one does. None is to be had while all are at work, while another thread is asking, and where the
    /// system has no more.
    pub(super) fn call(&'static self, team: &Arc<Team>, number: usize, max_threads: usize) -> bool {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let is_idle = state.calls.len() < state.idle;
        if !is_idle && !self.add_thread(&mut state, max_threads) {
            return false;
        }
        state.calls.push_back(Call { team: Arc::clone(team), number });
        drop(state);
        self.called.notify_one();
        true
    }

    fn add_thread(&'static self, state: &mut State, max_threads: usize) -> bool {
        if state.is_refused || state.threads >= max_threads {
            return false;
        }
        let name = format!("qkernels-{}", state.threads + 1);
        let added = state.calls.try_reserve(state.threads + 1).is_ok()
            && std::thread::Builder::new().name(name).spawn(|| self.work()).is_ok();
        state.threads += usize::from(added);
        // Counted by its maker, so that the call which is made for it is not one too many.
        state.idle += usize::from(added);
        state.is_refused = !added;
        added
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            let Some(Call { team, number }) = state.calls.pop_front() else {
                state = self.called.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.idle -= 1;
            drop(state);
            team.help(number);
            state = self.lock();
            // In this order, so that a leader who misses the helper finds it idle.
            state.idle += 1;
            team.let_go();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
