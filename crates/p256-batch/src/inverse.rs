//! Inverses modulo p by the division steps of Bernstein and Yang, "Fast constant-time gcd computation and modular inversion"
//! (CHES 2019), in the variant with half-integer delta, for which 590 steps suffice below 2^256 (P. Wuille, "safegcd-bounds").
//!
//! A step turns (f, g), with f odd, into (g, (g - f) / 2), (f, (g + f) / 2) or (f, g / 2), until g = 0 and f is the greatest common
//! divisor up to its sign. What 59 steps do depends on the lowest bits only, and is a 2 x 2 matrix that is then applied to f and g
//! and, modulo p, to the multiples d and e of the number that they are.

use zeroize::DefaultIsZeroes;

const ROUNDS: usize = 10;
const STEPS: usize = 59;
const BITS: u32 = 62;
const LIMBS: usize = 5;
const MASK: i64 = (1 << BITS) - 1;
const P: Signed = Signed([MASK, 0x3_ffff_ffff, 0, 0x3fff_ffc0_0000_0040, 0xff]);

/// 62-bit limbs, of which the highest has the sign.
#[derive(Clone, Copy, Default)]
struct Signed([i64; LIMBS]);

impl DefaultIsZeroes for Signed {}

/// What some steps do, times 2^62.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// STEPS division steps; `zeta` is -(delta + 1/2).
fn divide(zeta: &mut i64, mut f: i64, mut g: i64) -> Steps {
    let unit = 1 << (BITS as usize - STEPS);
    let Steps { mut u, mut v, mut q, mut r } = Steps { u: unit, v: 0, q: 0, r: unit };
    // All ones, which the compiler is not to know: else it could see that the masks are all ones or zero, and branch.
    let ones = std::hint::black_box(-1);
    for _ in 0..STEPS {
        let negative = (*zeta >> 63) & ones;
        let odd = -(g & 1) & ones;
        let signed = |value: i64| (value ^ negative) - negative;
        g = g.wrapping_add(signed(f) & odd);
        q += signed(u) & odd;
        r += signed(v) & odd;
        let swap = negative & odd;
        *zeta = (*zeta ^ swap) - 1;
        f = f.wrapping_add(g & swap);
        u += q & swap;
        v += r & swap;
        g >>= 1;
        u <<= 1;
        v <<= 1;
    }
    Steps { u, v, q, r }
}

impl Signed {
    fn new(x: &[u64; 4]) -> Self {
        let mask = MASK as u64;
        let limbs = [x[0], x[0] >> 62 | x[1] << 2, x[1] >> 60 | x[2] << 4, x[2] >> 58 | x[3] << 6, x[3] >> 56];
        Self(limbs.map(|limb| (limb & mask) as i64))
    }

    fn to_limbs(self) -> [u64; 4] {
        let x = self.0.map(|limb| limb as u64);
        [x[0] | x[1] << 62, x[1] >> 2 | x[2] << 60, x[2] >> 4 | x[3] << 58, x[3] >> 6 | x[4] << 56]
    }

    /// (a x + b y + c p) / 2^62, which must be a whole number.
    fn combination(a: i64, x: &Self, b: i64, y: &Self, c: i64) -> Self {
        let mut result = Self::default();
        let wide = |a: i64, b: i64| i128::from(a) * i128::from(b);
        let mut carry = 0;
        for i in 0..LIMBS {
            carry += wide(a, x.0[i]) + wide(b, y.0[i]) + wide(c, P.0[i]);
            if i > 0 {
                result.0[i - 1] = carry as i64 & MASK;
            }
            carry >>= BITS;
        }
        result.0[LIMBS - 1] = carry as i64;
        result
    }

    /// The same modulo p, between -2p and p if x and y are and |a| + |b| <= 2^62: c is what clears the lowest limb, which is that limb
    /// itself as p = -1 modulo 2^62, and at most what makes x and y positive and more than 2^62 less.
    fn combination_modulo_p(a: i64, x: &Self, b: i64, y: &Self) -> Self {
        let c = (a & (x.0[LIMBS - 1] >> 63)) + (b & (y.0[LIMBS - 1] >> 63));
        let lowest = a.wrapping_mul(x.0[0]).wrapping_add(b.wrapping_mul(y.0[0]));
        Self::combination(a, x, b, y, c - (c.wrapping_sub(lowest) & MASK))
    }

    /// All ones if negative, else zero.
    fn sign(&self) -> i64 {
        std::hint::black_box(self.0[LIMBS - 1] >> 63)
    }

    fn carried(mut self) -> Self {
        for i in 0..LIMBS - 1 {
            self.0[i + 1] += self.0[i] >> BITS;
            self.0[i] &= MASK;
        }
        self
    }

    fn plus_p_if_negative(mut self) -> Self {
        let negative = self.sign();
        self.0.iter_mut().zip(P.0).for_each(|(limb, p)| *limb += p & negative);
        self.carried()
    }

    /// Between -2p and p, turned if the mask is all ones: below p and not negative.
    fn normalised(self, turn: i64) -> Self {
        let mut positive = self.plus_p_if_negative();
        positive.0.iter_mut().for_each(|limb| *limb = (*limb ^ turn) - turn);
        positive.carried().plus_p_if_negative()
    }
}

/// 1/x modulo p for x below p; 0 for 0.
pub(crate) fn inverse(x: &[u64; 4]) -> [u64; 4] {
    let (mut f, mut g) = (P, Signed::new(x));
    let (mut d, mut e) = (Signed::default(), Signed([1, 0, 0, 0, 0]));
    let mut zeta = -1;
    for _ in 0..ROUNDS {
        let Steps { u, v, q, r } = divide(&mut zeta, f.0[0] | f.0[1] << BITS, g.0[0] | g.0[1] << BITS);
        (d, e) = (Signed::combination_modulo_p(u, &d, v, &e), Signed::combination_modulo_p(q, &d, r, &e));
        (f, g) = (Signed::combination(u, &f, v, &g, 0), Signed::combination(q, &f, r, &g, 0));
    }
    d.normalised(f.sign()).to_limbs()
}
