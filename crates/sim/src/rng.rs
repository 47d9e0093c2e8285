//! Reproducible randomness: one seed, one stream of numbers.

use std::time::Duration;

use hikyaku_proto::rng::Random;

/// xoshiro256++ (Blackman and Vigna, 2019), seeded with SplitMix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// Creates a generator; equal seeds give equal streams.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| split_mix(&mut state)))
    }

    /// Returns an independent generator for one part of the simulation, so that the draws of other
    /// parts do not shift its own.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    /// Returns 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "an endless stream is not an iterator")]
    pub fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Returns a number from 0 up to but not including `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of the product is distributed evenly enough: the bias is below end / 2^64.
        let wide = u128::from(self.next()) * u128::from(end);
        (wide >> 64) as u64
    }

    /// Returns a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Returns a span from `low` to `high`, in whole microseconds.
    pub fn span(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_micros(self.between(low.as_micros() as u64, high.as_micros() as u64))
    }

    /// Returns `true` with a probability of `share`, from 0 to 1.
    pub fn chance(&mut self, share: f64) -> bool {
        // 53 bits: every float of this form is exact, on every machine.
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < share
    }

    /// Returns one of `choices`, which is not empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

impl Random for Rng {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_gives_the_published_numbers() {
        // The reference implementation's output for the seed 1234567 (rosettacode.org).
        let mut state = 1_234_567;
        let numbers: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn xoshiro_gives_the_published_numbers() {
        // The reference implementation's output for the state 1, 2, 3, 4 (rand_xoshiro's test).
        let mut rng = Rng([1, 2, 3, 4]);
        let numbers: Vec<u64> = (0..4).map(|_| rng.next()).collect();
        assert_eq!(numbers, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn equal_seeds_give_equal_streams_and_others_do_not() {
        let stream = |seed| {
            let mut rng = Rng::new(seed);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(stream(7), stream(7));
        assert_ne!(stream(7), stream(8));
    }

    #[test]
    fn below_covers_exactly_its_range() {
        let mut rng = Rng::new(1);
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[rng.below(6) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.between(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn chances_have_the_given_probability() {
        let mut rng = Rng::new(2);
        let hits = (0..100_000).filter(|_| rng.chance(0.1)).count();
        assert!((9_700..10_300).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| rng.chance(0.0)));
        assert!((0..1_000).all(|_| rng.chance(1.0)));
    }

    #[test]
    fn a_forks_draws_do_not_shift_its_parent() {
        let (mut one, mut two) = (Rng::new(3), Rng::new(3));
        let mut fork = one.fork();
        fork.next();
        let _ = two.fork();
        assert_eq!(one.next(), two.next());
    }

    #[test]
    fn every_byte_is_filled() {
        let mut rng = Rng::new(4);
        let mut bytes = [0; 13];
        rng.fill(&mut bytes);
        assert!(bytes[8..].iter().any(|byte| *byte != 0));
    }
}
