//! From active registers of a Liquid Legions sketch to reach (LLv2 specification, section 8).

mod exponential_integral;

use crate::error::{Result, invalid, require};
pub use exponential_integral::exponential_integral_e1;

/// Which Liquid Legions sketch, and what share of the people it was built from.
#[derive(Clone, Copy, Debug)]
pub struct Sketch {
    /// Rate a at which register probabilities fall; greater than 1.
    pub decay_rate: f64,
    /// Number of registers L.
    pub size: u64,
    /// Width of the sampling interval in (0, 1], a single-precision number on the wire.
    pub sampling_width: f64,
}

impl Sketch {
    /// Refuses parameters for which there is no estimate.
    pub fn validate(&self) -> Result<()> {
        let Self { decay_rate, size, sampling_width } = *self;
        require!(
            decay_rate > 1.0 && decay_rate < 700.0,
            "decay rate: {decay_rate}, more than 1 and less than 700 is needed"
        );
        require!(size >= 1, "sketch size: at least 1 is needed");
        let width = f64::from(sampling_width as f32);
        require!(width > 0.0 && width <= 1.0, "sampling width: {sampling_width}, a number in (0, 1] is needed");
        Ok(())
    }

    /// Reach for `active` registers. Note that no active register gives 1 / width, as the existing system does.
    pub fn estimate_reach(&self, active: u64) -> Result<i64> {
        self.validate()?;
        require!(active < self.size, "the sketch is saturated: {active} of {} registers are active", self.size);
        let reach = self.distinct_items(active)? as f64 / f64::from(self.sampling_width as f32);
        require!(reach < i64::MAX as f64, "the sketch is close to saturation: its reach does not fit 64 bits");
        Ok(reach as i64)
    }

    /// Smallest number of items that is expected to fill so many registers, found by doubling and halving.
    fn distinct_items(&self, active: u64) -> Result<u64> {
        let too_many = || invalid!("the sketch is close to saturation: {active} of {} registers are active", self.size);
        let (mut low, mut high) = (0u64, 1u64);
        while self.expected_registers(high) < active {
            low = high;
            high = high.checked_mul(2).ok_or_else(too_many)?;
        }
        let mut found = u64::midpoint(low, high);
        while high > low {
            if self.expected_registers(found) > active {
                high = found.saturating_sub(1);
            } else {
                low = found + 1;
            }
            found = u64::midpoint(low, high);
        }
        Ok(found)
    }

    /// Expected active registers after `items` distinct items, truncated.
    fn expected_registers(&self, items: u64) -> u64 {
        if items == 0 {
            return 0;
        }
        let (a, size) = (self.decay_rate, self.size as f64);
        let t = items as f64 / size;
        let growth = a.exp();
        // Ei(-x) = -E1(x)
        let first = -exponential_integral_e1(a * t / (growth - 1.0));
        let last = -exponential_integral_e1(a * growth * t / (growth - 1.0));
        (size * (1.0 - (-first + last) / a)) as u64
    }
}
