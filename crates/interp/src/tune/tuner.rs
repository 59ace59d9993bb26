//! Which setting to try next.

use super::gaussian_process::GaussianProcess;

/// What a try came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The larger, the better.
    pub gain: f64,
    /// A setting whose cost is above the limit does not count.
    pub cost: f64,
}

/// Searches a grid of two coordinates for the largest gain at an acceptable cost.
///
/// Gain and cost each have a Gaussian process. After a few tries spread over the grid, the next is where the expected
/// improvement over the best acceptable gain, times the probability that the cost is acceptable, is largest (Gardner et
/// al. 2014, "Bayesian Optimization with Inequality Constraints"); while nothing acceptable is known, where that
/// probability is. Everything is determined by what it is told: the same outcomes give the same tries.
#[derive(Clone, Debug)]
pub struct Tuner {
    /// By place on the grid, both coordinates from 0 to 1.
    points: Vec<[f64; 2]>,
    limit: f64,
    /// Places in the order tried; `None` where the try gave no numbers.
    tried: Vec<(usize, Option<Outcome>)>,
}

/// Tries that are spread over the grid before anything is modelled.
const SPREAD: usize = 6;

impl Tuner {
    /// A grid of every value of `first` with every value of `second`, those of a first value side by side. `limit`: the
    /// largest cost that is acceptable.
    pub fn new(first: &[f64], second: &[f64], limit: f64) -> Tuner {
        let (first, second) = (from_0_to_1(first), from_0_to_1(second));
        let points = first.iter().flat_map(|&x| second.iter().map(move |&y| [x, y])).collect();
        Tuner { points, limit, tried: Vec::new() }
    }

    /// The place on the grid to try next; `None` once all were tried.
    pub fn next(&self) -> Option<usize> {
        let is_new = |place: &usize| self.tried.iter().all(|(tried, _)| tried != place);
        let open: Vec<usize> = (0..self.points.len()).filter(is_new).collect();
        if self.tried.len() >= SPREAD
            && let Some(models) = self.models()
        {
            return most(&open, |place| models.worth(self.points[place]));
        }
        // The next of a sequence that fills the square evenly (Halton 1960).
        let n = self.tried.len() as u32 + 1;
        let [x, y] = [halton(n, 2), halton(n, 3)];
        most(&open, |place| -(self.points[place][0] - x).hypot(self.points[place][1] - y))
    }

    /// Says what the try at `place` came to: `None` where it gave no numbers, which is as bad as anything seen.
    pub fn tell(&mut self, place: usize, outcome: Option<Outcome>) {
        let finite = |outcome: &Outcome| outcome.gain.is_finite() && outcome.cost.is_finite();
        self.tried.push((place, outcome.filter(finite)));
    }

    /// The acceptable try with the largest gain.
    pub fn best(&self) -> Option<(usize, Outcome)> {
        let known = self.tried.iter().filter_map(|(place, outcome)| Some((*place, (*outcome)?)));
        known.filter(|(_, outcome)| outcome.cost <= self.limit).max_by(|a, b| a.1.gain.total_cmp(&b.1.gain))
    }

    fn models(&self) -> Option<Models> {
        let known = || self.tried.iter().filter_map(|(_, outcome)| *outcome);
        let lowest = known().map(|outcome| outcome.gain).reduce(f64::min)?;
        let dearest = known().map(|outcome| outcome.cost).chain([self.limit]).reduce(f64::max)?;
        let points: Vec<[f64; 2]> = self.tried.iter().map(|(place, _)| self.points[*place]).collect();
        let values = |of: fn(Outcome) -> f64, else_: f64| -> Vec<f64> {
            self.tried.iter().map(|(_, outcome)| outcome.map_or(else_, of)).collect()
        };
        let gain = Scaled::fit(&points, &values(|outcome| outcome.gain, lowest))?;
        let cost = Scaled::fit(&points, &values(|outcome| outcome.cost, dearest))?;
        Some(Models { gain, cost, best: self.best().map(|(_, outcome)| outcome.gain), limit: self.limit })
    }
}

struct Models {
    gain: Scaled,
    cost: Scaled,
    best: Option<f64>,
    limit: f64,
}

impl Models {
    fn worth(&self, point: [f64; 2]) -> f64 {
        let acceptable = self.cost.process.posterior(point).probability_below(self.cost.scaled(self.limit));
        match self.best {
            Some(best) => self.gain.process.posterior(point).expected_improvement(self.gain.scaled(best)) * acceptable,
            None => acceptable,
        }
    }
}

/// A process of values with their mean taken off and their deviation divided by.
struct Scaled {
    process: GaussianProcess,
    mean: f64,
    deviation: f64,
}

impl Scaled {
    fn fit(points: &[[f64; 2]], values: &[f64]) -> Option<Scaled> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        let deviation = if deviation > 0.0 { deviation } else { 1.0 };
        let scaled: Vec<f64> = values.iter().map(|value| (value - mean) / deviation).collect();
        Some(Scaled { process: GaussianProcess::fitted(points, &scaled)?, mean, deviation })
    }

    fn scaled(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

fn from_0_to_1(values: &[f64]) -> Vec<f64> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let range = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    values.iter().map(|value| if range > 0.0 { (value - low) / range } else { 0.0 }).collect()
}

/// Of equals the first.
fn most(places: &[usize], worth: impl Fn(usize) -> f64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for &place in places {
        let worth = worth(place);
        if best.is_none_or(|(_, most)| worth > most) {
            best = Some((place, worth));
        }
    }
    best.map(|(place, _)| place)
}

/// Number `n` of van der Corput's sequence of a base: its digits mirrored at the point.
fn halton(mut n: u32, base: u32) -> f64 {
    let (mut value, mut place) = (0.0, 1.0);
    while n > 0 {
        place /= f64::from(base);
        value += place * f64::from(n % base);
        n /= base;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shuffle::shuffled;
    use crate::steer::splitmix64;

    const LAYERS: usize = 30;
    const STRENGTHS: usize = 24;
    const LIMIT: f64 = 0.2;

    /// A made-up surface of 30 layers and 24 strengths: gain grows with the strength at layers around one that suits, up
    /// to a cliff of the layer's own, beyond which the gain collapses and the cost explodes.
    fn surface(seed: u64) -> Vec<Outcome> {
        let mut drawn = 0;
        let mut between = |low: f64, high: f64| {
            drawn += 1;
            low + (high - low) * (splitmix64(seed, drawn) >> 11) as f64 / (1u64 << 53) as f64
        };
        let (centre, width) = (between(0.2, 0.8), between(0.06, 0.2));
        let (height, slope, turn) = (between(0.25, 0.7), between(-0.3, 0.3), between(1.0, 4.0));
        let saturates = between(0.5, 1.5);
        let noise: Vec<f64> = (0..LAYERS * STRENGTHS).map(|_| between(-0.02, 0.02)).collect();
        let cell = |n: usize| {
            let layer = (n / STRENGTHS) as f64 / (LAYERS - 1) as f64;
            let strength = (n % STRENGTHS + 1) as f64 / STRENGTHS as f64;
            let cliff = (height + slope * (layer - 0.5) + 0.1 * (turn * layer).sin()).clamp(0.1, 0.95);
            let suits = (-(layer - centre).powi(2) / (2.0 * width * width)).exp();
            let kept = if strength > cliff { (-12.0 * (strength / cliff - 1.0)).exp() } else { 1.0 };
            let gain = suits * (strength / saturates).tanh() * kept + noise[n];
            Outcome { gain, cost: LIMIT * (strength / cliff).powi(4) + noise[n] * 0.1 }
        };
        (0..LAYERS * STRENGTHS).map(cell).collect()
    }

    fn optimum(surface: &[Outcome]) -> f64 {
        surface.iter().filter(|cell| cell.cost <= LIMIT).map(|cell| cell.gain).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The best acceptable gain after each of some tries, as a share of the best there is.
    fn by_tuner(surface: &[Outcome], tries: usize) -> Vec<f64> {
        let layers: Vec<f64> = (0..LAYERS).map(|layer| layer as f64).collect();
        let strengths: Vec<f64> = (1..=STRENGTHS).map(|n| n as f64).collect();
        let mut tuner = Tuner::new(&layers, &strengths, LIMIT);
        let mut one_more = || {
            let place = tuner.next().unwrap();
            tuner.tell(place, Some(surface[place]));
            tuner.best().map_or(0.0, |(_, outcome)| outcome.gain / optimum(surface))
        };
        (0..tries).map(|_| one_more()).collect()
    }

    fn by_chance(surface: &[Outcome], tries: usize, seed: u64) -> f64 {
        let tried = shuffled(seed, surface.len()).into_iter().take(tries).map(|place| surface[place]);
        let best = tried.filter(|cell| cell.cost <= LIMIT).map(|cell| cell.gain).fold(0.0, f64::max);
        best / optimum(surface)
    }

    #[test]
    fn thirty_tries_come_near_the_best_of_a_surface_with_a_cliff_and_chance_does_not() {
        let surfaces: Vec<Vec<Outcome>> = (0..30).map(surface).collect();
        let mean = |found: Vec<f64>| found.iter().sum::<f64>() / found.len() as f64;
        let tuned: Vec<Vec<f64>> = surfaces.iter().map(|surface| by_tuner(surface, 30)).collect();
        for (tries, at_least) in [(10, 0.6), (15, 0.8), (20, 0.9), (30, 0.95)] {
            let tuned = mean(tuned.iter().map(|found| found[tries - 1]).collect());
            let chance = mean((0..).zip(&surfaces).map(|(n, surface)| by_chance(surface, tries, 100 + n)).collect());
            println!("{tries} tries: {tuned:.3}, by chance {chance:.3}");
            assert!(tuned > at_least && tuned > chance + 0.2, "{tries} tries: {tuned}, by chance {chance}");
        }
    }

    #[test]
    fn the_best_is_found_beside_tries_that_give_no_numbers_and_each_place_is_tried_once() {
        let mut tuner = Tuner::new(&[1.0, 2.0, 3.0, 4.0], &[0.1, 0.2, 0.3, 0.4, 0.5], 1.0);
        let mut order = Vec::new();
        while let Some(place) = tuner.next() {
            let strength = place % 5;
            order.push(place);
            let outcome = Outcome { gain: strength as f64 * (place / 5) as f64, cost: 0.5 };
            tuner.tell(place, (strength < 3).then_some(outcome));
        }
        let mut once = order.clone();
        once.sort_unstable();
        assert_eq!(once, (0..20).collect::<Vec<_>>());
        assert_eq!(tuner.best().map(|(place, _)| place), Some(17));
        // Beside it lies a place without numbers; it is found while half of the grid is open.
        assert!(order[..10].contains(&17), "{order:?}");
    }

    #[test]
    fn where_nothing_is_acceptable_there_is_no_best() {
        let mut tuner = Tuner::new(&[0.0], &[1.0, 2.0], 0.5);
        for place in 0..2 {
            tuner.tell(place, Some(Outcome { gain: 1.0, cost: 0.6 }));
        }
        assert_eq!((tuner.best(), tuner.next()), (None, None));
    }
}
