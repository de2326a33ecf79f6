//! Reads a netrc file: `machine`, `default`, `login`, `password`; `account` and `macdef` are skipped.
//!
//! As tolerant as curl: what it doesn't understand is passed over, and nothing is an error. The file's permissions are its
//! owner's business. Passwords are never shown.

use std::str::Chars;

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// Returns the login for a host: its own, else the default one.
pub(super) fn find(text: &str, host: &str) -> Option<Login> {
    let mut fallback = None;
    for (machine, login) in entries(text) {
        match machine {
            Some(machine) if machine.eq_ignore_ascii_case(host) => return Some(login),
            None if fallback.is_none() => fallback = Some(login),
            _ => {}
        }
    }
    fallback
}

/// Returns the machines (`None` for the default) with their logins, in the file's order.
fn entries(text: &str) -> Vec<(Option<String>, Login)> {
    let mut entries: Vec<(Option<String>, Login)> = Vec::new();
    let mut rest = text.chars();
    while let Some(word) = word(&mut rest) {
        let empty = || Login { user: String::new(), password: String::new() };
        match word.as_str() {
            "machine" => entries.push((Some(self::word(&mut rest).unwrap_or_default()), empty())),
            "default" => entries.push((None, empty())),
            "macdef" => skip_macro(&mut rest),
            key @ ("login" | "user" | "password" | "account") => {
                let value = self::word(&mut rest).unwrap_or_default();
                match (entries.last_mut(), key) {
                    (Some((_, login)), "password") => login.password = value,
                    (Some((_, login)), "login" | "user") => login.user = value,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    entries
}

/// Takes the next word; `#` where one begins starts a comment, quotes hold one with spaces, a backslash keeps the next letter.
fn word(rest: &mut Chars<'_>) -> Option<String> {
    let first = loop {
        match rest.next()? {
            '#' => while rest.next().is_some_and(|letter| letter != '\n') {},
            letter if letter.is_whitespace() => {}
            letter => break letter,
        }
    };
    let is_quoted = first == '"';
    let mut word = String::new();
    let mut next = if is_quoted { rest.next() } else { Some(first) };
    while let Some(letter) = next {
        match letter {
            '"' if is_quoted => break,
            '\\' => word.extend(rest.next()),
            letter if letter.is_whitespace() && !is_quoted => break,
            letter => word.push(letter),
        }
        next = rest.next();
    }
    Some(word)
}

/// Passes over a macro, which ends at an empty line.
fn skip_macro(rest: &mut Chars<'_>) {
    let text = rest.as_str();
    let end = text.find("\n\n").into_iter().chain(text.find("\n\r\n")).min();
    *rest = text[end.unwrap_or(text.len())..].chars();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "# a comment with machine other.example login nobody\n\
        machine index.example login joe password s#cret\n\
        machine two.example\n  login\tann\n  account x\n  password \"with \\\"space\\\" \"\n\
        macdef init\n  machine fake.example login x password y\n\n\
        nonsense machine Three.Example password only\n\
        default login anonymous password guest\n\
        machine late.example login z password z\n";

    fn found(host: &str) -> Option<(String, String)> {
        find(FILE, host).map(|login| (login.user, login.password))
    }

    #[test]
    fn a_host_has_its_own_login_else_the_default_one() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(found("index.example"), pair("joe", "s#cret"));
        assert_eq!(found("two.example"), pair("ann", "with \"space\" "));
        assert_eq!(found("three.example"), pair("", "only"));
        assert_eq!(found("late.example"), pair("z", "z"));
        for unknown in ["fake.example", "other.example", "example", ""] {
            assert_eq!(found(unknown), pair("anonymous", "guest"), "{unknown}");
        }
        assert!(find("machine a login b password c", "d").is_none());
    }

    #[test]
    fn a_file_that_ends_anywhere_is_read_as_far_as_it_goes() {
        for end in (0..=FILE.len()).filter(|end| FILE.is_char_boundary(*end)) {
            find(&FILE[..end], "index.example");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(machine |default |macdef |login |password |[\"\\\\#\n a-c\u{e9}\r])*", any in ".*") {
            find(&text, "a");
            find(&any, "a");
        }
    }
}
