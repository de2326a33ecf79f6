//! Who may sign: a file as `ssh-keygen -Y verify -f` reads it (`ssh-keygen(1)`, ALLOWED SIGNERS).
//!
//! Only Ed25519 keys are taken. A line with an option that isn't known here (a certificate's authority) makes the file an error: to ignore
//! what limits a key would be to trust more than was said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The kind of key.
pub(super) const ED25519: &str = "ssh-ed25519";

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// Who may sign, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers(Vec<Signer>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    principals: String,
    key: Key,
    namespaces: Option<Vec<String>>,
}

/// A line that is none of a file of signers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the allowed signers {why}; expected `NAME [namespaces=\"wcas-revision\"] ssh-ed25519 KEY`")]
pub struct SignersError {
    line: usize,
    why: &'static str,
}

impl Key {
    /// Reads a key as it stands in signatures and files.
    pub(super) fn from_wire(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let is_ed25519 = reader.string()? == ED25519.as_bytes();
        let key = reader.string()?.try_into().ok()?;
        (is_ed25519 && reader.0.is_empty()).then_some(Self(key))
    }

    /// Returns its bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Signers {
    /// Reads a file of signers.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let signers = lines.map(|(line, text)| signer(text).map_err(|why| SignersError { line, why }));
        Ok(Self(signers.collect::<Result<_, _>>()?))
    }

    /// Tells whether nobody may sign.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the name of whoever may sign with a key in a namespace.
    pub fn find(&self, key: &Key, namespace: &str) -> Option<&str> {
        let may = |signer: &&Signer| {
            signer.key == *key
                && signer.namespaces.as_ref().is_none_or(|names| names.iter().any(|name| name == namespace))
        };
        self.0.iter().find(may).map(|signer| signer.principals.as_str())
    }
}

fn signer(line: &str) -> Result<Signer, &'static str> {
    let mut words = words(line).into_iter();
    let principals = words.next().ok_or("is empty")?;
    let mut word = words.next().ok_or("has no key")?;
    let mut namespaces = None;
    if word != ED25519 {
        if word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-") {
            return Err("has a key that is not Ed25519");
        }
        let names = word.strip_prefix("namespaces=").ok_or("has an option that is not understood")?;
        let names = names.trim_matches('"');
        if names.is_empty() || names.contains(['"', '*', '?', '!', '=']) {
            return Err("has namespaces that are not understood");
        }
        namespaces = Some(names.split(',').map(str::to_owned).collect());
        word = words.next().ok_or("has no key")?;
    }
    if word != ED25519 {
        return Err("has a key that is not Ed25519, or more than one option");
    }
    let key = words.next().and_then(|key| STANDARD.decode(key).ok()).and_then(|key| Key::from_wire(&key));
    Ok(Signer { principals: principals.trim_matches('"').to_owned(), key: key.ok_or("has no sound key")?, namespaces })
}

/// Cuts a line at blanks that are not within quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        is_quoted ^= letter == '"';
        match (letter.is_ascii_whitespace() && !is_quoted, words.last_mut()) {
            (false, Some(word)) => word.push(letter),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Reads what SSH writes (RFC 4251, 5).
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_line_names_who_may_sign_what() {
        let key = Key(std::array::from_fn(|index| index as u8));
        let find = |text: &str, namespace: &str| Signers::parse(text).unwrap().find(&key, namespace).map(str::to_owned);
        assert_eq!(
            find(&format!("# nobody\n\nme@index.example {KEY} comment\n"), "any").as_deref(),
            Some("me@index.example")
        );
        let limited = format!("me namespaces=\"git,wcas-revision\" {KEY}");
        assert_eq!(find(&limited, "wcas-revision").as_deref(), Some("me"));
        assert_eq!(find(&limited, "file"), None);
        assert_eq!(find("", "file"), None);
        for bad in [
            "me".to_owned(),
            format!("me cert-authority {KEY}"),
            format!("me valid-before=\"20200101\" {KEY}"),
            format!("me namespaces=\"*\" {KEY}"),
            "me ssh-rsa AAAAB3NzaC1yc2E=".to_owned(),
            format!("me {}", &KEY[..40]),
            KEY.to_owned(),
        ] {
            assert!(Signers::parse(&bad).is_err(), "{bad}");
        }
    }
}
