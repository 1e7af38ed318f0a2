//! The declarations: `settings!`, `choice!` and `keywords!`.

/// Declares a struct of settings. Each field is a key of the section:
///
/// - `name: Type = default, range;` a value, with options behind the range: `later`, `hashed`,
///   `fixed`, `unhashed`, `hidden`, `when(CONDITION)` (see [`Options`](crate::Options));
/// - `name: Type;` further settings, such as a [`choice!`](crate::choice).
///
/// `check FUNCTION` behind the section names a `fn(&Self, &mut Reader)` that refuses values that
/// exclude each other; `hash_only [("key", "value")]` adds lines to the hash (see
/// [`Writer::put_hash_only`](crate::Writer::put_hash_only)).
#[macro_export]
macro_rules! settings {
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident in $section:literal
        $(, check $check:path)? $(, hash_only [$(($hashed:literal, $text:literal)),* $(,)?])?
        {
            $(
                $(#[doc = $doc:literal])*
                $field_vis:vis $field:ident : $ty:ty
                $(= $default:expr, $range:expr $(, $option:ident $(($argument:expr))?)*)?;
            )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $($(#[doc = $doc])* $field_vis $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::__default!($($default)?),)* }
            }
        }

        impl $crate::Settings for $name {
            #[allow(unused_variables, reason = "settings without keys use no argument")]
            fn keys(when: &[$crate::Condition], out: &mut Vec<$crate::Key>) {
                $($crate::__keys!(
                    when, out, $section, $field, $ty, concat!($($doc),*),
                    [$($default, $range, $crate::Options::new()$(.$option($($argument)?))*)?]
                );)*
            }

            #[allow(unused_variables, reason = "settings without keys use no argument")]
            fn read(reader: &mut $crate::Reader) -> Self {
                let settings = Self {
                    $($field: $crate::__read!(
                        reader, $section, $field, $ty,
                        [$($default, $range, $crate::Options::new()$(.$option($($argument)?))*)?]
                    ),)*
                };
                $($check(&settings, reader);)?
                settings
            }

            #[allow(unused_variables, reason = "settings without keys use no argument")]
            fn write(&self, out: &mut $crate::Writer) {
                $($(out.put_hash_only($section, $hashed, $text);)*)?
                $($crate::__write!(
                    self, out, $section, $field, $ty,
                    [$($default, $range, $crate::Options::new()$(.$option($($argument)?))*)?]
                );)*
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __keys {
    ($when:ident, $out:ident, $section:literal, $field:ident, $ty:ty, $doc:expr, []) => {
        <$ty as $crate::Settings>::keys($when, $out)
    };
    (
        $when:ident, $out:ident, $section:literal, $field:ident, $ty:ty, $doc:expr,
        [$default:expr, $range:expr, $options:expr]
    ) => {
        $out.extend($crate::describe::<$ty>(
            ($section, stringify!($field)),
            $doc,
            &$default,
            &$range,
            $options,
            $when,
        ))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __read {
    ($reader:ident, $section:literal, $field:ident, $ty:ty, []) => {
        <$ty as $crate::Settings>::read($reader)
    };
    (
        $reader:ident, $section:literal, $field:ident, $ty:ty,
        [$default:expr, $range:expr, $options:expr]
    ) => {
        $reader.value::<$ty>(($section, stringify!($field)), $default, &$range, $options)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __write {
    ($self:ident, $out:ident, $section:literal, $field:ident, $ty:ty, []) => {
        <$ty as $crate::Settings>::write(&$self.$field, $out)
    };
    (
        $self:ident, $out:ident, $section:literal, $field:ident, $ty:ty,
        [$default:expr, $range:expr, $options:expr]
    ) => {
        $out.put::<$ty>(($section, stringify!($field)), &$self.$field, &$default, $options)
    };
}

/// Declares an enum that is a key: its value is the word of a variant, and each variant holds the
/// settings that come with it, or none. The default is a word; `""` for a key that must be given.
/// `later` behind it: at its default the key is left out of the hash.
///
/// With `as dyn TRAIT` behind the enum's name, the enum dereferences to that trait, which the
/// settings of every variant implement.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $outer_doc:literal])*
        $(#[derive($($derive:ident),*)])?
        $vis:vis enum $name:ident $(as dyn $target:path)?:
        $section:literal . $key:literal = $default:literal $(, $later:ident)?
        {
            $($(#[doc = $doc:expr])* $variant:ident $(($inner:ty))? = $word:literal,)+
        }
    ) => {
        $(#[doc = $outer_doc])*
        #[derive(Debug, Clone, PartialEq $($(, $derive)*)?)]
        $vis enum $name { $($(#[doc = $doc])* $variant $(($inner))?,)+ }

        impl $name {
            /// The word of every variant.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of this variant.
            pub fn word(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $word,)+ }
            }

            /// The documentation of the variant of that word, on one line.
            pub fn about(word: &str) -> String {
                let doc = match word {
                    $($word => concat!($($doc),*),)+
                    _ => "",
                };
                $crate::one_line(doc)
            }

            /// The variant of that word, its settings at their defaults.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant $((<$inner as Default>::default()))?),)+
                    _ => None,
                }
            }
        }

        $crate::__deref!($name, [$($target)?], [$($variant $(($inner))?,)+]);

        impl Default for $name {
            /// The default variant; the first, if the key must be given.
            fn default() -> Self {
                let first = || Self::from_word(Self::WORDS[0]);
                Self::from_word($default).or_else(first).unwrap_or_else(|| unreachable!())
            }
        }

        impl $crate::Settings for $name {
            fn keys(when: &[$crate::Condition], out: &mut Vec<$crate::Key>) {
                let doc = concat!($($outer_doc),*);
                out.push($crate::describe_choice(
                    ($section, $key), doc, Self::WORDS, $default, when,
                ));
                $($(
                    let path = concat!($section, ".", $key);
                    let mut within = when.to_vec();
                    within.push($crate::Condition::is(path, &[$word]));
                    <$inner as $crate::Settings>::keys(&within, out);
                )?)+
            }

            fn read(reader: &mut $crate::Reader) -> Self {
                match reader.choice(($section, $key), Self::WORDS, $default) {
                    $($word => Self::$variant $((<$inner as $crate::Settings>::read(reader)))?,)+
                    _ => Self::default(),
                }
            }

            fn write(&self, out: &mut $crate::Writer) {
                let later = $crate::__is_later!($($later)?);
                out.put_word(($section, $key), self.word(), $default, later);
                match self {
                    $(Self::$variant $(($crate::__bind!(settings, $inner)))? => {
                        $(<$inner as $crate::Settings>::write(settings, out))?
                    })+
                }
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __bind {
    ($name:ident, $inner:ty) => {
        $name
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __is_later {
    () => {
        false
    };
    (later) => {
        true
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __deref {
    ($name:ident, [], $variants:tt) => {};
    ($name:ident, [$target:path], [$($variant:ident ($inner:ty),)+]) => {
        impl std::ops::Deref for $name {
            type Target = dyn $target;

            fn deref(&self) -> &Self::Target {
                match self { $(Self::$variant(settings) => settings,)+ }
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __revision {
    () => {
        None
    };
    ($revision:literal) => {
        Some($revision)
    };
}

/// Declares an enum together with the word of each of its values, a [`Keyword`](crate::Keyword) and
/// [`Setting`](crate::Setting). `(revision 2)` behind a word changes the hash of every spec with it:
/// it stands where a later version changed what the word means.
#[macro_export]
macro_rules! keywords {
    (
        $(#[$outer:meta])*
        $vis:vis enum $name:ident {
            $($(#[$inner:meta])* $variant:ident = $word:literal $((revision $revision:literal))?,)+
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$inner])* $variant,)+ }

        impl $crate::Keyword for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];
        }

        impl $crate::Setting for $name {
            type Range = ();

            fn parse(value: &$crate::Value, (): &()) -> Result<Self, $crate::Refused> {
                $crate::parse_keyword(value)
            }

            fn text(&self) -> Option<String> {
                Some(format!("\"{}\"", $crate::Keyword::word(*self)))
            }

            fn revision(&self) -> Option<u32> {
                match self { $(Self::$variant => $crate::__revision!($($revision)?),)+ }
            }

            fn right((): &()) -> String {
                $crate::join([$($word),+].into_iter(), "or")
            }
        }
    };
}
