//! How a GGUF file's weights are stored, by its name.

/// Names as files carry them, the most exact first: what is nearest to the original weights, by the bits a weight.
/// (llama.cpp's `llama_ftype` names.)
const BY_EXACTNESS: [&str; 22] = [
    "F32", "BF16", "F16", "FP16", "Q8_0", "Q6_K", "Q6_K_L", "Q5_K_L", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_L",
    "Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "Q2_K_S",
];

/// Formats that no kernel here reads.
const UNREAD: [&str; 14] = [
    "IQ4_XS", "IQ4_NL", "IQ3_XXS", "IQ3_XS", "IQ3_M", "IQ3_S", "IQ2_XXS", "IQ2_XS", "IQ2_M", "IQ2_S", "IQ1_M", "IQ1_S",
    "MXFP4", "NVFP4",
];
/// And those that begin with this: interleaved for certain processors, ternary.
const UNREAD_BEGINNINGS: [&str; 5] = ["Q4_0_4", "Q4_0_8", "TQ1_", "TQ2_", "IQ"];

/// How a file's weights are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantisation {
    /// "Q4_K_M"
    pub name: String,
    /// Place among the known ones, 0 the most exact; `None` for what cannot be read.
    pub exactness: Option<usize>,
}

/// The quantisation that a file's name says, as in `model.Q4_K_M.gguf` or `model-q8_0.gguf`.
pub fn of_file(path: &str) -> Option<Quantisation> {
    let name = path.rsplit('/').next().unwrap_or_default().to_uppercase();
    let stem = name.strip_suffix(".GGUF").unwrap_or(&name);
    // The last word that is one: a model's own name may hold what looks like one.
    let starts = stem.char_indices().filter(|&(at, _)| at == 0 || !is_part(stem.as_bytes()[at - 1]));
    starts.filter_map(|(at, _)| at_beginning_of(&stem[at..])).last()
}

fn at_beginning_of(text: &str) -> Option<Quantisation> {
    let word: &str = &text[..text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())];
    let exactness = BY_EXACTNESS.iter().position(|known| *known == word);
    let unread = UNREAD.contains(&word) || UNREAD_BEGINNINGS.iter().any(|beginning| word.starts_with(beginning));
    (exactness.is_some() || (unread && word.contains('_')) || UNREAD.contains(&word))
        .then(|| Quantisation { name: word.to_string(), exactness: exactness.filter(|_| !unread) })
}

/// Whether a name goes on after this byte. An underscore separates too, as in `model_q8_0`.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Option<String> {
        of_file(path).map(|found| found.name)
    }

    #[test]
    fn names_as_people_write_them() {
        for (path, expected) in [
            ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
            ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
            ("sub/model_q8_0.gguf", "Q8_0"),
            ("gemma-3-270m-it-BF16.gguf", "BF16"),
            ("gemma-3-270m-it-UD-Q4_K_M.gguf", "Q4_K_M"),
            ("F16-net-Q5_0.gguf", "Q5_0"),
            ("x.IQ3_XXS.gguf", "IQ3_XXS"),
            ("x-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ] {
            assert_eq!(name(path).as_deref(), Some(expected), "{path}");
        }
        for path in ["model.gguf", "q8.gguf", "IQ-test.gguf", "gguf", ""] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn what_has_more_bits_is_more_exact_and_what_is_not_read_has_no_place() {
        let exactness = |path| of_file(path).unwrap().exactness;
        assert!(exactness("a.Q8_0.gguf") < exactness("a.Q4_K_M.gguf"));
        assert!(exactness("a.Q4_K_M.gguf") < exactness("a.Q2_K.gguf"));
        assert_eq!(exactness("a.IQ4_XS.gguf"), None);
        assert_eq!(exactness("a.Q4_0_8_8.gguf"), None);
    }
}
