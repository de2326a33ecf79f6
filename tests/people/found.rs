//! What the search over everything finds, and for whom.

use crate::site::Site;
use crate::support::{Env, Server as Upstream, Wheel};
use crate::words::has;
use http::header::AUTHORIZATION;
use wcas::server::Anonymous;

#[test]
fn projects_are_found_by_name_and_summary_and_files_by_name_and_digest() {
    let site = Site::full();
    let page = site.page("/_/search/?q=Atlas");
    has(
        &page,
        &[
            "1 project",
            "atlas 2.1 Maps of tensors",
            "cuda: 1 project, 9 files",
            "rocm: 1 project, 1 file",
            "not offered there",
        ],
    );
    assert!(page.contains("href=\"../../cuda/projects/atlas/\"") && page.contains("atlas-2.0.tar.gz"), "{page}");
    has(&site.page("/_/search/?q=maps+of"), &["atlas"]);
    has(&site.page("/_/search/?q=cp313-cp313"), &["Files", "atlas-2.0-cp313-cp313-manylinux_2_28_x86_64.whl"]);
    let show = site.env.json(["show", "atlas-2.0.tar.gz", "--collection", "cuda"]).to_string();
    for kind in ["sha256", "blake3"] {
        let at = show.find(&format!("\"{kind}\":\"")).unwrap() + kind.len() + 4;
        has(&site.page(&format!("/_/search/?q={}", &show[at..at + 9])), &["atlas-2.0.tar.gz cuda"]);
        has(&site.page(&format!("/_/search/?q={kind}:{}", &show[at..at + 64])), &["atlas-2.0.tar.gz cuda"]);
    }
    for (query, text) in
        [("", "Search"), ("?q=a", "Two letters are the least."), ("?q=zzzz", "Nothing is found of zzzz")]
    {
        has(&site.page(&format!("/_/search/{query}")), &[text]);
    }
    has(&site.page("/_/search/?q=%25_%27"), &["Nothing is found of %_'"]);
}

#[test]
fn a_page_of_results_is_bounded_and_there_are_more() {
    let site = Site::full();
    let first = site.page("/_/search/?q=plain");
    has(&first, &["130 projects", "Page 1 Next page"]);
    assert!(first.contains("plain-000") && !first.contains("plain-051"));
    assert!(first.contains("href=\"./?q=plain&amp;page=2\""), "{first}");
    let third = site.page("/_/search/?q=plain&page=3");
    has(&third, &["plain-129", "Previous page Page 3"]);
    assert!(!third.contains("Next page"));
    has(&site.page("/_/search/?q=plain&page=99999999999"), &["Nothing more is found"]);
}

#[test]
fn nothing_is_found_that_may_not_be_read() {
    let env = Env::new();
    let with = |name: &str, seed| Wheel::new(name, "1.0").header("Summary", "Common words").payload(100, seed);
    for (collection, wheels) in [
        ("open", vec![with("common-open", 1)]),
        ("below", vec![with("common-below", 2), with("common-bad", 3)]),
        ("covert", vec![with("common-covert", 4)]),
    ] {
        for wheel in wheels {
            wheel.write_to(env.path(collection));
        }
        env.ok(["import", collection, "--collection", collection]);
    }
    env.ok(["collection", "set", "open", "--fallback", "below"]);
    env.ok(["block", "common-bad", "--reason", "it leaks"]);
    let covert = env.json(["show", "common-covert", "--collection", "covert"]).to_string();
    let at = covert.find("\"sha256\":\"").unwrap() + 10;
    let digest = covert[at..at + 16].to_owned();
    let secret = |env: &Env, arguments: &[&str]| {
        let token = env.json([&["token", "create"], arguments].concat());
        format!("Bearer {}", token["secret"].as_str().unwrap())
    };
    let one = secret(&env, &["--collection", "open", "--scope", "read"]);
    let all = secret(&env, &["--all", "--scope", "read"]);
    let blind = secret(&env, &["--collection", "open", "--scope", "upload", "--no-read"]);
    let site = Site::of(env, Upstream::start(), Anonymous::Nothing);
    let found = |bearer: &str, query: &str| {
        let got = site.ask(&format!("/_/search/?q={query}"), &[(AUTHORIZATION, bearer)]);
        (got.status, got.text().to_owned())
    };
    assert_eq!(site.browse("/_/search/?q=common").status, 401);
    assert_eq!(found(&blind, "common").0, 403);
    for query in ["common", "words"] {
        let (status, text) = found(&one, query);
        assert_eq!(status, 200);
        assert!(text.contains("common-open") && text.contains("common-below"), "{text}");
        let text = text.replace("common-below", "").replace("common_below", "");
        assert!(!text.contains("covert") && !text.contains("below"), "{text}");
        assert!(!text.contains("common_bad"), "a file that is withheld is not found: {text}");
        let (_, text) = found(&all, query);
        assert!(text.contains("common-covert") && text.contains("./covert/"), "{text}");
    }
    assert!(!found(&one, &digest).1.contains("common_covert"));
    assert!(found(&all, &digest).1.contains("common_covert"));
}

#[test]
fn neither_a_page_nor_the_next_one_tells_of_hidden_files() {
    let env = Env::new();
    let wheels = |name: &str, count: u32, seed: u64| {
        for number in 0..count {
            Wheel::new(name, &format!("{}.0", 100 + number))
                .payload(10, seed + u64::from(number))
                .write_to(env.path("in"));
        }
    };
    // They come before all that may be found.
    wheels("common-bad", 120, 1000);
    wheels("common-good", 60, 2000);
    env.ok(["import", "in", "--collection", "open"]);
    env.ok(["block", "common-bad", "--reason", "it leaks"]);
    let secret = |arguments: &[&str]| {
        let token = env.json([&["token", "create"], arguments].concat());
        format!("Bearer {}", token["secret"].as_str().unwrap())
    };
    let (one, all) = (secret(&["--collection", "open", "--scope", "read"]), secret(&["--all", "--scope", "read"]));
    let site = Site::of(env, Upstream::start(), Anonymous::Nothing);
    let found = |bearer: &str, query: &str| {
        let text = site.ask(&format!("/_/search/?q={query}"), &[(AUTHORIZATION, bearer)]).text().to_owned();
        (text.contains("Next page"), text)
    };
    let (has_next, text) = found(&one, "common_bad");
    assert!(!text.contains("common_bad-") && !has_next, "{text}");
    let names = |text: &str| {
        let all = (100..160).filter(|number| text.contains(&format!("common_good-{number}.0-")));
        all.collect::<Vec<u32>>()
    };
    let (has_next, first) = found(&one, "common_");
    assert!(has_next && names(&first) == (100..150).collect::<Vec<_>>(), "{first}");
    let (has_next, second) = found(&one, "common_&page=2");
    assert!(!has_next && names(&second) == (150..160).collect::<Vec<_>>(), "{second}");
    assert!(found(&all, "common_bad").0, "who may read everything learns of them");
}
