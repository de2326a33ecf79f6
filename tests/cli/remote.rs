//! `wcas remote`, and where distributions came from.

use crate::support::{Env, Wheel};
use wcas::blobs::LinkMode;
use wcas::manifest::Origin;
use wcas::name::CollectionName;
use wcas::ops::{self, Context, ImportOptions, Target};

const URL: &str = "https://index.example/files/demo-1.0-py3-none-any.whl";

/// Imports a wheel as a pull from a remote does.
fn pull(env: &Env, uploaded_at: Option<i64>, yanked: Option<&str>) {
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    let (mut sources, refused, _) = ops::find_sources(&[env.path("in")], None);
    assert!(refused.is_empty());
    for source in &mut sources {
        let (remote, url) = ("mirror".to_owned(), URL.to_owned());
        source.origin = Some(Origin { remote, url, uploaded_at, is_unhashed: true });
        source.yanked = yanked.map(str::to_owned);
    }
    let store = wcas::Store::open_or_create(&env.store()).unwrap();
    let context = Context { now: 2_000_000_000, who: "test", jobs: 1, progress: &() };
    let options = ImportOptions {
        target: Target::Collection(CollectionName::shared()),
        link: LinkMode::Copy,
        keep_existing: false,
    };
    let report = ops::import(&store, &context, sources, &options).unwrap();
    assert_eq!(report.distributions.len(), 1);
}

#[test]
fn a_pulled_distribution_says_where_it_came_from_and_copies_keep_it() {
    let env = Env::new();
    pull(&env, Some(1_000_000_000), Some("broken"));
    env.ok(["collection", "copy", "shared", "released"]);
    env.ok(["invalidate", "demo", "--collection", "shared"]);
    env.ok(["undo"]);
    env.ok(["unyank", "demo", "--collection", "released"]);
    env.ok(["collection", "rollback", "released", "1"]);
    let show = env.json(["show", "demo"]);
    let shown = &show["distributions"][0];
    for collection in ["shared", "released"] {
        let origin = &shown["origins"][collection];
        assert_eq!((&origin["remote"], &origin["url"]), (&"mirror".into(), &URL.into()), "{show}");
        assert_eq!(origin["is_unhashed"], true);
        assert_eq!(shown["yanked"][collection], "broken", "{show}");
        assert_eq!(shown["uploaded_at"], 1_000_000_000, "the remote's time wins over the time of the pull");
    }
    let text = env.ok(["show", "demo"]).stdout;
    let line = format!("from             mirror for shared: {URL} (no digest vouched for it)");
    assert!(text.contains(&line), "{text}");
}

#[test]
fn without_the_remotes_upload_time_the_time_of_the_pull_counts_and_local_files_have_no_origin() {
    let env = Env::new();
    pull(&env, None, None);
    Wheel::new("local", "1.0").write_to(env.path("other"));
    env.ok(["import", "other"]);
    let show = env.json(["show", "demo", "local"]);
    assert_eq!(show["distributions"][0]["uploaded_at"], 2_000_000_000);
    assert_eq!(show["distributions"][1]["origins"], serde_json::json!({}));
}
