//! The module `gristmill._native`: conversions only, and everything long runs without the interpreter's lock.
//! `src/gristmill/_native.pyi` documents it for callers.
#![allow(missing_docs, reason = "the stub is where these functions are documented")]

mod call;
mod errors;
mod llv2;
mod noise;
mod primitives;
mod reach_only;
mod share_shuffle;
mod sketch;
mod sources;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::errors::{Cancelled, InternalError, InvalidArgument};
    #[pymodule_export]
    use crate::llv2::{
        ReachFigures, llv2_blind_registers, llv2_decrypt_counts, llv2_decrypt_flags, llv2_estimate_frequency,
        llv2_estimate_reach, llv2_join_registers, llv2_setup,
    };
    #[pymodule_export]
    use crate::noise::{Baseline, NoiseParameters, RegisterNoise, TupleNoise, noise_parameters, sample_noise};
    #[pymodule_export]
    use crate::primitives::{
        check_point, combine_public_keys, estimate_reach, fingerprint64, generate_key_pair, hash_all_to_curve,
        hash_to_curve, public_element,
    };
    #[pymodule_export]
    use crate::reach_only::{
        ReachOnlyFigures, reach_only_blind_registers, reach_only_estimate_reach, reach_only_setup,
    };
    #[pymodule_export]
    use crate::share_shuffle::{
        FrequencyVector, ShareFigures, ShareShuffle, VidIndex, hmss_aggregate, hmss_check_share, hmss_register_count,
        hmss_shuffle,
    };
    #[pymodule_export]
    use crate::sketch::{active_indexes, build_sketch, encrypt_reach_only_sketch, encrypt_sketch, vid_sample};
    #[pymodule_export]
    use crate::sources::{Progress, Randomness};
    use pyo3::prelude::*;

    /// Refuses to be imported if the environment asks for arithmetic that there is not here: later it could only panic.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        protocols::Choice::of_environment().map_err(|error| crate::errors::unusable(module, &error))?;
        protocols::share_shuffle::Choice::of_environment().map_err(|error| crate::errors::unusable(module, &error))?;
        Ok(())
    }
}
