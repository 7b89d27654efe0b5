//! How many calls a target is asked at a time, and who waits for their turn: `targets[].concurrency`.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

/// The bounds of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Calls at a time.
    pub most: usize,
    /// Calls that may wait for their turn; 0: nobody waits.
    pub queue: usize,
    /// The longest that one of them waits.
    pub wait: Option<Duration>,
}

/// The slots of one target. Whoever waits is served in the order of arrival.
#[derive(Debug)]
pub struct Slots {
    terms: Terms,
    free: Arc<Semaphore>,
    most: usize,
    waiting: AtomicUsize,
}

/// A call's place at a target; free again when it is dropped.
#[derive(Debug)]
#[must_use = "a slot is free again when it is dropped"]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// Why there was no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saturated {
    /// As many wait already as may.
    Full,
    /// The time to wait was over.
    Late,
}

impl Slots {
    /// As many free slots as the terms say.
    pub fn new(terms: Terms) -> Arc<Self> {
        let most = terms.most.min(Semaphore::MAX_PERMITS);
        Arc::new(Self { terms, free: Arc::new(Semaphore::new(most)), most, waiting: AtomicUsize::new(0) })
    }

    /// What it was made with.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// A slot if one is free and nobody waits for it.
    pub fn try_take(self: &Arc<Self>) -> Option<Slot> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Slot { _permit: permit })
    }

    /// A slot now or after waiting, until `before` or as long as the terms say, whichever is earlier. Whoever drops
    /// the future has left the queue.
    pub async fn take(self: &Arc<Self>, before: Option<Instant>) -> Result<Slot, Saturated> {
        if let Some(slot) = self.try_take() {
            return Ok(slot);
        }
        let place = self.queue_up().ok_or(Saturated::Full)?;
        let patience = self.terms.wait.and_then(|wait| Instant::now().checked_add(wait));
        let until = [before, patience].into_iter().flatten().min();
        let turn = self.free.clone().acquire_owned();
        let turn = match until {
            Some(until) => timeout_at(until.into(), turn).await.map_err(|_| Saturated::Late)?,
            None => turn.await,
        };
        drop(place);
        let permit = turn.expect("the semaphore is never closed");
        Ok(Slot { _permit: permit })
    }

    /// Slots taken.
    pub fn in_use(&self) -> usize {
        self.most - self.free.available_permits()
    }

    /// Calls that wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    fn queue_up(&self) -> Option<Place<'_>> {
        let room = |waiting: usize| (waiting < self.terms.queue).then_some(waiting + 1);
        self.waiting.fetch_update(AcqRel, Acquire, room).ok()?;
        Some(Place(self))
    }
}

/// A place in the queue.
struct Place<'a>(&'a Slots);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn slots(most: usize, queue: usize) -> Arc<Slots> {
        Slots::new(Terms { most, queue, wait: None })
    }

    /// Poll once.
    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped() {
        let slots = slots(2, 0);
        let (one, other) = (slots.try_take(), slots.try_take());
        assert!(one.is_some() && other.is_some() && slots.try_take().is_none());
        assert_eq!(slots.in_use(), 2);
        drop(one);
        assert_eq!(slots.in_use(), 1);
        assert!(slots.try_take().is_some());
    }

    #[test]
    fn whoever_waits_is_served_in_the_order_of_arrival_and_nobody_overtakes() {
        let slots = slots(1, 2);
        let held = slots.try_take().expect("it is free");
        let (mut first, mut second) = (pin!(slots.take(None)), pin!(slots.take(None)));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        assert_eq!(slots.waiting(), 2);
        assert!(matches!(poll(pin!(slots.take(None))), Poll::Ready(Err(Saturated::Full))));
        drop(held);
        assert!(slots.try_take().is_none(), "the free one is promised");
        assert!(poll(second.as_mut()).is_pending());
        let Poll::Ready(Ok(slot)) = poll(first.as_mut()) else { panic!("it is the first one's turn") };
        assert_eq!(slots.waiting(), 1);
        drop(slot);
        assert!(matches!(poll(second.as_mut()), Poll::Ready(Ok(_))));
        assert_eq!((slots.in_use(), slots.waiting()), (0, 0));
    }

    #[test]
    fn whoever_leaves_the_queue_makes_room_in_it() {
        let slots = slots(1, 1);
        let held = slots.try_take();
        {
            let mut gone = Box::pin(slots.take(None));
            assert!(poll(gone.as_mut()).is_pending());
            // it leaves just when its turn has come
            drop(held);
        }
        assert_eq!((slots.in_use(), slots.waiting()), (0, 0));
        assert!(slots.try_take().is_some());
    }

    #[test]
    fn a_queue_of_nobody_refuses_at_once() {
        let slots = slots(1, 0);
        let _held = slots.try_take();
        assert!(matches!(poll(pin!(slots.take(None))), Poll::Ready(Err(Saturated::Full))));
    }

    #[tokio::test]
    async fn the_earlier_of_deadline_and_longest_wait_ends_the_waiting() {
        let (far, past) = (Duration::from_secs(3_600), Instant::now());
        let check = async |wait: Option<Duration>, before: Option<Instant>| {
            let slots = Slots::new(Terms { most: 1, queue: 1, wait });
            let _held = slots.try_take();
            assert_eq!(slots.take(before).await.err(), Some(Saturated::Late), "{wait:?} {before:?}");
            assert_eq!(slots.waiting(), 0);
        };
        check(Some(far), Some(past)).await;
        check(Some(Duration::ZERO), Some(past + far)).await;
        check(Some(Duration::from_millis(20)), None).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn under_many_tasks_the_bounds_are_exact() {
        const MOST: usize = 3;
        const QUEUE: usize = 5;
        let slots = slots(MOST, QUEUE);
        let inside = Arc::new(AtomicUsize::new(0));
        let worker = |slots: Arc<Slots>, inside: Arc<AtomicUsize>| async move {
            let (mut served, mut refused) = (0, 0);
            for _ in 0..500 {
                match slots.take(None).await {
                    Ok(slot) => {
                        assert!(inside.fetch_add(1, AcqRel) < MOST, "one call too many");
                        assert!(slots.waiting() <= QUEUE, "one waits too many");
                        tokio::task::yield_now().await;
                        inside.fetch_sub(1, AcqRel);
                        drop(slot);
                        served += 1;
                    }
                    Err(why) => {
                        assert_eq!(why, Saturated::Full);
                        refused += 1;
                        tokio::task::yield_now().await;
                    }
                }
            }
            (served, refused)
        };
        let tasks: Vec<_> = (0..16).map(|_| tokio::spawn(worker(slots.clone(), inside.clone()))).collect();
        let (mut served, mut refused) = (0, 0);
        for task in tasks {
            let (yes, no) = task.await.expect("no bound is broken");
            (served, refused) = (served + yes, refused + no);
        }
        assert_eq!((served + refused, slots.in_use(), slots.waiting()), (16 * 500, 0, 0));
        assert!(served > 0 && refused > 0, "{served} {refused}");
    }
}
