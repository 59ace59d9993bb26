//! Erasing what a probe reads, and measuring again.

use super::ProbeMethod;
use super::evaluation::accuracy;
use super::examples::{Activations, Examples, Read};
use super::fit::{FitOptions, Fitter};
use super::leace::Leace;
use super::permutation::permuted;
use super::reading::read;
use super::split::{Part, Split};
use super::sweep::{as_text, breathe};
use crate::InterpError;
use crate::evidence::{Controlled, perplexity};
use crate::steer::splitmix64;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, Site};

/// What to erase and where to look afterwards.
#[derive(Clone, Debug)]
pub struct Erasing<'a> {
    pub examples: &'a Examples<'a>,
    /// The division that the probe was fitted under: what is erased is learnt from its training texts.
    pub split: &'a Split,
    /// Of the probes that are fitted afresh.
    pub method: ProbeMethod,
    pub fit: FitOptions,
    pub read: Read,
    /// Where it is erased.
    pub site: Site,
    /// A later site, at which it may have come back.
    pub later: Option<Site>,
    /// A text in no relation to the concept, in tokens.
    pub neutral: &'a [u32],
    /// One control for each: the same erasure of shuffled labels.
    pub seeds: &'a [u64],
}

/// What is left after erasing, and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Erased {
    /// At the site, and at the later one.
    pub after: Vec<AfterErasure>,
    /// Perplexity of the neutral text, without an edit.
    pub perplexity_plain: f64,
    /// The same with the erasure at every token, beside erasures of shuffled labels.
    pub perplexity: Controlled,
    #[serde(skip)]
    pub leace: Leace,
}

/// Accuracy on the test texts of probes that were fitted afresh.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AfterErasure {
    #[serde(serialize_with = "as_text")]
    pub site: Site,
    pub before: f64,
    pub after: f64,
    /// After erasing shuffled labels instead, one for each seed.
    pub random: Vec<f64>,
}

/// Fits [`Leace`] to the training texts' activations at a site, reads all texts again while it acts at every token, and fits
/// new probes to what is left. Erasing what shuffled labels name shows what any such edit would do.
///
/// `progress` is told the work done and in all. Errors when there is nothing to erase, a site is not there, an activation is
/// not finite, or the work was cancelled.
pub async fn erase_and_measure(
    engine: &mut Engine,
    what: &Erasing<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Erased, InterpError> {
    let sites: Vec<Site> = [what.site].into_iter().chain(what.later).collect();
    let texts: u64 = what.examples.tokens.iter().map(|text| text.len() as u64).sum();
    let each = texts + what.neutral.len() as u64;
    let total = each * (2 + what.seeds.len() as u64);
    let mut done = 0;
    let mut condition = async |engine: &mut Engine, edits: &[Edit]| -> Result<(Vec<Activations>, f64), InterpError> {
        let tokens = what.examples.tokens;
        let found = read(engine, tokens, &sites, what.read, edits, controls, |n, _| progress(done + n, total)).await?;
        let report = |n, _| progress(done + texts + n, total);
        let perplexity = perplexity(engine, what.neutral, edits, controls, report).await?;
        done += each;
        breathe(controls).await?;
        Ok((found, perplexity))
    };
    let accuracies = |activations: &[Activations]| -> Result<Vec<f64>, InterpError> {
        sites.iter().zip(activations).map(|(&site, at)| fresh_accuracy(what, site, at)).collect()
    };

    let (plain, perplexity_plain) = condition(engine, &[]).await?;
    let training = what.split.texts(Part::Training);
    let labels: Vec<bool> = training.iter().map(|&text| what.examples.labels[text]).collect();
    let nothing = InterpError::NothingToErase { site: what.site };
    let leace = Leace::fit(&plain[0], &training, &labels).ok_or(nothing)?;
    let before = accuracies(&plain)?;
    breathe(controls).await?;
    let (left, cost) = condition(engine, &[leace.edit(what.site)]).await?;
    let after = accuracies(&left)?;
    let mut found: Vec<AfterErasure> = sites
        .iter()
        .zip(before.iter().zip(&after))
        .map(|(&site, (&before, &after))| AfterErasure { site, before, after, random: Vec::new() })
        .collect();
    let mut perplexity = Controlled { value: cost, random: Vec::new() };
    let groups = what.examples.groups.map(|groups| training.iter().map(|&text| groups[text]).collect::<Vec<u32>>());
    for &seed in what.seeds {
        let labels = permuted(&labels, groups.as_deref(), splitmix64(seed, 0));
        let nothing = InterpError::NothingToErase { site: what.site };
        let control = Leace::fit(&plain[0], &training, &labels).ok_or(nothing)?;
        let (left, cost) = condition(engine, &[control.edit(what.site)]).await?;
        perplexity.random.push(cost);
        for (found, accuracy) in found.iter_mut().zip(accuracies(&left)?) {
            found.random.push(accuracy);
        }
    }
    Ok(Erased { after: found, perplexity_plain, perplexity, leace })
}

/// The accuracy on the test texts of a probe that is fitted to the training texts.
fn fresh_accuracy(what: &Erasing<'_>, site: Site, activations: &Activations) -> Result<f64, InterpError> {
    let training = what.split.texts(Part::Training);
    let labels: Vec<bool> = training.iter().map(|&text| what.examples.labels[text]).collect();
    let fitter = Fitter::of(what.method, what.fit, activations, &training);
    let readout = fitter.control(&labels).ok_or(InterpError::NothingToRead { site })?;
    let test = what.split.texts(Part::Test);
    let scored = test.iter().map(|&text| (readout.score(activations.row(text)), what.examples.labels[text]));
    Ok(accuracy(scored))
}
