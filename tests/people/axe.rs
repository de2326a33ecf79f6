//! That axe-core, in Chromium, finds nothing wrong with the pages: names, roles, contrast, order, in light and dark.
//!
//! `tests/clients.sh` fetches it, pinned by its digest; where it or Chromium can't be had, nobody has looked.

use crate::looks::{attribute, browser, run, style, whole};
use crate::site::Site;
use std::fs;
use std::path::{Path, PathBuf};

/// What tells the checker that was pinned from another.
const SHA256: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

fn checker() -> Option<String> {
    let others = std::env::var_os("WCAS_TEST_CLIENTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients.d"), PathBuf::from);
    let text = fs::read_to_string(others.join("axe/axe.min.js")).ok()?;
    assert_eq!(wcas::digest::Sha256::of(text.as_bytes()).to_string(), SHA256, "another axe-core than was pinned");
    Some(text)
}

/// Returns a document that shows one page after the other in a frame, and keeps what the checker says of each.
fn desk(axe: &str, pages: &[(String, String)]) -> String {
    // No text ends the script that it stands in.
    let quoted = |value: &serde_json::Value| value.to_string().replace('<', "\\u003c");
    let (axe, pages) = (quoted(&axe.into()), quoted(&serde_json::json!(pages)));
    format!(
        "<!DOCTYPE html><meta charset=utf-8><iframe id=f width=1280 height=2000></iframe><script>\
         const axe={axe},pages={pages},said=[];(async()=>{{for(const [name,html] of pages){{\
         await new Promise(done=>{{f.onload=done;f.srcdoc=html}});f.contentWindow.eval(axe);\
         const found=await f.contentWindow.axe.run(f.contentDocument,{{resultTypes:['violations']}});\
         for(const rule of found.violations)for(const node of rule.nodes)\
         said.push(name+': '+rule.id+': '+node.target.join(' ')+': '+node.failureSummary)}}\
         document.body.dataset.said=JSON.stringify(said);document.body.dataset.count=pages.length}})()\
         .catch(error=>document.body.dataset.count=error)</script>"
    )
}

#[test]
fn axe_finds_nothing_wrong_with_any_page() {
    let (Some(browser), Some(axe)) = (browser(), checker()) else {
        crate::support::skip("there is no Chromium or no axe-core here (tests/clients.sh), so it looked at no page");
        return;
    };
    let site = Site::full();
    let style = style();
    let own = crate::shape::paths().map(|path| (path, site.browse(path).text().to_owned()));
    let mut pages = Vec::new();
    for (name, html) in own.into_iter().chain(crate::acts::pictured()) {
        for (scheme, is_dark) in [("light", false), ("dark", true)] {
            pages.push((format!("{name} in {scheme}"), whole(&html, &style, is_dark)));
        }
    }
    let (profile, file) = (site.env.path("profile"), site.env.path("axe.html"));
    fs::write(&file, desk(&axe, &pages)).unwrap();
    let args = ["--virtual-time-budget=3600000", "--dump-dom"].map(str::to_owned);
    let dom = run(&browser, &profile, &[&args[..], &[format!("file://{}", file.display())]].concat());
    assert_eq!(attribute(&dom, "data-count"), pages.len().to_string());
    let said = attribute(&dom, "data-said").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    let said: Vec<String> = serde_json::from_str(&said.replace("&amp;", "&")).unwrap();
    assert!(said.is_empty(), "{}", said.join("\n\n"));
}
