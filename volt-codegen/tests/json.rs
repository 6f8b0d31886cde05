//! The JSON of generated messages: strict output, lenient input.

#[path = "golden/mod.rs"]
#[rustfmt::skip]
mod generated;

use std::fmt::Debug;

use generated::shop::{
    common::v1::{Money, Size},
    v1::{
        Article, GetArticleResponse, ListArticlesRequest, Offer, Receipt,
        article::{Material, material},
        offer, receipt,
    },
};
use serde_json::json;
use volt_runtime::{
    Message,
    json::{read, write},
    transport::Form,
};

#[track_caller]
fn reads<T: Message + PartialEq + Debug>(text: &str, expected: &T) {
    match read::<T>(text.as_bytes()) {
        Ok(message) => assert_eq!(&message, expected, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

#[track_caller]
fn refuses<T: Message + Debug>(text: &str) {
    let read = read::<T>(text.as_bytes());
    assert!(read.is_err(), "{text}: {read:?}");
}

fn text(message: &impl Message, form: Form) -> String {
    let mut out = Vec::new();
    write(message, &mut out, form).expect("it can be written");
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn fields_are_read_by_either_name() {
    let expected = Article::default().with_second_size(Size::Large);
    reads(r#"{"second_size": "SIZE_LARGE"}"#, &expected);
    reads(r#"{"secondSize": "SIZE_LARGE"}"#, &expected);
}

#[test]
fn integers_are_read_from_numbers_text_and_whole_floats() {
    for value in ["7", "\"7\"", "7.0", "\"7.0\"", "0.7e1", "\"70e-1\""] {
        reads(&format!(r#"{{"serial": {value}}}"#), &Article::default().with_serial(7));
        reads(&format!(r#"{{"shelf": {value}}}"#), &Article::default().with_shelf(7));
        reads(&format!(r#"{{"cents": {value}}}"#), &Money::default().with_cents(7));
        let request = ListArticlesRequest::default().with_limit(7_u32);
        reads(&format!(r#"{{"limit": {value}}}"#), &request);
    }
    // Not rounded, unlike a double.
    for value in ["18446744073709551615", "\"18446744073709551615\""] {
        let expected = Article::default().with_serial(u64::MAX);
        reads(&format!(r#"{{"serial": {value}}}"#), &expected);
    }
    for value in ["1e18", "\"1e18\"", "1000000000000000000.0", "\"0.1e19\""] {
        let expected = Article::default().with_serial(1_000_000_000_000_000_000);
        reads(&format!(r#"{{"serial": {value}}}"#), &expected);
    }
    for value in ["9007199254740994.0", "\"9007199254740994.0\"", "\"900719925474099400e-2\""] {
        let expected = Money::default().with_cents(9_007_199_254_740_994);
        reads(&format!(r#"{{"cents": {value}}}"#), &expected);
    }
    // As text, digits beyond those of a float count too.
    let expected = Money::default().with_cents(9_007_199_254_740_993);
    reads(r#"{"cents": "9007199254740993.0"}"#, &expected);
    for value in
        ["9223372036854775808", "9223372036854775807.0", "\"9223372036854775808.0\"", "1e19"]
    {
        refuses::<Money>(&format!(r#"{{"cents": {value}}}"#));
    }
    // The last two have the smallest and the largest exponent that fit into 64 bits.
    for value in [
        "\"1e400000000000\"",
        "\"1e-400\"",
        "\"0.1\"",
        "\"1e\"",
        "\"1.5e-9223372036854775808\"",
        "\"10e9223372036854775807\"",
    ] {
        refuses::<Money>(&format!(r#"{{"cents": {value}}}"#));
    }
    for value in ["7.5", "\"7.5\"", "-1", "\"\"", "\" 7\"", "\"seven\"", "true", "[]", "1e20"] {
        refuses::<Article>(&format!(r#"{{"serial": {value}}}"#));
    }
    for value in ["2147483648", "-2147483649", "\"2147483648\""] {
        refuses::<Article>(&format!(r#"{{"shelf": {value}}}"#));
    }
}

#[test]
fn bytes_are_read_in_both_base64_alphabets() {
    // In the standard alphabet: +/+/AQ==
    let expected = Article::default().with_picture([0xfb, 0xff, 0xbf, 0x01]);
    for value in ["+/+/AQ==", "+/+/AQ", "-_-_AQ==", "-_-_AQ"] {
        reads(&format!(r#"{{"picture": "{value}"}}"#), &expected);
    }
    for value in ["\"+/+/A\"", "\"?\"", "7", "[251]"] {
        refuses::<Article>(&format!(r#"{{"picture": {value}}}"#));
    }
}

#[test]
fn null_equals_absence() {
    let nothing = r#"{
        "id": null, "price": null, "size": null, "second_size": null, "picture": null, "parts": null,
        "replacement": null, "prices": null, "notes": null, "weight": null, "serial": null,
        "sold": null, "made": null, "origin": null, "extra": null
    }"#;
    reads(nothing, &Article::default());
    reads(r#"{"money": null, "type": null}"#, &Offer::default());
    let done = Offer::default().with_done(true);
    reads(r#"{"money": null, "done": true}"#, &done);
}

#[test]
fn unknown_fields_are_skipped() {
    let expected = Article::default().with_name("hat").with_price(Money::default().with_cents(1));
    let text = r#"{
        "new": {"deep": [[{"deeper": null}], 1e400, "\ud83d\ude00"]}, "name": "hat",
        "price": {"cents": 1, "currency_new": "EUR"}, "Name": 7, "": true
    }"#;
    reads(text, &expected);
}

#[test]
fn unknown_enum_numbers_are_kept_and_names_skipped() {
    let expected = Article { size: 99, ..Article::default() };
    reads(r#"{"size": 99}"#, &expected);
    assert_eq!(text(&expected, Form::Plain), r#"{"size":99}"#);
    reads(r#"{"size": 2}"#, &Article::default().with_size(Size::try_from(2).expect("a size")));

    reads(r#"{"size": "SIZE_NEW"}"#, &Article::default());
    reads(r#"{"second_size": "SIZE_NEW"}"#, &Article::default());
    let request = ListArticlesRequest::default().with_sizes([Size::Small, Size::Large]);
    reads(r#"{"sizes": ["SIZE_SMALL", "SIZE_NEW", "SIZE_LARGE"]}"#, &request);
    let article = Article::default().with_sizes([(1, Size::Small)]);
    reads(r#"{"sizes": {"1": "SIZE_SMALL", "2": "SIZE_NEW"}}"#, &article);
    reads(r#"{"size": "SIZE_NEW"}"#, &Offer::default());
    for value in ["7.5", "true", "{}", "4294967296"] {
        refuses::<Article>(&format!(r#"{{"size": {value}}}"#));
    }
}

#[test]
fn doubles_are_read_from_numbers_and_text() {
    for value in ["1.5", "\"1.5\"", "15e-1", "\"0.15e1\""] {
        reads(&format!(r#"{{"weight": {value}}}"#), &Article::default().with_weight(1.5));
        reads(&format!(r#"{{"volume": {value}}}"#), &Article::default().with_volume(1.5));
    }
    for (name, value) in [("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)] {
        let article = Article::default().with_weight(value);
        reads(&format!(r#"{{"weight": "{name}"}}"#), &article);
        assert_eq!(text(&article, Form::Plain), format!(r#"{{"weight":"{name}"}}"#));
    }
    let article: Article = read(br#"{"weight": "NaN", "volume": "NaN"}"#).expect("no number");
    assert!(article.weight.is_nan() && article.volume.is_nan());
    assert_eq!(text(&article, Form::Plain), r#"{"weight":"NaN","volume":"NaN"}"#);
    for value in ["\"nan\"", "\"\"", "\" 1\"", "1e400", "true"] {
        refuses::<Article>(&format!(r#"{{"weight": {value}}}"#));
    }
}

#[test]
fn written_json_is_canonical() {
    let article = Article::default()
        .with_name("hat")
        .with_price(Money::default().with_cents(i64::MIN))
        .with_size(Size::Large)
        .with_second_size(Size::try_from(0).expect("every enum has a zero"))
        .with_picture([0xfb, 0xff, 0xbf, 0x01])
        .with_parts([Article::default()])
        .with_sizes([(-1, Size::Small), (7, Size::Large)])
        .with_notes([(false, "no")])
        .with_material(Material::default().with_origin(material::Origin::default()))
        .with_serial(u64::MAX)
        .with_sold(false);
    let expected = json!({
        "name": "hat",
        "price": {"cents": "-9223372036854775808"},
        "size": "SIZE_LARGE",
        // An optional field is written even with its default value, because it is present.
        "second_size": Size::try_from(0).expect("every enum has a zero").as_str_name(),
        "picture": "+/+/AQ==",
        "parts": [{}],
        "sizes": {"-1": "SIZE_SMALL", "7": "SIZE_LARGE"},
        "notes": {"false": "no"},
        "material": {"origin": {}},
        "serial": "18446744073709551615",
        "sold": false,
    });
    let written = text(&article, Form::Plain);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("JSON"), expected);
    reads(&written, &article);
    // No default values, and no spaces.
    assert_eq!(text(&Article::default(), Form::Plain), "{}");
    let empty = Article::default().with_name("").with_serial(0_u64).with_weight(0.0);
    assert_eq!(text(&empty, Form::Plain), "{}");
    // A member of a oneof is written for every value, also the default.
    assert_eq!(text(&Offer::default().with_done(false), Form::Plain), r#"{"done":false}"#);
    assert_eq!(text(&Offer::default().with_type(""), Form::Plain), r#"{"type":""}"#);
}

#[test]
fn escaped_text_equals_the_inside_of_a_string() {
    let hostile = "quote \" backslash \\ newline \n tab \t null \0 del \u{7f} é 😀 </script>";
    let messages = [
        Article::default(),
        Article::default()
            .with_name(hostile)
            .with_notes([(true, hostile)])
            .with_picture([0xfb, 0xff, 0xbf, 0x01])
            .with_weight(f64::NAN)
            .with_replacement(Article::default().with_id(hostile)),
    ];
    for message in messages {
        let plain = text(&message, Form::Plain);
        let quoted = serde_json::to_string(&plain).expect("text can be quoted");
        let inside = &quoted[1..quoted.len() - 1];
        let escaped = text(&message, Form::Escaped);
        // Characters can be escaped in several ways, so compare the parsed value.
        let read = |inside: &str| serde_json::from_str::<String>(&format!("\"{inside}\""));
        assert_eq!(read(&escaped).expect("the inside of a string"), read(inside).expect("quoted"));
        assert_eq!(read(&escaped).expect("the inside of a string"), plain);
    }
}

#[test]
fn json_of_other_types_is_refused() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "\"{}\"",
        "{} {}",
        "{}x",
        r#"{"name": 7}"#,
        r#"{"name": ["hat"]}"#,
        r#"{"parts": {}}"#,
        r#"{"parts": [null]}"#,
        r#"{"prices": []}"#,
        r#"{"notes": {"maybe": "x"}}"#,
        r#"{"sizes": {"x": "SIZE_SMALL"}}"#,
        r#"{"sold": "true"}"#,
        r#"{"price": 7}"#,
        // Present twice, under one name or both.
        r#"{"name": "a", "name": "b"}"#,
        r#"{"second_size": 1, "secondSize": 1}"#,
        // Not a valid character.
        r#"{"name": "\ud83d"}"#,
    ] {
        refuses::<Article>(text);
    }
    refuses::<Offer>(r#"{"done": true, "type": "x"}"#);
    assert!(read::<Article>(b"{\"name\": \"\xff\"}").is_err());
    let total = Receipt::default().with_total(Money::default());
    reads(r#"{"total": {}}"#, &total);
    assert!(matches!(total.result, Some(receipt::Result::Total(_))));
}

#[test]
fn nesting_is_limited_before_the_stack_is() {
    let nested = |depth: usize| {
        format!("{}{}", r#"{"replacement":"#.repeat(depth), "{}") + &"}".repeat(depth)
    };
    assert!(read::<Article>(nested(50).as_bytes()).is_ok());
    assert!(read::<Article>(nested(100_000).as_bytes()).is_err());
    // Skipping unknown values uses no stack.
    let skipped = format!(r#"{{"new": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(read::<Article>(skipped.as_bytes()).is_ok_and(|read| read == Article::default()));
}

#[test]
fn nested_external_messages_round_trip() {
    let response = GetArticleResponse::default().with_article(
        Article::default().with_origin("here").with_replacement(Article::default().with_id("x")),
    );
    reads(r#"{"article": {"origin": "here", "replacement": {"id": "x"}}}"#, &response);
    let bundled = Offer::default().with_goods(Article::default().with_id("x"));
    reads(&text(&bundled, Form::Plain), &bundled);
    assert!(matches!(bundled.body, Some(offer::BodyOneOf::Goods(_))));
}

/// `picture` and `threat` are declared secret in the options of these messages.
#[test]
fn secrets_are_redacted_but_their_presence_is_shown() {
    let article = Article::default().with_id("7").with_picture(b"face".as_slice());
    let printed = format!("{article:?} {:?}", Offer::default().with_threat(b"face".as_slice()));
    assert!(printed.contains(r#"id: "7""#) && !printed.contains("102, 97"), "{printed}");
    assert!(printed.contains("picture: (hidden)"), "{printed}");
    assert!(printed.contains("Threat((hidden))"), "{printed}");
    assert!(format!("{:?}", Article::default()).contains("picture: (none)"));
}
