//! Which worker thread we are on: the index that picks a thread's own pools and buffers.

use std::cell::Cell;

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(0) };
}

/// Names the current thread as worker `index`. The server calls it once when the thread starts.
pub fn enter(index: usize) {
    WORKER.set(index);
}

/// The index of the worker thread we are on; 0 on threads that are not workers.
pub fn worker() -> usize {
    WORKER.get()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_thread_keeps_its_own_index() {
        super::enter(3);
        let outside = std::thread::spawn(super::worker).join().unwrap_or(usize::MAX);
        assert_eq!((super::worker(), outside), (3, 0));
    }
}
