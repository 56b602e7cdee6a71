//! What is secret, told to valgrind's memcheck: it reports branches and addresses that depend on memory marked undefined.
//!
//! Without the feature `memcheck` both functions here do nothing.

/// Marks these values as secret, and with them everything that is computed from them.
#[cfg(not(all(feature = "memcheck", target_arch = "x86_64")))]
pub(crate) fn make_secret<T: Copy>(_: &mut [T]) {}

/// A verdict that may be known, as the caller says why, though it was computed from secrets.
#[cfg(not(all(feature = "memcheck", target_arch = "x86_64")))]
#[inline(always)]
pub(crate) fn declassified(value: bool) -> bool {
    value
}

#[cfg(all(feature = "memcheck", target_arch = "x86_64"))]
pub(crate) use requests::declassified;
#[cfg(all(feature = "memcheck", target_arch = "x86_64"))]
pub use requests::{declassify, is_secret, make_secret, running};

#[cfg(all(feature = "memcheck", target_arch = "x86_64"))]
#[allow(unsafe_code)] // a request to valgrind is made of instructions
mod requests {
    use std::arch::asm;

    // valgrind.h and memcheck.h have the numbers.
    const RUNNING_ON_VALGRIND: usize = 0x1001;
    const MEMCHECK: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16;
    const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
    const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
    const GET_VBITS: usize = MEMCHECK + 8;

    /// 0 outside valgrind, where the instructions do nothing: 3 + 13 + 61 + 51 is twice 64.
    fn request(number: usize, arguments: [usize; 3]) -> usize {
        let [first, second, third] = arguments;
        let all = [number, first, second, third, 0, 0];
        let mut result = 0;
        // SAFETY: rdi and rbx come out as they went in; memcheck changes no byte but those that GET_VBITS is given for that.
        unsafe {
            asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") all.as_ptr(),
                inout("rdx") result,
                options(nostack)
            );
        }
        result
    }

    /// Whether this process runs under valgrind.
    pub fn running() -> bool {
        request(RUNNING_ON_VALGRIND, [0; 3]) != 0
    }

    /// Marks these values as secret, and with them everything that is computed from them.
    pub fn make_secret<T: Copy>(values: &mut [T]) {
        request(MAKE_MEM_UNDEFINED, [values.as_mut_ptr() as usize, size_of_val(values), 0]);
    }

    /// Marks these values as known.
    pub fn declassify<T: Copy>(values: &mut [T]) {
        request(MAKE_MEM_DEFINED, [values.as_mut_ptr() as usize, size_of_val(values), 0]);
    }

    /// Whether any of these bytes is secret.
    pub fn is_secret(bytes: &[u8]) -> bool {
        let mut undefined = vec![0u8; bytes.len()];
        request(GET_VBITS, [bytes.as_ptr() as usize, undefined.as_mut_ptr() as usize, bytes.len()]);
        undefined.iter().any(|bits| *bits != 0)
    }

    /// A verdict that may be known, as the caller says why, though it was computed from secrets.
    pub(crate) fn declassified(value: bool) -> bool {
        let mut value = [value];
        declassify(&mut value);
        value[0]
    }
}
