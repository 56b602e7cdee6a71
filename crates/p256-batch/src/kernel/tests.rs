//! Every operation of every kernel that the processor has, against the arithmetic of `field` on the same numbers.

use super::{Kernel, portable::Portable};
use crate::field::{Element, Montgomery, P, reduce_once};
use proptest::collection::vec;
use proptest::prelude::*;
use std::array;

/// Vectors in a test: more than one, and no power of two.
const VECTORS: usize = 5;
const MOST_LANES: usize = 8;

/// Numbers at the edges of p and of limbs, and any.
fn number() -> impl Strategy<Value = Element> {
    let [p0, p1, p2, p3] = P;
    let reduced = |limbs| Element(reduce_once(limbs, 0));
    prop_oneof![
        2 => (0u64..4).prop_map(Element::small),
        2 => (0u64..4).prop_map(move |below| Element([p0 - 1 - below, p1, p2, p3])),
        1 => (0usize..256).prop_map(|bit| Element(array::from_fn(|limb| u64::from(limb == bit / 64) << (bit % 64)))),
        1 => (0usize..5).prop_map(move |full| reduced(array::from_fn(|limb| if limb < full { u64::MAX } else { 0 }))),
        1 => Just(Element([u64::MAX, u64::MAX, u64::MAX, p3 - 1])),
        4 => any::<[u64; 4]>().prop_map(reduced),
    ]
}

/// One batch of numbers in a kernel and in Montgomery form.
struct Both<K: Kernel>(Vec<K::Vector>, Vec<Montgomery>);

impl<K: Kernel> Both<K> {
    fn new(values: &[Element]) -> Self {
        let mut vectors = vec![K::splat(Element::ZERO); VECTORS];
        let values = &values[..VECTORS * K::LANES];
        K::load(values, &mut vectors);
        Self(vectors, values.iter().map(|value| value.to_montgomery()).collect())
    }

    /// The result of an operation of the kernel that overwrites these numbers, and of the same on each number by itself.
    fn apply(
        &self,
        name: &str,
        kernel: impl FnOnce(&mut [K::Vector]),
        one: impl Fn(usize, Montgomery) -> Montgomery,
    ) -> Self {
        let mut result = self.clone_both();
        kernel(&mut result.0);
        result.1.iter_mut().enumerate().for_each(|(lane, value)| *value = one(lane, *value));
        let mut values = vec![Element::ZERO; result.1.len()];
        K::store(&result.0, &mut values);
        let expected: Vec<Element> = result.1.iter().map(|value| value.to_element()).collect();
        assert_eq!(values, expected, "{name}");
        result
    }

    fn clone_both(&self) -> Self {
        Self(self.0.clone(), self.1.clone())
    }
}

fn three(x: Montgomery) -> Montgomery {
    x.plus(x).plus(x)
}

/// The results go through every operation again, so that what each returns is seen to be good enough for the others.
fn arithmetic_agrees<K: Kernel>(values: &[Vec<Element>; 3], signs: &[bool]) {
    let [mut a, mut b, mut c] = values.each_ref().map(|values| Both::<K>::new(values));
    let bytes: Vec<u8> = signs[..VECTORS * K::LANES].iter().map(|sign| u8::from(*sign).wrapping_neg()).collect();
    let constant = b.1[0].to_element();
    for _ in 0..3 {
        let (x, y, z) = (&a.1, &b.1, &c.1);
        a.apply("load and store", |_| (), |_, x| x);
        c.apply("multiply", |out| K::multiply(out, &a.0, &b.0), |i, _| x[i].times(y[i]));
        a.apply("multiply_by", |out| K::multiply_by(out, &c.0), |i, x| x.times(z[i]));
        a.apply("square", |out| K::square(out, 3), |_, x| (0..3).fold(x, |x, _| x.squared()));
        let difference = c.apply(
            "multiply_by_difference",
            |out| K::multiply_by_difference(out, &c.0, &a.0, &b.0),
            |i, z| z.times(x[i].minus(y[i])),
        );
        let tangent = difference.apply(
            "multiply_by_tangent",
            |out| K::multiply_by_tangent(out, &b.0, &mut a.0.clone()),
            |i, s| s.times(y[i].squared().minus(Montgomery::ONE)),
        );
        let sum = c.apply(
            "multiply_and_add",
            |out| K::multiply_and_add(out, &a.0, &tangent.0),
            |i, z| x[i].times(tangent.1[i]).plus(z),
        );
        let third = |i: usize, other: Montgomery| tangent.1[i].squared().minus(other).minus(y[i]);
        let x3 = sum.apply("third", |out| K::third(out, &tangent.0, &b.0), third);
        let meet = |other: Option<&Both<K>>| {
            let (mut px, mut py) = (b.0.clone(), c.0.clone());
            K::meet(&mut px, &mut py, &tangent.0, other.map(|other| &other.0[..]), &mut a.0.clone());
            let x3 = b.apply(
                "meet, x",
                |out| out.copy_from_slice(&px),
                |i, x| third(i, other.map_or(x, |other| other.1[i])),
            );
            let chord = |i: usize| y[i].minus(x3.1[i]);
            let y3 = c.apply("meet, y", |out| out.copy_from_slice(&py), |i, y| tangent.1[i].times(chord(i)).minus(y));
            (x3, y3)
        };
        let (twice, _) = meet(None);
        let (x4, y3) = meet(Some(&x3));
        let curve = b.apply(
            "curve",
            |out| K::curve(out, &twice.0, &K::splat(constant)),
            |i, _| twice.1[i].squared().minus(three(Montgomery::ONE)).times(twice.1[i]).plus(constant.to_montgomery()),
        );
        let negated = y3.apply(
            "negate_where",
            |out| K::negate_where(out, &bytes),
            |i, y| if signs[i] { Montgomery::default().minus(y) } else { y },
        );
        (a, b, c) = (x4, negated, curve);
    }
}

fn tables_agree<K: Kernel>(values: &[Vec<Element>; 2], indices: &[u8]) {
    let entries = 1 << (K::WINDOW - 1);
    let lanes = VECTORS * K::LANES;
    let indices: Vec<u8> = indices[..lanes].iter().map(|index| index % entries as u8).collect();
    let [x, y] = values.each_ref().map(|values| &values[..entries]);
    let table = K::table(x, y);
    let mut found = [vec![K::splat(Element::ZERO); VECTORS], vec![K::splat(Element::ZERO); VECTORS]];
    let [found_x, found_y] = &mut found;
    K::look_up(&table, &indices, found_x, found_y);
    for (found, values) in found.iter().zip([x, y]) {
        let mut stored = vec![Element::ZERO; lanes];
        K::store(found, &mut stored);
        assert_eq!(stored, indices.iter().map(|index| values[usize::from(*index)]).collect::<Vec<_>>());
    }
}

fn selections_agree<K: Kernel>(values: &[Vec<Element>; 3], indices: &[u8]) {
    let entries = values.each_ref().map(|values| Both::<K>::new(values));
    let indices: Vec<u8> = indices.iter().map(|index| index % 3).collect();
    let of_vector = |place: usize| entries.each_ref().map(|entries| K::pack(&entries.0[place]));
    let all: Vec<K::Packed> = (0..VECTORS).flat_map(of_vector).collect();
    entries[0].apply(
        "select",
        |out| K::select(out, &all, &indices[..VECTORS * K::LANES]),
        |i, _| entries[usize::from(indices[i])].1[i],
    );
}

/// A batch inverts as one: a zero in any lane is told.
fn inverses_agree<K: Kernel>(values: &[Element]) {
    let both = Both::<K>::new(values);
    let mut inverses = both.0.clone();
    if both.1.iter().any(|value| value.to_element().is_zero()) {
        assert!(crate::batch::invert::<K>(&mut inverses, Element::small(1)).is_err());
    } else {
        both.apply(
            "invert",
            |out| crate::batch::invert::<K>(out, Element::small(3)).expect("no zero"),
            |_, value| three(value.inverse()),
        );
    }
}

macro_rules! on_every_kernel {
    ($function:ident($($argument:expr),*)) => {
        $function::<Portable>($($argument),*);
        #[cfg(target_arch = "x86_64")]
        {
            if super::avx2::available() {
                $function::<super::avx2::Avx2>($($argument),*);
            }
            if super::avx512::available() {
                $function::<super::avx512::Avx512>($($argument),*);
            }
        }
    };
}

proptest! {
    #[test]
    fn vectors_compute_what_single_numbers_do(
        values in prop::array::uniform3(vec(number(), VECTORS * MOST_LANES)),
        signs in vec(any::<bool>(), VECTORS * MOST_LANES),
    ) {
        on_every_kernel!(arithmetic_agrees(&values, &signs));
    }

    #[test]
    fn a_table_gives_the_entry_at_each_lanes_index(
        values in prop::array::uniform2(vec(number(), 128)),
        indices in vec(any::<u8>(), VECTORS * MOST_LANES),
    ) {
        on_every_kernel!(tables_agree(&values, &indices));
    }

    #[test]
    fn a_selection_takes_each_lanes_own_entry(
        values in prop::array::uniform3(vec(number(), VECTORS * MOST_LANES)),
        indices in vec(any::<u8>(), VECTORS * MOST_LANES),
    ) {
        on_every_kernel!(selections_agree(&values, &indices));
    }

    #[test]
    fn a_batch_without_zero_inverts_and_one_with_zero_does_not(
        values in vec(number(), VECTORS * MOST_LANES),
        offset in 4u64..9,
        zeros: bool,
    ) {
        let finite = |value: &Element| if value.is_zero() { Element::small(offset) } else { *value };
        let values = if zeros { values } else { values.iter().map(finite).collect() };
        on_every_kernel!(inverses_agree(&values));
    }
}

#[test]
fn a_kernel_is_the_named_one_or_an_error_and_without_a_name_the_fastest() {
    use super::{Choice, KernelError};
    for choice in Choice::ALL {
        let missing = Err(KernelError::Missing(choice.name()));
        assert_eq!(Choice::named(choice.name()), if choice.is_available() { Ok(choice) } else { missing });
    }
    assert_eq!(Choice::named("").ok(), Choice::available().next());
    for name in ["fast", "AVX2", "avx-512", " portable", "none"] {
        assert_eq!(Choice::named(name), Err(KernelError::Unknown(name.to_owned())));
    }
}
