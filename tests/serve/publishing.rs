//! Trusted publishing: a CI's token for one of ours, and all that is no reason to give one.

use crate::clients::{Desk, interpreter};
use crate::issuer::{AUDIENCE, CONFIGURATION, Issuer, KEYS, encoded, now, with};
use crate::ownership::upload;
use crate::site::Site;
use crate::support::{Env, Heard, Reply, Wheel};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A store with a publisher for acme/tools, and a server on it.
fn site(issuer: &Issuer, args: &[&str]) -> Site {
    let env = Env::new();
    for name in ["released", "shared"] {
        env.ok(["collection", "create", name]);
    }
    add(&env, issuer, "release", &[&["--claim", "repository=acme/tools", "--collection", "released"], args].concat());
    Site::of(env, &["--anonymous", "nothing"])
}

fn add(env: &Env, issuer: &Issuer, name: &str, args: &[&str]) {
    let url = issuer.url();
    env.ok([&["publisher", "add", name, "--issuer", &url, "--audience", AUDIENCE], args].concat());
}

/// Asks for a token.
fn mint(site: &Site, token: &str) -> Heard {
    let body = json!({ "token": token }).to_string();
    site.server.connect().post("/_/oidc/mint-token", &[("Content-Type", "application/json")], body.as_bytes())
}

/// Returns the token that is given.
#[track_caller]
fn minted(site: &Site, token: &str) -> String {
    let heard = mint(site, token);
    assert_eq!((heard.status, heard.header("cache-control")), (200, "no-store"), "{heard}");
    let answer: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(answer["success"], true);
    answer["token"].as_str().unwrap().to_owned()
}

/// Fails unless no token is given, for this reason. Neither answer nor log has the CI's token in it.
#[track_caller]
fn denied(site: &Site, token: &str, status: u16, code: &str, words: &[&str]) {
    let heard = mint(site, token);
    assert_eq!(heard.status, status, "{heard}");
    let answer: Value = serde_json::from_slice(&heard.body).unwrap_or_else(|_| panic!("{heard}"));
    assert_eq!(
        (&answer["message"], &answer["errors"][0]["code"]),
        (&"Token request failed".into(), &code.into()),
        "{answer}"
    );
    let text = answer["errors"][0]["description"].as_str().unwrap();
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    let signature = token.rsplit('.').next().unwrap();
    assert!(signature.len() < 20 || !(log(site) + text).contains(signature));
}

fn log(site: &Site) -> String {
    std::fs::read_to_string(site.env.path("stderr")).unwrap_or_default()
}

#[test]
fn a_ci_exchanges_its_token_for_one_that_uploads_for_a_quarter_of_an_hour() {
    let issuer = Issuer::start();
    let site = site(&issuer, &["--project", "acme-*", "--into", "shared"]);
    let told: Value = serde_json::from_slice(&site.server.get("/_/oidc/audience").body).unwrap();
    assert_eq!(told, json!({ "audience": AUDIENCE }));
    for key in ["ec", "rsa-1"] {
        let token = minted(&site, &issuer.token(key, &issuer.claims()));
        let wheel = Wheel::new("acme-tools", if key == "ec" { "1.0" } else { "2.0" });
        assert_eq!(upload(&site, "/released/legacy/", &token, &wheel).status, 200);
        assert_eq!(upload(&site, "/released/legacy/", &token, &Wheel::new("other", "1.0")).status, 403);
        assert_eq!(upload(&site, "/shared/legacy/", &token, &wheel).status, 403);
        let login = crate::uploads::basic(&token);
        assert_eq!(site.server.ask("GET", "/released/simple/", &[("Authorization", &login)]).status, 403);
    }
    assert_eq!(issuer.asked(), 1, "keys are kept");
    let listed = site.env.json(["token", "list"])["tokens"][0].clone();
    let subject = "repo:acme/tools:ref:refs/heads/main";
    assert_eq!((&listed["publisher"], &listed["subject"]), (&"release".into(), &subject.into()));
    assert_eq!(
        (&listed["scope"], &listed["reads"], &listed["into"]),
        (&"upload".into(), &false.into(), &json!(["shared"]))
    );
    assert_eq!(listed["expires_at"].as_i64().unwrap() - listed["created_at"].as_i64().unwrap(), 900);
    let text = site.env.ok(["token", "list"]).stdout;
    assert!(text.contains("for the publisher release (repo:acme/tools:ref:refs/heads/main)"), "{text}");
    let records = site.env.json(["log", "--kind", "token"]);
    let made = &records["records"][0];
    assert_eq!(
        (&made["after"]["publisher"], &made["after"]["subject"]),
        (&"release".into(), &subject.into()),
        "{made}"
    );
    assert_eq!((&made["by"]["kind"], &made["command"]), (&"anonymous".into(), &"mint-token".into()));
    site.end();
}

#[test]
fn a_token_that_is_not_believed_is_exchanged_for_nothing() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    let stranger = Issuer::start();
    let claims = |others: Value| with(issuer.claims(), others);
    let token = |others: Value| issuer.token("ec", &claims(others));
    let header = |header: Value| issuer.token_with("ec", &header, &issuer.claims());
    let invalid = |token: &str, words: &[&str]| denied(&site, token, 422, "invalid-token", words);
    for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "....", "[].{}.x"] {
        invalid(text, &["no signed JSON Web Token"]);
    }
    // None of these may be what a header says.
    for algorithm in ["none", "None", "HS256", "HS512", "RS384", "PS256", "ES384", "EdDSA", ""] {
        invalid(&header(json!({"alg": algorithm, "kid": "ec"})), &["not RS256 or ES256"]);
    }
    let unsigned = format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(&issuer.claims()));
    invalid(&unsigned, &["not RS256 or ES256"]);
    for secret in [issuer.key("rsa-1")["n"].as_str().unwrap().as_bytes(), issuer.key("rsa-1").to_string().as_bytes()] {
        invalid(&issuer.confused(secret, "rsa-1"), &["not RS256 or ES256"]);
    }
    assert_eq!(issuer.asked(), 0, "what can't be good asks nobody");
    // A key of the other kind, no key, somebody else's.
    invalid(&header(json!({"alg": "RS256", "kid": "ec"})), &["no such key"]);
    invalid(&header(json!({"alg": "ES256"})), &["does not name its key"]);
    invalid(&header(json!({"alg": "ES256", "kid": "other"})), &["no such key"]);
    invalid(&issuer.token("rsa-2", &issuer.claims()), &["no such key"]);
    invalid(&stranger.token("ec", &issuer.claims()), &["signature"]);
    invalid(&header(json!({"alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": false})), &["not that of an ID token"]);
    invalid(&header(json!({"alg": "ES256", "kid": "ec", "typ": "at+jwt"})), &["not that of an ID token"]);
    // Keys that a header brings along count for nothing.
    let own = json!({"alg": "ES256", "kid": "ec", "jwk": stranger.key("ec"), "jku": stranger.server.url(KEYS)});
    invalid(&stranger.token_with("ec", &own, &issuer.claims()), &["signature"]);
    assert_eq!(stranger.server.paths(), [""; 0]);
    let good = token(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    invalid(&format!("{signed}."), &["signature"]);
    let other = token(json!({"sub": "x"}));
    invalid(&format!("{}.{signature}", other.rsplit_once('.').unwrap().0), &["signature"]);
    for (others, word) in [
        (json!({"exp": now() - 61}), "expired"),
        (json!({"exp": null}), "claim exp"),
        (json!({"exp": "soon"}), "claim exp"),
        (json!({"exp": -1}), "claim exp"),
        (json!({"exp": 1e300}), "claim exp"),
        (json!({"exp": now() + 86_500}), "budget jwt-life"),
        (json!({"iat": now() + 120}), "future"),
        (json!({"iat": null}), "claim iat"),
        (json!({"nbf": now() + 120}), "not good yet"),
        (json!({"nbf": "x"}), "claim nbf"),
        (json!({"sub": null}), "claim sub"),
        (json!({"sub": ["x"]}), "claim sub"),
    ] {
        invalid(&token(others), &[word]);
    }
    invalid(&token(json!({"iss": null})), &["claim iss"]);
    assert_eq!(site.env.json(["token", "list"])["tokens"], json!([]));
    // The clocks may be a minute apart.
    minted(&site, &token(json!({"exp": now() - 40, "iat": now() + 40, "nbf": now() + 40})));
    minted(&site, &good);
    site.end();
}

#[test]
fn a_token_of_another_issuer_audience_or_owner_fits_no_publisher() {
    let (issuer, stranger) = (Issuer::start(), Issuer::start());
    let site = site(&issuer, &["--claim", "ref=refs/heads/*"]);
    let token = |others: Value| issuer.token("ec", &with(issuer.claims(), others));
    let denied = |token: &str, words: &[&str]| denied(&site, token, 422, "invalid-publisher", words);
    denied(&stranger.token("ec", &stranger.claims()), &["no publisher of this server has the issuer", &stranger.url()]);
    denied(
        &issuer.token("ec", &with(issuer.claims(), json!({"iss": format!("{}/", issuer.url())}))),
        &["has the issuer"],
    );
    assert_eq!((stranger.server.paths(), issuer.asked()), (Vec::new(), 0), "an unverified token chooses nothing");
    for (others, words) in [
        (json!({"aud": "pypi"}), "aud is not \"wcas\" alone"),
        (json!({"aud": [AUDIENCE, "pypi"]}), "aud is not"),
        (json!({"aud": null}), "aud is not"),
        (json!({"repository": "evil/tools"}), "repository is \"evil/tools\", wanted \"acme/tools\""),
        (json!({"repository": "acme/tools2"}), "repository is"),
        (json!({"repository": "Acme/tools"}), "repository is"),
        (json!({"repository": null}), "repository is not there"),
        (json!({"repository": ["acme/tools"]}), "repository is not there"),
        (json!({"ref": "refs/tags/v1"}), "ref is"),
        (json!({"ref": "refs/heads"}), "ref is"),
    ] {
        denied(&token(others), &["no publisher of this server matches it; it says"]);
        // What is wanted is told to the server's owner, for some time not all of it.
        let log = log(&site);
        assert!(log.contains(words) || log.matches("a token fits no publisher").count() >= 10, "{words}: {log}");
    }
    let heard = mint(&site, &token(json!({"repository": "evil/tools"}))).text();
    assert!(heard.contains("repository=\\\"evil/tools\\\"") && !heard.contains("acme/tools\\\", wanted"), "{heard}");
    assert!(!heard.contains("release:"), "{heard}");
    minted(&site, &token(json!({"aud": [AUDIENCE]})));
    minted(&site, &token(json!({"ref": "refs/heads/a/b"})));
    site.end();
}

#[test]
fn a_token_is_used_once_however_it_is_written() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    let claims = issuer.claims();
    let first = issuer.token("ec", &claims);
    minted(&site, &first);
    let again = |token: &str| denied(&site, token, 422, "invalid-reuse-token", &["used before"]);
    again(&first);
    // The same bytes signed anew, by another key, and the same number on other bytes.
    again(&issuer.token("ec", &claims));
    again(&issuer.token("rsa-1", &claims));
    again(&issuer.token("ec", &with(claims.clone(), json!({"run_attempt": 2}))));
    // Without a number it is known by its bytes.
    let nameless = issuer.token("ec", &with(claims, json!({"jti": null})));
    minted(&site, &nameless);
    again(&nameless);
    // Of many at once one is the first.
    let raced = issuer.token("ec", &issuer.claims());
    let statuses = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(|| mint(&site, &raced).status)).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    // What failed was not used.
    let claims = issuer.claims();
    site.env.ok(["publisher", "remove", "release"]);
    denied(&site, &issuer.token("ec", &claims), 422, "invalid-publisher", &[]);
    add(&site.env, &issuer, "release", &["--claim", "repository=acme/tools", "--collection", "released"]);
    minted(&site, &issuer.token("ec", &claims));
    site.end();
}

#[test]
fn keys_change_and_an_issuer_is_asked_no_more_than_once_a_minute() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    minted(&site, &issuer.token("rsa-1", &issuer.claims()));
    issuer.publish(&["rsa-2"]);
    for _ in 0..5 {
        denied(&site, &issuer.token("rsa-2", &issuer.claims()), 422, "invalid-token", &["no such key"]);
    }
    assert_eq!(issuer.asked(), 1);
    minted(&site, &issuer.token("rsa-1", &issuer.claims()));
    site.end();
}

#[test]
fn an_issuer_that_is_down_slow_huge_or_another_gives_no_keys_and_stops_nobody() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    let elsewhere = with(issuer.configuration(), json!({"jwks_uri": "http://index.example/keys"}));
    let own = |reply: Reply| (reply, Reply::json(json!({"keys": [issuer.key("ec")]}).to_string()));
    let keys = |reply: Reply| (Reply::json(issuer.configuration().to_string()), reply);
    let json = |value: Value| Reply::json(value.to_string());
    issuer.server.route("/elsewhere", json(issuer.configuration()));
    let cases = [
        (own(Reply::status(500)), "status 500"),
        (own(Reply::status(404)), "status 404"),
        (own(Reply::hang_up()), "cannot reach"),
        (own(json(json!([]))), "no configuration of an issuer"),
        (own(json(with(issuer.configuration(), json!({"issuer": "https://ci.example"})))), "another issuer"),
        (own(json(elsewhere)), "no place for keys that is asked"),
        (own(json(with(issuer.configuration(), json!({"jwks_uri": "file:///etc/passwd"})))), "no place for keys"),
        (own(Reply::redirect(302, &issuer.server.other_url("/elsewhere"))), "another host"),
        (own(Reply::json(vec![b' '; 300 << 10])), "budget issuer-bytes"),
        (keys(json(json!({}))), "no set of keys"),
        (keys(json(json!({"keys": vec![issuer.key("ec"); 101]}))), "budget issuer-keys"),
        (keys(Reply::json(vec![b' '; 300 << 10])), "budget issuer-bytes"),
    ];
    for ((configuration, keys), why) in cases {
        // A server of its own: one that failed is left alone for a while.
        let site = Site::of(Env::new(), &[]);
        site.env.ok(["collection", "create", "released"]);
        add(&site.env, &issuer, "release", &["--claim", "repository=acme/tools", "--collection", "released"]);
        issuer.server.route(CONFIGURATION, configuration).route(KEYS, keys);
        let token = issuer.token("ec", &issuer.claims());
        denied(&site, &token, 503, "unavailable", &["the server's log says why"]);
        let (asked, log) = (issuer.server.paths().len(), log(&site));
        assert!(log.contains(why), "{why}: {log}");
        denied(&site, &token, 503, "unavailable", &[]);
        assert_eq!(issuer.server.paths().len(), asked, "{why}: it is left alone for a while");
        site.end();
    }
    issuer.server.route(CONFIGURATION, Reply::hang());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..12).map(|_| scope.spawn(|| mint(&site, &issuer.token("ec", &issuer.claims())).text())).collect();
        std::thread::sleep(Duration::from_millis(300));
        let asked = Instant::now();
        assert_eq!(site.server.get("/healthz").status, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        let texts: Vec<String> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
        let busy = texts.iter().filter(|text| text.contains("budget issuer-waits")).count();
        assert_eq!(busy, 4, "one issuer has half of the places: {texts:?}");
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(issuer.server.paths().iter().filter(|path| *path == CONFIGURATION).count(), 12 + 1);
    site.end();
}

#[test]
fn what_a_publisher_is_decides_and_its_tokens_end_with_it() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    let token = || issuer.token("ec", &issuer.claims());
    let wheel = |version: &str| Wheel::new("acme-tools", version);
    // Of several the one that wants most; of two alike none.
    let main = ["--claim", "repository=acme/tools", "--claim", "ref=refs/heads/main"];
    add(&site.env, &issuer, "main", &[&main[..], &["--collection", "shared", "--read", "--scope", "admin"]].concat());
    let secret = minted(&site, &token());
    assert_eq!(upload(&site, "/shared/legacy/", &secret, &wheel("1.0")).status, 200);
    assert_eq!(upload(&site, "/shared/legacy/?on_conflict=replace", &secret, &wheel("1.0").payload(9, 9)).status, 200);
    assert_eq!(upload(&site, "/released/legacy/", &secret, &wheel("1.0")).status, 403);
    let login = crate::uploads::basic(&secret);
    assert_eq!(site.server.ask("GET", "/shared/simple/", &[("Authorization", &login)]).status, 200);
    add(
        &site.env,
        &issuer,
        "twin",
        &["--claim", "repository_owner=acme", "--claim", "ref=refs/*", "--collection", "released"],
    );
    denied(&site, &token(), 422, "invalid-publisher", &["several publishers"]);
    assert!(log(&site).contains("main and twin fit a token alike"));
    site.env.ok(["publisher", "remove", "twin"]);
    site.env.ok(["publisher", "remove", "main"]);
    assert_eq!(upload(&site, "/shared/legacy/", &secret, &wheel("2.0")).status, 401, "it ended with the publisher");
    let secret = minted(&site, &token());
    assert_eq!(upload(&site, "/released/legacy/", &secret, &wheel("2.0")).status, 200);
    // Where routes lead elsewhere, that is told as what a publisher lacks.
    site.env.ok(["collection", "create", "special"]);
    site.env.ok(["route", "set", "released", "--share-pure"]);
    site.env.ok(["route", "override", "numpy", "special"]);
    let heard = upload(&site, "/released/legacy/", &secret, &Wheel::new("numpy", "1.0"));
    assert_eq!(heard.status, 403, "{heard}");
    assert!(heard.text().contains("the publisher release needs `--into special`"), "{heard}");
    site.env.ok(["route", "delete", "released"]);
    // Another collection of the same name is another's.
    site.env.ok(["collection", "delete", "released", "--yes"]);
    site.env.ok(["collection", "create", "released"]);
    assert_eq!(upload(&site, "/released/legacy/", &secret, &wheel("3.0")).status, 401);
    denied(&site, &token(), 422, "invalid-publisher", &["no publisher of this server has the issuer"]);
    assert_eq!(site.server.get("/_/oidc/audience").status, 404);
    site.end();
}

#[test]
fn a_token_is_given_back_and_what_has_ended_is_forgotten() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    let burn = |token: &str| {
        let body = json!({ "token": token }).to_string();
        site.server.connect().post("/_/oidc/burn-token", &[], body.as_bytes()).status
    };
    let kept = site.token(&["--collection", "released", "--scope", "upload"]);
    let claims = issuer.claims();
    let secret = minted(&site, &issuer.token("ec", &claims));
    for token in ["", "wcas_", &"x".repeat(300), &kept, &secret] {
        assert_eq!(burn(token), 202, "{token}");
    }
    assert_eq!(upload(&site, "/released/legacy/", &secret, &Wheel::new("a", "1.0")).status, 401);
    assert_eq!(upload(&site, "/released/legacy/", &kept, &Wheel::new("a", "1.0")).status, 200, "no publisher's");
    let tokens = |env: &Env| env.json(["token", "list"])["tokens"].as_array().unwrap().len();
    assert_eq!(tokens(&site.env), 2);
    std::thread::sleep(Duration::from_millis(1100));
    site.env.ok(["gc"]);
    assert_eq!(tokens(&site.env), 1, "an ended token of a publisher is forgotten");
    // That it was used is remembered for as long as it would be good.
    denied(&site, &issuer.token("ec", &claims), 422, "invalid-reuse-token", &[]);
    let records = site.env.json(["log", "--kind", "token"]);
    let commands: Vec<_> =
        records["records"].as_array().unwrap().iter().map(|row| row["command"].as_str().unwrap()).collect();
    assert!(commands.contains(&"burn-token") && !commands.contains(&"gc"), "an end is told once: {commands:?}");
    site.end();
}

#[test]
fn what_is_sent_is_bounded_and_a_request_that_is_none_is_told() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    let post = |path: &str, headers: &[(&str, &str)], body: &[u8]| site.server.connect().post(path, headers, body);
    for body in ["", "{}", "[]", "{\"token\": 1}", "token=x"] {
        let heard = post("/_/oidc/mint-token", &[], body.as_bytes());
        assert_eq!(heard.status, 422, "{heard}");
        assert!(heard.text().contains("invalid-payload"), "{heard}");
    }
    let huge = json!({ "token": "x".repeat(70_000) }).to_string();
    let heard = post("/_/oidc/mint-token", &[], huge.as_bytes());
    assert_eq!(heard.status, 413, "{heard}");
    assert!(heard.text().contains("budget jwt-bytes"), "{heard}");
    let good = json!({ "token": issuer.token("ec", &issuer.claims()) }).to_string();
    let heard = post("/_/oidc/mint-token", &[("Origin", "https://evil.example")], good.as_bytes());
    assert_eq!(heard.status, 403, "{heard}");
    let heard = site.server.get("/_/oidc/mint-token");
    assert_eq!((heard.status, heard.header("allow")), (405, "POST"), "{heard}");
    assert_eq!(post("/_/oidc/audience", &[], b"{}").status, 405);
    assert_eq!(post("/_/oidc/mint-token", &[], good.as_bytes()).status, 200);
    let help = site.env.ok(["serve", "--help"]).stdout;
    for name in [
        "jwt-bytes",
        "jwt-life",
        "jwt-used",
        "issuer-bytes",
        "issuer-keys",
        "issuer-time",
        "issuer-waits",
        "publisher-tokens",
    ] {
        assert!(help.contains(name), "{name}");
    }
    site.end();
}

/// A wheel on a disk, and a uv that publishes it as a job of a CI does.
fn publish(site: &Site, python: &std::path::Path, vars: &[(&str, &str)]) -> crate::clients::Done {
    let desk = Desk::new();
    let wheel = Wheel::new("acme-tools", "1.0").payload(5000, 1).write_to(desk.path("dist"));
    let certificate = tls("own.pem");
    let mut command = desk.command(python);
    command.args(["-m", "uv", "--no-config", "publish", "--trusted-publishing", "always", "--publish-url"]);
    command.arg(site.server.url("/released/legacy/")).arg(wheel).env("SSL_CERT_FILE", certificate);
    command.args(["--allow-insecure-host", &site.server.address().to_string()]).envs(vars.iter().copied());
    Desk::finish(&mut command)
}

fn tls(name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls");
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn uv_publishes_as_a_job_of_github_and_of_gitlab() {
    let Some(python) = interpreter("uv") else { return };
    let issuer = Issuer::start();
    for (ci, claims) in [("github", "repository=acme/tools"), ("gitlab", "project_path=acme/tools")] {
        let env = Env::new();
        env.ok(["collection", "create", "released"]);
        add(&env, &issuer, ci, &["--claim", claims, "--collection", "released"]);
        let site = Site::of(env, &["--tls-cert", &tls("own.pem"), "--tls-key", &tls("own.key.pem")]);
        let claims = with(issuer.claims(), json!({"project_path": "acme/tools"}));
        let token = issuer.token("rsa-1", &claims);
        issuer.server.route("/token", Reply::json(json!({ "value": token }).to_string()));
        let url = issuer.server.url("/token?version=2");
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", &*url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer-of-the-job"),
        ];
        let gitlab = [("GITLAB_CI", "true"), ("WCAS_ID_TOKEN", &*token)];
        let vars = if ci == "github" { &github[..] } else { &gitlab };
        let done = publish(&site, &python, vars);
        assert!(done.ok, "{ci}: {}\n{}", done.said, log(&site));
        assert_eq!(site.env.json(["list"])["distributions"].as_array().unwrap().len(), 1, "{}", done.said);
        let token = site.env.json(["token", "list"])["tokens"][0].clone();
        // It gives the token back when it is done.
        assert_eq!((&token["publisher"], &token["is_live"]), (&ci.into(), &false.into()), "{}", log(&site));
        // What uv says when nothing fits.
        let other = with(claims, json!({"repository": "evil/tools", "project_path": "evil/tools", "jti": "other"}));
        let token = issuer.token("rsa-1", &other);
        issuer.server.route("/token", Reply::json(json!({ "value": token }).to_string()));
        let gitlab = [("GITLAB_CI", "true"), ("WCAS_ID_TOKEN", &*token)];
        let done = publish(&site, &python, if ci == "github" { &github[..] } else { &gitlab });
        assert!(!done.ok && done.said.contains("no publisher of this server matches it"), "{ci}: {}", done.said);
        site.server.stop();
    }
}

#[test]
fn twines_own_exchange_gets_a_token() {
    let Some(python) = interpreter("twine") else { return };
    let (issuer, desk) = (Issuer::start(), Desk::new());
    let env = Env::new();
    env.ok(["collection", "create", "released"]);
    add(&env, &issuer, "release", &["--claim", "repository=acme/tools", "--collection", "released"]);
    let site = Site::of(env, &["--tls-cert", &tls("own.pem"), "--tls-key", &tls("own.key.pem")]);
    let token = issuer.token("ec", &issuer.claims());
    issuer.server.route("/token", Reply::json(json!({ "value": token }).to_string()));
    // By itself it asks the public index alone, so what it asks with is called.
    let code = "import sys; from twine.auth import CredentialInput, Resolver\n\
                resolver = Resolver({'repository': sys.argv[1]}, CredentialInput('__token__'))\n\
                print(resolver.make_trusted_publishing_token() == resolver.make_trusted_publishing_token() != None)";
    let mut command = desk.command(&python);
    command.args(["-c", code]).arg(site.server.url("/released/legacy/")).env("REQUESTS_CA_BUNDLE", tls("own.pem"));
    command.env("GITHUB_ACTIONS", "true").env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer-of-the-job");
    let done = Desk::finish(command.env("ACTIONS_ID_TOKEN_REQUEST_URL", issuer.server.url("/token?version=2")));
    assert!(done.ok && done.said.contains("True"), "{}\n{}", done.said, log(&site));
    let tokens = site.env.json(["token", "list"])["tokens"].as_array().unwrap().len();
    assert_eq!(tokens, 1, "it keeps what it has for as long as that lasts");
    site.server.stop();
}

#[test]
fn one_publisher_has_half_of_all_tokens_and_what_has_ended_counts_no_more() {
    let issuer = Issuer::start();
    let site = site(&issuer, &[]);
    let fill = |count: u32, ends_at: u64| {
        let manifest = rusqlite::Connection::open(site.env.store().join("manifest.sqlite")).unwrap();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                   INSERT INTO token(name, digest, collection, collection_id, scope, created_at, expires_at, publisher, publisher_id)
                   SELECT 'n' || i, randomblob(32), 'released', c.id, 'upload', 0, ?2, p.name, p.id
                   FROM n, collection c, publisher p WHERE c.name = 'released'";
        manifest.execute(sql, (count, ends_at.cast_signed())).unwrap();
    };
    fill(600, now() - 10);
    minted(&site, &issuer.token("ec", &issuer.claims()));
    fill(499, now() + 600);
    let claims = issuer.claims();
    denied(&site, &issuer.token("ec", &claims), 503, "unavailable", &["budget publisher-tokens"]);
    // Another one still gets some.
    let other = ["--claim", "repository=acme/other", "--collection", "released"];
    add(&site.env, &issuer, "other", &other);
    minted(&site, &issuer.token("ec", &with(issuer.claims(), json!({"repository": "acme/other"}))));
    // What was refused was not used.
    site.env.ok(["publisher", "remove", "release"]);
    add(&site.env, &issuer, "release", &["--claim", "repository=acme/tools", "--collection", "released"]);
    minted(&site, &issuer.token("ec", &claims));
    site.server.stop();
}
