//! What stands before the final norm in a tuned lens.

use crate::InterpError;
use crate::shuffle::shuffled;
use tiller_engine::Site;

/// `scale * h + shift`, each number for itself: what a block's residual stream is turned into before the final norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Translator {
    pub site: Site,
    /// `[d_model]`.
    pub scale: Vec<f32>,
    /// `[d_model]`, in the residual stream's own unit.
    pub shift: Vec<f32>,
}

impl Translator {
    /// What changes nothing.
    pub fn identity(site: Site, width: usize) -> Translator {
        Translator { site, scale: vec![1.0; width], shift: vec![0.0; width] }
    }

    /// `residual`: `[d_model]`, in place.
    pub fn apply(&self, residual: &mut [f32]) {
        for ((x, scale), shift) in residual.iter_mut().zip(&self.scale).zip(&self.shift) {
            *x = scale * *x + shift;
        }
    }

    /// The same scales and shifts at other numbers of the activation: as far from the identity, and meaningless.
    pub fn permuted(&self, seed: u64) -> Translator {
        let order = shuffled(seed, self.scale.len());
        let pick = |values: &[f32]| order.iter().map(|&at| values[at]).collect();
        Translator { site: self.site, scale: pick(&self.scale), shift: pick(&self.shift) }
    }
}

/// A tuned lens (Belrose et al. 2023, "Eliciting Latent Predictions from Transformers with the Tuned Lens"), each
/// translator a diagonal matrix: one before the first block and after each but the last, where the model itself speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedLens {
    translators: Vec<Translator>,
}

/// The places that have a translator, the last first.
pub(super) fn translated(layers: u32) -> impl Iterator<Item = Site> {
    (0..layers.saturating_sub(1)).rev().map(Site::ResidPost).chain([Site::ResidPre(0)])
}

impl TunedLens {
    /// The logit lens, as a tuned one.
    pub fn identity(layers: u32, width: usize) -> TunedLens {
        TunedLens { translators: translated(layers).map(|site| Translator::identity(site, width)).collect() }
    }

    /// Errors where a place of a model of so many `layers` and such a `width` has none, or two, or numbers are not
    /// finite.
    pub fn new(mut translators: Vec<Translator>, layers: u32, width: usize) -> Result<TunedLens, InterpError> {
        let mut ordered = Vec::with_capacity(translators.len());
        for site in translated(layers) {
            let at = translators.iter().position(|found| found.site == site);
            let found = translators.swap_remove(at.ok_or(InterpError::OtherLens { site, width })?);
            let finite = found.scale.iter().chain(&found.shift).all(|x| x.is_finite());
            if !finite || found.scale.len() != width || found.shift.len() != width {
                return Err(InterpError::OtherLens { site, width });
            }
            ordered.push(found);
        }
        match translators.first() {
            Some(left) => Err(InterpError::OtherLens { site: left.site, width }),
            None => Ok(TunedLens { translators: ordered }),
        }
    }

    /// From the last block's input down to the first's.
    pub fn translators(&self) -> &[Translator] {
        &self.translators
    }

    pub(super) fn translators_mut(&mut self) -> &mut [Translator] {
        &mut self.translators
    }

    /// `None` where the model itself speaks.
    pub fn at(&self, site: Site) -> Option<&Translator> {
        self.translators.iter().find(|translator| translator.site == site)
    }

    /// Errors where it was not made for a model of so many `layers` and such a `width`.
    pub(super) fn check(&self, layers: u32, width: usize) -> Result<(), InterpError> {
        let fits = |(site, found): (Site, &Translator)| site == found.site && found.scale.len() == width;
        match self.translators.len() == layers as usize && translated(layers).zip(&self.translators).all(fits) {
            true => Ok(()),
            false => Err(InterpError::OtherLens { site: Site::ResidPost(layers - 1), width }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lens_has_a_translator_for_every_place_but_the_last() {
        let made = TunedLens::identity(3, 2);
        let sites: Vec<String> = made.translators().iter().map(|found| found.site.to_string()).collect();
        assert_eq!(sites, ["blocks.1.hook_resid_post", "blocks.0.hook_resid_post", "blocks.0.hook_resid_pre"]);
        let reversed: Vec<Translator> = made.translators().iter().rev().cloned().collect();
        assert_eq!(TunedLens::new(reversed, 3, 2).unwrap(), made);
    }

    #[test]
    fn a_lens_of_another_model_is_refused() {
        let of = |layers, width| TunedLens::identity(layers, width).translators().to_vec();
        for (layers, width) in [(2, 4), (4, 4), (3, 5)] {
            assert!(TunedLens::new(of(layers, width), 3, 4).is_err(), "{layers} {width}");
            assert!(TunedLens::identity(layers, width).check(3, 4).is_err(), "{layers} {width}");
        }
        let mut twice = of(3, 4);
        twice.push(twice[0].clone());
        assert!(TunedLens::new(twice, 3, 4).is_err());
        let mut infinite = of(3, 4);
        infinite[1].shift[2] = f32::INFINITY;
        assert!(TunedLens::new(infinite, 3, 4).is_err());
    }

    #[test]
    fn permuting_moves_scales_and_shifts_together() {
        let scale: Vec<f32> = (0..20).map(|n| n as f32).collect();
        let shift: Vec<f32> = scale.iter().map(|x| -x).collect();
        let found = Translator { site: Site::ResidPre(0), scale: scale.clone(), shift }.permuted(3);
        assert_ne!(found.scale, scale);
        assert!(found.scale.iter().zip(&found.shift).all(|(a, b)| *a == -b));
        let mut residual = vec![2.0; 20];
        found.apply(&mut residual);
        assert!(residual.iter().zip(&found.scale).all(|(x, a)| *x == 2.0 * a - a));
    }
}
