//! Where in a loaded model an SAE belongs.

use tiller_engine::Site;
use tiller_formats::TrainedOn;
use tiller_interp::sae::PlacedSae;
use tiller_model::{ModelConfig, NormKind, is_over_keys};
use tiller_sae::Sae;
use tiller_sites::UnknownSite;

/// The place that an SAE's file names, in the loaded model.
#[derive(Clone, Debug, PartialEq)]
pub struct SaePlace {
    pub site: Site,
    /// Of a transcoder.
    pub site_out: Option<Site>,
    pub centred: bool,
    /// What the file leaves unsaid, or says otherwise than the model is: sentences to be shown beside every result.
    pub notes: Vec<String>,
}

/// Why an SAE has no place in a model.
#[derive(Debug, thiserror::Error)]
pub enum SaePlaceError {
    #[error("the SAE's files do not say which activation it {does}: name it, as in blocks.12.hook_resid_post")]
    NoSite { does: &'static str },
    #[error(transparent)]
    Site(#[from] UnknownSite),
    #[error(
        "the SAE {does} \"{name}\", what enters the MLP after its norm's gain, which is not an activation that can be read \
         here: use an SAE of the residual stream, or of attention's or the MLP's output"
    )]
    MlpInput { does: &'static str, name: String },
    #[error("the SAE reads head {0} alone: use one of all heads")]
    Head(u32),
    #[error(
        "the SAE {does} {found} numbers, but this model's activation at {site} has {expected}: it was trained on another \
         model{trained_on}; load that one"
    )]
    Width { does: &'static str, found: usize, site: Site, expected: u32, trained_on: String },
}

impl SaePlace {
    /// Finds the place and checks that it is as wide as the SAE. `model` is what the loaded model is called;
    /// `begins_with_bos`, whether its tokenizer puts that token before every text.
    pub fn find(
        sae: &Sae,
        trained_on: &TrainedOn,
        config: &ModelConfig,
        model: &str,
        begins_with_bos: bool,
    ) -> Result<SaePlace, SaePlaceError> {
        if let Some(head) = trained_on.head {
            return Err(SaePlaceError::Head(head));
        }
        let named = trained_on.model.as_deref().map(|name| format!(" (\"{}\")", shown(name))).unwrap_or_default();
        let place = |does: &'static str, name: Option<&str>, found: usize| -> Result<Site, SaePlaceError> {
            let name = name.ok_or(SaePlaceError::NoSite { does })?;
            if name.ends_with(".hook_mlp_in") {
                return Err(SaePlaceError::MlpInput { does, name: shown(name) });
            }
            let site: Site = name.parse()?;
            config.check_site(site)?;
            let expected = config.site_width(site, 1);
            if is_over_keys(site) || found != expected as usize {
                return Err(SaePlaceError::Width { does, found, site, expected, trained_on: named.clone() });
            }
            Ok(site)
        };
        let site = place("reads", trained_on.site.as_deref(), sae.d_in)?;
        let site_out = match &sae.transcoder {
            Some(transcoder) => Some(place("writes", trained_on.site_out.as_deref(), transcoder.d_out)?),
            None => None,
        };

        let mut notes = Vec::new();
        if let Some(name) = &trained_on.model
            && !is_same_model(name, model)
        {
            notes.push(format!(
                "The SAE was trained on \"{}\", and the loaded model is {model}: features of another model mean little.",
                shown(name)
            ));
        }
        match trained_on.prepend_bos {
            Some(true) if !begins_with_bos => notes.push(
                "The SAE was trained on texts that begin with the model's first token (BOS), which this model's tokenizer \
                 does not put there: features of a text's first tokens are off."
                    .into(),
            ),
            Some(false) if begins_with_bos => notes.push(
                "The SAE was trained on texts without the model's first token (BOS), which this model's tokenizer puts there."
                    .into(),
            ),
            _ => {}
        }
        let is_stream = matches!(site, Site::ResidPre(_) | Site::ResidMid(_) | Site::ResidPost(_));
        let is_centred_in_any_case = config.norm.kind == NormKind::Layer && is_stream;
        let centred = is_centred_in_any_case && trained_on.centred.unwrap_or(true);
        if is_centred_in_any_case && trained_on.centred.is_none() {
            notes.push(
                "The SAE's files do not say whether residual streams were centred: they are here, as TransformerLens \
                 does by default for models with a LayerNorm."
                    .into(),
            );
        }
        Ok(SaePlace { site, site_out, centred, notes })
    }

    pub fn of<'a>(&self, sae: &'a Sae) -> PlacedSae<'a> {
        PlacedSae { sae, site: self.site, site_out: self.site_out, centred: self.centred }
    }
}

/// Whether two names seem to be one model's: of what follows the owner, without signs and case, one begins with the other.
fn is_same_model(a: &str, b: &str) -> bool {
    let plain = |name: &str| -> String {
        let name = name.trim_end_matches('/');
        let name = name.rsplit('/').next().unwrap_or(name);
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let (a, b) = (plain(a), plain(b));
    a.starts_with(&b) || b.starts_with(&a)
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiller_formats::Gguf;
    use tiller_model::TinyLlama;

    fn sae(d_in: usize) -> Sae {
        Sae {
            d_in,
            d_sae: 1,
            w_enc: vec![0.0; d_in],
            b_enc: vec![0.0],
            w_dec: vec![0.0; d_in],
            b_dec: vec![0.0; d_in],
            apply_b_dec_to_input: true,
            activation: tiller_sae::Activation::Relu,
            normalisation: tiller_sae::Normalisation::None,
            transcoder: None,
        }
    }

    fn find(d_in: usize, site: &str) -> Result<SaePlace, SaePlaceError> {
        let model = TinyLlama { layers: 2, width: 64, ..TinyLlama::default() }.to_gguf().unwrap();
        let config = ModelConfig::from_gguf(&pollster::block_on(Gguf::read(&model)).unwrap()).unwrap();
        let trained_on =
            TrainedOn { model: Some("org/Other-2B".into()), site: Some(site.into()), ..TrainedOn::default() };
        SaePlace::find(&sae(d_in), &trained_on, &config, "tiny.gguf", false)
    }

    #[test]
    fn an_sae_that_does_not_fit_is_told_apart_by_what_does_not() {
        let place = find(64, "blocks.1.hook_resid_post").unwrap();
        assert_eq!((place.site, place.centred, place.notes.len()), (Site::ResidPost(1), false, 1));
        let said = |d_in, site: &str| find(d_in, site).unwrap_err().to_string();
        assert!(said(576, "blocks.1.hook_resid_post").contains("reads 576 numbers"));
        assert!(said(576, "blocks.1.hook_resid_post").contains("(\"org/Other-2B\")"));
        assert!(said(64, "blocks.12.hook_resid_post").contains("blocks 0 to 1"));
        assert!(said(64, "blocks.1.hook_resid_pots").contains("did you mean"));
        assert!(said(64, "blocks.1.hook_mlp_in").contains("norm's gain"));
        assert!(said(64, "blocks.1.attn.hook_pattern").contains("numbers"));
    }

    #[test]
    fn names_of_one_model_are_the_same_with_or_without_their_owner_and_format() {
        assert!(is_same_model("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"));
        assert!(is_same_model("gemma-3-270m", "google/gemma-3-270m"));
        assert!(!is_same_model("gemma-2-2b", "gemma-3-270m"));
    }
}
