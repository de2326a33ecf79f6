//! The style sheet and the icon, under names that change with their bytes, so that browsers keep them for good.

use crate::digest::Sha256;
use crate::server::answer::{plain, set};
use crate::server::{Answer, Body, files};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use std::sync::LazyLock;

/// The style sheet.
pub(super) const STYLE: &str = include_str!("style.css");
/// The icon.
const ICON: &str = include_str!("icon.svg");

static STYLE_NAME: LazyLock<String> = LazyLock::new(|| name("style", STYLE, "css"));
static ICON_NAME: LazyLock<String> = LazyLock::new(|| name("icon", ICON, "svg"));

fn name(stem: &str, text: &str, extension: &str) -> String {
    let digest = Sha256::of(text.as_bytes()).to_string();
    format!("{stem}-{}.{extension}", &digest[..12])
}

/// Returns the style sheet's name.
pub(super) fn style_name() -> &'static str {
    &STYLE_NAME
}

/// Returns the icon's name.
pub(super) fn icon_name() -> &'static str {
    &ICON_NAME
}

/// Answers with a style sheet or an icon.
pub(super) fn answer(asked: &str) -> Answer {
    let (text, kind) = match asked {
        asked if asked == style_name() => (STYLE, "text/css; charset=utf-8"),
        asked if asked == icon_name() => (ICON, "image/svg+xml"),
        _ => return plain(StatusCode::NOT_FOUND, "there is nothing here"),
    };
    let mut answer = Answer::new(Body::Bytes(Bytes::from_static(text.as_bytes())));
    set(&mut answer, CONTENT_TYPE, kind);
    set(&mut answer, CACHE_CONTROL, files::FOREVER);
    set(&mut answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}
