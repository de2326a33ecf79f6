//! What the answers of a server to our forms mean. Pure.
//!
//! A wcas is asked by digest first, and takes what it has from elsewhere without its bytes. Other servers don't know the question, and
//! are sent the file.

use crate::digest::Sha256;
use crate::remote::UploadAnswer;

/// So much of an answer is told.
const MAX_TOLD: usize = 300;

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Nothing yet.
    Unknown,
    /// It can be asked by digest.
    Wcas,
    /// It takes files.
    Other,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server has the bytes under this name.
    There,
    /// The file is to be sent, in this dialect.
    Wanted(Dialect),
    /// Perhaps the server has the file already: its page tells.
    Doubtful(String),
    /// It has other bytes under this name, and keeps them.
    Conflict(String),
    /// It says no, and will hardly say anything else.
    Refused(String),
    /// It can't say now.
    Failed(String),
}

/// Reads the answer to the question whether a server has a file, or can make do without its bytes.
pub(super) fn of_reference(answer: &UploadAnswer, sha256: &Sha256) -> Meaning {
    // A proxy may put its own name there; a wcas that understood names the digest.
    let is_wcas = answer.server.as_deref().is_some_and(|server| server.starts_with("wcas/")) || names(answer, sha256);
    match answer.status {
        // Who answers 200 to anything hasn't understood.
        200..300 if is_wcas => meaning_of_taken(answer, sha256),
        // It has these bytes elsewhere, and others under this name: sending them would change nothing.
        400 if is_wcas && answer.text.starts_with("File already exists") => Meaning::Conflict(told(answer)),
        401 | 407 => Meaning::Refused(told(answer)),
        403 if is_wcas => Meaning::Refused(told(answer)),
        429 | 502 | 503 | 504 => Meaning::Failed(told(answer)),
        // One of before references.
        400 if answer.text.contains(":action") => Meaning::Wanted(Dialect::Other),
        _ => Meaning::Wanted(if is_wcas { Dialect::Wcas } else { Dialect::Other }),
    }
}

/// Reads the answer to a file.
pub(super) fn of_upload(answer: &UploadAnswer, dialect: Dialect, sha256: &Sha256) -> Meaning {
    match answer.status {
        200..300 if dialect == Dialect::Wcas => meaning_of_taken(answer, sha256),
        200..300 => Meaning::There,
        300..400 => {
            let advice = "uploads follow no redirect: say its final place with --upload-url";
            Meaning::Refused(format!("{}; {advice}", told(answer)))
        }
        // What servers say to a name that is taken, and to much else.
        400 | 403 | 409 => Meaning::Doubtful(told(answer)),
        408 | 429 => Meaning::Failed(told(answer)),
        501 | 505 => Meaning::Refused(told(answer)),
        500.. => Meaning::Failed(told(answer)),
        _ => Meaning::Refused(told(answer)),
    }
}

/// Reads the answer of a wcas that took a file, or keeps another under its name: it names the digest of what is there.
fn meaning_of_taken(answer: &UploadAnswer, sha256: &Sha256) -> Meaning {
    let is_told = answer.text.contains("sha256") || answer.text.starts_with("kept ");
    if is_told && !names(answer, sha256) {
        return Meaning::Conflict(told(answer));
    }
    Meaning::There
}

fn names(answer: &UploadAnswer, sha256: &Sha256) -> bool {
    answer.text.contains(&sha256.to_string())
}

/// Puts an answer in words: its first line, if that is one for people.
fn told(answer: &UploadAnswer) -> String {
    let UploadAnswer { place, status, text, .. } = answer;
    let line = text.lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(MAX_TOLD).collect();
    let line = if line.is_empty() { line } else { format!(": {line}") };
    format!("{place} answered with status {status}{line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::PublicUrl;

    fn answer(status: u16, server: &str, text: &str) -> UploadAnswer {
        let place = PublicUrl::from(&"https://cache.example/cuda/legacy/".parse().unwrap());
        UploadAnswer { place, status, server: Some(server.to_owned()), text: text.to_owned() }
    }

    fn word(meaning: &Meaning) -> &'static str {
        match meaning {
            Meaning::There => "there",
            Meaning::Wanted(Dialect::Wcas) => "wanted by a wcas",
            Meaning::Wanted(_) => "wanted",
            Meaning::Doubtful(_) => "doubtful",
            Meaning::Conflict(_) => "conflict",
            Meaning::Refused(_) => "refused",
            Meaning::Failed(_) => "failed",
        }
    }

    #[test]
    fn a_question_by_digest_tells_who_is_asked() {
        let (own, other) = (Sha256::of(b"own"), Sha256::of(b"other"));
        let has = |digest: Sha256| format!("a.whl is there in cuda, with sha256 digest {digest}");
        for (status, server, text, expected) in [
            (200, "wcas/0.1.0", has(own), "there"),
            (200, "proxy", has(own), "there"),
            (200, "wcas/0.1.0", has(other), "conflict"),
            (200, "other", "welcome".to_owned(), "wanted"),
            (404, "wcas/0.1.0", "no such bytes".to_owned(), "wanted by a wcas"),
            (404, "proxy", format!("a.whl with sha256 digest {own} isn't here: send it"), "wanted by a wcas"),
            (400, "wcas/0.1.0", format!("File already exists ('a.whl', with sha256 digest '{other}')."), "conflict"),
            (404, "other", String::new(), "wanted"),
            (400, "wcas/0.0.9", "the form's :action \"file_reference\" is not known here".to_owned(), "wanted"),
            (401, "other", String::new(), "refused"),
            (403, "wcas/0.1.0", String::new(), "refused"),
            (403, "other", String::new(), "wanted"),
            (503, "other", String::new(), "failed"),
            (500, "other", String::new(), "wanted"),
        ] {
            let found = of_reference(&answer(status, server, &text), &own);
            assert_eq!(word(&found), expected, "{status} {server} {text}");
        }
    }

    #[test]
    fn an_answer_to_a_file_is_final_only_where_it_can_be() {
        let (own, other) = (Sha256::of(b"own"), Sha256::of(b"other"));
        for (status, dialect, text, expected) in [
            (200, Dialect::Other, String::new(), "there"),
            (201, Dialect::Other, format!("sha256 {other}"), "there"),
            (200, Dialect::Wcas, format!("kept what is there as 'a.whl', with sha256 digest '{other}'"), "conflict"),
            (200, Dialect::Wcas, "kept what is there as 'a.whl'".to_owned(), "conflict"),
            (200, Dialect::Wcas, format!("there, with sha256 digest {own}"), "there"),
            (302, Dialect::Other, String::new(), "refused"),
            (400, Dialect::Other, "File already exists".to_owned(), "doubtful"),
            (409, Dialect::Other, String::new(), "doubtful"),
            (413, Dialect::Other, String::new(), "refused"),
            (429, Dialect::Other, String::new(), "failed"),
            (500, Dialect::Other, String::new(), "failed"),
            (501, Dialect::Other, String::new(), "refused"),
            (507, Dialect::Wcas, String::new(), "failed"),
        ] {
            assert_eq!(word(&of_upload(&answer(status, "", &text), dialect, &own)), expected, "{status} {text}");
        }
    }

    #[test]
    fn an_answer_is_told_as_one_line() {
        let found = told(&answer(400, "", "File\u{7} exists\nsecond"));
        assert_eq!(found, "https://cache.example/cuda/legacy/ answered with status 400: File exists");
        assert!(told(&answer(500, "", &"x".repeat(5000))).len() < 400);
    }
}
