//! Lists of Google's two services: asked for page by page until what is wanted has been seen.

use http::Method;

use super::errand::Errand;
use super::{Desk, Page, escaped};
use crate::call::Error;
use crate::wire::jobs::google::page;
use crate::wire::{Malformed, Object};

/// So many pages of a list are asked for at most, on the way to what is wanted of it.
const PAGES: usize = 100;

/// What a page is asked to hold.
const SIZE: usize = 100;

/// A part of a list, and whether there is more behind it. `read` makes of an item what is wanted of it, and `id` is that of
/// one. Fails as every request does, and on answers that are no lists.
pub async fn listed<T>(
    desk: &Desk<'_>,
    (path, items): (&str, &str),
    wanted: &Page,
    read: impl Fn(Object) -> Vec<T>,
    id: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, bool), Error> {
    let (mut found, mut skips, mut token) = (Vec::new(), wanted.after.as_deref(), None::<String>);
    for _ in 0..PAGES {
        let next = token.as_deref().map(|token| format!("&pageToken={}", escaped(token))).unwrap_or_default();
        let answer = desk.ask(Errand::new(Method::GET, format!("{path}?pageSize={SIZE}{next}"))).await?;
        let (all, more) = page(&answer, items).map_err(|malformed: Malformed| desk.nonsense(malformed))?;
        for item in all.into_iter().flat_map(&read) {
            match skips {
                Some(after) if after == id(&item) => skips = None,
                Some(_) => {}
                None => found.push(item),
            }
            if found.len() > wanted.limit {
                found.pop();
                return Ok((found, true));
            }
        }
        token = more;
        if token.is_none() {
            break;
        }
    }
    // beyond that many pages nobody looks, and says so
    Ok((found, token.is_some()))
}
