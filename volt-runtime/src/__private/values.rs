//! Macros that expand tables to the code of enums, and to code that prost does not derive for messages.

/// The accessors of a map of enums, like those of prost.
#[doc(hidden)]
#[macro_export]
macro_rules! __enum_map {
    ($message:ty { $field:ident $get:ident $insert:ident $key:ident, $enumeration:ty }) => {
        impl $message {
            /// Returns the value for a key, or `None` if there is no value or it is unknown.
            pub fn $get(
                &self,
                key: $crate::__key!(ref $key),
            ) -> ::core::option::Option<$enumeration> {
                let value = self.$field.get($crate::__key!(key $key));
                value.and_then(|value| <$enumeration as ::core::convert::TryFrom<::core::primitive::i32>>::try_from(*value).ok())
            }

            /// Inserts a value. Returns the value that it replaces, or `None` if that is unknown.
            pub fn $insert(
                &mut self,
                key: $crate::__key!($key),
                value: $enumeration,
            ) -> ::core::option::Option<$enumeration> {
                let value = self.$field.insert(key, $crate::__private::json::enum_number(value));
                value.and_then(|value| <$enumeration as ::core::convert::TryFrom<::core::primitive::i32>>::try_from(value).ok())
            }
        }
    };
}

/// The type of a map's key.
#[doc(hidden)]
#[macro_export]
macro_rules! __key {
    (ref string) => {
        &::core::primitive::str
    };
    (ref $type:ident) => {
        ::core::primitive::$type
    };
    ($key:ident string) => {
        $key
    };
    ($key:ident $type:ident) => {
        &$key
    };
    (string) => {
        ::std::string::String
    };
    ($type:ident) => {
        ::core::primitive::$type
    };
}

/// Implements `Debug` for a message or a oneof with secrets: it shows only whether a value is set.
///
/// ```text
/// redacted! { struct Login "Login" { shown name; hidden password; } }
/// redacted! { enum login::Proof { shown Key "Key"; hidden Password "Password"; } }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __redacted {
    (struct $message:ty = $name:literal { $($how:ident $field:ident;)* }) => {
        impl ::core::fmt::Debug for $message {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct($name)
                    $(.field(
                        ::core::stringify!($field),
                        $crate::__shown!($how &self.$field),
                    ))*
                    .finish()
            }
        }
    };
    (enum $oneof:ty { $($how:ident $variant:ident;)* }) => {
        impl ::core::fmt::Debug for $oneof {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    $(Self::$variant(value) => f
                        .debug_tuple(::core::stringify!($variant))
                        .field($crate::__shown!($how value))
                        .finish(),)*
                }
            }
        }
    };
}

/// The `Debug` representation of a value.
#[doc(hidden)]
#[macro_export]
macro_rules! __shown {
    (shown $value:expr) => {
        $value
    };
    (hidden $value:expr) => {
        &$crate::__private::Redacted::new($value)
    };
}

/// Implements the names of an enum's values. The first name of a value is the one used for writing.
#[doc(hidden)]
#[macro_export]
macro_rules! __enumeration {
    ($enumeration:ty { $($name:literal $(| $alias:literal)* $variant:ident;)* }) => {
        impl $enumeration {
            /// Returns the name of the value in the `.proto`; the first, if it has several.
            #[must_use]
            pub fn as_str_name(&self) -> &'static ::core::primitive::str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the value with this name in the `.proto`.
            #[must_use]
            pub fn from_str_name(name: &::core::primitive::str) -> ::core::option::Option<Self> {
                match name {
                    $($name $(| $alias)* => ::core::option::Option::Some(Self::$variant),)*
                    _ => ::core::option::Option::None,
                }
            }
        }

        impl $crate::__private::json::Enumeration for $enumeration {
            fn from_name(name: &::core::primitive::str) -> ::core::option::Option<Self> {
                Self::from_str_name(name)
            }

            fn name(&self) -> &'static ::core::primitive::str {
                self.as_str_name()
            }
        }
    };
}
