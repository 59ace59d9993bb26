//! What people type or paste to name a repository.

/// A repository, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedRepository {
    /// `owner/name`
    pub repo: String,
    pub revision: String,
}

/// `owner/name`, `owner/name@revision`, or an address of the repository's page or of a file in it. What it names is
/// checked where it is used.
pub fn typed_repository(text: &str) -> Option<TypedRepository> {
    let text = text.trim();
    let path = match text.split_once("://") {
        Some((_, address)) => address.split_once('/')?.1,
        None => text,
    };
    let path = path.split(['?', '#']).next()?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (owner, name) = (parts.first()?, parts.get(1)?);
    let (name, at) = name.split_once('@').map_or((*name, None), |(name, revision)| (name, Some(revision)));
    let of_address = matches!(parts.get(2), Some(&("tree" | "blob" | "resolve"))).then(|| parts.get(3)).flatten();
    let revision = at.or(of_address.copied()).unwrap_or("main").replace("%2F", "/");
    Some(TypedRepository { repo: format!("{owner}/{name}"), revision })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_mean_the_same() {
        let main = Some(TypedRepository { repo: "acme/tiny-GGUF".into(), revision: "main".into() });
        for text in [
            "acme/tiny-GGUF",
            " acme/tiny-GGUF/ ",
            "https://hub.example/acme/tiny-GGUF",
            "https://hub.example/acme/tiny-GGUF/tree/main",
            "https://hub.example/acme/tiny-GGUF/blob/main/tiny.Q8_0.gguf?download=true",
        ] {
            assert_eq!(typed_repository(text), main, "{text}");
        }
    }

    #[test]
    fn a_revision_can_be_named() {
        let revision = |text| typed_repository(text).unwrap().revision;
        assert_eq!(revision("acme/tiny@v1"), "v1");
        assert_eq!(revision("http://hub.example/acme/tiny/tree/refs%2Fpr%2F1"), "refs/pr/1");
        assert_eq!(revision("acme/tiny/resolve/0123abc/tiny.gguf"), "0123abc");
    }

    #[test]
    fn half_a_name_is_none() {
        for text in ["", "acme", "acme/", "https://hub.example", "https://hub.example/acme"] {
            assert_eq!(typed_repository(text), None, "{text:?}");
        }
    }
}
