//! Progress bars on a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::time::Duration;
use wcas::context::Progress;

pub(super) struct Bar {
    is_shown: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bar {
    pub(super) fn new(is_shown: bool) -> Self {
        Self { is_shown, bar: Mutex::new(None) }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = self.take() {
            bar.finish_and_clear();
        }
    }

    fn take(&self) -> Option<ProgressBar> {
        self.bar.lock().ok().and_then(|mut bar| bar.take())
    }
}

impl Progress for Bar {
    fn start(&self, what: &str, total: u64) {
        // Work that is over before it can be seen needs no bar.
        if !self.is_shown || total == 0 {
            return;
        }
        let bar = ProgressBar::new(total).with_message(what.to_owned());
        let counts_bytes = matches!(what, "importing" | "verifying" | "rebuilding");
        let template = if counts_bytes {
            "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        } else {
            "{msg} [{wide_bar}] {pos}/{len} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        if let Ok(mut shown) = self.bar.lock() {
            *shown = Some(bar);
        }
    }

    fn add(&self, done: u64) {
        if !self.is_shown {
            return;
        }
        if let Ok(shown) = self.bar.lock()
            && let Some(bar) = shown.as_ref()
        {
            bar.inc(done);
        }
    }

    fn finish(&self) {
        self.clear();
    }
}
