//! The style sheet and the icon, under names that change with their bytes, so that browsers keep them for good.

use crate::digest::Sha256;
use crate::server::answer::{FOREVER, plain, set};
use crate::server::{Answer, Body};
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
    set(&mut answer, CACHE_CONTROL, FOREVER);
    set(&mut answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// The colours of a palette: the first in the sheet is the light one, the second the dark one.
    fn palette(place: usize) -> HashMap<&'static str, [f64; 3]> {
        let block = STYLE.split(":root {").nth(place + 1).unwrap().split('}').next().unwrap();
        let pairs = block.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
        pairs
            .map(|(name, hex)| (name, [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()))))
            .collect()
    }

    /// Relative luminance, as WCAG 2.2 defines it.
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear = colour.map(|own| {
            let own = own / 255.0;
            if own <= 0.04045 { own / 12.92 } else { ((own + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_and_edges_stand_out_in_light_and_dark() {
        assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
        for place in [0, 1] {
            let colours = palette(place);
            assert_eq!(colours.len(), 12, "{colours:?}");
            let text = ["text", "quiet", "accent"].map(|own| (own, "page", 4.5));
            let on_raised = ["text", "quiet", "accent"].map(|own| (own, "raised", 4.5));
            let marks = ["warn", "bad", "good"].map(|own| (own, "page", 4.5));
            let rest =
                [("text", "warn-page", 4.5), ("edge", "page", 3.0), ("edge", "raised", 3.0), ("accent", "other", 3.0)];
            for (front, back, least) in text.into_iter().chain(on_raised).chain(marks).chain(rest) {
                let found = contrast(colours[front], colours[back]);
                assert!(found >= least, "palette {place}: {front} on {back} is {found:.2}, less than {least}");
            }
        }
    }

    #[test]
    fn only_the_palettes_say_colours() {
        let rest = STYLE.rsplit("* { box-sizing").next().unwrap();
        assert!(!rest.contains(": #") && !rest.contains("rgb("), "a colour that no test looks at");
    }
}
