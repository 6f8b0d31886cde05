//! The kinds of change.

macro_rules! kinds {
    ($($(#[$docs:meta])* $kind:ident = $name:literal,)*) => {
        /// The kind of a change: the rule that found it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$docs])* $kind,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in reports and on the command line, such as `field-removed`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// An element is deprecated now.
    Deprecated = "deprecated",
    /// An element is no longer deprecated.
    Undeprecated = "undeprecated",
    /// A service, message or enum is in another file.
    FileMoved = "file-moved",

    /// A new service.
    ServiceAdded = "service-added",
    /// A service was removed.
    ServiceRemoved = "service-removed",
    /// A service has another full name.
    ServiceMoved = "service-moved",

    /// A new method.
    MethodAdded = "method-added",
    /// A method was removed.
    MethodRemoved = "method-removed",
    /// A method has another name, which is declared.
    MethodRenamed = "method-renamed",
    /// A method streams other messages than before, or none.
    MethodStreams = "method-streams",
    /// A method has another level of idempotency.
    MethodIdempotency = "method-idempotency",
    /// A method has another type of request.
    MethodRequest = "method-request",
    /// A method has another type of response.
    MethodResponse = "method-response",

    /// A new message.
    MessageAdded = "message-added",
    /// A message was removed.
    MessageRemoved = "message-removed",
    /// A new enum.
    EnumAdded = "enum-added",
    /// An enum was removed.
    EnumRemoved = "enum-removed",
    /// A message or enum has another full name.
    TypeMoved = "type-moved",
    /// Numbers are no longer reserved.
    NumberFreed = "number-freed",
    /// A name is no longer reserved.
    NameFreed = "name-freed",

    /// A new oneof.
    OneofAdded = "oneof-added",
    /// A oneof was removed.
    OneofRemoved = "oneof-removed",
    /// A oneof has another name.
    OneofRenamed = "oneof-renamed",

    /// A new field.
    FieldAdded = "field-added",
    /// A field was removed, and its number is unused.
    FieldRemoved = "field-removed",
    /// A field was removed, and another one has its number.
    FieldReplaced = "field-replaced",
    /// A field has another name.
    FieldRenamed = "field-renamed",
    /// A field has another number.
    FieldNumber = "field-number",
    /// A field has a type of another kind, such as `int64` in place of `int32`.
    FieldType = "field-type",
    /// A field has another message or enum.
    FieldTypeName = "field-type-name",
    /// A map has another type of keys.
    FieldKey = "field-key",
    /// A field has another number of values: one, a list or a map.
    FieldShape = "field-shape",
    /// The numbers of a field are now packed, or no longer.
    FieldPacking = "field-packing",
    /// A field is now in a oneof, in another one, or no longer in one.
    FieldOneof = "field-oneof",
    /// A field now tracks presence, or no longer.
    FieldPresence = "field-presence",
    /// A field of proto2 is now required, or no longer.
    FieldRequired = "field-required",
    /// A field of proto2 has another default.
    FieldDefault = "field-default",
    /// A field has another type in JavaScript.
    FieldJsType = "field-js-type",
    /// A field has another name in JSON, but not in the `.proto`.
    FieldJsonName = "field-json-name",

    /// A new value of an enum.
    ValueAdded = "value-added",
    /// A value of an enum was removed, and its number is unused.
    ValueRemoved = "value-removed",
    /// A value of an enum was removed, and another one has its number.
    ValueReplaced = "value-replaced",
    /// A value of an enum was removed, and another of its names remains.
    ValueAliasRemoved = "value-alias-removed",
    /// A value of an enum has another name.
    ValueRenamed = "value-renamed",
    /// A value of an enum has another number.
    ValueNumber = "value-number",

    /// The generated code has a type elsewhere.
    RustPath = "rust-path",
    /// The generated code has another accessor of a service.
    RustAccessor = "rust-accessor",
    /// A generated type has fewer traits.
    RustTraits = "rust-traits",
    /// A generated item needs another Cargo feature.
    RustFeature = "rust-feature",
    /// The generated code has a field, variant or method under another name.
    RustName = "rust-name",
    /// The generated code has another type of a field, variant or method.
    RustType = "rust-type",
}

impl Kind {
    /// Returns whether the element is new.
    pub fn is_addition(self) -> bool {
        matches!(
            self,
            Self::ServiceAdded
                | Self::MethodAdded
                | Self::MessageAdded
                | Self::EnumAdded
                | Self::OneofAdded
                | Self::FieldAdded
                | Self::ValueAdded
        )
    }

    /// Returns whether the element was removed.
    pub fn is_removal(self) -> bool {
        matches!(
            self,
            Self::ServiceRemoved
                | Self::MethodRemoved
                | Self::MessageRemoved
                | Self::EnumRemoved
                | Self::OneofRemoved
                | Self::FieldRemoved
                | Self::FieldReplaced
                | Self::ValueRemoved
                | Self::ValueReplaced
                | Self::ValueAliasRemoved
        )
    }
}
