//! Passwords of databases as PostgreSQL's tools keep them: `PGPASSWORD`, or a file.
//!
//! Format: <https://www.postgresql.org/docs/current/libpq-pgpass.html>. As there, a file that others may read is not used.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Returns the password for a database.
pub(super) fn password(host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let said = |name| std::env::var(name).ok();
    let password = said("PGPASSWORD").filter(|_| is_meant(host, said("PGHOST").as_deref().unwrap_or_default()));
    if password.is_some() {
        return password;
    }
    let usual = || std::env::home_dir().map(|home| home.join(".pgpass"));
    let path = std::env::var_os("PGPASSFILE").map(PathBuf::from).or_else(usual)?;
    let is_own = std::fs::metadata(&path).is_ok_and(|found| found.permissions().mode().trailing_zeros() >= 6);
    let text = is_own.then(|| std::fs::read_to_string(&path).ok()).flatten()?;
    text.lines().find_map(|line| matching(line, [host, &port.to_string(), database, user]))
}

/// Tells whether a host is one of those that `PGHOST` says, or nothing is said: a share's bucket may name another one than this machine's
/// owner has in mind.
fn is_meant(host: &str, said: &str) -> bool {
    // A folder has a socket, whose host is called so.
    let named = |said: &str| if said.starts_with('/') { "localhost".to_owned() } else { said.to_owned() };
    said.is_empty() || said.split(',').any(|said| named(said.trim()).eq_ignore_ascii_case(host))
}

/// Returns the password in a line, if the line is about this database.
fn matching(line: &str, wanted: [&str; 4]) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let is_end = character == ':' && fields.len() < 5;
        if is_end {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.extend(if character == '\\' { characters.next() } else { Some(character) });
        }
    }
    let [said @ .., password] = fields.as_slice() else { return None };
    let is_about = said.len() == 4 && said.iter().zip(wanted).all(|(said, wanted)| said == "*" || said == wanted);
    is_about.then(|| password.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_for_the_host_that_is_said_where_one_is() {
        for (host, said) in [
            ("db.example", ""),
            ("db.example", "DB.example"),
            ("db.example", "one.example, db.example"),
            ("localhost", "/run/postgresql"),
        ] {
            assert!(is_meant(host, said), "{host} {said}");
        }
        for (host, said) in [("evil.example", "db.example"), ("b.example", "db.example"), ("db.example", "/run")] {
            assert!(!is_meant(host, said), "{host} {said}");
        }
    }

    #[test]
    fn a_line_has_the_password_of_the_databases_that_it_names() {
        let wanted = ["db.example", "5432", "wcas", "builder"];
        assert_eq!(matching("db.example:5432:wcas:builder:secret", wanted).as_deref(), Some("secret"));
        assert_eq!(matching(r"*:*:wcas:*:a\:b:c\\", wanted).as_deref(), Some(r"a:b:c\"));
        for other in ["db.example:5433:wcas:builder:x", "# *:*:*:*:x", "db.example:5432:wcas", ""] {
            assert_eq!(matching(other, wanted), None, "{other}");
        }
    }
}
