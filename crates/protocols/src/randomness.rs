//! Random scalars addressed by position, and the generator of noise counts.
//!
//! A stage lays out its draws: first those of the call, then so many an item, in the order in which the vectors record
//! them. Because a draw depends only on its position, neither the block size nor the number of threads changes a byte.

use crate::error::{Error, Result, require};
use crate::noise::NoiseParameters;
use chacha20::ChaCha20Rng;
use p256_batch::{Scalars, SecretScalar};
use rand_core::{SeedableRng, TryRng};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use zeroize::Zeroizing;

const COMMITMENT_DOMAIN: &[u8] = b"gristmill randomness commitment 1\0";
const SCALAR_BYTES: usize = 64; // reduced modulo n, so that the bias is below 2^-255; also one ChaCha block
const CALLS: u64 = 1 << 32;

enum Source {
    OperatingSystem,
    /// ChaCha20 keyed by a secret seed; which call and what for choose the stream, the position the block.
    Seed {
        seed: Zeroizing<[u8; 32]>,
        commitment: Option<[u8; 32]>,
    },
    #[cfg(feature = "replay")]
    Replay {
        scalars: Scalars,
        noise_counts: Vec<u64>,
    },
}

/// Where a stage takes its randomness from.
pub struct Randomness {
    source: Source,
    calls: AtomicU64,
}

impl Randomness {
    fn new(source: Source) -> Self {
        Self { source, calls: AtomicU64::new(0) }
    }

    /// The operating system's generator; positions are ignored.
    pub fn operating_system() -> Self {
        Self::new(Source::OperatingSystem)
    }

    /// A generator under a fresh secret seed, to which [`Self::commitment`] commits.
    pub fn committed() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())?;
        let commitment = Sha256::new().chain_update(COMMITMENT_DOMAIN).chain_update(seed.as_slice()).finalize().into();
        Ok(Self::new(Source::Seed { seed, commitment: Some(commitment) }))
    }

    /// Repeats a recorded call: its scalars in order, and its noise counts in the order in which they were drawn.
    #[cfg(feature = "replay")]
    pub fn replay(scalars: Scalars, noise_counts: Vec<u64>) -> Self {
        Self::new(Source::Replay { scalars, noise_counts })
    }

    /// The same draws for the same seed, for statistical tests.
    #[cfg(feature = "replay")]
    pub fn seeded(seed: &[u8]) -> Self {
        let seed =
            Zeroizing::new(Sha256::new().chain_update(b"gristmill test seed\0").chain_update(seed).finalize().into());
        Self::new(Source::Seed { seed, commitment: None })
    }

    /// SHA-256 of the domain and the seed, for a committed source.
    pub fn commitment(&self) -> Option<[u8; 32]> {
        match &self.source {
            Source::Seed { commitment, .. } => *commitment,
            _ => None,
        }
    }

    /// The draws of one call. Two calls never share a draw, although both count from zero.
    pub fn begin(&self) -> Result<Draws<'_>> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        require!(call < CALLS, "this random source has been used too often");
        #[cfg(feature = "replay")]
        require!(
            call == 0 || !matches!(self.source, Source::Replay { .. }),
            "a recorded call can be replayed only once"
        );
        Ok(Draws { source: &self.source, call, noise_drawn: AtomicBool::new(false) })
    }
}

/// The random draws of one call.
pub struct Draws<'a> {
    source: &'a Source,
    call: u64,
    noise_drawn: AtomicBool,
}

impl Draws<'_> {
    /// The `count` scalars from position `first` on, each uniform in [1, n-1].
    pub fn scalars(&self, first: u64, count: usize) -> Result<Scalars> {
        let mut scalars = Scalars::with_capacity(count);
        match self.source {
            Source::OperatingSystem => {
                let mut bytes = Zeroizing::new(vec![0; count * SCALAR_BYTES]);
                getrandom::fill(&mut bytes)?;
                push_reduced(&mut scalars, &bytes)?;
            }
            Source::Seed { seed, .. } => {
                let mut bytes = Zeroizing::new(vec![0; count * SCALAR_BYTES]);
                let mut generator = self.generator(seed, 0);
                generator.set_block_pos(first);
                infallible(generator.try_fill_bytes(&mut bytes));
                push_reduced(&mut scalars, &bytes)?;
            }
            #[cfg(feature = "replay")]
            Source::Replay { scalars: recorded, .. } => {
                let end = first as usize + count;
                require!(end <= recorded.len(), "too few recorded scalars: {} given, {end} needed", recorded.len());
                scalars = recorded.gather(first as usize..end);
            }
        }
        Ok(scalars)
    }

    /// One scalar.
    pub fn scalar(&self, position: u64) -> Result<SecretScalar> {
        Ok(self.scalars(position, 1)?.get(0))
    }

    /// Noise counts, one for each of the parameters, in order. A call asks for them at most once.
    pub fn noise_counts(&self, parameters: &[NoiseParameters]) -> Result<Vec<u64>> {
        self.noise_drawn.store(true, Ordering::Relaxed);
        let draw =
            |generator: &mut dyn NoiseGenerator| parameters.iter().map(|noise| noise.sample(generator)).collect();
        match self.source {
            Source::OperatingSystem => draw(&mut OperatingSystem),
            Source::Seed { seed, .. } => draw(&mut self.generator(seed, 1)),
            #[cfg(feature = "replay")]
            Source::Replay { noise_counts, .. } => {
                let (given, needed) = (noise_counts.len(), parameters.len());
                require!(given == needed, "{given} recorded noise counts given, {needed} needed");
                let possible =
                    noise_counts.iter().zip(parameters).all(|(count, noise)| *count <= 2 * noise.shift_offset);
                require!(possible, "a recorded noise count is beyond twice its offset");
                Ok(noise_counts.clone())
            }
        }
    }

    /// The call has drawn `scalars` scalars in all; a recorded call must have exactly as many.
    pub fn finish(self, scalars: u64) -> Result<()> {
        #[cfg(feature = "replay")]
        if let Source::Replay { scalars: recorded, noise_counts } = self.source {
            let given = recorded.len();
            let noise_drawn = self.noise_drawn.into_inner() || noise_counts.is_empty();
            require!(noise_drawn, "{} recorded noise counts given, none needed", noise_counts.len());
            require!(given as u64 == scalars, "{given} recorded scalars given, {scalars} drawn");
        }
        let _ = scalars;
        Ok(())
    }

    fn generator(&self, seed: &[u8; 32], purpose: u64) -> ChaCha20Rng {
        let mut generator = ChaCha20Rng::from_seed(*seed);
        generator.set_stream(purpose * CALLS + self.call);
        generator
    }
}

/// What noise counts are drawn from.
pub trait NoiseGenerator {
    /// 64 uniform bits.
    fn bits(&mut self) -> u64;
}

impl NoiseGenerator for ChaCha20Rng {
    fn bits(&mut self) -> u64 {
        infallible(self.try_next_u64())
    }
}

struct OperatingSystem;

impl NoiseGenerator for OperatingSystem {
    fn bits(&mut self) -> u64 {
        getrandom::u64().expect("the operating system gives randomness once it has given some")
    }
}

/// Lets the distributions of `rand_distr` draw from a [`NoiseGenerator`].
pub(crate) struct Adapter<'a>(pub &'a mut dyn NoiseGenerator);

impl TryRng for Adapter<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        Ok(self.0.bits() as u32)
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        Ok(self.0.bits())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

fn infallible<T>(result: std::result::Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn push_reduced(scalars: &mut Scalars, bytes: &[u8]) -> Result<()> {
    for chunk in bytes.chunks_exact(SCALAR_BYTES) {
        let chunk: &[u8; SCALAR_BYTES] = chunk.try_into().expect("chunks of that size");
        let scalar = SecretScalar::from_uniform_bytes(chunk);
        scalars.push(&scalar.map_err(|_| Error::Internal("a random scalar was zero".into()))?);
    }
    Ok(())
}
