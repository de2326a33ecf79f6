//! What headers such as `Accept` list, and how much of each is wanted (RFC 9110, section 12.4.2). Pure.

use http::header::{HeaderMap, HeaderName};

/// Returns the items of a header, each with its weight in thousandths; `None`: what it says is no weight.
pub(super) fn items(headers: &HeaderMap, header: HeaderName) -> impl Iterator<Item = (&str, Option<u16>)> {
    let lines = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let mut pairs = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
        let weight = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case("q")).map(|(_, value)| weight(value));
        let name = name.trim();
        (!name.is_empty()).then_some((name, weight.unwrap_or(Some(1000))))
    })
}

fn weight(text: &str) -> Option<u16> {
    let weight = text.trim().parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    // Between 0 and 1, so in thousandths it is no more than a thousand.
    Some((weight * 1000.0).round() as u16)
}
