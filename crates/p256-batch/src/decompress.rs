//! y from x: a square root modulo p, which is 3 modulo 4.

use crate::field::Element;
use crate::kernel::{BLOCK, Kernel};

const B: Element =
    Element([0x3bce_3c3e_27d2_604b, 0x651d_06b0_cc53_b0f6, 0xb3eb_bd55_7698_86bc, 0x5ac6_35d8_aa3a_93e7]);

/// For each x the y of the parity that is asked for (0xff: odd, 0: even), and whether there is one. At least one number.
pub(crate) fn decompress<K: Kernel>(x: &[Element], odd: &[u8], y: &mut [Element]) -> Vec<bool> {
    let b = K::splat(B);
    let block = BLOCK * K::LANES;
    let mut on_curve = Vec::with_capacity(x.len());
    for ((x, odd), y) in x.chunks(block).zip(odd.chunks(block)).zip(y.chunks_mut(block)) {
        let used = x.len().div_ceil(K::LANES);
        let (mut numbers, mut squares) = ([b; BLOCK], [b; BLOCK]);
        let (numbers, squares) = (&mut numbers[..used], &mut squares[..used]);
        K::load(x, numbers);
        K::curve(squares, numbers, &b);
        let mut roots = square_roots::<K>(squares);
        K::store(&roots, y);
        K::square(&mut roots, 1);
        let (mut expected, mut found) = (vec![Element::ZERO; x.len()], vec![Element::ZERO; x.len()]);
        K::store(squares, &mut expected);
        K::store(&roots, &mut found);
        on_curve.extend(expected.iter().zip(&found).map(|(expected, found)| expected == found));
        for (y, odd) in y.iter_mut().zip(odd) {
            let wrong = std::hint::black_box((y.0[0] & 1) ^ u64::from(*odd & 1)).wrapping_neg();
            *y = y.or_where(wrong, y.opposite());
        }
    }
    on_curve
}

/// a^((p + 1) / 4), where (p + 1) / 4 = 2^254 - 2^222 + 2^190 + 2^94.
fn square_roots<K: Kernel>(a: &[K::Vector]) -> Vec<K::Vector> {
    let mut power = a.to_vec();
    for ones in [1, 2, 4, 8, 16] {
        // from 2^ones - 1 to 2^(2 ones) - 1
        let half = power.clone();
        K::square(&mut power, ones);
        K::multiply_by(&mut power, &half);
    }
    K::square(&mut power, 32);
    K::multiply_by(&mut power, a);
    K::square(&mut power, 96);
    K::multiply_by(&mut power, a);
    K::square(&mut power, 94);
    power
}
