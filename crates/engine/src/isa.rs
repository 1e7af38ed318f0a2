//! The instruction set of the kernels, detected when the program starts.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use thiserror::Error;

/// An instruction set for which the kernels are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// Plain loops, compiled for the build's target.
    Portable,
}

/// Whether the build's own target has a fused multiply-add; without it, a fused operation would be a
/// slow library call.
pub(crate) const PORTABLE_IS_FUSED: bool =
    cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// The instruction set of all programs, once it has been chosen or detected.
static CHOSEN: OnceLock<Isa> = OnceLock::new();

/// An instruction set that cannot be chosen.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IsaError {
    /// There is none of that name.
    #[error("there is no instruction set `{0}`; there are avx512, avx2 and portable")]
    Unknown(String),
    /// The processor lacks it.
    #[error("this processor does not have {0}; it has {1}")]
    Unavailable(Isa, String),
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        })
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Isa, IsaError> {
        let all = [Isa::Avx512, Isa::Avx2, Isa::Portable];
        let found = all.into_iter().find(|isa| isa.to_string() == name);
        found.ok_or_else(|| IsaError::Unknown(name.to_owned()))
    }
}

impl Isa {
    /// The best one of this processor, or the [chosen](Isa::choose) one.
    pub fn detect() -> Isa {
        *CHOSEN.get_or_init(|| Isa::available()[0])
    }

    /// Compiles all programs of this process for this instruction set. Only the first choice
    /// counts, and none after a program was compiled.
    ///
    /// # Errors
    /// [`IsaError::Unavailable`] if the processor does not have it.
    pub fn choose(self) -> Result<(), IsaError> {
        let available = Isa::available();
        if !available.contains(&self) {
            let names: Vec<String> = available.iter().map(Isa::to_string).collect();
            return Err(IsaError::Unavailable(self, names.join(", ")));
        }
        CHOSEN.get_or_init(|| self);
        Ok(())
    }

    /// All sets of this processor, the best first.
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx512 {
                found.push(Isa::Avx512);
            }
            if avx2 {
                found.push(Isa::Avx2);
            }
        }
        found.push(Isa::Portable);
        found
    }
}

/// Runs one of three calls, chosen at run time: `by_isa!(isa, fn<T>(arg: Type) -> Result, avx512,
/// avx2, portable)`. The first two are compiled for their instruction set. Arguments keep the names
/// of the caller's variables.
///
/// The calls run as unsafe code: with the instructions of their set, and with the caller's promises.
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
        // SAFETY: an `Isa` is only made where the processor has its features; the memory is the
        // caller's promise.
        unsafe {
            match $isa {
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 => avx512::<$T $(, $W)?>($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 => avx2::<$T $(, $W)?>($($arg),*),
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
