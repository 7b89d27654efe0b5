//! Inputs of batches that the vendor has no place for: held by this process until their batch is made, or for an hour.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::upload::Input;
use crate::wire::jobs::File;

/// For so long an input is held whose batch nobody makes.
pub const LIFE: Duration = Duration::from_secs(3600);

/// So many inputs are held at most.
const MOST: usize = 64;

/// So many bytes of them are held at most.
const MOST_BYTES: u64 = 2 << 30;

/// So many inputs are remembered, without what is in them, whose batches were made.
const MOST_MADE: usize = 1000;

/// The inputs of one target, and what became of the last ones.
#[derive(Default)]
pub struct Held {
    all: Mutex<VecDeque<Entry>>,
}

struct Entry {
    file: File,
    /// `None` once its batch is made.
    input: Option<Arc<Input>>,
    /// What its batch is called.
    batch: Option<String>,
    /// Whether its batch was asked for, and nobody knows that it was not made.
    is_asked: bool,
    since: Instant,
}

/// What became of an input.
pub enum Found {
    /// It is there.
    Input(Arc<Input>),
    /// It became this batch.
    Made(String),
    /// Its batch was asked for, and nobody knows whether it was made.
    Asked,
}

/// There is no more room.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Held {
    fn all(&self, now: Instant) -> MutexGuard<'_, VecDeque<Entry>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|entry| entry.input.is_none() || now.saturating_duration_since(entry.since) < LIFE);
        all
    }

    /// Hold an input. Fails where too many are held already.
    pub fn keep(&self, file: File, input: Input, now: Instant) -> Result<(), Full> {
        let mut all = self.all(now);
        let held = || all.iter().filter_map(|entry| entry.input.as_ref());
        let bytes: u64 = held().map(|input| input.stored.length()).sum();
        if held().count() >= MOST || bytes.saturating_add(input.stored.length()) > MOST_BYTES {
            return Err(Full);
        }
        all.push_front(Entry { file, input: Some(Arc::new(input)), batch: None, is_asked: false, since: now });
        Ok(())
    }

    /// Forget what has been held for too long.
    pub fn sweep(&self, now: Instant) {
        drop(self.all(now));
    }

    /// The input of this id, or what became of it.
    pub fn find(&self, id: &str, now: Instant) -> Option<Found> {
        let all = self.all(now);
        let entry = all.iter().find(|entry| entry.file.id == id)?;
        if entry.is_asked {
            return Some(Found::Asked);
        }
        entry.input.clone().map(Found::Input).or_else(|| entry.batch.clone().map(Found::Made))
    }

    /// The batch of an input is about to be asked for, or is known not to have been made.
    pub fn asks(&self, id: &str, is_asked: bool, now: Instant) {
        if let Some(entry) = self.all(now).iter_mut().find(|entry| entry.file.id == id) {
            entry.is_asked = is_asked;
        }
    }

    /// The batch of an input is made: what is in it is not needed any more.
    pub fn made(&self, id: &str, batch: &str, now: Instant) {
        let mut all = self.all(now);
        if let Some(entry) = all.iter_mut().find(|entry| entry.file.id == id) {
            (entry.input, entry.batch, entry.is_asked) = (None, Some(batch.to_owned()), false);
        }
        let made = all.iter().filter(|entry| entry.input.is_none()).count();
        if made > MOST_MADE
            && let Some(last) = all.iter().rposition(|entry| entry.input.is_none())
        {
            all.remove(last);
        }
    }

    /// What is known of an input.
    pub fn file(&self, id: &str, now: Instant) -> Option<File> {
        self.all(now).iter().find(|entry| entry.file.id == id).map(|entry| entry.file.clone())
    }

    /// All inputs that are known, the last one first.
    pub fn files(&self, now: Instant) -> Vec<File> {
        self.all(now).iter().map(|entry| entry.file.clone()).collect()
    }

    /// The id of the input that became this batch.
    pub fn input_of(&self, batch: &str, now: Instant) -> Option<String> {
        let all = self.all(now);
        all.iter().find(|entry| entry.batch.as_deref() == Some(batch)).map(|entry| entry.file.id.clone())
    }

    /// Forget an input; says whether it was known.
    pub fn forget(&self, id: &str, now: Instant) -> bool {
        let mut all = self.all(now);
        let before = all.len();
        all.retain(|entry| entry.file.id != id);
        all.len() < before
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::call::Stored;

    fn file(id: usize) -> File {
        File { id: id.to_string(), ..File::default() }
    }

    fn input() -> Input {
        Input { stored: Stored::Memory(Bytes::from_static(b"{}")), ..Input::default() }
    }

    #[test]
    fn an_input_is_held_until_its_batch_is_made_or_its_time_is_over() {
        let (held, now) = (Held::default(), Instant::now());
        for id in 0..MOST {
            assert_eq!(held.keep(file(id), input(), now), Ok(()));
        }
        assert_eq!(held.keep(file(MOST), input(), now), Err(Full));
        assert!(matches!(held.find("0", now), Some(Found::Input(_))));
        held.made("0", "b", now);
        assert!(matches!(held.find("0", now), Some(Found::Made(batch)) if batch == "b"));
        assert_eq!(held.input_of("b", now).as_deref(), Some("0"));
        assert_eq!(held.keep(file(MOST), input(), now), Ok(()));
        let later = now + LIFE;
        assert!(held.find("1", later).is_none() && held.file("0", later).is_some());
        assert_eq!(held.files(later).len(), 1);
        assert!(held.forget("0", later) && !held.forget("0", later));
    }

    #[test]
    fn what_was_made_is_not_remembered_for_ever() {
        let (held, now) = (Held::default(), Instant::now());
        for id in 0..MOST_MADE + 5 {
            held.keep(file(id), input(), now).expect("there is room");
            held.made(&id.to_string(), "b", now);
        }
        let files = held.files(now);
        assert_eq!((files.len(), files[0].id.as_str()), (MOST_MADE, (MOST_MADE + 4).to_string().as_str()));
    }
}
