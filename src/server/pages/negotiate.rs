//! Which form of a page a client asks for (PEP 691, RFC 9110 section 12). Pure.

use crate::server::accept::items;
use http::HeaderMap;
use http::header::ACCEPT;

/// A form of an index page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// JSON (PEP 691).
    Json,
    /// HTML under the name that PEP 691 gave it.
    HtmlV1,
    /// HTML, as browsers and old clients know it.
    Html,
}

/// What is said of a page's form when nothing is asked for: browsers and scripts get HTML.
const DEFAULT: Form = Form::Html;

impl Form {
    /// Returns what the header `Content-Type` says.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/vnd.pypi.simple.v1+json",
            Self::HtmlV1 => "application/vnd.pypi.simple.v1+html",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// Tells whether the bytes are HTML.
    pub(super) fn is_html(self) -> bool {
        self != Self::Json
    }

    /// Returns what an entity tag says of the form.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Json => "-j",
            Self::HtmlV1 => "-v",
            Self::Html => "-h",
        }
    }

    fn named(name: &str) -> Option<Self> {
        // `latest` is what we have: version 1. It is answered as that, so that a client knows what it got.
        match name.to_ascii_lowercase().as_str() {
            "application/vnd.pypi.simple.v1+json" | "application/vnd.pypi.simple.latest+json" => Some(Self::Json),
            "application/vnd.pypi.simple.v1+html" | "application/vnd.pypi.simple.latest+html" => Some(Self::HtmlV1),
            "text/html" => Some(Self::Html),
            _ => None,
        }
    }
}

/// Returns the form to answer in; `None`: nothing that the client takes. `?format=` wins over the header.
pub(super) fn negotiate(query: Option<&str>, headers: &HeaderMap) -> Option<Form> {
    if let Some(asked) = query.and_then(format_of) {
        return Form::named(&asked);
    }
    // What is no weight is taken for the greatest, as most servers do.
    let items: Vec<_> = items(headers, ACCEPT).map(|(name, weight)| (name, weight.unwrap_or(1000))).collect();
    if items.is_empty() {
        return Some(DEFAULT);
    }
    // In the order in which they win where the client is indifferent. A wildcard alone is a browser or a script.
    let mut best: Option<(u16, Form)> = None;
    for form in [Form::Html, Form::Json, Form::HtmlV1] {
        let Some((weight, is_named)) = weight(&items, form) else { continue };
        // Between equals, what is named goes before what a wildcard lets through, and JSON before HTML.
        let rank = weight * 4 + u16::from(is_named) * 2 + u16::from(is_named && form == Form::Json);
        if weight > 0 && best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, form));
        }
    }
    best.map(|(_, form)| form)
}

/// Returns the value of `format` in a query.
fn format_of(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("format="))?;
    // Unencoded, too, since a `+` means itself here.
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// Returns the weight of a form by the most specific item that is about it, and whether that names it.
fn weight(items: &[(&str, u16)], form: Form) -> Option<(u16, bool)> {
    let named = items.iter().filter(|(name, _)| Form::named(name) == Some(form)).map(|(_, weight)| *weight).max();
    if let Some(weight) = named {
        return Some((weight, true));
    }
    let kind = if form == Form::Html { "text/*" } else { "application/*" };
    let of = |name: &str| items.iter().find(|item| item.0 == name).map(|item| item.1);
    of(kind).or_else(|| of("*/*")).map(|weight| (weight, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &[&str]) -> Option<Form> {
        let mut headers = HeaderMap::new();
        accept.iter().for_each(|text| {
            headers.append(ACCEPT, text.parse().unwrap());
        });
        negotiate(None, &headers)
    }

    const JSON: &str = "application/vnd.pypi.simple.v1+json";
    const V1: &str = "application/vnd.pypi.simple.v1+html";

    #[test]
    fn b2_real_clients_get_json_and_browsers_html() {
        for (client, accept) in [
            ("pip", format!("{JSON}, {V1}; q=0.1, text/html; q=0.01")),
            ("uv", format!("{JSON}, {V1};q=0.2, text/html;q=0.01")),
            ("poetry", format!("{JSON}, */*;q=0.1")),
            ("pypi-simple", format!("{JSON}, {V1};q=0.5, text/html;q=0.01")),
        ] {
            assert_eq!(asked(&[&accept]), Some(Form::Json), "{client}");
        }
        for accept in ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*", "text/*"] {
            assert_eq!(asked(&[accept]), Some(Form::Html), "{accept}");
        }
        assert_eq!(asked(&[]), Some(Form::Html));
    }

    #[test]
    fn b1_latest_is_answered_as_version_1() {
        assert_eq!(asked(&["application/vnd.pypi.simple.latest+json"]), Some(Form::Json));
        assert_eq!(asked(&["application/vnd.pypi.simple.latest+html"]), Some(Form::HtmlV1));
        assert_eq!(Form::Json.content_type(), JSON);
        assert_eq!(Form::HtmlV1.content_type(), V1);
    }

    #[test]
    fn b2_weights_count_and_zero_shuts_out() {
        assert_eq!(asked(&["text/html;q=0.2", &format!("{JSON};q=0.1")]), Some(Form::Html));
        assert_eq!(asked(&[&format!("text/html;q=0, {JSON};q=0.001")]), Some(Form::Json));
        assert_eq!(asked(&["text/html;q=0, */*"]), Some(Form::Json));
        assert_eq!(asked(&["application/*"]), Some(Form::Json));
        assert_eq!(asked(&[&format!("{JSON};q=0, {V1};q=0, text/html;q=0")]), None);
        assert_eq!(asked(&["image/png"]), None);
        assert_eq!(asked(&["application/vnd.pypi.simple.v2+json"]), None);
        assert_eq!(asked(&["*/*;q=0"]), None);
        assert_eq!(asked(&["", ","]), Some(Form::Html), "nothing was said");
    }

    #[test]
    fn b4_the_query_wins_over_the_header() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, "text/html".parse().unwrap());
        let of = |query: &str| negotiate(Some(query), &headers);
        assert_eq!(of(&format!("format={JSON}")), Some(Form::Json));
        assert_eq!(of("x=1&format=application%2Fvnd.pypi.simple.v1%2Bjson"), Some(Form::Json));
        assert_eq!(of("format=application/xml"), None);
        assert_eq!(of("other=1"), Some(Form::Html));
    }
}
