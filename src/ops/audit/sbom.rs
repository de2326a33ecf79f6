//! What a revision has as a bill of materials: CycloneDX 1.6, the same for the same revision.

use super::licenses::Licenses;
use crate::digest::Digests;
use crate::manifest::Entry;
use crate::name::CollectionName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// What a purl's parts have as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes the document of a revision's distributions.
pub(super) fn document(collection: &CollectionName, revision: i64, files: &[(Entry, Licenses)]) -> Value {
    let mut text = format!("{collection}\n");
    for (entry, _) in files {
        text.push_str(&format!("{} {}\n", entry.sha256, entry.filename));
    }
    let components: Vec<Value> = files.iter().map(|(entry, licenses)| component(entry, licenses)).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(&text)),
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "wcas", "version": env!("CARGO_PKG_VERSION")}]},
            "component": {
                "type": "data",
                "bom-ref": "collection",
                "name": collection.as_str(),
                "version": revision.to_string(),
            },
        },
        "components": components,
    })
}

fn component(entry: &Entry, licenses: &Licenses) -> Value {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let project = encoded(entry.project.as_str());
    let purl = format!("pkg:pypi/{project}@{}?file_name={}", encoded(&entry.version), encoded(&entry.filename));
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": entry.project.as_str(),
        "version": entry.version,
        "purl": purl,
        "hashes": [
            {"alg": "SHA-256", "content": entry.sha256.to_string()},
            {"alg": "BLAKE3", "content": entry.blake3.to_string()},
        ],
    });
    let licenses = licenses.bill();
    if let (Some(fields), false) = (component.as_object_mut(), licenses.is_empty()) {
        fields.insert("licenses".to_owned(), Value::Array(licenses));
    }
    component
}

/// Returns a UUID of a text (RFC 9562, version 8: of an own digest).
fn uuid(text: &str) -> String {
    let digits = Digests::of(text.as_bytes()).blake3.to_string();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_a_uuid_of_the_text_alone() {
        let own = uuid("cuda\n");
        assert_eq!(own, uuid("cuda\n"));
        assert_ne!(own, uuid("cpu\n"));
        let parts: Vec<usize> = own.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!((&own[14..15], &own[19..20]), ("8", "a"));
    }
}
