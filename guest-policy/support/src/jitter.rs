/// A number in `0..=max` drawn from `seed`: equal arguments give equal results, neighbouring seeds give unrelated ones.
///
/// ```
/// use backhaul_policy_support::jitter_up_to;
///
/// assert_eq!(jitter_up_to(7, 1_000), jitter_up_to(7, 1_000));
/// assert!(jitter_up_to(7, 1_000) <= 1_000);
/// ```
#[must_use]
pub fn jitter_up_to(seed: u64, max: u64) -> u64 {
    // SplitMix64's output function: it spreads seeds that differ in a few bits over the whole range.
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let product = u128::from(z) * (u128::from(max) + 1);
    u64::try_from(product >> 64).expect("the high half of z * (max + 1) is at most max")
}

#[cfg(test)]
mod tests {
    use super::jitter_up_to;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stays_in_range(seed: u64, max: u64) {
            prop_assert!(jitter_up_to(seed, max) <= max);
        }
    }

    #[test]
    fn covers_its_range_evenly() {
        let mut hits = [0_u32; 10];
        for seed in 0..10_000 {
            hits[usize::try_from(jitter_up_to(seed, 9)).expect("below ten")] += 1;
        }
        assert!(hits.iter().all(|&n| (850..=1_150).contains(&n)), "{hits:?}");
    }
}
