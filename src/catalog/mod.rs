//! What a store's views contain: rows in, decisions out. No byte is read here, no remote asked, and nothing staged.

pub mod at;
pub mod blocks;
pub mod builder_rules;
pub(crate) mod changed;
pub(crate) mod guard;
pub mod listed_file;
pub mod merge;
pub mod near;
pub mod ownership;
pub(crate) mod rank;
pub(crate) mod reach;
pub(crate) mod retention;
pub mod search;
pub mod search_order;
pub mod statuses;
pub mod variant_documents;
pub mod view_contents;
pub mod wish;
