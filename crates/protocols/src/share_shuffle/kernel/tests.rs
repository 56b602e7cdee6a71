//! Every kernel of this processor against plain definitions.

use super::*;
use proptest::prelude::*;

fn bytes(seed: u8, count: usize) -> Vec<u8> {
    let mut out = vec![0; count];
    Cipher::new(Choice::Portable, &[seed; 32]).blocks(u128::from(seed), &mut out);
    out
}

proptest! {
    #[test]
    fn all_kernels_make_the_same_keystream(key: [u8; 32], counter: u128, near_overflow: bool, blocks in 0usize..150) {
        let counter = if near_overflow { counter | u128::from(u64::MAX - 20) } else { counter };
        let mut expected = vec![0; blocks * BLOCK];
        Cipher::new(Choice::Portable, &key).blocks(counter, &mut expected);
        for choice in Choice::available() {
            let mut out = vec![0; blocks * BLOCK];
            Cipher::new(choice, &key).blocks(counter, &mut out);
            prop_assert_eq!(&out, &expected, "{:?}", choice);
        }
    }

    #[test]
    fn all_kernels_accept_the_same_bytes(seed: u8, count in 0usize..300, modulus in 2u32..=256) {
        let mask = (modulus.next_power_of_two() - 1) as u8;
        let given = &bytes(seed, 304)[..count];
        let expected: Vec<u8> = given.iter().map(|byte| byte & mask).filter(|byte| u32::from(*byte) < modulus).collect();
        for choice in Choice::available() {
            let mut out = vec![0; count];
            let accepted = accept_bytes(choice, given, mask, modulus, &mut out);
            prop_assert_eq!(&out[..accepted], &expected, "{:?}", choice);
        }
    }

    #[test]
    fn all_kernels_find_the_same_partners(
        words in prop::collection::vec(prop_oneof![any::<u128>(), Just(u128::MAX), Just(0)], 1..80),
        total in prop_oneof![1u64..10_000, 1..=u64::from(u32::MAX), (1u64 << 24) - 40..(1 << 24) + 40, u64::from(u32::MAX) - 5..=u64::from(u32::MAX)],
        back in 0u64..200,
    ) {
        let total = total.max(words.len() as u64);
        let first = (total - words.len() as u64).min(back.wrapping_mul(total / 64) % total);
        let given: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected: Vec<u32> = (first..).zip(&words).map(|(i, word)| (u128::from(i) + word % u128::from(total - i)) as u32).collect();
        for choice in Choice::available() {
            let mut out = vec![0; words.len()];
            partners(choice, &given, first, total, &mut out);
            prop_assert_eq!(&out, &expected, "{:?}", choice);
        }
    }
}
