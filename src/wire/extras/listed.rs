//! Lists of what vendors keep: what a caller wants of them, chosen here, and the pages they come in, put together.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::read;
use crate::wire::Object;
use crate::wire::openai::stream::Broken;

/// What is asked to be on a page, and is there where nobody says; no largest page is documented:
/// <https://docs.mistral.ai/api/endpoint/files>.
const PAGE: usize = 100;

/// No more pages of one list are asked for.
const MOST: usize = 50;

/// No more is gathered of them, bytes.
const LONGEST: usize = 16 << 20;

/// What a caller wants of a list.
#[derive(Default)]
pub(super) struct Asked<'a> {
    limit: Option<usize>,
    after: Option<&'a str>,
    purpose: Option<&'a str>,
    page: Option<usize>,
}

impl<'a> Asked<'a> {
    /// As the query says it.
    pub(super) fn of(below: &'a str) -> Self {
        let mut asked = Self::default();
        for (name, value) in
            below.split_once('?').map_or("", |(_, query)| query).split('&').filter_map(|of| of.split_once('='))
        {
            match name {
                "limit" | "page_size" => asked.limit = value.parse().ok(),
                "after" => asked.after = Some(value),
                "purpose" => asked.purpose = Some(value),
                "page" => asked.page = value.parse().ok(),
                _ => {}
            }
        }
        asked
    }

    /// A list that comes in pages: the one that was asked for by its number, or what is wanted of all. `cut` says that
    /// there are more than these.
    pub(super) fn of_pages(&self, answer: Object, items: Vec<Object>, cut: bool) -> Object {
        if let Some(page) = self.page {
            let total = answer.get::<usize>("total").ok().flatten().unwrap_or(items.len());
            let before = page.saturating_mul(self.limit.unwrap_or(PAGE));
            let more = !items.is_empty() && before.saturating_add(items.len()) < total;
            return list(answer, (items, more));
        }
        if cut && !self.after.is_none_or(|after| items.iter().any(|item| text(item, "id") == after)) {
            // it is further behind than was looked: who would begin anew here would never come to an end
            return list(answer, (Vec::new(), false));
        }
        // the vendor chooses by purpose
        let (items, more) = Asked { purpose: None, ..*self }.chosen(items);
        let more = more || cut && !items.is_empty();
        list(answer, (items, more))
    }

    /// Those of all that are wanted, and whether there are more behind them.
    pub(super) fn chosen(&self, mut all: Vec<Object>) -> (Vec<Object>, bool) {
        if let Some(after) = self.after {
            let from = all.iter().position(|item| text(item, "id") == after).map_or(0, |at| at + 1);
            all.drain(..from);
        }
        if let Some(purpose) = self.purpose {
            all.retain(|item| text(item, "purpose") == purpose);
        }
        let most = self.limit.unwrap_or(all.len());
        let more = all.len() > most;
        all.truncate(most);
        (all, more)
    }
}

fn text(of: &Object, member: &str) -> String {
    of.get::<String>(member).ok().flatten().unwrap_or_default()
}

/// A list of these, with the members that such lists have at OpenAI.
pub(super) fn list(mut whole: Object, (items, more): (Vec<Object>, bool)) -> Object {
    let id = |item: Option<&Object>| item.and_then(|item| item.get::<String>("id").ok().flatten());
    whole.set("object", &"list");
    whole.set("first_id", &id(items.first()));
    whole.set("last_id", &id(items.last()));
    whole.set("has_more", &more);
    whole.set_objects("data", &items);
    whole
}

/// The pages of a list, put together as far as they are wanted: `after` is a word of OpenAI's that who gives pages by
/// their numbers does not know.
pub struct Pages {
    /// What is asked for on each page, without its number.
    query: String,
    limit: Option<usize>,
    after: Option<String>,
    asked: usize,
    bytes: usize,
    first: Option<Object>,
    items: Vec<Object>,
    known: BTreeSet<String>,
    cut: bool,
}

impl Pages {
    /// Those of what is asked for so; `None` where a page is asked for by its number.
    pub(super) fn of(below: &str) -> Option<Self> {
        let asked = Asked::of(below);
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        let named = |of: &&str| matches!(of.split('=').next(), Some("limit" | "page_size" | "after" | "page" | ""));
        let kept: String = query.split('&').filter(|of| !named(of)).map(|of| format!("{of}&")).collect();
        asked.page.is_none().then(|| Self {
            query: format!("{path}?{kept}"),
            limit: asked.limit,
            after: asked.after.map(str::to_owned),
            asked: 0,
            bytes: 0,
            first: None,
            items: Vec::new(),
            known: BTreeSet::new(),
            cut: false,
        })
    }

    /// What is asked for next, as what of the path is below the operation's.
    pub fn below(&self) -> String {
        format!("{}page={}&page_size={PAGE}", self.query, self.asked)
    }

    /// Takes the answer to that, and says whether another page is wanted. Fails on what is no list.
    pub fn push(&mut self, page: Bytes) -> Result<bool, Broken> {
        self.asked += 1;
        self.bytes += page.len();
        let answer = read(page)?;
        let items = answer.objects("data").map_err(Broken::Malformed)?;
        let told = items.len();
        let before = self.items.len();
        // what was added meanwhile has moved others to this page which were on the one before
        let is_new =
            |item: &Object| Some(text(item, "id")).filter(|id| !id.is_empty()).is_none_or(|id| self.known.insert(id));
        self.items.extend(items.into_iter().filter(is_new));
        let total = answer.get::<usize>("total").ok().flatten();
        self.first.get_or_insert(answer);
        let ends = self.items.len() == before || total.map_or(told < PAGE, |total| self.items.len() >= total);
        let wanted = !ends && !self.has_enough();
        self.cut = wanted && (self.asked == MOST || self.bytes > LONGEST);
        Ok(wanted && !self.cut)
    }

    /// Whether what is wanted is there, and something behind it.
    fn has_enough(&self) -> bool {
        let Some(limit) = self.limit else { return false };
        let from = match &self.after {
            None => 0,
            Some(after) if !self.known.contains(after) => return false,
            Some(after) => self.items.iter().position(|item| text(item, "id") == *after).map_or(0, |at| at + 1),
        };
        self.items.len() - from > limit
    }

    /// What came with the first of them, what was on all of them, and whether there are more.
    pub(super) fn end(self) -> (Object, Vec<Object>, bool) {
        (self.first.unwrap_or_default(), self.items, self.cut)
    }
}
