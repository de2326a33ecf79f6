//! Settings: the whole document, and the rules that a builder's requests carry.

use super::saw;
use wcas::catalog::builder_rules::CacheRules;
use wcas::ops::config::Config;
use wcas::units;

pub(super) const WORDS: &[&str] = &[
    "[collections.cuda]\n",
    "[variants.cuda]\n",
    "[remotes.upstream]\n",
    "[publishers.ci]\n",
    "[overrides]\n",
    "[blocks]\n",
    "default = \"cuda\"\n",
    "fallbacks = [\"shared\"]\n",
    "keep-builds = 3\n",
    "keep-versions = 1\n",
    "unused-for = \"7d\"\n",
    "max-bytes = \"500G\"\n",
    "accelerators = [\"cuda\", \"rocm\"]\n",
    "guard = \"warn\"\n",
    "strict = true\n",
    "hide-variants = true\n",
    "[collections.cuda.cache]\n",
    "[collections.cuda.projects.demo]\nstatus = \"archived\"\n",
    "open = [\"nvidia-*\"]\n",
    "reserve = { torch = \"ours\" }\n",
    "strategy = \"union\"\n",
    "requirements = [\"torch==2.5\"]\n",
    "detect = true\n",
    "share-pure = true\n",
    "collection = \"cuda\"\nurl = \"https://index.example/simple/\"\n",
    "priority = 1\n",
    "only = [\"torch*\"]\n",
    "min-age = \"1w\"\n",
    "\"\"\"",
    "'''",
    "[[",
    "{",
    "}",
    "[",
    "]",
    "=",
    ".",
    "\n",
    "#",
    "inf",
    "nan",
    "-1",
    "9223372036854775807",
    "1e400",
    "0x7fffffffffffffff",
    "2024-12-31T23:59:59Z",
    "\\u0000",
    "\u{feff}",
    "é",
    "&",
    "builder=fromager",
    "local=",
];

pub(super) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    check_config(text);
    text.lines().take(20).for_each(check_line);
}

fn check_config(text: &str) {
    let config = match Config::parse(text, "wcas.toml") {
        Ok(config) => config,
        Err(error) => return saw(error),
    };
    let written = config.to_toml().unwrap_or_else(|error| panic!("what was read can be written: {error}\n{text}"));
    saw(written.lines().filter_map(|line| line.split(['=', '#']).next()).collect::<String>());
    let again =
        Config::parse(&written, "written").unwrap_or_else(|error| panic!("{error} in what was written:\n{written}"));
    assert_eq!(again, config, "written:\n{written}");
}

/// Lines stand for a request's query, and for numbers with a unit.
fn check_line(line: &str) {
    match CacheRules::of_query(Some(line)) {
        Ok(rules) => {
            saw(format!("{rules:?}"));
            assert_eq!(rules.clone().or(CacheRules::default()), rules, "nothing is added by no rules");
            assert_eq!(CacheRules::default().or(rules.clone()), rules, "rules count where there are no others");
        }
        Err(error) => saw(error),
    }
    if let Ok(seconds) = units::seconds(line) {
        assert_eq!(units::seconds(&units::seconds_text(seconds)), Ok(seconds), "{line:?}");
    }
}
