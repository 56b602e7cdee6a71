//! Stage inputs and outputs: files of fixed-size records, read and written block by block.

mod input;
mod output;

pub use input::Input;
pub use output::Output;
