//! The exponential integral E1(x) = integral of exp(-t) / t from x to infinity, for x > 0.

const EULER: f64 = 0.577_215_664_901_532_9;

/// E1(x) for x > 0, to about 1e-15 relative: the power series (Abramowitz and Stegun 5.1.11) up to 1, beyond it the
/// continued fraction (5.1.22) in its even form, evaluated from the tail.
pub fn exponential_integral_e1(x: f64) -> f64 {
    if x <= 1.0 { series(x) } else { continued_fraction(x) }
}

fn series(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 1..40 {
        let k = f64::from(k);
        term *= -x / k;
        let next = sum - term / k;
        if next == sum {
            break;
        }
        sum = next;
    }
    sum - (EULER + x.ln())
}

/// exp(-x) / (x + 1 - 1 / (x + 3 - 4 / (x + 5 - 9 / ...))).
fn continued_fraction(x: f64) -> f64 {
    // Enough for x = 1; the number of levels needed falls like 1/x.
    let levels = 20 + (110.0 / x) as i32;
    let tail = (1..=levels).rev().fold(x + 2.0 * f64::from(levels) + 1.0, |tail, k| {
        let k = f64::from(k);
        x + 2.0 * k - 1.0 - k * k / tail
    });
    (-x).exp() / tail
}

#[cfg(test)]
mod tests {
    use super::exponential_integral_e1;

    #[test]
    fn agrees_with_values_computed_to_many_digits() {
        let table = [
            (1e-10, 22.448_635_265_138_924),
            (0.01, 4.037_929_576_538_114),
            (0.5, 0.559_773_594_776_160_8),
            (1.0, 0.219_383_934_395_520_28),
            (1.000_000_1, 0.219_383_897_607_579_83),
            (2.0, 0.048_900_510_708_061_12),
            (5.0, 0.001_148_295_591_275_325_8),
            (20.0, 9.835_525_290_649_882e-11),
            (100.0, 3.683_597_761_682_032e-46),
        ];
        for (x, expected) in table {
            let value: f64 = exponential_integral_e1(x);
            assert!((value / expected - 1.0).abs() < 1e-13, "E1({x}) = {value}, expected {expected}");
        }
    }
}
