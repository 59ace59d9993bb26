//! Orders drawn by a seed: the same on every machine.

use crate::steer::splitmix64;

/// The numbers below `count` in an order of the seed's (Fisher and Yates 1938, as Durstenfeld 1964 has it).
pub fn shuffled(seed: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // The bias of a remainder is below 2^-40 for any number of texts that fits into memory.
        order.swap(last, (splitmix64(seed, last as u64) % (last as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_every_number_once_and_depends_on_the_seed() {
        let mut order = shuffled(3, 50);
        assert_ne!(order, shuffled(4, 50));
        assert_eq!(order, shuffled(3, 50));
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
        assert!(shuffled(1, 0).is_empty());
    }

    #[test]
    fn every_place_is_as_likely() {
        let mut first = [0; 4];
        for seed in 0..4000 {
            first[shuffled(seed, 4)[0]] += 1;
        }
        // A binomial deviation is 27.
        assert!(first.iter().all(|count: &i32| (count - 1000).abs() < 140), "{first:?}");
    }
}
