//! The instruction set of the kernels, detected when the program starts.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use thiserror::Error;

/// An instruction set for which the kernels are compiled, and which this processor has: whoever has
/// one may run its kernels. [`detect`](Isa::detect), [`available`](Isa::available) and parsing a
/// name give one.
///
/// ```compile_fail,E0599
/// # use retrodict_engine::*;
/// let isa = Isa::Avx512; // Does the processor have it?
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(Set);

/// The instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Set {
    /// x86-64 with AVX-512 (F, BW, DQ, VL), AVX2 and FMA.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// Plain loops, compiled for the build's target.
    Portable,
}

/// Whether the build's own target has a fused multiply-add; without it, a fused operation would be
/// a slow library call.
pub(crate) const PORTABLE_IS_FUSED: bool =
    cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// The instruction set of all programs, once it has been chosen or detected.
static CHOSEN: OnceLock<Isa> = OnceLock::new();

/// A name that gives no instruction set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IsaError {
    /// There is none of that name.
    #[error("there is no instruction set `{0}`; there are avx512, avx2 and portable")]
    Unknown(String),
    /// The processor lacks it.
    #[error("this processor does not have {0}; it has {1}")]
    Unavailable(String, String),
}

impl Set {
    const ALL: [Set; 3] = [Set::Avx512, Set::Avx2, Set::Portable];

    fn name(self) -> &'static str {
        match self {
            Set::Avx512 => "avx512",
            Set::Avx2 => "avx2",
            Set::Portable => "portable",
        }
    }

    /// Whether the processor has every feature for which [`by_isa`] compiles the set's kernels.
    fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let [avx2, avx512] = [
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl"),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let [avx2, avx512] = [false; 2];
        match self {
            Set::Avx512 => avx2 && avx512,
            Set::Avx2 => avx2,
            Set::Portable => true,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Isa, IsaError> {
        let named = Set::ALL.into_iter().find(|set| set.name() == name);
        let set = named.ok_or_else(|| IsaError::Unknown(name.to_owned()))?;
        if set.is_available() {
            return Ok(Isa(set));
        }
        let names: Vec<String> = Isa::available().iter().map(Isa::to_string).collect();
        Err(IsaError::Unavailable(name.to_owned(), names.join(", ")))
    }
}

impl Isa {
    /// Plain loops, which every processor can run.
    pub const PORTABLE: Isa = Isa(Set::Portable);

    pub(crate) fn set(self) -> Set {
        self.0
    }

    /// The best one of this processor, or the [chosen](Isa::choose) one.
    pub fn detect() -> Isa {
        *CHOSEN.get_or_init(|| Isa::available()[0])
    }

    /// Compiles all programs of this process for this instruction set. Only the first choice
    /// counts, and none after a program was compiled.
    pub fn choose(self) {
        CHOSEN.get_or_init(|| self);
    }

    /// All sets of this processor, the best first.
    pub fn available() -> Vec<Isa> {
        Set::ALL.into_iter().filter(|set| set.is_available()).map(Isa).collect()
    }
}

/// Runs one of three calls, chosen at run time: `by_isa!(isa, fn<T>(arg: Type) -> Result, avx512,
/// avx2, portable)`. The first two are compiled for their instruction set. Arguments keep the names
/// of the caller's variables.
///
/// The calls run as unsafe code: with the instructions of their set, and with the caller's
/// promises.
macro_rules! by_isa {
    ($isa:expr,
     fn<$T:ident $(, const $W:ident: usize)?>($($arg:ident: $type:ty),*) $(-> $out:ty)?,
     $avx512:expr, $avx2:expr, $portable:expr $(,)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        #[allow(clippy::too_many_arguments)] // kernels take their matrices as they come
        unsafe fn avx512<$T: $crate::scalar::Scalar $(, const $W: usize)?>(
            $($arg: $type),*
        ) $(-> $out)? {
            #[allow(unused_unsafe)] // not every kernel is unsafe
            // SAFETY: the caller's promises.
            unsafe { $avx512 }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        #[allow(clippy::too_many_arguments)] // as above
        unsafe fn avx2<$T: $crate::scalar::Scalar $(, const $W: usize)?>(
            $($arg: $type),*
        ) $(-> $out)? {
            #[allow(unused_unsafe)] // as above
            // SAFETY: the caller's promises.
            unsafe { $avx2 }
        }
        #[allow(unused_unsafe)] // as above
        // SAFETY: there is an `Isa` only for a set whose features the processor has; memory is the
        // promise of the caller where the code given is unsafe.
        unsafe {
            match $isa.set() {
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Set::Avx512 => avx512::<$T $(, $W)?>($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Set::Avx2 => avx2::<$T $(, $W)?>($($arg),*),
                _ => $portable,
            }
        }
    }};
}
pub(crate) use by_isa;

/// Compiles one function body for every instruction set; the set is chosen at run time.
///
/// The functions take an [`Isa`] before their own arguments. The body is plain Rust over slices,
/// which the compiler vectorises with the registers of the set. In it the constant `FUSED` is true
/// where the set has a fused multiply-add: pass it to
/// [`Scalar::fused`](crate::scalar::Scalar::fused) and to functions built on it. A kernel may have
/// one constant of its own, such as the lanes that it takes at a time.
macro_rules! for_every_isa {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident<$T:ident $(, const $W:ident: usize)?>
        ($($arg:ident: $type:ty),* $(,)?) $body:block)+) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)] // kernels take their matrices as they come
        $vis fn $name<$T: $crate::scalar::Scalar $(, const $W: usize)?>(isa: $crate::isa::Isa, $($arg: $type),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)] // as above
            #[allow(unused)] // not every kernel has products to fuse
            fn body<$T: $crate::scalar::Scalar $(, const $W: usize)?, const FUSED: bool>($($arg: $type),*) $body
            $crate::isa::by_isa!(
                isa,
                fn<$T $(, const $W: usize)?>($($arg: $type),*),
                body::<$T $(, $W)?, true>($($arg),*),
                body::<$T $(, $W)?, true>($($arg),*),
                body::<$T $(, $W)?, { $crate::isa::PORTABLE_IS_FUSED }>($($arg),*),
            )
        }
    )+};
}
pub(crate) use for_every_isa;

/// As [`for_every_isa`], for bodies written in registers: `V` is the [`Vector`](crate::Vector) of
/// the set, from which the body may make [`Wide`](crate::wide::Wide) values.
macro_rules! in_registers {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident<$T:ident, $V:ident>
        ($($arg:ident: $type:ty),* $(,)?) $body:block)+) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)] // kernels take their matrices as they come
        $vis fn $name<$T: $crate::scalar::Scalar>(isa: $crate::isa::Isa, $($arg: $type),*) {
            /// # Safety
            /// The processor must have the instructions of the registers.
            #[inline(always)]
            #[allow(clippy::too_many_arguments)] // as above
            unsafe fn body<$T: $crate::scalar::Scalar, $V: $crate::vector::Vector<$T>>(
                $($arg: $type),*
            ) {
                // SAFETY: the caller's promise; nothing else in it is unsafe.
                unsafe { $body }
            }
            $crate::isa::by_isa!(
                isa,
                fn<$T>($($arg: $type),*),
                body::<$T, $T::V512>($($arg),*),
                body::<$T, $T::V256>($($arg),*),
                body::<$T, $T::VPortable>($($arg),*),
            )
        }
    )+};
}
pub(crate) use in_registers;
