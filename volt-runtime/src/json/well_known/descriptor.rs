//! The messages of `descriptor.proto` and of protobuf's plugins.
//!
//! The tables have the form of generated ones (`__private/message.rs`), without setters: the structs
//! are those of prost-types.

#![allow(deprecated, reason = "deprecated fields are still read and written")]

use super::{enumerations, fields};

fields! { prost_types::FileDescriptorSet = "google.protobuf.FileDescriptorSet";
    0 "file" [repeated message X] file;
}

fields! { prost_types::FileDescriptorProto = "google.protobuf.FileDescriptorProto";
    0 "name" [optional string] name;
    1 "package" [optional string] package;
    2 "dependency" [repeated string] dependency;
    3 "public_dependency" | "publicDependency" [repeated i32] public_dependency;
    4 "weak_dependency" | "weakDependency" [repeated i32] weak_dependency;
    5 "message_type" | "messageType" [repeated message X] message_type;
    6 "enum_type" | "enumType" [repeated message X] enum_type;
    7 "service" [repeated message X] service;
    8 "extension" [repeated message X] extension;
    9 "options" [optional message X] options;
    10 "source_code_info" | "sourceCodeInfo" [optional message X] source_code_info;
    11 "syntax" [optional string] syntax;
}

fields! { prost_types::DescriptorProto = "google.protobuf.DescriptorProto";
    0 "name" [optional string] name;
    1 "field" [repeated message X] field;
    2 "extension" [repeated message X] extension;
    3 "nested_type" | "nestedType" [repeated message X] nested_type;
    4 "enum_type" | "enumType" [repeated message X] enum_type;
    5 "extension_range" | "extensionRange" [repeated message X] extension_range;
    6 "oneof_decl" | "oneofDecl" [repeated message X] oneof_decl;
    7 "options" [optional message X] options;
    8 "reserved_range" | "reservedRange" [repeated message X] reserved_range;
    9 "reserved_name" | "reservedName" [repeated string] reserved_name;
}

fields! { prost_types::descriptor_proto::ExtensionRange = "google.protobuf.DescriptorProto.ExtensionRange";
    0 "start" [optional i32] start;
    1 "end" [optional i32] end;
    2 "options" [optional message X] options;
}

fields! { prost_types::descriptor_proto::ReservedRange = "google.protobuf.DescriptorProto.ReservedRange";
    0 "start" [optional i32] start;
    1 "end" [optional i32] end;
}

fields! { prost_types::ExtensionRangeOptions = "google.protobuf.ExtensionRangeOptions";
    0 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::FieldDescriptorProto = "google.protobuf.FieldDescriptorProto";
    0 "name" [optional string] name;
    1 "number" [optional i32] number;
    2 "label" [optional named prost_types::field_descriptor_proto::Label] label;
    3 "type" [optional named prost_types::field_descriptor_proto::Type] r#type;
    4 "type_name" | "typeName" [optional string] type_name;
    5 "extendee" [optional string] extendee;
    6 "default_value" | "defaultValue" [optional string] default_value;
    7 "oneof_index" | "oneofIndex" [optional i32] oneof_index;
    8 "json_name" | "jsonName" [optional string] json_name;
    9 "options" [optional message X] options;
    10 "proto3_optional" | "proto3Optional" [optional bool] proto3_optional;
}

fields! { prost_types::OneofDescriptorProto = "google.protobuf.OneofDescriptorProto";
    0 "name" [optional string] name;
    1 "options" [optional message X] options;
}

fields! { prost_types::EnumDescriptorProto = "google.protobuf.EnumDescriptorProto";
    0 "name" [optional string] name;
    1 "value" [repeated message X] value;
    2 "options" [optional message X] options;
    3 "reserved_name" | "reservedName" [repeated string] reserved_name;
}

fields! { prost_types::enum_descriptor_proto::EnumReservedRange = "google.protobuf.EnumDescriptorProto.EnumReservedRange";
    0 "start" [optional i32] start;
    1 "end" [optional i32] end;
}

fields! { prost_types::EnumValueDescriptorProto = "google.protobuf.EnumValueDescriptorProto";
    0 "name" [optional string] name;
    1 "number" [optional i32] number;
    2 "options" [optional message X] options;
}

fields! { prost_types::ServiceDescriptorProto = "google.protobuf.ServiceDescriptorProto";
    0 "name" [optional string] name;
    1 "method" [repeated message X] method;
    2 "options" [optional message X] options;
}

fields! { prost_types::MethodDescriptorProto = "google.protobuf.MethodDescriptorProto";
    0 "name" [optional string] name;
    1 "input_type" | "inputType" [optional string] input_type;
    2 "output_type" | "outputType" [optional string] output_type;
    3 "options" [optional message X] options;
    4 "client_streaming" | "clientStreaming" [optional bool] client_streaming;
    5 "server_streaming" | "serverStreaming" [optional bool] server_streaming;
}

fields! { prost_types::FileOptions = "google.protobuf.FileOptions";
    0 "java_package" | "javaPackage" [optional string] java_package;
    1 "java_outer_classname" | "javaOuterClassname" [optional string] java_outer_classname;
    2 "java_multiple_files" | "javaMultipleFiles" [optional bool] java_multiple_files;
    3 "java_generate_equals_and_hash" | "javaGenerateEqualsAndHash" [optional bool] java_generate_equals_and_hash;
    4 "java_string_check_utf8" | "javaStringCheckUtf8" [optional bool] java_string_check_utf8;
    5 "optimize_for" | "optimizeFor" [optional named prost_types::file_options::OptimizeMode] optimize_for;
    6 "go_package" | "goPackage" [optional string] go_package;
    7 "cc_generic_services" | "ccGenericServices" [optional bool] cc_generic_services;
    8 "java_generic_services" | "javaGenericServices" [optional bool] java_generic_services;
    9 "py_generic_services" | "pyGenericServices" [optional bool] py_generic_services;
    10 "php_generic_services" | "phpGenericServices" [optional bool] php_generic_services;
    11 "deprecated" [optional bool] deprecated;
    12 "cc_enable_arenas" | "ccEnableArenas" [optional bool] cc_enable_arenas;
    13 "objc_class_prefix" | "objcClassPrefix" [optional string] objc_class_prefix;
    14 "csharp_namespace" | "csharpNamespace" [optional string] csharp_namespace;
    15 "swift_prefix" | "swiftPrefix" [optional string] swift_prefix;
    16 "php_class_prefix" | "phpClassPrefix" [optional string] php_class_prefix;
    17 "php_namespace" | "phpNamespace" [optional string] php_namespace;
    18 "php_metadata_namespace" | "phpMetadataNamespace" [optional string] php_metadata_namespace;
    19 "ruby_package" | "rubyPackage" [optional string] ruby_package;
    20 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::MessageOptions = "google.protobuf.MessageOptions";
    0 "message_set_wire_format" | "messageSetWireFormat" [optional bool] message_set_wire_format;
    1 "no_standard_descriptor_accessor" | "noStandardDescriptorAccessor" [optional bool] no_standard_descriptor_accessor;
    2 "deprecated" [optional bool] deprecated;
    3 "map_entry" | "mapEntry" [optional bool] map_entry;
    4 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::FieldOptions = "google.protobuf.FieldOptions";
    0 "ctype" [optional named prost_types::field_options::CType] ctype;
    1 "packed" [optional bool] packed;
    2 "jstype" [optional named prost_types::field_options::JsType] jstype;
    3 "lazy" [optional bool] lazy;
    4 "deprecated" [optional bool] deprecated;
    5 "weak" [optional bool] weak;
    6 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::OneofOptions = "google.protobuf.OneofOptions";
    0 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::EnumOptions = "google.protobuf.EnumOptions";
    0 "allow_alias" | "allowAlias" [optional bool] allow_alias;
    1 "deprecated" [optional bool] deprecated;
    2 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::EnumValueOptions = "google.protobuf.EnumValueOptions";
    0 "deprecated" [optional bool] deprecated;
    1 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::ServiceOptions = "google.protobuf.ServiceOptions";
    0 "deprecated" [optional bool] deprecated;
    1 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::MethodOptions = "google.protobuf.MethodOptions";
    0 "deprecated" [optional bool] deprecated;
    1 "idempotency_level" | "idempotencyLevel" [optional named prost_types::method_options::IdempotencyLevel] idempotency_level;
    2 "uninterpreted_option" | "uninterpretedOption" [repeated message X] uninterpreted_option;
}

fields! { prost_types::UninterpretedOption = "google.protobuf.UninterpretedOption";
    0 "name" [repeated message X] name;
    1 "identifier_value" | "identifierValue" [optional string] identifier_value;
    2 "positive_int_value" | "positiveIntValue" [optional u64] positive_int_value;
    3 "negative_int_value" | "negativeIntValue" [optional i64] negative_int_value;
    4 "double_value" | "doubleValue" [optional f64] double_value;
    5 "string_value" | "stringValue" [optional bytes] string_value;
    6 "aggregate_value" | "aggregateValue" [optional string] aggregate_value;
}

fields! { prost_types::uninterpreted_option::NamePart = "google.protobuf.UninterpretedOption.NamePart";
    0 "name_part" | "namePart" [required string] name_part;
    1 "is_extension" | "isExtension" [required bool] is_extension;
}

fields! { prost_types::SourceCodeInfo = "google.protobuf.SourceCodeInfo";
    0 "location" [repeated message X] location;
}

fields! { prost_types::source_code_info::Location = "google.protobuf.SourceCodeInfo.Location";
    0 "path" [repeated i32] path;
    1 "span" [repeated i32] span;
    2 "leading_comments" | "leadingComments" [optional string] leading_comments;
    3 "trailing_comments" | "trailingComments" [optional string] trailing_comments;
}

fields! { prost_types::GeneratedCodeInfo = "google.protobuf.GeneratedCodeInfo";
    0 "annotation" [repeated message X] annotation;
}

fields! { prost_types::generated_code_info::Annotation = "google.protobuf.GeneratedCodeInfo.Annotation";
    0 "path" [repeated i32] path;
    1 "source_file" | "sourceFile" [optional string] source_file;
    2 "begin" [optional i32] begin;
    3 "end" [optional i32] end;
}

fields! { prost_types::compiler::Version = "google.protobuf.compiler.Version";
    0 "major" [optional i32] major;
    1 "minor" [optional i32] minor;
    2 "patch" [optional i32] patch;
    3 "suffix" [optional string] suffix;
}

fields! { prost_types::compiler::CodeGeneratorRequest = "google.protobuf.compiler.CodeGeneratorRequest";
    0 "file_to_generate" | "fileToGenerate" [repeated string] file_to_generate;
    1 "parameter" [optional string] parameter;
    2 "proto_file" | "protoFile" [repeated message X] proto_file;
    3 "compiler_version" | "compilerVersion" [optional message X] compiler_version;
}

fields! { prost_types::compiler::CodeGeneratorResponse = "google.protobuf.compiler.CodeGeneratorResponse";
    0 "error" [optional string] error;
    1 "supported_features" | "supportedFeatures" [optional u64] supported_features;
    2 "file" [repeated message X] file;
}

fields! { prost_types::compiler::code_generator_response::File = "google.protobuf.compiler.CodeGeneratorResponse.File";
    0 "name" [optional string] name;
    1 "insertion_point" | "insertionPoint" [optional string] insertion_point;
    2 "content" [optional string] content;
    3 "generated_code_info" | "generatedCodeInfo" [optional message X] generated_code_info;
}

enumerations! {
    prost_types::field_descriptor_proto::Type;
    prost_types::field_descriptor_proto::Label;
    prost_types::file_options::OptimizeMode;
    prost_types::field_options::CType;
    prost_types::field_options::JsType;
    prost_types::method_options::IdempotencyLevel;
    prost_types::compiler::code_generator_response::Feature;
}
