//! The fields of a link or a form.

use std::collections::BTreeMap;

/// So many fields there are at most.
const MOST: usize = 16;

/// Fields by name; each once.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads what browsers make of a form (`application/x-www-form-urlencoded`).
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let mut fields = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if fields.len() == MOST {
                return Err(format!("the form has more than {MOST} fields"));
            }
            if value.contains('\u{FFFD}') {
                return Err("the form is not UTF-8".to_owned());
            }
            if fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err("the form has a field twice".to_owned());
            }
        }
        Ok(Self(fields))
    }

    /// Returns a field's value; empty where it isn't there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_each_field_once_and_few_of_them() {
        let fields = Fields::read(b"spec=torch%3D%3D2.5.1%2Bcu121&reason=it+leaks&empty=").unwrap();
        assert_eq!(
            ["spec", "reason", "empty", "none"].map(|name| fields.get(name)),
            ["torch==2.5.1+cu121", "it leaks", "", ""]
        );
        assert!(Fields::read(b"a=1&a=2").is_err() && Fields::read(b"a=%FF").is_err());
        let many: String = (0..=MOST).map(|at| format!("f{at}=1&")).collect();
        assert!(Fields::read(many.as_bytes()).is_err());
    }
}
