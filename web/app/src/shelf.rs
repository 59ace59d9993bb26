//! Vectors that are kept beside each other: how alike they are, and what can be made of two.

use tiller_recipe::{Direction, Shelved, Vector};

/// What is made of two vectors, both taken at unit length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combination {
    /// `a + b`.
    Sum,
    /// `a - b`.
    Difference,
    /// `a - (a . b) b`: what of `a` is not along `b`.
    Without,
}

impl Combination {
    pub const ALL: [Combination; 3] = [Combination::Sum, Combination::Difference, Combination::Without];

    /// As the vector's method has it.
    pub fn name(self) -> &'static str {
        match self {
            Combination::Sum => "sum",
            Combination::Difference => "difference",
            Combination::Without => "without",
        }
    }

    pub fn named(name: &str) -> Option<Combination> {
        Combination::ALL.into_iter().find(|combination| combination.name() == name)
    }

    pub fn sign(self) -> &'static str {
        match self {
            Combination::Sum => "+",
            Combination::Difference => "−",
            Combination::Without => "without",
        }
    }
}

/// The combination, read and scaled as `a` is. `None` where nothing is left, or the vectors are of different models.
pub fn combine(a: &Shelved, how: Combination, b: &Shelved) -> Option<Shelved> {
    let (unit_a, unit_b) = (unit(&a.vector.direction)?, unit(&b.vector.direction)?);
    if a.model != b.model || unit_a.len() != unit_b.len() {
        return None;
    }
    let share: f64 = match how {
        Combination::Sum => 1.0,
        Combination::Difference => -1.0,
        Combination::Without => -unit_a.iter().zip(&unit_b).map(|(a, b)| a * b).sum::<f64>(),
    };
    let made: Vec<f64> = unit_a.iter().zip(&unit_b).map(|(a, b)| a + share * b).collect();
    let norm = made.iter().map(|x| x * x).sum::<f64>().sqrt();
    // What the rounding to halves leaves of equal directions is no direction.
    const LEFT_BY_ROUNDING: f64 = 1e-3;
    if norm < LEFT_BY_ROUNDING {
        return None;
    }
    let made: Vec<f32> = made.iter().map(|&x| x as f32).collect();
    let name: String =
        format!("{} {} {}", a.vector.name, how.sign(), b.vector.name).chars().take(NAME_LENGTH).collect();
    let vector = Vector {
        name,
        method: how.name().into(),
        direction: Direction::along(&made)?,
        norm: norm as f32,
        ..a.vector.clone()
    };
    Some(Shelved { vector, model: a.model.clone() })
}

/// The longest name: names of names grow.
pub const NAME_LENGTH: usize = 80;

fn unit(direction: &Direction) -> Option<Vec<f64>> {
    let values = direction.to_f32();
    let norm = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    (norm > 0.0).then(|| values.iter().map(|&x| f64::from(x) / norm).collect())
}

/// `shelf` with those of `more` that are not on it, as far as there is room.
pub fn with_more(shelf: &[Shelved], more: &[Shelved]) -> Vec<Shelved> {
    let mut all = shelf.to_vec();
    for shelved in more {
        if !all.contains(shelved) && all.len() < tiller_recipe::SHELF_LIMIT {
            all.push(shelved.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelved(name: &str, values: &[f32]) -> Shelved {
        let vector = Vector {
            name: name.into(),
            method: "mean-diff".into(),
            layer: 3,
            direction: Direction::along(values).unwrap(),
            norm: 2.0,
            typical_norm: 50.0,
        };
        Shelved { model: "owner/model/file.gguf".into(), vector }
    }

    fn close(direction: &Direction, expected: &[f32]) -> bool {
        direction.to_f32().iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-3)
    }

    #[test]
    fn cosines_are_as_worked_out_by_hand() {
        let (a, b) = (shelved("a", &[3.0, 4.0]), shelved("b", &[5.0, 0.0]));
        assert!((a.vector.direction.cosine(&b.vector.direction).unwrap() - 0.6).abs() < 1e-3);
        assert_eq!(a.vector.direction.cosine(&shelved("c", &[1.0; 3]).vector.direction), None);
    }

    #[test]
    fn combinations_are_of_unit_directions() {
        let (a, b) = (shelved("a", &[3.0, 4.0]), shelved("b", &[9.0, 0.0]));
        let sum = combine(&a, Combination::Sum, &b).unwrap().vector;
        // (0.6, 0.8) + (1, 0) = (1.6, 0.8), of length 1.789.
        assert!(close(&sum.direction, &[0.8944, 0.4472]) && (sum.norm - 1.789).abs() < 2e-3, "{sum:?}");
        assert_eq!((sum.name.as_str(), sum.method.as_str(), sum.layer, sum.typical_norm), ("a + b", "sum", 3, 50.0));
        let without = combine(&a, Combination::Without, &b).unwrap().vector;
        assert!(close(&without.direction, &[0.0, 1.0]) && (without.norm - 0.8).abs() < 2e-3);
        let difference = combine(&b, Combination::Difference, &a).unwrap().vector;
        assert!(close(&difference.direction, &[0.4472, -0.8944]));
    }

    #[test]
    fn nothing_is_made_of_nothing_or_of_two_models() {
        let a = shelved("a", &[3.0, 4.0]);
        assert_eq!(combine(&a, Combination::Difference, &a), None);
        assert_eq!(combine(&a, Combination::Without, &a), None);
        let other = Shelved { model: "another".into(), ..shelved("b", &[1.0, 0.0]) };
        assert_eq!(combine(&a, Combination::Sum, &other), None);
        assert_eq!(combine(&a, Combination::Sum, &shelved("c", &[1.0; 3])), None);
    }

    #[test]
    fn the_shelf_takes_each_vector_once_while_there_is_room() {
        let (a, b) = (shelved("a", &[1.0, 0.0]), shelved("b", &[0.0, 1.0]));
        assert_eq!(with_more(&[a.clone()], &[a.clone(), b.clone()]).len(), 2);
        let many: Vec<Shelved> = (0..40).map(|n| shelved(&n.to_string(), &[1.0, 0.0])).collect();
        assert_eq!(with_more(&[], &many).len(), tiller_recipe::SHELF_LIMIT);
    }
}
