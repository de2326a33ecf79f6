//! How pages look, in Chromium: nothing wider than its window, and pictures in `target/screenshots` for people.

use crate::site::Site;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--virtual-time-budget=3000",
];
const WIDTHS: [u32; 2] = [1280, 320];

pub(crate) fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file())
}

pub(crate) fn run(browser: &Path, profile: &Path, args: &[String]) -> String {
    let mut command = Command::new(browser);
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display())).args(args);
    let output = command.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Returns a page as one file, with its style sheet inside, in light or dark.
pub(crate) fn whole(html: &str, style: &str, is_dark: bool) -> String {
    let query = if is_dark { "@media all" } else { "@media not all" };
    let style = style.replace("@media (prefers-color-scheme: dark)", query);
    let scheme = if is_dark { "dark" } else { "light" };
    let start = html.find("<link rel=\"stylesheet\"").unwrap();
    let end = start + html[start..].find('>').unwrap() + 1;
    let html = format!("{}<style>{style} :root {{ color-scheme: {scheme} }}</style>{}", &html[..start], &html[end..]);
    html.replace("content=\"light dark\"", &format!("content=\"{scheme}\""))
}

/// Returns the style sheet.
pub(crate) fn style() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/people/style.css")).unwrap()
}

/// Puts a page into a frame of a width: browsers have a least width, frames have none.
fn framed(html: &str, width: u32, height: u32) -> String {
    let html = html.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!DOCTYPE html><meta charset=utf-8><style>body{{margin:0}}iframe{{border:0;display:block}}</style>\
         <iframe id=f width={width} height={height} srcdoc=\"{html}\"></iframe><script>onload=()=>{{\
         const e=f.contentDocument.documentElement;document.body.dataset.seen=e.scrollWidth+'x'+e.scrollHeight;\
         const w=[...f.contentDocument.querySelectorAll('body *')].filter(o=>!o.closest('.scroll')&&!o.closest('pre')\
         &&!o.matches('.skip')&&o.getBoundingClientRect().right>{width}+1).map(o=>o.tagName+'.'+o.className);\
         document.body.dataset.wide=w.join(' ')}}</script>"
    )
}

pub(crate) fn attribute<'a>(dom: &'a str, name: &str) -> &'a str {
    let (_, rest) = dom.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {dom}"));
    rest.split('"').next().unwrap()
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever runs the tests is to know what was not tested")]
fn no_page_is_wider_than_its_window_and_all_are_pictured() {
    let Some(browser) = browser() else {
        crate::support::skip("there is no Chromium here, so nobody has looked at the pages");
        return;
    };
    let site = Site::full();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
    fs::create_dir_all(&folder).unwrap();
    let style = style();
    let pages = [
        ("home", "/"),
        ("collection", "/cuda/"),
        ("project", "/cuda/projects/torch/"),
        ("hostile", "/cuda/projects/hostile/"),
        ("lost", "/none/"),
        ("atlas", "/cuda/projects/atlas/"),
        ("file", "/cuda/projects/atlas/atlas-2.0%2Bcu126-cp312-cp312-manylinux_2_28_x86_64.whl/"),
        ("search", "/_/search/?q=at"),
        ("remotes", "/_/remotes/"),
        ("history", "/_/history/"),
        ("wanted", "/_/wanted/"),
        ("health", "/_/health/"),
        ("difference", "/cuda@1...4/"),
    ];
    let pages = pages.map(|(name, path)| (name, path, site.browse(path).text().to_owned()));
    let acts = crate::acts::pictured();
    let pages = pages
        .iter()
        .map(|(name, path, html)| (*name, *path, html))
        .chain(acts.iter().map(|(name, html)| (*name, *name, html)));
    let (profile, file) = (site.env.path("profile"), site.env.path("page.html"));
    for (name, path, html) in pages {
        for width in WIDTHS {
            let url = format!("file://{}", file.display());
            fs::write(&file, framed(&whole(html, &style, false), width, 600)).unwrap();
            let dom = run(&browser, &profile, &["--dump-dom".to_owned(), url.clone()]);
            let (seen, height) = attribute(&dom, "data-seen").split_once('x').unwrap();
            assert_eq!(seen, width.to_string(), "{path} scrolls sideways: {}", attribute(&dom, "data-wide"));
            let height: u32 = height.parse::<u32>().unwrap().clamp(400, 6000);
            for (scheme, is_dark) in [("light", false), ("dark", true)] {
                fs::write(&file, framed(&whole(html, &style, is_dark), width, height)).unwrap();
                let picture = folder.join(format!("{name}-{width}-{scheme}.png"));
                let size = format!("--window-size={},{height}", width.max(500));
                run(&browser, &profile, &[format!("--screenshot={}", picture.display()), size, url.clone()]);
                assert!(fs::metadata(&picture).unwrap().len() > 2000, "{}", picture.display());
            }
        }
    }
}
