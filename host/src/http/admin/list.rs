//! Lists in Stripe's shape.

use serde::Serialize;

use super::params::{From, PageParams, invalid};
use crate::http::problem::Problem;

/// One page.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    object: &'static str,
    pub(super) url: String,
    pub(super) has_more: bool,
    pub(super) data: Vec<T>,
}

impl<T> List<T> {
    pub(super) fn new(url: impl Into<String>, data: Vec<T>, has_more: bool) -> Self {
        Self { object: "list", url: url.into(), has_more, data }
    }

    /// The page of `all`, which is short and in order, that is asked for.
    pub(super) fn of<I>(
        url: &str,
        all: Vec<I>,
        page: &PageParams,
        id: impl Fn(&I) -> String,
        show: impl Fn(&I) -> T,
    ) -> Result<Self, Problem> {
        let (from, to) = match &page.from {
            None => (0, all.len().min(page.limit)),
            Some(from) => {
                let at = all.iter().position(|item| id(item) == from.id()).ok_or_else(|| {
                    invalid(from.param(), format!("there is no entry `{}`", from.id()))
                })?;
                match from {
                    From::After(_) => (at + 1, all.len().min(at + 1 + page.limit)),
                    From::Before(_) => (at.saturating_sub(page.limit), at),
                }
            }
        };
        let has_more = match &page.from {
            Some(From::Before(_)) => from > 0,
            _ => to < all.len(),
        };
        let data = all.get(from..to).unwrap_or_default().iter().map(show).collect();
        Ok(Self::new(url, data, has_more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_both_ways() {
        let page = |limit, from| {
            let page = PageParams { limit, from };
            List::of("/x", vec![1, 2, 3, 4, 5], &page, i32::to_string, |n| *n)
                .map(|list| (list.data, list.has_more))
        };
        let after = |n: i32| Some(From::After(n.to_string()));
        let before = |n: i32| Some(From::Before(n.to_string()));
        assert_eq!(page(2, None), Ok((vec![1, 2], true)));
        assert_eq!(page(5, None), Ok((vec![1, 2, 3, 4, 5], false)));
        assert_eq!(page(2, after(2)), Ok((vec![3, 4], true)));
        assert_eq!(page(2, after(4)), Ok((vec![5], false)));
        assert_eq!(page(2, after(5)), Ok((vec![], false)));
        assert_eq!(page(2, before(4)), Ok((vec![2, 3], true)));
        assert_eq!(page(2, before(2)), Ok((vec![1], false)));
        assert_eq!(page(2, before(9)).unwrap_err().param.as_deref(), Some("ending_before"));
    }
}
