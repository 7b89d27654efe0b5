//! Media that were fetched lately: those used least lately go first when there is no room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::wire::media::Medium;

/// How long a medium is taken to be the same.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// What an entry takes beside its bytes, about.
const ENTRY: usize = 256;

/// A bounded memory of media by their addresses.
#[derive(Default)]
pub(super) struct Shelf {
    /// The most bytes.
    most: usize,
    bytes: usize,
    /// By their addresses, each with the number of its last use.
    kept: HashMap<Arc<str>, (Kept, u64)>,
    /// By the number of their last use.
    order: BTreeMap<u64, Arc<str>>,
    uses: u64,
}

struct Kept {
    medium: Arc<Medium>,
    since: Instant,
    size: usize,
}

impl Shelf {
    /// With room for so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// What was put there not too long ago.
    pub(super) fn get(&mut self, url: &str, now: Instant) -> Option<Arc<Medium>> {
        let (kept, _) = self.kept.get(url)?;
        if now.saturating_duration_since(kept.since) >= KEPT_FOR {
            self.remove(url);
            return None;
        }
        self.uses += 1;
        let uses = self.uses;
        let (url, _) = self.kept.get_key_value(url)?;
        self.order.insert(uses, url.clone());
        let url = url.clone();
        let (kept, last) = self.kept.get_mut(&url)?;
        self.order.remove(&std::mem::replace(last, uses));
        Some(kept.medium.clone())
    }

    /// Keep a medium, if there can be room for it.
    pub(super) fn put(&mut self, url: Arc<str>, medium: Arc<Medium>, now: Instant) {
        let size = medium.base64.len() + url.len() + ENTRY;
        self.remove(&url);
        if size > self.most {
            return;
        }
        while self.bytes + size > self.most {
            let Some(oldest) = self.order.first_key_value().map(|(_, url)| url.clone()) else { return };
            self.remove(&oldest);
        }
        self.uses += 1;
        self.bytes += size;
        self.order.insert(self.uses, url.clone());
        self.kept.insert(url, (Kept { medium, since: now, size }, self.uses));
    }

    fn remove(&mut self, url: &str) {
        if let Some((kept, last)) = self.kept.remove(url) {
            self.order.remove(&last);
            self.bytes -= kept.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_least_lately_makes_room() {
        let now = Instant::now();
        let medium = |size: usize| Arc::new(Medium { media: "image/png", base64: "A".repeat(size) });
        let mut shelf = Shelf::new(2 * (1000 + ENTRY + 1));
        let has = |shelf: &mut Shelf, url: &str, now| shelf.get(url, now).is_some();
        shelf.put("a".into(), medium(1000), now);
        shelf.put("b".into(), medium(1000), now);
        assert!(has(&mut shelf, "a", now));
        shelf.put("c".into(), medium(1000), now);
        assert_eq!(
            [has(&mut shelf, "a", now), has(&mut shelf, "b", now), has(&mut shelf, "c", now)],
            [true, false, true]
        );
        // what can have no room takes none from others
        shelf.put("d".into(), medium(5000), now);
        assert_eq!([has(&mut shelf, "a", now), has(&mut shelf, "d", now)], [true, false]);
        // the same again takes the place of the old
        shelf.put("a".into(), medium(900), now);
        assert_eq!(shelf.kept.len(), shelf.order.len());
        assert_eq!(shelf.bytes, 1900 + 2 * (ENTRY + 1));
        let later = now + KEPT_FOR;
        assert_eq!([has(&mut shelf, "a", later), has(&mut shelf, "c", later)], [false, false]);
        assert_eq!((shelf.bytes, shelf.order.len()), (0, 0));
        let mut none = Shelf::new(0);
        none.put("a".into(), medium(1), now);
        assert!(!has(&mut none, "a", now));
    }
}
