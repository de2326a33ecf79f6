//! The variables of the environment that the program reads, for its manual; and the store's place, which they may say.

use std::path::PathBuf;
use wcas::Error;
use wcas::error::Result;

/// Each, and what it says.
pub(super) const VARIABLES: [(&str, &str); 23] = [
    ("WCAS_STORE", "The store's folder, where --store doesn't say it."),
    (
        "WCAS_LOCK_WAIT",
        "For how many seconds a command waits for another process's lock before it ends with exit code 5; 60 unless set.",
    ),
    ("WCAS_CONNECT_TIMEOUT", "For how many seconds a connection to a remote is tried."),
    ("WCAS_STALL_TIMEOUT", "After how many seconds without a byte a remote's answer counts as lost."),
    ("WCAS_COMPLETE", "Set by the script of `wcas completions`: which shell asks for completions."),
    ("XDG_DATA_HOME", "The folder in which the store `wcas` is, where nothing else says it; an absolute path."),
    ("HOME", "Where .local/share/wcas, .netrc, .pgpass and .aws are looked for."),
    ("NETRC", "The file with remotes' credentials, in place of ~/.netrc."),
    (
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY",
        "The proxies for remotes and buckets, and who is asked without one.",
    ),
    ("USER, LOGNAME", "Who is said to have made a change, beside the user's number and the host."),
    ("WCAS_PAGER", "The program that shows long answers on a terminal; empty or `cat`: none. Else PAGER, else less."),
    ("PAGER, LESS", "The pager where WCAS_PAGER isn't set, and how less is called; LESS=FRX where it isn't."),
    ("NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM", "Whether colours are used, where --color doesn't say it."),
    ("COLUMNS, LINES", "The size of a terminal that doesn't tell its own."),
    ("TMPDIR", "Where a dry run puts what of its copy of the manifest is beyond 1 GiB."),
    (
        "AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE",
        "Which profile of which files has the credentials of a bucket of S3.",
    ),
    (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION",
        "Credentials and region of a bucket of S3.",
    ),
    ("GOOGLE_APPLICATION_CREDENTIALS", "The file with the credentials of a bucket of Google."),
    ("AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY", "Credentials of a container of Azure."),
    ("PGPASSWORD, PGPASSFILE", "The password of a share's log in PostgreSQL, or the file that has it; else ~/.pgpass."),
    ("PGHOST", "The only hosts that PGPASSWORD is for, with commas between, where it is set."),
    (
        "WCAS_AUTH_VARIABLES",
        "The only variables that `--auth env:NAME` may name, with commas between; any may be named unless it is set.",
    ),
    ("$NAME", "The variable that `remote add --auth env:NAME` names holds the credentials of that remote."),
];

/// Returns the store's folder: as said, else as the environment says, else in the platform's data folder.
pub(super) fn store_place(said: Option<PathBuf>) -> Result<PathBuf> {
    let set = || std::env::var_os("WCAS_STORE").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = said.or_else(set) {
        return Ok(path);
    }
    let why = "there is no home folder, so no place for a store: say --store DIR or set WCAS_STORE";
    let home = std::env::home_dir().ok_or_else(|| Error::Refused(why.to_owned()))?;
    // A relative one is none (XDG Base Directory Specification).
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    Ok(data.unwrap_or_else(|| home.join(".local/share")).join("wcas"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Only for builds that test.
    const OF_TESTS: [&str; 2] = ["WCAS_FAULT", "WCAS_STEP"];

    #[test]
    fn every_variable_of_ours_that_is_read_is_in_the_manual_and_in_the_documents() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let documents = std::fs::read_to_string(root.join("docs/cli.md")).unwrap();
        let manual =
            String::from_utf8(super::super::manual::page("wcas", &super::super::help::command()).unwrap()).unwrap();
        let mut read = 0;
        for entry in std::fs::read_dir(root.join("src/cli")).unwrap() {
            let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for name in code.split('"').filter(|text| text.starts_with("WCAS_")) {
                if OF_TESTS.contains(&name) || name == "WCAS_VERSION" {
                    continue;
                }
                read += 1;
                assert!(VARIABLES.iter().any(|(own, _)| *own == name), "{name} is not in VARIABLES");
                assert!(documents.contains(name), "{name} is not in docs/cli.md");
                assert!(manual.contains(name), "{name} is not in the manual");
            }
        }
        assert!(read >= 5, "the variables are read otherwise: {read}");
    }
}
