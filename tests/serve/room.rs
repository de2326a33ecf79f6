//! A disk that is nearly full: what has no end is ended while there is still room for others.

use crate::site::{Site, add, token, wheels};
use crate::support::{Env, Reply, Server, SmallDisk, Wheel};
use crate::uploads::{FORM, basic, form};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Watches how much is free while `act` goes on, and returns the least that was.
fn least_free(dir: &Path, act: impl FnOnce()) -> u64 {
    let (least, is_done) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                least.fetch_min(wcas::fs::free_bytes(dir).unwrap(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // A failed act must not leave the watch running.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        is_done.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    least.load(Ordering::Relaxed)
}

#[test]
fn uploads_and_downloads_without_an_end_leave_room_for_others() {
    let env = Env::new();
    let Some(disk) = SmallDisk::mount(&env.store(), "size=80m") else { return };
    add(&env, "cuda", &wheels()[..1]);
    let login = basic(&token(&env, &["--collection", "cuda", "--scope", "upload"]));
    let remote = Server::start();
    let digest = "1".repeat(64);
    remote.route("/f/endless-1.0-py3-none-any.whl", Reply::file(vec![7; 14 << 20]).chunked());
    let link = format!("<a href=\"/f/endless-1.0-py3-none-any.whl#sha256={digest}\">endless-1.0-py3-none-any.whl</a>");
    remote.route("/simple/endless/", Reply::html(link));
    env.ok(["remote", "add", "evil", &remote.url("/simple/"), "--collection", "cuda"]);
    let site = Site::of(env, &["--client-timeout", "2s"]);
    let fine = |version: &str| {
        let wheel = Wheel::new("fine", version);
        let body = form(&wheel.filename(), &wheel.bytes(), &[]);
        site.server.connect().post("/cuda/legacy/", &[FORM, ("Authorization", &login)], &body).status
    };
    let least = least_free(disk.path(), || {
        let head = [FORM, ("Authorization", &*login), ("Transfer-Encoding", "chunked")];
        let wheel = Wheel::new("endless-up", "1.0").payload(14 << 20, 1);
        let body = form(&wheel.filename(), &wheel.bytes(), &[]);
        let mut connection = site.server.connect();
        connection.send_head("POST", "/cuda/legacy/", &head);
        for piece in body.chunks(1 << 20) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            if connection.send(&chunk).is_err() {
                break;
            }
        }
        if let Some(heard) = connection.head() {
            assert_eq!(heard.status, 507, "{heard}");
            connection.patience(Duration::from_secs(1));
            assert!(String::from_utf8_lossy(&connection.rest()).contains("(budget disk-spare)"), "{heard}");
        }
        assert_eq!(fine("1.0"), 200);
        let heard = site.server.get(&format!("/files/{digest}/endless-1.0-py3-none-any.whl"));
        assert!(heard.status == 503 || heard.status == 200 && !heard.is_whole, "{heard}");
        assert_eq!(fine("1.1"), 200);
    });
    assert!(least >= 62 * MIB, "{least} bytes were free");
    // And the command line, which says why.
    let output = site.env.run(["pull", "endless", "--collection", "cuda"]);
    assert!(output.code != 0 && output.stderr.contains("(budget disk-spare)"), "{output}");
    site.end();
    drop(disk);
}
