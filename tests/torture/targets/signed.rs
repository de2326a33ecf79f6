//! Signed lists of files, their signatures, and who may sign.

use super::saw;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha512};
use wcas::signed::signers::Signers;
use wcas::signed::sshsig::Signature;
use wcas::signed::{self, RevisionText};

pub(super) const WORDS: &[&str] = &[
    "wcas-revision/1\n",
    "collection released\n",
    "revision 41\n",
    "previous -\n",
    "previous 40 ",
    "files 1\n",
    " yanked \"",
    "\"",
    "\\u0000",
    "\\n",
    " ",
    "\n",
    "\r\n",
    "0000000000000000000000000000000000000000000000000000000000000000 7 demo-1.0-py3-none-any.whl\n",
    "-----BEGIN SSH SIGNATURE-----\n",
    "-----END SSH SIGNATURE-----",
    "SSHSIG",
    "U1NIU0lH",
    "AAAAC3NzaC1lZDI1NTE5",
    "ssh-ed25519 ",
    "ssh-rsa ",
    "namespaces=\"wcas-revision\" ",
    "cert-authority ",
    "me@index.example ",
    "# ",
    "=",
    "18446744073709551615",
    "9223372036854775808",
    "+1",
    "01",
    "\u{2028}",
    "é",
];

const NAMESPACE: &str = "wcas-revision";

pub(super) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Signers::parse(text) {
        Ok(signers) => saw(format!("signers {}", signers.is_empty())),
        Err(error) => saw(error),
    }
    if let Some(at) = text.find("-----BEGIN")
        && let Err(error) = Signature::parse(&text[at..])
    {
        saw(error);
    }
    check_list(text);
}

/// What somebody signed reads as what it is, and with one change is refused.
fn check_list(text: &str) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let key = [wire(b"ssh-ed25519"), wire(pair.public_key().as_ref())].concat();
    let signers = Signers::parse(&format!("me ssh-ed25519 {}\n", STANDARD.encode(&key))).expect("a good line");
    let signature = sign(&pair, &key, text);
    let parsed = RevisionText::parse(text);
    let read = signed::read(text, &signature, &signers);
    assert_eq!(read.as_ref().ok().map(|(_, list)| list), parsed.as_ref(), "{read:?}");
    let nobody = Signers::parse("").expect("nobody");
    assert!(signed::read(text, &signature, &nobody).is_err());
    let longer = format!("{text}\n");
    assert!(signed::read(&longer, &signature, &signers).is_err());
    let Some(list) = parsed else { return saw("no list") };
    assert_eq!(list.render(), text, "there is one way to say a thing");
    for file in &list.files {
        assert_eq!(list.find(&file.filename), Some(file));
    }
    saw(format!("{} files, {:?}", list.files.len().min(9), list.previous.map(|_| ())));
}

fn wire(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// Signs as `ssh-keygen -Y sign` does.
fn sign(pair: &Ed25519KeyPair, key: &[u8], text: &str) -> String {
    let digest = Sha512::digest(text.as_bytes());
    let about = [wire(NAMESPACE.as_bytes()), wire(b""), wire(b"sha512")].concat();
    let signature = pair.sign(&[&b"SSHSIG"[..], &about, &wire(&digest)].concat());
    let signature = [wire(b"ssh-ed25519"), wire(signature.as_ref())].concat();
    let whole = [&b"SSHSIG\0\0\0\x01"[..], &wire(key), &about, &wire(&signature)].concat();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", STANDARD.encode(whole))
}
