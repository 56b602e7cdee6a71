//! Honest Majority Share Shuffle: two workers shuffle additive shares of frequency vectors, an aggregator recombines them.
//!
//! Numbers of sections are those of the protocol's specification. An entry takes one byte for ring moduli up to 256, four
//! beyond. Above 256 the original reads beyond its buffer; here the formula that it evidently means is followed, so such moduli
//! work among duchies that do the same, and with no other.

mod aggregation;
mod entries;
mod frequency_vector;
mod generator;
mod kernel;
mod noise;
mod packed;
mod parameters;
mod population;
mod shuffle;
mod worker;

pub use aggregation::{ShareFigures, aggregate};
pub use entries::{Entries, Entry, Operation};
pub use frequency_vector::{FrequencyVector, SamplingRange};
pub use generator::{Generator, SEED_SIZE};
pub use kernel::{CHOICE, Choice, KernelError};
pub use packed::{Message, PackedReader, write};
pub use parameters::{Modulus, Order, Parameters};
pub use population::VidIndex;
pub use shuffle::shuffle_vartime;
pub use worker::{Shares, check_share, shuffle_phase};

/// Calls a function that is generic over the entry with the one that a modulus needs.
macro_rules! with_entry {
    ($modulus:expr, $function:ident ( $($argument:expr),* $(,)? )) => {
        if $modulus.value() <= 256 { $function::<u8>($($argument),*) } else { $function::<u32>($($argument),*) }
    };
}
use with_entry;
