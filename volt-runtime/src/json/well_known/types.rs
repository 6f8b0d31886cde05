//! `Type`, `Api` and the messages in them, as tables like those of generated messages.

use super::{enumerations, fields};

fields! { prost_types::SourceContext = "google.protobuf.SourceContext";
    0 "file_name" | "fileName" [string] file_name;
}

fields! { prost_types::Type = "google.protobuf.Type";
    0 "name" [string] name;
    1 "fields" [repeated message X] fields;
    2 "oneofs" [repeated string] oneofs;
    3 "options" [repeated message X] options;
    4 "source_context" | "sourceContext" [optional message X] source_context;
    5 "syntax" [named prost_types::Syntax] syntax;
}

fields! { prost_types::Field = "google.protobuf.Field";
    0 "kind" [named prost_types::field::Kind] kind;
    1 "cardinality" [named prost_types::field::Cardinality] cardinality;
    2 "number" [i32] number;
    3 "name" [string] name;
    4 "type_url" | "typeUrl" [string] type_url;
    5 "oneof_index" | "oneofIndex" [i32] oneof_index;
    6 "packed" [bool] packed;
    7 "options" [repeated message X] options;
    8 "json_name" | "jsonName" [string] json_name;
    9 "default_value" | "defaultValue" [string] default_value;
}

fields! { prost_types::Enum = "google.protobuf.Enum";
    0 "name" [string] name;
    1 "enumvalue" [repeated message X] enumvalue;
    2 "options" [repeated message X] options;
    3 "source_context" | "sourceContext" [optional message X] source_context;
    4 "syntax" [named prost_types::Syntax] syntax;
}

fields! { prost_types::EnumValue = "google.protobuf.EnumValue";
    0 "name" [string] name;
    1 "number" [i32] number;
    2 "options" [repeated message X] options;
}

fields! { prost_types::Option = "google.protobuf.Option";
    0 "name" [string] name;
    1 "value" [optional message X] value;
}

fields! { prost_types::Api = "google.protobuf.Api";
    0 "name" [string] name;
    1 "methods" [repeated message X] methods;
    2 "options" [repeated message X] options;
    3 "version" [string] version;
    4 "source_context" | "sourceContext" [optional message X] source_context;
    5 "mixins" [repeated message X] mixins;
    6 "syntax" [named prost_types::Syntax] syntax;
}

fields! { prost_types::Method = "google.protobuf.Method";
    0 "name" [string] name;
    1 "request_type_url" | "requestTypeUrl" [string] request_type_url;
    2 "request_streaming" | "requestStreaming" [bool] request_streaming;
    3 "response_type_url" | "responseTypeUrl" [string] response_type_url;
    4 "response_streaming" | "responseStreaming" [bool] response_streaming;
    5 "options" [repeated message X] options;
    6 "syntax" [named prost_types::Syntax] syntax;
}

fields! { prost_types::Mixin = "google.protobuf.Mixin";
    0 "name" [string] name;
    1 "root" [string] root;
}

enumerations! {
    prost_types::field::Kind;
    prost_types::field::Cardinality;
    prost_types::Syntax;
}
