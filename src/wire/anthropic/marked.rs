//! Blocks as they are written, and where in them prompts are to be cached.

use std::ops::Range;

use super::json;

/// The most cache markers a request may have.
pub(super) const MOST: usize = 4;

/// Bytes, and the members among them that are cache markers, in order.
#[derive(Default)]
pub(super) struct Marked {
    pub(super) out: Vec<u8>,
    marks: Vec<Range<usize>>,
}

impl Marked {
    /// Write a cache marker as a further member of the object that is being written.
    pub(super) fn mark(&mut self, marker: &[u8]) {
        let from = self.out.len();
        json::put(&mut self.out, "cache_control", marker);
        self.marks.push(from..self.out.len());
    }

    /// Write a cache marker into the object that was written last, if it has none.
    pub(super) fn mark_last(&mut self, marker: &[u8]) {
        let marked = self.marks.last().is_some_and(|mark| mark.end + 1 == self.out.len());
        if !marked && self.out.last() == Some(&b'}') {
            self.out.pop();
            self.mark(marker);
            self.out.push(b'}');
        }
    }

    /// How many markers there are.
    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }

    /// Forget what was written behind this place.
    pub(super) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
        self.marks.retain(|mark| mark.end <= len);
    }

    /// Move the element that was written from `from` on to `to`, before the elements that are written there. Returns
    /// where it ends.
    pub(super) fn move_back(&mut self, from: usize, to: usize) -> usize {
        let mut comma = 0;
        if self.out[to - 1] == b'[' {
            // it becomes the first: its comma goes behind it
            self.out[from..].rotate_left(1);
            comma = 1;
        }
        self.out[to..].rotate_left(from - to);
        let length = self.out.len() - from;
        for mark in self.marks.iter_mut().filter(|mark| mark.start >= to) {
            let shift = |at: usize| at - from + to - comma;
            *mark = if mark.start >= from {
                shift(mark.start)..shift(mark.end)
            } else {
                mark.start + length..mark.end + length
            };
        }
        self.marks.sort_by_key(|mark| mark.start);
        to + length - comma
    }

    /// Append the bytes, without their first so many markers.
    pub(super) fn append(&self, out: &mut Vec<u8>, without: usize) {
        let mut from = 0;
        for mark in &self.marks[..without.min(self.marks.len())] {
            out.extend_from_slice(&self.out[from..mark.start]);
            from = mark.end;
        }
        out.extend_from_slice(&self.out[from..]);
    }
}
