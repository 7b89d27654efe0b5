//! The words in which a row says where its list of models is found.

use serde_json::Value;

use super::settings::Settings;
use super::spec::Place;
use crate::config::Invalid;

/// Where a list of models is found.
#[derive(Clone, Copy, Debug)]
pub enum Discover {
    /// Nowhere; these are known.
    Known(&'static [&'static str]),
    /// At this path below the root: `data[].id`, or a bare array of objects with an `id`.
    List(&'static str),
    /// In all of these: what one of them does not tell, the others still do.
    Lists(&'static [Listing]),
    /// The same, but asked elsewhere than at the root.
    By(AskAt, &'static [Listing]),
}

/// Where lists are asked for that are not at the root. Fails on settings that name no such place.
pub type AskAt = fn(&Place, &Settings) -> Result<Desk, Invalid>;

/// Where lists are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desk {
    /// Scheme, authority and path, without a trailing slash.
    pub base: String,
    /// A header with which these requests are sent again if they are refused (403) without it.
    pub header: Option<(&'static str, String)>,
}

/// One list of models.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Its path below the root, or with `//` below the root's host; `{setting}` is filled in.
    pub path: &'static str,
    /// The member with the items; an answer that is a bare array has none.
    pub member: &'static str,
    /// What an item is called.
    pub name: Name,
    /// How it goes on.
    pub pages: Pages,
}

/// What an item of a list is called.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    /// As this member says, or several, as `owner/name`.
    Of(&'static str),
    /// By all of these names, or none if it can't be asked.
    By(fn(&Value, &Settings) -> Vec<String>),
}

/// How a list goes on after its first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// It does not.
    One,
    /// This member of a page is sent as this parameter of the query to get the next one; there is none where the member
    /// is empty, or `has_more` is false.
    Token(&'static str, &'static str),
    /// This parameter counts the pages, from 1; one with fewer items than this is the last.
    Counted(&'static str, usize),
}

impl Listing {
    /// A list of one page, of items with one name.
    pub const fn of(path: &'static str, member: &'static str, name: &'static str) -> Self {
        Self { path, member, name: Name::Of(name), pages: Pages::One }
    }

    /// The same, going on like this.
    pub const fn paged(self, pages: Pages) -> Self {
        Self { pages, ..self }
    }

    /// The same, its items called like this.
    pub const fn called(self, names: fn(&Value, &Settings) -> Vec<String>) -> Self {
        Self { name: Name::By(names), ..self }
    }
}
