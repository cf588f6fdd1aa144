//! Enums that stand as one byte on disk and wire.

/// Declares an enum whose variants are bytes, and `from_byte`, so that a variant cannot lack its way back.
macro_rules! byte_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $byte:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[repr(u8)]
        pub enum $name {
            $($(#[$doc])* $variant = $byte,)*
        }

        impl $name {
            /// The variant of a byte; `None` for one that this version does not know.
            pub fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use byte_enum;
