//! What a bucket lists, held to a budget: whoever can write to it chooses how many objects there are.

use super::{Error, Result};
use crate::budget::{Budget, Excess, SHARE_LISTED};

/// What was listed of a folder.
#[derive(Debug)]
pub(super) struct Listing<T> {
    found: Vec<T>,
    budget: Budget,
}

impl<T> Listing<T> {
    pub(super) fn new() -> Self {
        Self { found: Vec::new(), budget: SHARE_LISTED }
    }

    /// Adds what is known of an object below a folder, if there is room for it.
    pub(super) fn push(&mut self, folder: &str, object: T) -> Result<()> {
        if self.found.len() as u64 >= self.budget.limit {
            return Err(Error::TooLarge { key: folder.to_owned(), excess: Excess(self.budget) });
        }
        self.found.push(object);
        Ok(())
    }

    /// Returns all.
    pub(super) fn into_found(self) -> Vec<T> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_it_is_too_long() {
        let mut listing = Listing { found: Vec::new(), budget: Budget { limit: 3, ..SHARE_LISTED } };
        for number in 0..3 {
            listing.push("blobs", number).unwrap();
        }
        let error = listing.push("blobs", 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "blobs of the share is refused: it gives more than 3 objects that a share lists in a folder (budget share-listed)"
        );
        assert_eq!(listing.into_found(), [0, 1, 2]);
    }
}
