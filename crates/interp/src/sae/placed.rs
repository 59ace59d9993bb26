//! An SAE at its place in a model.

use crate::InterpError;
use tiller_engine::{Controls, Edit, Engine, EngineError, Harvest, Site, TapRows};
use tiller_sae::{Features, Sae};

/// Activations that are encoded between two looks at whether to stop.
const ROWS: usize = 64;

/// An SAE, and where in a model it belongs.
#[derive(Clone, Copy, Debug)]
pub struct PlacedSae<'a> {
    pub sae: &'a Sae,
    /// The activation that it reads.
    pub site: Site,
    /// The one that it writes, where it is a transcoder.
    pub site_out: Option<Site>,
    /// Whether the mean over its numbers is taken off each activation before the SAE sees it, and put back after: so
    /// TransformerLens had the residual stream of models with a LayerNorm, which takes that mean off in any case.
    pub centred: bool,
}

/// Activations of one text, `[tokens, width]` each.
pub(crate) struct Activations {
    /// What the SAE reads.
    pub read: Vec<f32>,
    /// What it is to write.
    pub target: Vec<f32>,
}

impl PlacedSae<'_> {
    /// The activation that is reconstructed.
    pub fn target(&self) -> Site {
        self.site_out.unwrap_or(self.site)
    }

    /// Checks that the model has the sites, and that they are as wide as the SAE.
    pub fn check(&self, engine: &Engine) -> Result<(), InterpError> {
        let config = engine.config();
        for (does, site, found) in [("reads", self.site, self.sae.d_in), ("writes", self.target(), self.sae.d_out())] {
            config.check_site(site).map_err(EngineError::from)?;
            let expected = config.site_width(site, 1) as usize;
            if is_over_keys(site) || found != expected {
                return Err(InterpError::SaeWidth { does, found, site, expected });
            }
        }
        Ok(())
    }

    /// The activations of each text, at what is read and what is to be written. Errors as the engine's harvest, and
    /// where one is not finite.
    pub(crate) async fn activations(
        &self,
        engine: &mut Engine,
        texts: &[Vec<u32>],
        edits: &[Edit],
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Vec<Activations>, InterpError> {
        let mut found: Vec<Activations> =
            texts.iter().map(|_| Activations { read: Vec::new(), target: Vec::new() }).collect();
        let mut sites = vec![self.site];
        sites.extend(self.site_out);
        let mut not_finite = None;
        let harvest = Harvest { prompts: texts, sites: &sites, rows: TapRows::All, edits };
        engine
            .harvest(&harvest, controls, progress, |reading| {
                if !reading.values.iter().all(|value| value.is_finite()) {
                    not_finite.get_or_insert(reading.site);
                }
                let of_text = &mut found[reading.prompt];
                if reading.site == self.site {
                    of_text.read.extend_from_slice(reading.values);
                }
                if Some(reading.site) == self.site_out {
                    of_text.target.extend_from_slice(reading.values);
                }
            })
            .await?;
        if let Some(site) = not_finite {
            return Err(InterpError::NotFinite { site });
        }
        if self.site_out.is_none() {
            found.iter_mut().for_each(|of_text| of_text.target.clone_from(&of_text.read));
        }
        Ok(found)
    }

    /// The features of activations `[n, d_in]`, as the model has them. `progress` is told the rows done.
    pub(crate) async fn encode(
        &self,
        activations: &[f32],
        controls: &impl Controls,
        mut progress: impl FnMut(u64),
    ) -> Result<Vec<Features>, InterpError> {
        let mut features = Vec::with_capacity(activations.len() / self.sae.d_in);
        for rows in activations.chunks(ROWS * self.sae.d_in) {
            if controls.cancelled() {
                return Err(EngineError::Cancelled.into());
            }
            features.extend(self.sae.encode_rows(&self.seen(rows)));
            progress(features.len() as u64);
            controls.pause().await;
        }
        Ok(features)
    }

    /// The reconstruction `[d_out]` of what the SAE is to write, as the model has it, of the activation `x`.
    pub(crate) fn reconstruct(&self, features: &[(u32, f32)], x: &[f32], target: &[f32]) -> Vec<f32> {
        let mut found = self.sae.decode(features, &self.seen(x));
        if self.centred {
            let mean = mean(target);
            found.iter_mut().for_each(|number| *number += mean);
        }
        found
    }

    /// What features' directions have to add up to for the reconstruction to be `target`, of the activation `x`.
    pub(crate) fn unbiased(&self, target: &[f32], x: &[f32]) -> Vec<f32> {
        let mut target = target.to_vec();
        if self.centred {
            let mean = mean(&target);
            target.iter_mut().for_each(|number| *number -= mean);
        }
        self.sae.unbiased(&target, &self.seen(x))
    }

    /// Activations as the SAE sees them.
    fn seen(&self, x: &[f32]) -> Vec<f32> {
        let mut x = x.to_vec();
        if self.centred {
            for x in x.chunks_exact_mut(self.sae.d_in) {
                let mean = mean(x);
                x.iter_mut().for_each(|number| *number -= mean);
            }
        }
        x
    }
}

fn mean(x: &[f32]) -> f32 {
    (x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64) as f32
}

/// Whether a site is as wide as a text is long.
fn is_over_keys(site: Site) -> bool {
    matches!(site, Site::AttnScores(_) | Site::Pattern(_))
}
