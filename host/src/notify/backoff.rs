//! When a delivery that failed is tried again. Pure.

use super::settings::WebhookSettings;

/// The delays in units of the first: with one of 5 s they are 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, which Standard
/// Webhooks advises. The last one repeats.
const LADDER: [u64; 9] = [1, 60, 360, 1_440, 3_600, 7_200, 10_080, 14_400, 17_280];

/// Thousandths by which a delay may differ, so that what failed together does not come together again.
const JITTER: u64 = 100;

/// Milliseconds until the next attempt after so many have failed; none if there is to be no other.
///
/// `retry_after_ms` is what the receiver asked for, clamped to a day where it was read: it can put an attempt off, and not bring it
/// forward.
pub(super) fn delay_ms(
    settings: &WebhookSettings,
    attempts: u32,
    retry_after_ms: Option<u64>,
    seed: u64,
) -> Option<u64> {
    if attempts >= settings.attempts_max {
        return None;
    }
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX).min(LADDER.len() - 1);
    let delay = settings.retry_first_ms.saturating_mul(LADDER[step]);
    let thousandths = 1_000 - JITTER + seed % (2 * JITTER + 1);
    let delay = delay.saturating_mul(thousandths) / 1_000;
    Some(delay.max(retry_after_ms.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;

    /// The seed without jitter.
    const EVEN: u64 = JITTER;

    #[test]
    fn delays_grow_to_a_day_and_end_after_three() {
        let settings = WebhookSettings::default();
        let delays: Vec<_> = (1..20).map_while(|attempts| delay_ms(&settings, attempts, None, EVEN)).collect();
        let expected = [5_000, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        assert_eq!(delays, expected);
        let days = delays.iter().sum::<u64>() / (24 * HOUR);
        assert_eq!(days, 3);
    }

    #[test]
    fn a_receiver_can_put_an_attempt_off_and_not_bring_it_forward() {
        let settings = WebhookSettings::default();
        assert_eq!(delay_ms(&settings, 1, Some(HOUR), EVEN), Some(HOUR));
        assert_eq!(delay_ms(&settings, 1, Some(0), EVEN), Some(5_000));
        assert_eq!(delay_ms(&settings, settings.attempts_max, Some(HOUR), EVEN), None);
    }

    proptest! {
        #[test]
        fn jitter_is_a_tenth_at_most(attempts in 1_u32..30, seed in any::<u64>(), first in 1_u64..=HOUR) {
            let settings = WebhookSettings { retry_first_ms: first, attempts_max: 100, ..WebhookSettings::default() };
            let even = delay_ms(&settings, attempts, None, EVEN).unwrap();
            let delay = delay_ms(&settings, attempts, None, seed).unwrap();
            prop_assert!(delay >= even - even / 10 - 1 && delay <= even + even / 10 + 1, "{delay} for {even}");
        }
    }
}
