//! Files that other generators reject, or for which they write code that does not compile.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{
    Api, Enum, EnumValue, FileDescriptorProto, Method, SourceContext, Syntax, Timestamp, Type,
    Value, field, field_descriptor_proto, value,
};
use volt_runtime::{
    Channel, Message, Status,
    json::{self, Empty, WellKnown},
    server::{Context, Requests, Responses, Router},
    transport::Form,
};

use super::generated::{
    Nowhere, NowhereApi, NowhereApiClient, NowhereApiServer, conf,
    google::protobuf::Extra,
    nowhere,
    odd::{
        docs::Documented,
        ext::tls::Certificate,
        letters::{self, M, Self_, SelfClient, SelfServer, TClient},
        r#mod::{Mod, ModApiClient, ModsClient, r#mod},
        numbered::{
            A, A2, Account2, Fields, Swapped, User, User2, User3Client, account::Holder, account2,
            fields, user2,
        },
        old::{Chain, Level, Old, Twin, chain, old},
        types::{Types, TypesApi, TypesApiClient, TypesApiServer, types::Own},
        words::{K, Words},
    },
};

fn text(message: &impl Message) -> String {
    let mut out = Vec::new();
    json::write(message, &mut out, Form::Plain).expect("it can be written");
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[track_caller]
fn round_trips<M: Message + PartialEq>(message: &M, json: &str) {
    assert_eq!(text(message), json);
    assert_eq!(&json::read::<M>(json.as_bytes()).expect("it can be read"), message);
    assert_eq!(&M::decode(&*message.encode_to_vec()).expect("it can be decoded"), message);
}

#[test]
fn letters_of_generic_parameters_are_names() {
    struct Nothing;
    impl Self_ for Nothing {}

    let message = M::default().with_a(letters::A::X).with_by_name([("x", letters::A::X)]);
    round_trips(&message.with_d(letters::D {}), r#"{"by_name":{"x":"A_X"},"d":{}}"#);
    assert_eq!((TClient::NAME, SelfClient::NAME), ("odd.letters.T", "odd.letters.Self"));

    let _ = SelfServer::new(Nothing);
}

#[test]
fn mod_is_a_name_of_packages_and_services() {
    assert_eq!((ModApiClient::NAME, ModsClient::NAME), ("odd.mod.ModAPI", "odd.mod.Mods"));
    let message = Mod::default().with_mod(r#mod::Mod::default().with_mod(true));
    round_trips(&message, r#"{"mod":{"mod":true}}"#);
}

#[test]
fn maps_of_enums_may_be_named_like_keywords() {
    let mut words = Words::default().with_type([("a", K::Some)]).with_match([(-1, K::Some)]);
    assert_eq!((words.get_type("a"), words.get_type("b")), (Some(K::Some), None));
    assert_eq!(words.insert_match(-1, K::None), Some(K::Some));
    assert_eq!(words.insert_plain(true, K::Some), None);
    round_trips(
        &words,
        r#"{"type":{"a":"K_SOME"},"match":{"-1":"K_NONE"},"plain":{"true":"K_SOME"}}"#,
    );
}

#[test]
fn colliding_names_are_numbered_only_in_rust() {
    let user = User2::default().with_user(User::default().with_name("u"));
    let user = user.with_inner(user2::Inner { yes: true });
    round_trips(&user, r#"{"user":{"name":"u"},"inner":{"yes":true}}"#);
    assert_eq!(<User2 as Message>::NAME, "odd.numbered.User");

    let kinds = [account2::Kind::None, account2::Kind::None2, account2::Kind::Foo2];
    assert_eq!(kinds.map(|kind| kind.as_str_name()), ["KIND_NONE", "NONE", "Foo_"]);
    let holder = Holder::default()
        .with_account(Account2::default().with_kind(account2::Kind::Foo))
        .with_kinds([("k", account2::Kind::Foo2)]);
    round_trips(&holder, r#"{"account":{"kind":"FOO"},"kinds":{"k":"Foo_"}}"#);
    round_trips(&A2::default().with_a(A {}), r#"{"a":{}}"#);

    let fields = Fields::default().with_with_x("w").with_x2("x").with_left("l");
    assert_eq!(fields.with_x(), "w");
    assert_eq!(fields.foo_bar, Some(fields::FooBar::Left("l".to_owned())));
    let fields = fields.with_right("r");
    assert_eq!(fields.foo_bar2, Some(fields::FooBar2::Right("r".to_owned())));
    round_trips(&fields, r#"{"with_x":"w","x":"x","left":"l","right":"r"}"#);

    let paths: Vec<_> = User3Client::METHODS.iter().map(|method| method.path).collect();
    assert_eq!(
        paths,
        ["/odd.numbered.user/New", "/odd.numbered.user/GetIt", "/odd.numbered.user/Get_it"]
    );
    let channel = Channel::in_process(Router::new());
    let client = User3Client::new(channel);
    let _ = (client.new2(User::default()), client.get_it(A {}), client.get_it2(A2::default()));
}

#[test]
fn swapped_json_names_are_not_confused() {
    let swapped = Swapped::default().with_a("1").with_b("2");
    round_trips(&swapped, r#"{"b":"1","a":"2"}"#);
}

struct Server;

impl NowhereApi for Server {
    async fn go(&self, _: Context, request: Nowhere) -> Result<nowhere::Inner, Status> {
        Ok(nowhere::Inner::default().with_nowhere(request))
    }
}

#[tokio::test]
async fn a_file_needs_no_package() {
    let client = NowhereApiClient::new(Channel::in_process(
        Router::new().with(NowhereApiServer::new(Server)),
    ));
    assert_eq!(NowhereApiClient::NAME, "NowhereAPI");
    let request = Nowhere::default().with_m(M::default().with_a(letters::A::X));
    let answer = client.go(request.clone()).await.expect("it is answered");
    assert_eq!(answer.nowhere.as_deref(), Some(&request));
}

#[test]
fn own_messages_may_be_in_the_package_of_protobuf() {
    let extra = Extra { at: Some(Timestamp::default()) };
    round_trips(&extra, r#"{"at":"1970-01-01T00:00:00Z"}"#);
    assert_eq!(<Extra as Message>::NAME, "google.protobuf.Extra");
}

#[test]
fn errors_in_json_name_the_field() {
    let error = |json: &str| json::read::<Nowhere>(json.as_bytes()).unwrap_err().to_string();
    let twice = error(r#"{"m": {"list": [], "list": []}}"#);
    assert!(twice.starts_with("field `m.list`: it occurs twice at line 1 column 2"), "{twice}");
    assert!(error(r#"{"m": {"a": true}}"#).starts_with("field `m.a`: invalid type: boolean"));
    let mut documented = Documented::default();
    documented.mask.get_or_insert_default().paths.push("not_A_path".to_owned());
    let error = json::write(&documented, &mut Vec::new(), Form::Plain).unwrap_err();
    assert_eq!(error.to_string(), "field `mask`: not a field mask");
}

/// Every message read from JSON can be sent in the binary encoding.
#[test]
fn json_nests_as_deep_as_the_binary_form() {
    let nested = |depth: usize| {
        format!("{}{}", r#"{"inner":{"nowhere":"#.repeat(depth) + "{}", "}}".repeat(depth))
    };
    let deep: Nowhere = json::read(nested(49).as_bytes()).expect("99 messages are allowed");
    assert_eq!(Nowhere::decode(&*deep.encode_to_vec()).expect("so are they in binary"), deep);
    let error = json::read::<Nowhere>(nested(50).as_bytes()).expect_err("101 messages are not");
    assert!(error.to_string().contains("nested too deeply"), "{error}");
    // The count starts again.
    json::read::<Nowhere>(nested(49).as_bytes()).expect("the failure left nothing behind");
}

#[test]
fn defaults_may_be_aliases_of_values_with_numbers() {
    assert_eq!(Old::default().twin(), Twin::One2);
    assert!(Old::default().rate().is_infinite());
    assert_eq!((Old::default().most(), Old::default().least()), (f32::INFINITY, f64::NEG_INFINITY));
}

#[test]
fn messages_may_contain_themselves_through_groups() {
    let inner = Chain::default().with_link(chain::Link::default());
    let other =
        chain::Other { back: Some(chain::other::Back { chain: Some(inner.into()) }.into()) };
    let chain = Chain::default().with_link(chain::Link { other: Some(other.into()) });
    round_trips(&chain, r#"{"link":{"other":{"back":{"chain":{"link":{}}}}}}"#);
}

#[test]
fn names_are_looked_up_in_imported_files_only() {
    let source = conf::core::v1::Source { path: "p".to_owned() };
    round_trips(&Certificate::default().with_source(source), r#"{"source":{"path":"p"}}"#);
}

#[test]
fn proto2_has_presence_defaults_and_groups() {
    let message = Old::default();
    assert_eq!((message.count, message.count()), (None, 7));
    assert_eq!((message.other(), message.data()), (Level::High, &b"x"[..]));
    assert!((message.inner.value() + 1.5).abs() < f64::EPSILON);
    // Required fields are always written.
    assert_eq!(text(&message), r#"{"name":"","level":"LEVEL_LOW","inner":{}}"#);

    let message = message
        .with_name("n")
        .with_level(Level::High)
        .with_count(0)
        .with_numbers([1, 2])
        .with_words(Words::default())
        .with_inner(old::Inner { value: Some(0.0) })
        .with_part(old::Part { text: Some(String::new()) })
        .with_right(old::Inner::default())
        .with_levels([("l", Level::Low)]);
    round_trips(
        &message,
        "{\"name\":\"n\",\"level\":\"LEVEL_HIGH\",\"count\":0,\"numbers\":[1,2],\"words\":{},\
         \"inner\":{\"value\":0.0},\"part\":{\"text\":\"\"},\"right\":{},\
         \"levels\":{\"l\":\"LEVEL_LOW\"}}",
    );
    let _: BTreeMap<String, i32> = message.levels;
}

#[test]
fn all_types_of_protobuf_have_json() {
    let method = Method { name: "Go".to_owned(), response_streaming: true, ..Method::default() };
    let api = Api { methods: vec![method.clone()], version: "v1".to_owned(), ..Api::default() };
    let value = EnumValue { name: "ONE".to_owned(), number: 1, ..EnumValue::default() };
    let field = field::Kind::TypeSint32;
    let file = FileDescriptorProto { package: Some(String::new()), ..Default::default() };
    let own = Enum { enumvalue: vec![value.clone()], ..Enum::default() };
    let types = Types::default()
        .with_type(Type { name: "T".to_owned(), syntax: 1, ..Type::default() })
        .with_api(api)
        .with_method(method)
        .with_syntax(Syntax::Proto3)
        .with_kind(field)
        .with_values([("one", value)])
        .with_file(file)
        .with_field_type(field_descriptor_proto::Type::Bool)
        .with_context(SourceContext { file_name: "a.proto".to_owned() })
        .with_enum(own.clone());
    assert_eq!(types.own, Some(Own::Enum(own)));
    round_trips(
        &types,
        "{\"type\":{\"name\":\"T\",\"syntax\":\"SYNTAX_PROTO3\"},\
         \"api\":{\"methods\":[{\"name\":\"Go\",\"response_streaming\":true}],\"version\":\"v1\"},\
         \"method\":{\"name\":\"Go\",\"response_streaming\":true},\
         \"syntax\":\"SYNTAX_PROTO3\",\"kind\":\"TYPE_SINT32\",\
         \"values\":{\"one\":{\"name\":\"ONE\",\"number\":1}},\"file\":{\"package\":\"\"},\
         \"field_type\":\"TYPE_BOOL\",\"context\":{\"file_name\":\"a.proto\"},\
         \"enum\":{\"enumvalue\":[{\"name\":\"ONE\",\"number\":1}]}}",
    );
}

struct OfTypes;

impl TypesApi for OfTypes {
    async fn nothing(&self, _: Context, request: Empty) -> Result<Empty, Status> {
        Ok(request)
    }

    async fn count(
        &self,
        _: Context,
        mut requests: Requests<WellKnown<u64>>,
        mut responses: Responses<WellKnown<String>>,
    ) -> Result<(), Status> {
        while let Some(number) = requests.message().await? {
            responses.send(number.to_string().into()).await?;
        }
        Ok(())
    }

    async fn values(
        &self,
        _: Context,
        request: WellKnown<Timestamp>,
        mut responses: Responses<WellKnown<Value>>,
    ) -> Result<(), Status> {
        responses.send(Value::from(f64::from(request.nanos)).into()).await?;
        responses.send(Value { kind: Some(value::Kind::NullValue(0)) }.into()).await
    }
}

#[tokio::test]
async fn types_of_protobuf_are_requests_and_responses() {
    let client =
        TypesApiClient::new(Channel::in_process(Router::new().with(TypesApiServer::new(OfTypes))));
    assert_eq!(client.nothing(Empty::default()).await.expect("it is answered"), Empty::default());

    let mut count = client.count().await.expect("it opens");
    count.send(u64::MAX.into()).await.expect("it is taken");
    let answer = count.message().await.expect("it goes on").expect("there is an answer");
    assert_eq!(*answer, u64::MAX.to_string());

    let time = Timestamp { seconds: 1, nanos: 500 };
    let mut values = client.values(time.into()).await.expect("it opens");
    let first = values.message().await.expect("it goes on").expect("there is a value");
    assert_eq!(first.0, Value::from(500.0));
    let null = values.message().await.expect("it goes on").expect("null is a value too");
    assert_eq!(null.kind, Some(value::Kind::NullValue(0)));
    assert_eq!(text(&WellKnown(time)), "\"1970-01-01T00:00:01.000000500Z\"");
    assert_eq!(text(&Empty::default()), "{}");
}
