//! Credentials as Amazon's tools keep them in files: `~/.aws/credentials` and `~/.aws/config`.
//!
//! Format: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>. Of a profile only its own keys, region and endpoint
//! are taken; one that is made from another, or by a program, is not.

use std::collections::HashMap;
use std::path::PathBuf;
use wcas::share::Profile;

/// Returns the profile that the environment names, or the default one; `None` where the environment itself has the keys.
pub(super) fn profile() -> Option<Profile> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if variable("AWS_ACCESS_KEY_ID").is_some() || variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
        return None;
    }
    let file = |name: &str, usual: &str| {
        let home = || std::env::home_dir().map(|home| home.join(".aws").join(usual));
        std::env::var_os(name).map(PathBuf::from).or_else(home).and_then(|path| std::fs::read_to_string(path).ok())
    };
    let name = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let keys = section(&file("AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default(), &name);
    let headings = if name == "default" { name } else { format!("profile {name}") };
    let settings = section(&file("AWS_CONFIG_FILE", "config").unwrap_or_default(), &headings);
    let value = |key: &str| keys.get(key).or_else(|| settings.get(key)).cloned();
    Some(Profile {
        access_key_id: value("aws_access_key_id")?,
        secret_access_key: value("aws_secret_access_key")?,
        session_token: value("aws_session_token"),
        region: value("region").filter(|_| variable("AWS_REGION").or(variable("AWS_DEFAULT_REGION")).is_none()),
        endpoint: value("endpoint_url").filter(|_| variable("AWS_ENDPOINT_URL").is_none()),
    })
}

/// Returns the settings of one section. What is indented belongs to the setting above it, and isn't wanted.
fn section(text: &str, name: &str) -> HashMap<String, String> {
    let mut settings = HashMap::new();
    let mut is_ours = false;
    for line in text.lines().filter(|line| !line.starts_with([' ', '\t', '#', ';'])) {
        if let Some(heading) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_ours = heading.split_whitespace().eq(name.split_whitespace());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_ours) {
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_its_own_settings_and_no_others() {
        let text = "aws_access_key_id = stray\n[default]\naws_access_key_id=one\n# aws_access_key_id=no\n  nested = x\n\n[ profile  team ]\n\
                    AWS_Access_Key_Id = two==\nregion =\n[other]\nregion=x\n";
        assert_eq!(section(text, "default")["aws_access_key_id"], "one");
        assert_eq!(section(text, "default").len(), 1);
        assert_eq!(section(text, "profile team")["aws_access_key_id"], "two==");
        assert_eq!(section(text, "profile team")["region"], "");
        assert!(section(text, "absent").is_empty() && section("", "default").is_empty());
    }
}
