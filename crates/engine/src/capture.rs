//! Activations that stay where they were computed: of many prompts, at chosen sites, for methods to work on.

use crate::engine::{Engine, PREFILL_ROWS};
use crate::harvest::{Harvest, Origin, steps};
use crate::{Controls, EngineError};
use std::ops::Range;
use tiller_kernels::{Draw, Gpu, Pick, Row, Step, Store, TapRows};
use tiller_model::is_over_keys;
use tiller_sites::Site;

/// Steps that a capture sends before it waits for them.
const STEPS_AHEAD: u32 = 8;

/// Activations of a batch of prompts. On the GPU they lie in the device's memory, and only what a method makes of them
/// comes back.
#[derive(Debug)]
pub struct RunCache {
    captured: Vec<Captured>,
    /// The row of each prompt's first token.
    first_rows: Vec<usize>,
    tokens: Vec<usize>,
    which: TapRows,
    rows: usize,
}

#[derive(Debug)]
struct Captured {
    site: Site,
    width: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Host(Vec<f32>),
    Device(Store),
}

/// What is worked out of one row of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowProducts {
    /// With the vector.
    pub along: f64,
    /// With itself: the square of its length.
    pub square: f64,
    /// With the other row of its pair: rows 0 and 1, 2 and 3, ... are pairs; 0 where there is no other.
    pub pair: f64,
}

fn products_of(values: &[f32], vector: &[f32]) -> Vec<RowProducts> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let rows: Vec<&[f32]> = values.chunks_exact(vector.len()).collect();
    let of_row = |(n, row): (usize, &&[f32])| RowProducts {
        along: dot(row, vector),
        square: dot(row, row),
        pair: rows.get(n ^ 1).map_or(0.0, |other| dot(row, other)),
    };
    rows.iter().enumerate().map(of_row).collect()
}

impl RunCache {
    pub fn sites(&self) -> impl Iterator<Item = Site> + '_ {
        self.captured.iter().map(|captured| captured.site)
    }

    /// Tokens captured, over all prompts: each site has as many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The row of a token; `None` where it was not captured.
    pub fn row(&self, prompt: usize, position: usize) -> Option<usize> {
        let (first, tokens) = (*self.first_rows.get(prompt)?, *self.tokens.get(prompt)?);
        match self.which {
            TapRows::All => (position < tokens).then_some(first + position),
            TapRows::Picks => (position + 1 == tokens).then_some(prompt),
        }
    }

    /// Bytes that the activations take, wherever they lie.
    pub fn bytes(&self) -> u64 {
        let bytes = |captured: &Captured| match &captured.values {
            Values::Host(values) => size_of_val(values.as_slice()) as u64,
            Values::Device(store) => store.bytes(),
        };
        self.captured.iter().map(bytes).sum()
    }

    /// Rows of a site: `[rows, width]`. Errors where the site or the rows were not captured.
    pub async fn read(&self, site: Site, rows: Range<usize>) -> Result<Vec<f32>, EngineError> {
        let Captured { width, values, .. } = self.of(site)?;
        if rows.start > rows.end || rows.end > self.rows {
            return Err(EngineError::NotCaptured(format!("rows {} to {} of {}", rows.start, rows.end, self.rows)));
        }
        Ok(match values {
            Values::Host(values) => values[rows.start * width..rows.end * width].to_vec(),
            Values::Device(store) => store.read(rows.start as u32, rows.len() as u32).await?,
        })
    }

    /// The sum of all rows of a site, each times its weight: `[width]`. On the GPU only the sum comes back. A class's
    /// mean, or the difference of two, is such a sum. Errors where the site was not captured, or there are not as many
    /// weights as rows.
    pub async fn weighted_sum(&self, site: Site, weights: &[f32]) -> Result<Vec<f32>, EngineError> {
        let Captured { width, values, .. } = self.of(site)?;
        if weights.len() != self.rows {
            return Err(EngineError::NotCaptured(format!("{} weights for {} rows", weights.len(), self.rows)));
        }
        Ok(match values {
            Values::Host(values) => {
                let mut sum = vec![0f64; *width];
                for (row, &weight) in values.chunks_exact(*width).zip(weights) {
                    sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(weight) * f64::from(x));
                }
                sum.into_iter().map(|sum| sum as f32).collect()
            }
            // A store of no rows has one, which nobody has written.
            Values::Device(_) if self.rows == 0 => vec![0.0; *width],
            Values::Device(store) => store.weighted_sum(weights).await?,
        })
    }

    /// The sums of [`RunCache::weighted_sum`] at several sites, in their order: on the GPU one submit makes all of them.
    pub async fn weighted_sums(&self, sites: &[Site], weights: &[f32]) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut stores = Vec::new();
        for &site in sites {
            if let (Values::Device(store), true) = (&self.of(site)?.values, weights.len() == self.rows && self.rows > 0)
            {
                stores.push(store);
            }
        }
        if stores.len() == sites.len() && !sites.is_empty() {
            return Ok(Store::weighted_sums(&stores, weights).await?);
        }
        let mut sums = Vec::with_capacity(sites.len());
        for &site in sites {
            sums.push(self.weighted_sum(site, weights).await?);
        }
        Ok(sums)
    }

    /// For each site, what is worked out of each of its rows and the vector beside the site, as wide as the site. On the
    /// GPU three numbers a row come back. Errors where a site was not captured or a vector has another width.
    pub async fn row_products(&self, of: &[(Site, &[f32])]) -> Result<Vec<Vec<RowProducts>>, EngineError> {
        let mut stores = Vec::new();
        let mut on_host = Vec::new();
        for &(site, vector) in of {
            let Captured { width, values, .. } = self.of(site)?;
            if vector.len() != *width {
                return Err(EngineError::VectorWidth { site, expected: *width, found: vector.len() });
            }
            match values {
                Values::Host(values) => on_host.push(products_of(values, vector)),
                Values::Device(store) => stores.push((store, vector)),
            }
        }
        let one = |[along, square, pair]: [f32; 3]| RowProducts {
            along: along.into(),
            square: square.into(),
            pair: pair.into(),
        };
        // A store of no rows has one, which nobody has written.
        let kept = |products: Vec<[f32; 3]>| products.into_iter().take(self.rows).map(one).collect();
        on_host.extend(Store::row_products(&stores).await?.into_iter().map(kept));
        Ok(on_host)
    }

    /// Numbers in a row of a site.
    pub(crate) fn width(&self, site: Site) -> Result<usize, EngineError> {
        Ok(self.of(site)?.width)
    }

    /// A row of a site, of a run on the CPU.
    pub(crate) fn host_row(&self, site: Site, row: usize) -> Option<&[f32]> {
        let Captured { width, values, .. } = self.of(site).ok()?;
        match values {
            Values::Host(values) => values.get(row * width..(row + 1) * width),
            Values::Device(_) => None,
        }
    }

    /// The site's rows, of a run on the GPU.
    pub(crate) fn store(&self, site: Site) -> Option<&Store> {
        match &self.of(site).ok()?.values {
            Values::Host(_) => None,
            Values::Device(store) => Some(store),
        }
    }

    /// Whether an engine on this GPU, or on the CPU, can use what was captured.
    pub(crate) fn lies_on(&self, gpu: Option<&Gpu>) -> bool {
        self.captured.iter().all(|captured| match (&captured.values, gpu) {
            (Values::Host(_), None) => true,
            (Values::Device(store), Some(gpu)) => store.is_on(gpu),
            _ => false,
        })
    }

    fn of(&self, site: Site) -> Result<&Captured, EngineError> {
        let found = self.captured.iter().find(|captured| captured.site == site);
        found.ok_or_else(|| EngineError::NotCaptured(site.to_string()))
    }
}

impl Engine {
    /// Runs the prompts as [`Engine::harvest`] does, and keeps the activations. A site whose width changes with the text
    /// (scores, patterns) is refused. `progress` is told the tokens done and in all.
    pub async fn capture(
        &mut self,
        what: &Harvest<'_>,
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<RunCache, EngineError> {
        if let Some(site) = what.sites.iter().find(|&&site| is_over_keys(site)) {
            return Err(EngineError::NotCaptured(format!("{site}, whose width changes with the text")));
        }
        let tokens: Vec<usize> = what.prompts.iter().map(Vec::len).collect();
        let first_rows = tokens.iter().scan(0, |next, tokens| {
            *next += tokens;
            Some(*next - tokens)
        });
        let mut cache = RunCache {
            captured: Vec::new(),
            first_rows: first_rows.collect(),
            which: what.rows,
            rows: match what.rows {
                TapRows::All => tokens.iter().sum(),
                TapRows::Picks => tokens.len(),
            },
            tokens,
        };
        let width = |site| self.config().site_width(site, 0) as usize;
        let captured: Vec<(Site, usize)> = what.sites.iter().map(|&site| (site, width(site))).collect();
        let Some(gpu) = self.gpu().cloned() else {
            let mut values: Vec<Vec<f32>> = vec![Vec::new(); captured.len()];
            let keep = |reading: crate::Reading<'_>| {
                let at = captured.iter().position(|(site, _)| *site == reading.site).expect("it was asked for");
                values[at].extend_from_slice(reading.values);
            };
            self.harvest(what, controls, progress, keep).await?;
            let host = |((site, width), values)| Captured { site, width, values: Values::Host(values) };
            cache.captured = captured.into_iter().zip(values).map(host).collect();
            return Ok(cache);
        };

        let shape = self.harvest_shape(what)?;
        for (site, width) in captured {
            let store = Store::new(&gpu, cache.rows.max(1) as u32, width as u32)?;
            cache.captured.push(Captured { site, width, values: Values::Device(store) });
        }
        let stores = cache.captured.iter().map(|captured| match &captured.values {
            Values::Device(store) => (captured.site, store.clone()),
            Values::Host(_) => unreachable!("on the GPU everything is captured into stores"),
        });
        let plan = self.record_capture(PREFILL_ROWS, &shape, stores.collect())?;
        let coefficients: Vec<f32> = what.edits.iter().map(|edit| edit.coefficient(edit.strength())).collect();
        let total = what.prompts.iter().map(|prompt| prompt.len() as u64).sum();
        let (mut done, mut stored, mut unawaited) = (0, 0, 0);
        for wave in self.waves(what) {
            for origins in steps(&wave) {
                if controls.cancelled() {
                    return Err(EngineError::Cancelled);
                }
                let rows: Vec<Row> = origins.iter().map(|origin| origin.row).collect();
                let picks = ends(origins);
                let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &coefficients };
                plan.capture(&step, stored as u32).await?;
                stored += match what.rows {
                    TapRows::All => rows.len(),
                    TapRows::Picks => picks.len(),
                };
                // Nothing is read that would have to be waited for, so that what was given to the device is bounded here: a
                // stop takes effect after that much.
                unawaited += 1;
                if unawaited == STEPS_AHEAD {
                    gpu.settled().await?;
                    unawaited = 0;
                }
                done += rows.len() as u64;
                progress(done, total);
                controls.pause().await;
            }
        }
        gpu.settled().await?;
        Ok(cache)
    }
}

/// A pick for each prompt that ends in the step.
pub(crate) fn ends(origins: &[Origin]) -> Vec<Pick> {
    let last = origins.iter().enumerate().filter(|(_, origin)| origin.last);
    last.map(|(row, _)| Pick { row: row as u32, lane: 0, draw: 0 }).collect()
}
