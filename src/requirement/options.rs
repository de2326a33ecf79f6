//! The options of a requirements file's line: pip's names for them, their values, and the quotes of a shell.

/// What an option means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    Include,
    Constrain,
    Editable,
    Hash,
    /// For a single requirement, and for an installer only.
    Installer,
    /// For all requirements, and for an installer only.
    Global,
}

/// One option of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) means: Means,
    /// Its long name.
    pub(super) name: &'static str,
    /// Empty where the option has none.
    pub(super) value: String,
}

/// The options of a line and the words between them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) options: Vec<Setting>,
    pub(super) words: Vec<String>,
}

/// Options that were refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum OptionError {
    #[error("a quote is not closed: {0:?}")]
    Quote(String),
    #[error("{0:?} is not an option of a requirements file")]
    Unknown(String),
    #[error("{0:?} begins several options: write one out")]
    Ambiguous(String),
    #[error("{0} needs a value")]
    Value(&'static str),
    #[error("{0} takes no value")]
    NoValue(&'static str),
}

struct PipOption {
    name: &'static str,
    /// Other spellings of the same.
    also: &'static [&'static str],
    value: bool,
    means: Means,
}

const fn known(name: &'static str, also: &'static [&'static str], value: bool, means: Means) -> PipOption {
    PipOption { name, also, value, means }
}

const KNOWN: [PipOption; 21] = [
    known("--requirement", &["-r"], true, Means::Include),
    known("--constraint", &["-c"], true, Means::Constrain),
    known("--editable", &["-e"], true, Means::Editable),
    known("--hash", &[], true, Means::Hash),
    known("--config-settings", &["-C", "--config-setting"], true, Means::Installer),
    // Of older pip, and still in many files.
    known("--global-option", &[], true, Means::Installer),
    known("--install-option", &[], true, Means::Installer),
    known("--index-url", &["-i", "--pypi-url"], true, Means::Global),
    known("--extra-index-url", &[], true, Means::Global),
    known("--no-index", &[], false, Means::Global),
    known("--find-links", &["-f"], true, Means::Global),
    known("--no-binary", &[], true, Means::Global),
    known("--only-binary", &[], true, Means::Global),
    known("--prefer-binary", &[], false, Means::Global),
    known("--require-hashes", &[], false, Means::Global),
    known("--no-require-hashes", &[], false, Means::Global),
    known("--pre", &[], false, Means::Global),
    known("--all-releases", &[], true, Means::Global),
    known("--only-final", &[], true, Means::Global),
    known("--trusted-host", &[], true, Means::Global),
    known("--use-feature", &[], true, Means::Global),
];

/// Returns where the options of a line begin: at the first `-` after a space.
pub(super) fn begin(line: &str) -> usize {
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if letter == '-' && before.is_whitespace() {
            return at;
        }
        before = letter;
    }
    line.len()
}

/// Parses the options of a line.
pub(super) fn parse(text: &str) -> Result<Settings, OptionError> {
    let mut settings = Settings::default();
    let mut words = words(text)?.into_iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word.len() == 1 {
            settings.words.push(word);
            continue;
        }
        if word == "--" {
            settings.words.extend(words);
            break;
        }
        let (known, attached) = split(&word)?;
        let value = match (known.value, attached) {
            (true, Some(value)) => value,
            (true, None) => words.next().ok_or(OptionError::Value(known.name))?,
            (false, Some(_)) => return Err(OptionError::NoValue(known.name)),
            (false, None) => String::new(),
        };
        settings.options.push(Setting { means: known.means, name: known.name, value });
    }
    Ok(settings)
}

/// Finds the option of a word, and the value that the word brings.
fn split(word: &str) -> Result<(&'static PipOption, Option<String>), OptionError> {
    let named = |name: &str| KNOWN.iter().find(|known| known.name == name || known.also.contains(&name));
    if !word.starts_with("--") {
        let end = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
        let (name, value) = word.split_at(end);
        let known = named(name).ok_or_else(|| OptionError::Unknown(name.to_owned()))?;
        // `-r=FILE` isn't pip's, but nobody has a file whose name begins so.
        let value = value.strip_prefix('=').unwrap_or(value);
        return Ok((known, (end < word.len()).then(|| value.to_owned())));
    }
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
    if let Some(known) = named(name) {
        return Ok((known, value));
    }
    let begins =
        |known: &&PipOption| known.name.starts_with(name) || known.also.iter().any(|also| also.starts_with(name));
    let mut candidates = KNOWN.iter().filter(begins);
    match (candidates.next(), candidates.next()) {
        (Some(known), None) => Ok((known, value)),
        (None, _) => Err(OptionError::Unknown(name.to_owned())),
        (Some(_), Some(_)) => Err(OptionError::Ambiguous(name.to_owned())),
    }
}

/// Cuts a text into words as a shell does: quotes, and `\` before a letter that is meant.
fn words(text: &str) -> Result<Vec<String>, OptionError> {
    let open = || OptionError::Quote(text.to_owned());
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match letter {
            '\'' => loop {
                match letters.next().ok_or_else(open)? {
                    '\'' => break,
                    other => word.push(other),
                }
            },
            '"' => loop {
                match letters.next().ok_or_else(open)? {
                    '"' => break,
                    '\\' => match letters.next().ok_or_else(open)? {
                        meant @ ('"' | '\\') => word.push(meant),
                        other => word.extend(['\\', other]),
                    },
                    other => word.push(other),
                }
            },
            '\\' => word.push(letters.next().ok_or_else(open)?),
            other => word.push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(&'static str, String)> {
        let settings = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        settings.options.into_iter().map(|option| (option.name, option.value)).collect()
    }

    #[test]
    fn a_value_follows_its_option_in_every_way_that_pip_knows() {
        for text in
            ["-r a.txt", "-ra.txt", "-r=a.txt", "--requirement a.txt", "--requirement=a.txt", "--requirem 'a.txt'"]
        {
            assert_eq!(read(text), [("--requirement", "a.txt".to_owned())], "{text}");
        }
        assert_eq!(read("--pre -i 'https://h/a b'").len(), 2);
        assert_eq!(read(r#"-r "a b\"c".txt"#)[0].1, "a b\"c.txt");
        assert_eq!(read(r"-r a\ b.txt")[0].1, "a b.txt");
    }

    #[test]
    fn what_is_no_option_is_refused_with_the_reason() {
        for (text, word) in [
            ("--frob", "--frob"),
            ("-x", "-x"),
            ("--no-", "several"),
            ("--hash", "needs a value"),
            ("--pre=1", "no value"),
            ("-r 'a", "quote"),
            ("-é", "not an option"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn words_between_options_are_kept_apart() {
        assert_eq!(parse("--pre a - b -- -c").unwrap().words, ["a", "-", "b", "-c"]);
    }
}
