//! What clients get of buckets that don't speak S3: static sites, and files by signed addresses.

use super::clouds::{Google, azure_team, azurite, google_team};
use super::redirect::follow;
use super::served::path_in;
use super::support::bucket::free_ports;
use super::support::{WcasServer, Wheel, skip};
use super::{Team, blobs};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Publishes everything to a place; returns what was copied, uploaded, written and removed.
fn publish(team: &Team, node: usize, url: &str) -> [u64; 4] {
    let done: Value = team.nodes[node].json(["view", "--to", url]);
    ["copied", "uploaded", "pages", "removed"].map(|name| done[name].as_u64().unwrap())
}

/// Makes sure that a site is made, isn't made again, follows changes, and that of two nodes one goes on with what the other made.
fn assert_is_published(team: &Team, url: &str) {
    team.import(0, &[Wheel::new("demo-app", "1.0").requires("demo-lib"), Wheel::new("demo-lib", "1.0")]);
    team.nodes[1].ok(["list"]);
    assert_eq!(publish(team, 1, url), [2, 0, 6, 0]);
    assert_eq!(blobs(&team.nodes[1]).len(), 0, "no file came here");
    assert_eq!(publish(team, 1, url), [0; 4]);
    assert_eq!(publish(team, 0, url), [0; 4]);
    team.nodes[0].ok(["invalidate", "demo-lib"]);
    assert_eq!(publish(team, 0, url), [0, 0, 2, 2]);
    assert_eq!(publish(team, 1, url)[..3], [0; 3]);
    team.nodes[1].ok(["view", "--remove", url]);
    assert_eq!(team.nodes[1].run(["view", "--remove", url]).code, 4);
}

#[test]
fn a_site_is_published_in_a_container() {
    let Some(endpoint) = azurite() else { return };
    assert_is_published(&azure_team(2, endpoint), &format!("az://wcas/site{}", std::process::id()));
}

#[test]
fn a_site_is_published_in_googles_bucket() {
    assert_is_published(&google_team(2, &Google::start()), "gs://wcas/site");
}

/// Makes sure that a server gives addresses of files, and answers with the bytes of the file at them.
fn assert_redirects(team: &Team, vars: &[(&str, &str)]) -> String {
    let [one, two] = &team.nodes[..] else { panic!() };
    fs::create_dir(one.path("dist")).unwrap();
    let wheel = Wheel::new("demo-app", "1.0").payload(70_000, 1).write_to(one.path("dist"));
    one.ok(["import", "dist", "--collection", "cuda"]);
    let server = WcasServer::start_with(two, &["--redirect"], vars);
    let heard = server.get(&path_in(&server, "cuda", "demo-app"));
    assert_eq!(heard.status, 307, "{heard}");
    let address = heard.header("location").to_owned();
    follow(&address, "GET", &[]).assert_brings(&fs::read(wheel).unwrap());
    assert_eq!(blobs(two).len(), 0, "no file came here");
    server.stop();
    address
}

#[test]
fn files_of_a_container_are_fetched_by_signed_addresses() {
    let Some(endpoint) = azurite() else { return };
    let team = azure_team(2, endpoint);
    let address = assert_redirects(&team, &[]);
    // It is signed for that object, to be read.
    for method in ["PUT", "DELETE"] {
        let heard = follow(&address, method, &[("x-ms-blob-type", "BlockBlob")]);
        assert!([400, 403].contains(&heard.status), "{method}: {heard}");
    }
    assert_eq!(
        follow(&address, "GET", &[]).body.len() as u64,
        team.nodes[0].json(["list"])["distributions"][0]["size"]
    );
    let unsigned = address.split('?').next().unwrap();
    assert!([403, 404].contains(&follow(unsigned, "GET", &[]).status));
    assert_takes_no_files(&team);
}

/// Makes sure that nobody is given an address to put files at, since it would hold for any bytes.
fn assert_takes_no_files(team: &Team) {
    let output = team.nodes[0].run(["serve", "--listen", "127.0.0.1:0", "--direct-uploads"]);
    assert!(output.code == 2 && output.stderr.contains("for one file alone"), "{output}");
}

/// Returns the text of a service account's file with a new key; `None`: there is no openssl.
fn service_account(dir: &Path) -> Option<String> {
    let file = dir.join("key.pem");
    let mut command = Command::new("openssl");
    command.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"]).arg(&file);
    if !command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        skip("there is no openssl: addresses in Google's buckets are not tested");
        return None;
    }
    let key = fs::read_to_string(file).unwrap();
    let account = serde_json::json!({
        "type": "service_account", "client_email": "wcas@team.iam.example", "client_id": "1", "private_key_id": "1",
        "private_key": key,
    });
    Some(account.to_string())
}

#[test]
fn files_of_googles_bucket_are_fetched_by_signed_addresses() {
    let google = Google::start();
    let team = google_team(2, &google);
    let Some(account) = service_account(&team.nodes[0].path("")) else { return };
    let address = assert_redirects(&team, &[("GOOGLE_SERVICE_ACCOUNT_KEY", &account)]);
    let signed = url::Url::parse(&address).unwrap();
    let query: Vec<String> = signed.query_pairs().map(|(name, _)| name.into_owned()).collect();
    for name in ["X-Goog-Algorithm", "X-Goog-Expires", "X-Goog-Signature"] {
        assert!(query.iter().any(|found| found == name), "{address}");
    }
    assert_takes_no_files(&team);
}

#[test]
fn credentials_that_can_sign_nothing_are_told_when_the_server_starts() {
    let google = Google::start();
    let team = google_team(1, &google);
    let none = format!("127.0.0.1:{}", free_ports(1)[0]);
    let variables = [("GCE_METADATA_HOST", none.as_str()), ("GCE_METADATA_IP", none.as_str())];
    let output = team.nodes[0].run_with_env(&variables, ["serve", "--listen", "127.0.0.1:0", "--redirect"]);
    assert!(output.code == 1 && output.stderr.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{output}");
}
