//! Macros that expand tables to the code of generated messages and enums.
//!
//! A table has one line for each field: its index, its names in JSON, its kind, the field and the
//! setter. These macros expand the lines to the implementations of [`Message`](crate::Message) and
//! [`Fields`](crate::json::Fields), to the setters and to serde's traits.
//!
//! Generated types may have any name, including that of a standard library type or a generic
//! parameter. The macros therefore use full paths, and their generic parameters begin with `__`,
//! which no generated type does.

/// Implements everything about a message that is not its struct.
///
/// ```text
/// message! { Article = "shop.v1.Article";
///     0 "id" [string] id with_id;
///     1 "unit_price" | "unitPrice" [optional message Money] unit_price with_unit_price;
///     2 "sizes" [map string, named Size] sizes with_sizes;
///     3 "text" [oneof article::Body::Text, string] body with_text;
/// }
/// ```
///
/// A kind is the type of a value (`string`, `bytes`, a number or `bool`, `message T`, `named E` for an
/// enum, `any R` for `Any` with the types of `R`, `null` for `NullValue`), after `required`, `optional`, `boxed`, `repeated`, `map K,` or `oneof Variant,`.
/// `refuses` names the field in which a response carries a status.
#[doc(hidden)]
#[macro_export]
macro_rules! __message {
    (
        $message:ty = $name:literal $(refuses [$($status:tt)+])?;
        $(
            $(#[$attribute:meta])*
            $index:literal $json:literal $(| $camel:literal)? [$($kind:tt)+] $field:ident $setter:ident;
        )*
    ) => {
        /// Setters, one for each field.
        impl $message {
            $($crate::__setter! { [$(#[$attribute])*] $setter $field [$($kind)+] })*
        }

        impl $crate::__private::Message for $message {
            const NAME: &'static ::core::primitive::str = $name;
            $($crate::__refusal! { $($status)+ })?
        }

        $crate::__fields! { $message = $name;
            $($index $json $(| $camel)? [$($kind)+] $field;)*
        }

        impl $crate::__private::serde::Serialize for $message {
            fn serialize<__S: $crate::__private::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                $crate::__private::json::serialize(self, serializer)
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $message {
            fn deserialize<__D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                $crate::__private::json::deserialize(deserializer)
            }
        }
    };
}

/// Implements the JSON form of a message. Its lines are those of `message!` without setters.
#[doc(hidden)]
#[macro_export]
macro_rules! __fields {
    (
        $message:ty = $name:literal;
        $($index:literal $json:literal $(| $camel:literal)? [$($kind:tt)+] $field:ident;)*
    ) => {
        impl $crate::__private::json::Fields for $message {
            const MESSAGE: &'static ::core::primitive::str = $name;
            const NAMES: &'static [&'static ::core::primitive::str] = &[$($json),*];

            fn index(
                name: &::core::primitive::str,
            ) -> ::core::option::Option<::core::primitive::usize> {
                match name {
                    $($json $(| $camel)? => ::core::option::Option::Some($index),)*
                    _ => ::core::option::Option::None,
                }
            }

            fn merge<'de, __A: $crate::__private::serde::de::MapAccess<'de>>(
                &mut self,
                field: ::core::primitive::usize,
                input: $crate::__private::json::Reader<'_, __A>,
            ) -> ::core::result::Result<(), __A::Error> {
                match field {
                    $($index => $crate::__get!(input self $field [$($kind)+]),)*
                    _ => input.skip(),
                }
            }

            fn write<__S: $crate::__private::serde::ser::SerializeMap>(
                &self,
                output: &mut $crate::__private::json::Writer<'_, __S>,
            ) -> ::core::result::Result<(), __S::Error> {
                let _ = &output;
                $($crate::__put!(output ($crate::__name!($json $(| $camel)?)) self $field [$($kind)+]);)*
                ::core::result::Result::Ok(())
            }
        }
    };
}

/// Expands to the setter of one field.
#[doc(hidden)]
#[macro_export]
macro_rules! __setter {
    ([$($attribute:tt)*] $setter:ident $field:ident [optional $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(mut self, value: $crate::__parameter!($($kind)+)) -> Self {
            self.$field = ::core::option::Option::Some($crate::__value!(value $($kind)+));
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [required boxed $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(mut self, value: $crate::__parameter!($($kind)+)) -> Self {
            self.$field = ::std::boxed::Box::new($crate::__value!(value $($kind)+));
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [required $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(mut self, value: $crate::__parameter!($($kind)+)) -> Self {
            self.$field = $crate::__value!(value $($kind)+);
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [boxed $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(mut self, value: $crate::__parameter!($($kind)+)) -> Self {
            let value = $crate::__value!(value $($kind)+);
            self.$field = ::core::option::Option::Some(::std::boxed::Box::new(value));
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [repeated $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(
            mut self,
            values: impl ::core::iter::IntoIterator<Item = $crate::__parameter!($($kind)+)>,
        ) -> Self {
            let values = ::core::iter::IntoIterator::into_iter(values);
            self.$field = ::core::iter::Iterator::collect(::core::iter::Iterator::map(
                values,
                |value| $crate::__value!(value $($kind)+),
            ));
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [map $key:ident, $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(
            mut self,
            entries: impl ::core::iter::IntoIterator<
                Item = ($crate::__parameter!($key), $crate::__parameter!($($kind)+)),
            >,
        ) -> Self {
            let entries = ::core::iter::IntoIterator::into_iter(entries);
            self.$field = ::core::iter::Iterator::collect(::core::iter::Iterator::map(
                entries,
                |(key, value)| ($crate::__value!(key $key), $crate::__value!(value $($kind)+)),
            ));
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [oneof $variant:path, boxed $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(mut self, value: $crate::__parameter!($($kind)+)) -> Self {
            let value = ::std::boxed::Box::new($crate::__value!(value $($kind)+));
            self.$field = ::core::option::Option::Some($variant(value));
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [oneof $variant:path, $($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(mut self, value: $crate::__parameter!($($kind)+)) -> Self {
            let value = $crate::__value!(value $($kind)+);
            self.$field = ::core::option::Option::Some($variant(value));
            self
        }
    };
    ([$($attribute:tt)*] $setter:ident $field:ident [$($kind:tt)+]) => {
        $($attribute)*
        #[must_use]
        pub fn $setter(mut self, value: $crate::__parameter!($($kind)+)) -> Self {
            self.$field = $crate::__value!(value $($kind)+);
            self
        }
    };
}

/// The type of a setter's parameter: numbers as they are, so that literals need no suffix; text, bytes
/// and messages as anything that converts.
#[doc(hidden)]
#[macro_export]
macro_rules! __parameter {
    (string) => { impl ::core::convert::Into<::std::string::String> };
    (bytes) => { impl ::core::convert::Into<::std::vec::Vec<::core::primitive::u8>> };
    (message $type:ty) => { impl ::core::convert::Into<$type> };
    (any $types:ty) => { impl ::core::convert::Into<$crate::__private::prost_types::Any> };
    (named $type:ty) => { $type };
    (null) => { $crate::__private::prost_types::NullValue };
    ($type:ident) => { ::core::primitive::$type };
}

/// Converts a setter's parameter to the value of a field. The field of an enum keeps the number.
#[doc(hidden)]
#[macro_export]
macro_rules! __value {
    ($value:ident string) => {
        ::core::convert::Into::into($value)
    };
    ($value:ident bytes) => {
        ::core::convert::Into::into($value)
    };
    ($value:ident message $type:ty) => {
        ::core::convert::Into::into($value)
    };
    ($value:ident any $types:ty) => {
        ::core::convert::Into::into($value)
    };
    ($value:ident named $type:ty) => {
        $crate::__private::json::enum_number($value)
    };
    ($value:ident null) => {
        $crate::__private::json::enum_number($value)
    };
    ($value:ident $type:ident) => {
        $value
    };
}

/// Reads one field.
#[doc(hidden)]
#[macro_export]
macro_rules! __get {
    ($input:ident $self:ident $field:ident [optional $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get_optional(&mut $self.$field)
    };
    ($input:ident $self:ident $field:ident [required boxed $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get(&mut $self.$field)
    };
    ($input:ident $self:ident $field:ident [required $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get(&mut $self.$field)
    };
    ($input:ident $self:ident $field:ident [boxed $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get_optional(&mut $self.$field)
    };
    ($input:ident $self:ident $field:ident [repeated $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get_repeated(&mut $self.$field)
    };
    ($input:ident $self:ident $field:ident [map $key:ident, $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get_map(&mut $self.$field)
    };
    ($input:ident $self:ident $field:ident [oneof $variant:path, boxed $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get_oneof(&mut $self.$field, $variant)
    };
    ($input:ident $self:ident $field:ident [oneof $variant:path, $($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get_oneof(&mut $self.$field, $variant)
    };
    ($input:ident $self:ident $field:ident [$($kind:tt)+]) => {
        $crate::__codec!($input $($kind)+).get(&mut $self.$field)
    };
}

/// Both names of a field.
#[doc(hidden)]
#[macro_export]
macro_rules! __name {
    ($json:literal) => {
        $crate::__private::json::Name { original: $json, camel: $json }
    };
    ($json:literal | $camel:literal) => {
        $crate::__private::json::Name { original: $json, camel: $camel }
    };
}

/// Writes one field.
#[doc(hidden)]
#[macro_export]
macro_rules! __put {
    ($output:ident $name:tt $self:ident $field:ident [optional $($kind:tt)+]) => {
        $crate::__codec!($output $($kind)+).put_optional($name, &$self.$field)?
    };
    ($output:ident $name:tt $self:ident $field:ident [required boxed $($kind:tt)+]) => {
        $crate::__codec!($output $($kind)+).put_member($name, &$self.$field)?
    };
    ($output:ident $name:tt $self:ident $field:ident [required $($kind:tt)+]) => {
        $crate::__codec!($output $($kind)+).put_member($name, &$self.$field)?
    };
    ($output:ident $name:tt $self:ident $field:ident [boxed $($kind:tt)+]) => {
        $crate::__codec!($output $($kind)+).put_optional($name, &$self.$field)?
    };
    ($output:ident $name:tt $self:ident $field:ident [repeated $($kind:tt)+]) => {
        $crate::__codec!($output $($kind)+).put_repeated($name, &$self.$field)?
    };
    ($output:ident $name:tt $self:ident $field:ident [map $key:ident, $($kind:tt)+]) => {
        $crate::__codec!($output $($kind)+).put_map($name, &$self.$field)?
    };
    ($output:ident $name:tt $self:ident $field:ident [oneof $variant:path, boxed $($kind:tt)+]) => {
        if let ::core::option::Option::Some($variant(value)) = &$self.$field {
            $crate::__codec!($output $($kind)+).put_member($name, value)?;
        }
    };
    ($output:ident $name:tt $self:ident $field:ident [oneof $variant:path, $($kind:tt)+]) => {
        if let ::core::option::Option::Some($variant(value)) = &$self.$field {
            $crate::__codec!($output $($kind)+).put_member($name, value)?;
        }
    };
    ($output:ident $name:tt $self:ident $field:ident [$($kind:tt)+]) => {
        $crate::__codec!($output $($kind)+).put($name, &$self.$field)?
    };
}

/// A reader or a writer of values of one kind. Enums are numbers in Rust, so the type must be named.
#[doc(hidden)]
#[macro_export]
macro_rules! __codec {
    ($io:ident named $type:ty) => {
        $io.named::<$type>()
    };
    ($io:ident any $types:ty) => {
        $io.any::<$types>()
    };
    ($io:ident null) => {
        $io.null()
    };
    ($io:ident $($kind:tt)+) => {
        $io
    };
}

/// Lists the types that `google.protobuf.Any` may contain, sorted by name: `any_types! { M; N; }`
#[doc(hidden)]
#[macro_export]
macro_rules! __any_types {
    ($($(#[$attribute:meta])* $message:ty;)*) => {
        /// The types that `google.protobuf.Any` may contain.
        #[derive(Debug)]
        pub struct Types;

        impl $crate::__private::json::AnyTypes for Types {
            const TYPES: &'static [$crate::__private::json::AnyType] =
                &[$($(#[$attribute])* $crate::__private::json::AnyType::of::<$message>(),)*];
        }
    };
}

/// The place where a response carries a status: a field, or a variant of a oneof.
#[doc(hidden)]
#[macro_export]
macro_rules! __refusal {
    ($field:ident) => {
        fn refusal(&self) -> ::core::option::Option<$crate::__private::Status> {
            $crate::__private::StatusMessage::to_status(::core::option::Option::as_ref(
                &self.$field,
            )?)
        }

        fn refused(status: &$crate::__private::Status) -> ::core::option::Option<Self> {
            let mut refused = <Self as ::core::default::Default>::default();
            let status = $crate::__private::StatusMessage::from_status(status);
            refused.$field = ::core::option::Option::Some(status);
            ::core::option::Option::Some(refused)
        }
    };
    ($field:ident as $variant:path) => {
        fn refusal(&self) -> ::core::option::Option<$crate::__private::Status> {
            match &self.$field {
                ::core::option::Option::Some($variant(status)) => {
                    $crate::__private::StatusMessage::to_status(status)
                }
                _ => ::core::option::Option::None,
            }
        }

        fn refused(status: &$crate::__private::Status) -> ::core::option::Option<Self> {
            let mut refused = <Self as ::core::default::Default>::default();
            let status = $crate::__private::StatusMessage::from_status(status);
            refused.$field = ::core::option::Option::Some($variant(status));
            ::core::option::Option::Some(refused)
        }
    };
}

/// Implements `StatusMessage` for the message that carries a status: `status! { Status }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __status {
    ($message:ty) => {
        impl $crate::__private::StatusMessage for $message {
            fn to_status(&self) -> ::core::option::Option<$crate::__private::Status> {
                $crate::__private::Status::from_parts(self.code, &self.message, &self.description)
            }

            fn from_status(status: &$crate::__private::Status) -> Self {
                let mut message = <Self as ::core::default::Default>::default();
                message.code = ::core::convert::From::from(status.code());
                message.message = ::core::convert::Into::into(status.message());
                message.description = ::core::convert::Into::into(status.description());
                message
            }
        }
    };
}
