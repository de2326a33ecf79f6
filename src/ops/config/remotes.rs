//! A remote in the document: the options of `remote add`, as keys.

use super::document::{Seconds, is_default};
use crate::manifest::RemoteSettings;
use crate::name::CollectionName;
use crate::requirement::ProjectPattern;
use serde::{Deserialize, Serialize};

/// A remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RemoteConfig {
    /// Its URL, without credentials.
    pub url: String,
    /// The collection that pulls from it.
    pub collection: CollectionName,
    /// See [`RemoteSettings::priority`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i64,
    /// See [`RemoteSettings::only`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<ProjectPattern>,
    /// See [`RemoteSettings::except`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<ProjectPattern>,
    /// See [`RemoteSettings::min_age`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age: Option<Seconds>,
    /// See [`RemoteSettings::not_found`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_found: Vec<u16>,
    /// See [`RemoteSettings::follow_hosts`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follow_hosts: Vec<String>,
    /// See [`RemoteSettings::allow_insecure`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_insecure: bool,
    /// See [`RemoteSettings::trust_unhashed`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub trust_unhashed: bool,
    /// See [`RemoteSettings::is_listed`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub listed: bool,
    /// See [`RemoteSettings::is_optional`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
    /// See [`RemoteSettings::auth`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// See [`RemoteSettings::is_ours`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub ours: bool,
    /// See [`RemoteSettings::writes_back`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub write_back: bool,
    /// See [`RemoteSettings::upload_url`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_url: Option<String>,
    /// See [`RemoteSettings::signed_by`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

impl RemoteConfig {
    /// Takes a remote's settings from its row.
    pub(super) fn new(collection: CollectionName, settings: RemoteSettings) -> Self {
        Self {
            url: settings.url,
            collection,
            priority: settings.priority,
            only: settings.only,
            except: settings.except,
            min_age: settings.min_age.map(Seconds),
            not_found: settings.not_found,
            follow_hosts: settings.follow_hosts,
            allow_insecure: settings.allow_insecure,
            trust_unhashed: settings.trust_unhashed,
            listed: settings.is_listed,
            optional: settings.is_optional,
            auth: settings.auth,
            ours: settings.is_ours,
            write_back: settings.writes_back,
            upload_url: settings.upload_url,
            signed_by: settings.signed_by,
        }
    }

    /// Returns the settings as a row has them.
    pub(super) fn settings(&self) -> RemoteSettings {
        let all = self.clone();
        RemoteSettings {
            url: all.url,
            priority: all.priority,
            only: all.only,
            except: all.except,
            min_age: all.min_age.map(|seconds| seconds.0),
            not_found: all.not_found,
            follow_hosts: all.follow_hosts,
            allow_insecure: all.allow_insecure,
            trust_unhashed: all.trust_unhashed,
            is_listed: all.listed,
            is_optional: all.optional,
            auth: all.auth,
            is_ours: all.ours,
            writes_back: all.write_back,
            upload_url: all.upload_url,
            signed_by: all.signed_by,
        }
    }
}
