//! A CI's token for one of ours: what is believed of it, which publisher it fits, and that it is used once.

use super::claims::{differences, shortened};
use super::issuers::{Issuers, Trouble};
use crate::budget::{self, Excess};
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{NamedCollection, NewToken, PublisherRow, Rows, Transaction};
use crate::ops::token::{TokenReport, token_report};
use crate::signed::jwt::{self, Claims, LEEWAY_SECONDS, Unverified};
use crate::store::Store;
use crate::token::Secret;

/// So long a token for a publisher lasts: an upload that has begun goes on.
const LIFE_SECONDS: i64 = 900;
/// So long one that has ended is shown.
const SHOWN_SECONDS: i64 = 3600;

/// Why no token is given, as whoever asks is told; nothing of it is a secret of the server's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What is wrong.
    pub kind: DenialKind,
    /// The same in words.
    pub text: String,
    /// What only the server's owner is told.
    pub cause: Option<String>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialKind {
    /// The token can't be believed.
    Token,
    /// It was used before.
    Reuse,
    /// No publisher fits it.
    Publisher,
    /// It can't be said just now.
    Unavailable,
}

impl Denial {
    fn new(kind: DenialKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), cause: None }
    }
}

impl From<jwt::Error> for Denial {
    fn from(error: jwt::Error) -> Self {
        Self::new(DenialKind::Token, format!("the token can't be believed: {error}"))
    }
}

impl From<Excess> for Denial {
    fn from(excess: Excess) -> Self {
        Self::new(DenialKind::Unavailable, excess.to_string())
    }
}

/// Returns whom a CI's tokens must be for; `None`: there is no publisher.
pub fn audience(rows: &Rows) -> Result<Option<String>> {
    Ok(rows.publishers()?.pop().map(|row| row.settings.audience))
}

/// Makes a token, which this secret stands for, in exchange for a CI's token.
pub fn mint(
    store: &Store,
    context: &Context<'_>,
    issuers: &Issuers,
    text: &str,
    secret: &Secret,
) -> Result<std::result::Result<TokenReport, Denial>> {
    store.require_writable()?;
    let mut publishers = store.manifest.read()?.publishers()?;
    match believe(context, issuers, text, &mut publishers) {
        Ok((publisher, claims)) => exchange(store, context, &publisher, &claims, secret),
        Err(denial) => Ok(Err(denial)),
    }
}

/// Ends a token of a publisher that its holder needs no more; others end by `token revoke` alone.
pub fn burn(store: &Store, context: &Context<'_>, secret: &Secret) -> Result<()> {
    let tokens = store.manifest.read()?.tokens()?.into_iter();
    let mut own = tokens.filter(|row| row.publisher.is_some() && row.is_live(context.now));
    if let Some(row) = own.find(|row| secret.has_digest(&row.digest)) {
        store.require_writable()?;
        let transaction = store.manifest.write()?;
        transaction.revoke_token(row.id, context.now)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Finds out what a token says that is to be believed, and the publisher that it fits.
fn believe(
    context: &Context<'_>,
    issuers: &Issuers,
    text: &str,
    publishers: &mut Vec<PublisherRow>,
) -> std::result::Result<(PublisherRow, Claims), Denial> {
    let token = Unverified::parse(text)?;
    let issuer = token.issuer().ok_or(jwt::Error::Claim("iss", "text"))?.to_owned();
    publishers.retain(|row| row.settings.issuer == issuer);
    let Some(client) = context.client.filter(|_| !publishers.is_empty()) else {
        let text = format!("no publisher of this server has the issuer {:?}", shortened(&issuer));
        return Err(Denial::new(DenialKind::Publisher, text));
    };
    let key = issuers.key(client, &issuer, &token).map_err(|trouble| match trouble {
        Trouble::Unknown => Denial::new(DenialKind::Token, "the token can't be believed: its issuer has no such key"),
        Trouble::Busy(excess) => excess.into(),
        Trouble::Failed(why) => Denial {
            kind: DenialKind::Unavailable,
            text: "the keys of the token's issuer can't be had just now; the server's log says why".to_owned(),
            cause: Some(format!("keys of the issuer {issuer}: {why}")),
        },
    })?;
    let claims = token.verify(&key)?;
    let end = claims.check_time(context.now)?;
    if end.saturating_sub(context.now) > budget::JWT_LIFE.limit.cast_signed() {
        return Err(Denial::new(DenialKind::Token, Excess(budget::JWT_LIFE).to_string()));
    }
    if claims.text("sub").is_none() {
        return Err(jwt::Error::Claim("sub", "text").into());
    }
    Ok((choose(publishers, &claims)?, claims))
}

/// Returns the one publisher that a token fits: of several the one that wants most.
fn choose(publishers: &[PublisherRow], claims: &Claims) -> std::result::Result<PublisherRow, Denial> {
    let judged: Vec<_> = publishers.iter().map(|row| (row, differences(row, claims))).collect();
    let fitting: Vec<&PublisherRow> =
        judged.iter().filter(|(_, found)| found.is_empty()).map(|(row, _)| *row).collect();
    let most = fitting.iter().map(|row| row.settings.claims.len()).max();
    let mut first = fitting.into_iter().filter(|row| Some(row.settings.claims.len()) == most);
    let (text, cause) = match (first.next(), first.next()) {
        (Some(row), None) => return Ok(row.clone()),
        (Some(row), Some(other)) => {
            let cause = format!(
                "the publishers {} and {} fit a token alike: give one of them one more claim",
                row.name, other.name
            );
            ("several publishers of this server match the token alike; the server's log names them".to_owned(), cause)
        }
        (None, _) => {
            let lines = judged.iter().map(|(row, found)| format!("{}: {}", row.name, found.join("; ")));
            let cause = format!("a token fits no publisher: {}", lines.collect::<Vec<_>>().join(" | "));
            (format!("the token is good, and no publisher of this server matches it; it says {}", told(claims)), cause)
        }
    };
    Err(Denial { kind: DenialKind::Publisher, text, cause: Some(cause) })
}

/// The most claims that are told to who sent them.
const MAX_TOLD: usize = 40;

/// Returns what a token says, for who sent it.
fn told(claims: &Claims) -> String {
    let names = claims.all().keys().filter(|name| !matches!(name.as_str(), "exp" | "nbf" | "iat" | "jti"));
    let told = names.filter_map(|name| Some(format!("{}={:?}", shortened(name), shortened(&claims.text(name)?))));
    told.take(MAX_TOLD).collect::<Vec<_>>().join(", ")
}

/// Makes the token, where the publisher is still what it was and the CI's token wasn't used before.
fn exchange(
    store: &Store,
    context: &Context<'_>,
    publisher: &PublisherRow,
    claims: &Claims,
    secret: &Secret,
) -> Result<std::result::Result<TokenReport, Denial>> {
    let transaction = store.manifest.write()?;
    if transaction.find_publisher(&publisher.name)?.as_ref() != Some(publisher) {
        let text = "the server's publishers changed meanwhile; try again";
        return Ok(Err(Denial::new(DenialKind::Unavailable, text)));
    }
    forget_ended(&transaction, context.now, SHOWN_SECONDS)?;
    if transaction.exchanged_count()? >= budget::JWT_USED.limit {
        return Ok(Err(Excess(budget::JWT_USED).into()));
    }
    if !is_first_use(&transaction, context, publisher, claims)? {
        return Ok(Err(Denial::new(DenialKind::Reuse, "the token was used before: each is good once")));
    }
    let (all, own) = transaction.publisher_token_counts(publisher.id, context.now)?;
    if !budget::is_fair(budget::PUBLISHER_TOKENS.limit, all, own) {
        return Ok(Err(Excess(budget::PUBLISHER_TOKENS).into()));
    }
    let digest = secret.digest();
    let settings = &publisher.settings;
    let collection = NamedCollection { id: publisher.collection, name: publisher.collection_name.clone() };
    let new = NewToken {
        name: &format!("{}-{}", publisher.name, &digest.to_string()[..12]),
        digest: &digest,
        collection: Some(&collection),
        into: &publisher.into,
        projects: &settings.projects,
        scope: settings.scope,
        is_blind: settings.is_blind,
        expires_at: Some(context.now.saturating_add(LIFE_SECONDS)),
    };
    let id = transaction.insert_token(&new, context.now)?;
    let subject = shortened(&claims.text("sub").unwrap_or_default());
    transaction.set_token_publisher(id, publisher, &subject)?;
    let report = token_report(&transaction, context, id)?;
    transaction.commit()?;
    Ok(Ok(report))
}

/// Forgets what has ended: used tokens of a CI, and tokens of publishers after so many seconds. A clock that was ahead, by a day at most,
/// makes no used token good again.
pub(crate) fn forget_ended(transaction: &Transaction<'_>, now: i64, shown: i64) -> Result<()> {
    let used = now.saturating_sub(budget::JWT_LIFE.limit.cast_signed());
    Ok(transaction.forget_exchanged(used, now.saturating_sub(shown))?)
}

/// Notes that a token is used, and tells whether it is for the first time: by what was signed, and by its number, if it has one.
fn is_first_use(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    publisher: &PublisherRow,
    claims: &Claims,
) -> Result<bool> {
    // It was checked before: it is good now.
    let end = claims.check_time(context.now).unwrap_or(context.now).saturating_add(LEEWAY_SECONDS);
    let number =
        claims.text("jti").map(|number| Sha256::of(format!("{}\n{number}", publisher.settings.issuer).as_bytes()));
    for digest in [Some(*claims.digest()), number].into_iter().flatten() {
        if !transaction.insert_exchanged(&digest, end)? {
            return Ok(false);
        }
    }
    Ok(true)
}
