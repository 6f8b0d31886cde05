//! Descriptors that are not linked are errors that name the file and the type.

use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type,
};
use volt_codegen::{Options, Sources, generate};

const A: &str = r#"syntax = "proto2";
package a;
import "b.proto";
message A {
  optional b.B b = 1;
  optional E e = 2 [default = Y];
  map<string, b.B> map = 3;
  oneof one { string left = 4; bytes right = 5; }
}
enum E { X = 1; Y = 2; }
service S { rpc Go(A) returns (b.B); }
"#;
const B: &str = "syntax = \"proto3\";\npackage b;\nmessage B { int32 n = 1; }\n";

fn set() -> FileDescriptorSet {
    let mut sources = Sources::default();
    for (name, text) in [("a.proto", A), ("b.proto", B)] {
        sources.files.insert(name.to_owned(), text.to_owned());
    }
    sources.compile().expect("it compiles")
}

/// The first problem of the set after a change.
fn error(change: impl Fn(&mut FileDescriptorSet)) -> String {
    let mut set = set();
    change(&mut set);
    let error = generate(&set, &Options::default()).expect_err("something is wrong");
    let problem = error.problems().first().expect("there is a problem");
    let place = problem.place.as_ref().expect("it has a place");
    format!("{place}: {}", problem.message)
}

fn message<'a>(set: &'a mut FileDescriptorSet, file: &str) -> &'a mut DescriptorProto {
    let mut files = set.file.iter_mut();
    let file = files.find(|found| found.name() == file).expect("the file is there");
    &mut file.message_type[0]
}

fn field(set: &mut FileDescriptorSet, index: usize) -> &mut FieldDescriptorProto {
    &mut message(set, "a.proto").field[index]
}

#[test]
fn types_must_exist_and_be_of_the_right_kind() {
    assert_eq!(
        error(|set| set.file.retain(|file| file.name() == "a.proto")),
        "a.proto:5:3: the field `b` of `a.A` has the type `b.B`, which is not in the descriptors"
    );
    assert_eq!(
        error(|set| field(set, 0).type_name = Some("B".to_owned())),
        "a.proto:5:3: the field `b` of `a.A` has the type `B`, which is not a full name"
    );
    assert_eq!(
        error(|set| field(set, 0).r#type = None),
        "a.proto:5:3: the field `b` of `a.A` has the type `b.B`, which is not resolved"
    );
    assert_eq!(
        error(|set| field(set, 0).type_name = Some(".a.E".to_owned())),
        "a.proto:5:3: the field `b` of `a.A` has the type `a.E`, which is not a message"
    );
    assert_eq!(
        error(|set| field(set, 1).type_name = Some(".a.A".to_owned())),
        "a.proto:6:3: the field `e` of `a.A` has the type `a.A`, which is not an enum"
    );
    assert_eq!(
        error(|set| set.file[1].service[0].method[0].input_type = Some(".a.E".to_owned())),
        "a.proto:11:13: the method `Go` of `a.S` has the type `a.E`, which is not a message"
    );
}

#[test]
fn fields_must_be_possible() {
    assert_eq!(
        error(|set| field(set, 3).oneof_index = Some(7)),
        "a.proto:8:15: the field `left` of `a.A` is in the oneof 7, which is missing"
    );
    assert_eq!(
        error(|set| field(set, 1).default_value = Some("Z".to_owned())),
        "a.proto:6:3: the field `e` of `a.A` has the default \"Z\", which is invalid"
    );
    assert_eq!(
        error(|set| field(set, 1).number = Some(1)),
        "a.proto:6:3: the field `e` of `a.A` has the number 1, as does `b`"
    );
    assert_eq!(
        error(|set| field(set, 1).number = Some(19_500)),
        "a.proto:6:3: the field `e` of `a.A` has the number 19500, which is not allowed"
    );
    assert_eq!(
        error(
            |set| message(set, "a.proto").nested_type[0].field[0].r#type = Some(Type::Float.into())
        ),
        "a.proto:7:3: the key of `a.A.MapEntry` has a type that maps do not have"
    );
    assert_eq!(
        error(|set| message(set, "a.proto").nested_type[0].field.truncate(1)),
        "a.proto:7:3: the entry `a.A.MapEntry` of a map does not have two fields"
    );
}

#[test]
fn files_and_types_must_be_defined_once() {
    assert_eq!(
        error(|set| set.file.push(set.file[0].clone())),
        "b.proto: the descriptors contain this file twice"
    );
    assert_eq!(
        error(|set| {
            let mut copy = set.file[0].clone();
            copy.name = Some("c.proto".to_owned());
            set.file.push(copy);
        }),
        "c.proto: `b.B` is defined twice; the first definition is in b.proto"
    );
    assert_eq!(
        error(|set| message(set, "b.proto").name = None),
        "a.proto:5:3: the field `b` of `a.A` has the type `b.B`, which is not in the descriptors"
    );
}

#[test]
fn inevitable_recursion_is_an_error() {
    assert_eq!(
        error(|set| {
            let b = field(set, 0);
            b.type_name = Some(".a.A".to_owned());
            b.set_label(prost_types::field_descriptor_proto::Label::Required);
        }),
        "a.proto:5:3: the required field `b` makes `a.A` contain itself recursively"
    );
}

#[test]
fn messages_nest_to_a_limit() {
    let mut nested = DescriptorProto { name: Some("M".to_owned()), ..DescriptorProto::default() };
    for _ in 0..63 {
        nested = DescriptorProto { nested_type: vec![nested.clone()], ..nested };
    }
    let with = |nested: &DescriptorProto| {
        let mut set = set();
        set.file[0].message_type.push(nested.clone());
        generate(&set, &Options::default()).map(|_| ())
    };
    with(&nested).expect("64 nested messages are allowed");
    let error = with(&DescriptorProto { nested_type: vec![nested.clone()], ..nested });
    let error = error.expect_err("they are too many").to_string();
    assert!(error.starts_with("b.proto: messages are nested more than 64 deep in `M`"), "{error}");
}

#[test]
fn missing_json_names_are_derived() {
    let mut set = set();
    for field in &mut message(&mut set, "a.proto").field {
        field.json_name = None;
    }
    generate(&set, &Options::default()).expect("no two fields have one name");
}

#[test]
fn import_cycles_are_accepted() {
    let mut set = set();
    set.file[0].dependency.push("a.proto".to_owned());
    generate(&set, &Options::default()).expect("the types are there");
}

#[test]
fn any_without_a_list_of_types_is_a_warning() {
    let mut sources = Sources::default();
    let text = r#"syntax = "proto3";
package a;
import "google/protobuf/any.proto";
message M { google.protobuf.Any any = 1; }
service S { rpc Go(google.protobuf.Any) returns (M); }
"#;
    sources.files.insert("a.proto".to_owned(), text.to_owned());
    let set = sources.compile().expect("it compiles");
    let warnings = |any_types| {
        let options = Options::default().any_types(any_types);
        let output = generate(&set, &options).expect("it is valid");
        let listed = output.files.iter().any(|file| file.contents.contains("any_types!"));
        assert_eq!(listed, any_types);
        output.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let method = "a.proto:5:13: a message of the method `Go` of `a.S` is a `google.protobuf.Any`: in JSON it can \
                  contain only types of protobuf, and those that the program registers\n  \
                  help: call `json::register` for each message, or use a message with a field";
    assert_eq!(warnings(true), [method]);
    let field = "a.proto:4:13: the field `any` of `a.M` is a `google.protobuf.Any`: in JSON it can \
                 contain only types of protobuf, and those that the program registers\n  \
                 help: the option `any_types` generates a list of all messages";
    assert_eq!(warnings(false), [field, method]);
}
