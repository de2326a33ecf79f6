//! Completions: what a shell's script asks the program while somebody types.
//!
//! The script sets a variable and gives the words; the answer is commands, options, and names of the store, which is only read. clap's
//! own engine knows where in the line the last word is; here is which names belong there.

use super::environment::store_place;
use clap::Arg;
use clap_complete::CompletionCandidate;
use clap_complete::engine::ArgValueCompleter;
use clap_complete::env::{EnvCompleter, Shells};
use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wcas::catalog::at::RevisionSpec;
use wcas::name::{CollectionName, ProjectName, PublisherName, RemoteName};
use wcas::ops::names::{Candidate, Named, names};
use wcas::requirement::{ProjectPattern, Spec};

/// The variable by which a shell's script asks; it says which shell that is.
pub(super) const ASKED: &str = "WCAS_COMPLETE";

/// Names that take longer to find don't come: somebody waits for the line to go on.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a shell gave: the words of the line, the program's first.
#[derive(Debug)]
pub(super) struct Asked {
    words: Vec<OsString>,
}

/// Answers a shell that asks, and tells whether one did.
pub(super) fn answered() -> bool {
    let Ok(shell) = std::env::var(ASKED) else { return false };
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(&shell).filter(|_| !words.is_empty()) else { return false };
    // What goes wrong is nothing to say into a line that somebody types.
    if let Ok(answer) = answer(completer, words) {
        let _ = io::stdout().write_all(&answer);
    }
    true
}

fn answer(completer: &dyn EnvCompleter, words: Vec<OsString>) -> io::Result<Vec<u8>> {
    let mut command = super::help::completing(Some(Arc::new(Asked { words: words.clone() })));
    let mut answer = Vec::new();
    completer.write_complete(&mut command, words, std::env::current_dir().ok().as_deref(), &mut answer)?;
    Ok(answer)
}

/// Writes what makes a shell ask.
pub(super) fn register(shell: &str) -> io::Result<Vec<u8>> {
    if shell == "bash" {
        return Ok(BASH.replace("ASKED", ASKED).into_bytes());
    }
    let shells = Shells::builtins();
    let completer = shells.completer(shell).ok_or_else(|| io::Error::other(format!("unknown shell {shell}")))?;
    let mut script = Vec::new();
    completer.write_registration(ASKED, "wcas", "wcas", "wcas", &mut script)?;
    if shell == "zsh" {
        // From a folder of functions it is loaded when it is first wanted, and must answer then.
        script.extend_from_slice(
            b"if [ \"$funcstack[1]\" = \"_wcas\" ]; then\n    _clap_dynamic_completer_wcas \"$@\"\nfi\n",
        );
    }
    Ok(script)
}

/// For bash the script is our own: bash parts words at `=`, `:` and `@`, which are within names here (`cuda@41`, `--collection=cuda`).
const BASH: &str = r#"# wcas: completions that the program itself tells
_wcas() {
    local rest=${COMP_LINE:0:COMP_POINT} word candidate
    local -a words=()
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -eq 0 || $rest == [[:space:]]* ]]; then
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("")
        fi
        [[ $rest == "$word"* ]] || word=$rest
        words[${#words[@]}-1]+=$word
        rest=${rest#"$word"}
    done
    local last=$((${#words[@]} - 1))
    local tail=${words[last]##*[$COMP_WORDBREAKS]}
    local head=${words[last]%"$tail"}
    COMPREPLY=()
    while IFS= read -r candidate || [[ -n $candidate ]]; do
        COMPREPLY+=("${candidate#"$head"}")
    done < <(ASKED=bash _CLAP_COMPLETE_INDEX=$last _CLAP_IFS=$'\n' wcas -- "${words[@]}" 2> /dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:@] ]]; then
        compopt -o nospace 2> /dev/null
    fi
    return 0
}
complete -F _wcas wcas
"#;

/// Lets an argument's values be completed by names of the store, where they are such names.
pub(super) fn with_names(arg: Arg, path: &str, asked: &Arc<Asked>) -> Arg {
    let Some(kind) = kind(&arg, path) else { return arg };
    let asked = asked.clone();
    arg.add(ArgValueCompleter::new(move |current: &OsStr| candidates(kind, current, &asked)))
}

/// What an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Collection,
    Variant,
    Remote,
    Publisher,
    Project,
    Token,
    /// A collection, maybe at a revision: `cuda@41`.
    At,
    /// A revision of the collection that the word before names.
    Revision,
    /// A revision of the collection that an option of the line names.
    RevisionShown,
}

/// Commands whose names are new ones.
const MAKERS: [&str; 3] = ["collection create", "remote add", "publisher add"];

/// Returns what an argument takes: its type says so for nearly all.
fn kind(arg: &Arg, path: &str) -> Option<Kind> {
    let parser = arg.get_value_parser().type_id();
    let is = |kind: TypeId| parser == kind;
    let (id, is_positional) = (arg.get_id().as_str(), arg.is_positional());
    if is_positional && id == "name" && MAKERS.contains(&path) {
        return None;
    }
    if is(TypeId::of::<CollectionName>()) {
        return Some(if id == "variant" { Kind::Variant } else { Kind::Collection });
    }
    let of_projects = [
        TypeId::of::<Spec>(),
        TypeId::of::<super::list::Named>(),
        TypeId::of::<ProjectName>(),
        TypeId::of::<ProjectPattern>(),
    ];
    if of_projects.into_iter().any(is) {
        return Some(Kind::Project);
    }
    match (path, id) {
        _ if is(TypeId::of::<RevisionSpec>()) => Some(Kind::At),
        _ if is(TypeId::of::<RemoteName>()) => Some(Kind::Remote),
        _ if is(TypeId::of::<PublisherName>()) => Some(Kind::Publisher),
        ("token revoke", _) if is_positional => Some(Kind::Token),
        ("collection rollback", "revision") => Some(Kind::Revision),
        ("view", "at") => Some(Kind::RevisionShown),
        ("collection set", "fallback") => Some(Kind::Collection),
        _ => None,
    }
}

/// Returns the names that go on from what is typed.
fn candidates(kind: Kind, current: &OsStr, asked: &Asked) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let before = || asked.words.iter().rev().nth(1).and_then(|word| word.to_str()?.parse().ok());
    let (named, head, prefix) = match (kind, current.split_once('@')) {
        (Kind::At, Some((name, prefix))) => {
            let Ok(collection) = name.parse() else { return Vec::new() };
            (Named::Revisions(collection), format!("{name}@"), prefix.to_owned())
        }
        (Kind::Revision, _) => match before() {
            Some(collection) => (Named::Revisions(collection), String::new(), current.to_owned()),
            None => return Vec::new(),
        },
        (Kind::RevisionShown, _) => {
            let said = asked.said(&["--collection", "-c"]).and_then(|name| name.to_str()?.parse().ok());
            (Named::Revisions(said.unwrap_or_else(CollectionName::shared)), String::new(), current.to_owned())
        }
        (Kind::Collection | Kind::At, _) => (Named::Collections, String::new(), current.to_owned()),
        (Kind::Variant, _) => (Named::Variants, String::new(), current.to_owned()),
        (Kind::Remote, _) => (Named::Remotes, String::new(), current.to_owned()),
        (Kind::Publisher, _) => (Named::Publishers, String::new(), current.to_owned()),
        (Kind::Token, _) => (Named::Tokens, String::new(), current.to_owned()),
        // Names are kept in one form.
        (Kind::Project, _) => (Named::Projects, String::new(), current.to_ascii_lowercase().replace(['_', '.'], "-")),
    };
    let found = in_time(asked.store(), named, prefix);
    let found = found.into_iter().filter(|candidate| is_plain(&candidate.name));
    found
        .map(|candidate| {
            let about = candidate.about.map(|text| super::print::escaped(&text).into_owned().into());
            CompletionCandidate::new(format!("{head}{}", candidate.name)).help(about)
        })
        .collect()
}

/// Looks for names, and gives up where that takes long; the process ends then, and its thread with it.
fn in_time(store: Option<PathBuf>, named: Named, prefix: String) -> Vec<Candidate> {
    let (tell, told) = mpsc::channel();
    let look = move || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let found = store_place(store).and_then(|root| names(&root, &named, &prefix, now.cast_signed()));
        // Nobody listens any longer where it took too long.
        let _ = tell.send(found.unwrap_or_default());
    };
    let begun = std::thread::Builder::new().spawn(look);
    begun.ok().and_then(|_| told.recv_timeout(PATIENCE).ok()).unwrap_or_default()
}

/// Tells whether a name means to every shell what it is.
fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    name.chars().all(is_plain) && !name.starts_with('-')
}

impl Asked {
    /// Returns the last value that the line gives an option of one of these names.
    fn said(&self, names: &[&str]) -> Option<OsString> {
        let mut words = self.words.iter();
        let mut said = None;
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--") => break,
                Some(word) if names.contains(&word) => said = words.next().cloned(),
                Some(word) => {
                    let value = word.split_once('=').filter(|(name, _)| names.contains(name));
                    said = value.map(|(_, value)| OsString::from(value)).or(said);
                }
                None => {}
            }
        }
        said.filter(|said| !said.is_empty())
    }

    /// Returns the store that the line names.
    fn store(&self) -> Option<PathBuf> {
        // The shell has not read the line yet.
        let store = PathBuf::from(self.said(&["--store"])?);
        match store.strip_prefix("~") {
            Ok(rest) => Some(std::env::home_dir()?.join(rest)),
            Err(_) => Some(store),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what each argument of a command takes.
    fn kinds(path: &str) -> Vec<(String, Kind)> {
        let mut command = super::super::help::command();
        for name in path.split(' ') {
            command = command.find_subcommand(name).expect("a command").clone();
        }
        let of = |arg: &Arg| Some((arg.get_id().to_string(), kind(arg, path)?));
        command.get_arguments().filter_map(of).collect()
    }

    #[test]
    fn types_of_arguments_say_which_names_they_take() {
        let own = |path: &str, id: &str| kinds(path).into_iter().find(|(own, _)| own == id).map(|(_, kind)| kind);
        for (path, id, kind) in [
            ("list", "specs", Some(Kind::Project)),
            ("list", "collection", Some(Kind::At)),
            ("lookup", "variant", Some(Kind::Variant)),
            ("collection diff", "from", Some(Kind::At)),
            ("collection show", "name", Some(Kind::Collection)),
            ("collection create", "name", None),
            ("collection rollback", "revision", Some(Kind::Revision)),
            ("remote set", "name", Some(Kind::Remote)),
            ("remote add", "name", None),
            ("push", "remotes", Some(Kind::Remote)),
            ("route show", "variant", Some(Kind::Variant)),
            ("route override", "collection", Some(Kind::Collection)),
            ("publisher remove", "name", Some(Kind::Publisher)),
            ("reserve", "patterns", Some(Kind::Project)),
            ("import", "paths", None),
        ] {
            assert_eq!(own(path, id), kind, "{path} {id}: {:?}", kinds(path));
        }
    }

    #[test]
    fn only_names_that_a_shell_takes_as_they_are_are_told() {
        assert!(is_plain("torch-2.5.1+cu126") && is_plain("7"));
        for name in ["$(id)", "a b", "-rf", "a;b", "`x`", "a\nb", "ä", "*"] {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn the_store_is_the_one_that_the_line_names() {
        let store = |line: &str| Asked { words: line.split(' ').map(OsString::from).collect() }.store();
        assert_eq!(store("wcas list"), None);
        assert_eq!(store("wcas --store /a list --store=/b "), Some("/b".into()));
        assert_eq!(store("wcas run -- x --store /a"), None);
        assert_eq!(store("wcas --store "), None);
    }
}
