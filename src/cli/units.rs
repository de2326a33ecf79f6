//! Durations and byte counts as people write them: the library's, which reads files of settings with them as well.

pub(super) use wcas::ops::units::{bytes, duration, seconds, seconds_text};
