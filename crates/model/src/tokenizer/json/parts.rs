//! Parts of a `tokenizer.json` that the `tokenizers` crate (0.23.2) takes without a look and panics on.

use serde_json::Value;

/// Why the crate cannot be given this normalizer: it unwraps what it makes of a compiled table of characters. (Models
/// that merge have none; those of the Unigram kind do.)
pub(super) fn check_normalizer(normalizer: &Value) -> Result<(), String> {
    let is_compiled = |part: &Value| part["type"] == "Precompiled" || part.get("precompiled_charsmap").is_some();
    match find(normalizer, &is_compiled) {
        Some(_) => Err("its normalizer is a compiled table".into()),
        None => Ok(()),
    }
}

/// Why the crate cannot be given this post-processor: the template for a single text must name nothing but that text
/// and special tokens that are described beside it.
pub(super) fn check_post_processor(post_processor: &Value) -> Result<(), String> {
    let names_what_is_not_there = |part: &Value| {
        let pieces = part["single"].as_array().map(Vec::as_slice).unwrap_or_default();
        pieces.iter().any(|piece| {
            let special = piece["SpecialToken"]["id"].as_str();
            special.is_some_and(|id| part["special_tokens"].get(id).is_none()) || piece["Sequence"]["id"] == "B"
        })
    };
    match find(post_processor, &names_what_is_not_there) {
        Some(_) => Err("its template names a token or a text that is not there".into()),
        None => Ok(()),
    }
}

/// The first part that `is_it` says yes to, of one within another. (The parser allows 128 levels.)
fn find<'a>(part: &'a Value, is_it: &impl Fn(&Value) -> bool) -> Option<&'a Value> {
    if is_it(part) {
        return Some(part);
    }
    match part {
        Value::Array(parts) => parts.iter().find_map(|part| find(part, is_it)),
        Value::Object(parts) => parts.values().find_map(|part| find(part, is_it)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_of_what_is_not_there_is_refused() {
        let template = |pieces: Value| {
            let template = json!({"type": "TemplateProcessing", "single": pieces, "special_tokens": {"<s>": {}}});
            check_post_processor(&json!({"type": "Sequence", "processors": [{"type": "ByteLevel"}, template]}))
        };
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        assert!(template(json!([{"SpecialToken": {"id": "<s>", "type_id": 0}}, text])).is_ok());
        assert!(template(json!([{"SpecialToken": {"id": "<t>", "type_id": 0}}, text])).is_err());
        assert!(template(json!([text, {"Sequence": {"id": "B", "type_id": 0}}])).is_err());
        assert!(check_post_processor(&Value::Null).is_ok());
    }

    #[test]
    fn a_compiled_normalizer_is_refused() {
        assert!(check_normalizer(&json!({"type": "Sequence", "normalizers": [{"type": "NFC"}]})).is_ok());
        let compiled = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"});
        assert!(check_normalizer(&json!({"type": "Sequence", "normalizers": [compiled]})).is_err());
        assert!(check_normalizer(&json!({"precompiled_charsmap": "AAAA"})).is_err());
    }
}
