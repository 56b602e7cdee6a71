//! The loops that are worth a processor's own instructions.

mod portable;

use std::sync::LazyLock;

/// Which loops this process uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Plain Rust, everywhere.
    Portable,
}

/// The fastest that the processor has, or the one that the variable `GRISTMILL_AES_KERNEL` names, if the processor has it.
pub static CHOICE: LazyLock<Choice> = LazyLock::new(|| Choice::Portable);

pub use portable::{Cipher, accept, targets};
