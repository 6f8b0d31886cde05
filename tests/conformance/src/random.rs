//! The other side of `python/compare.py`: reads messages in one format and writes them in another.
//!
//! A request is a line with the name of the type, the format of the input, that of the output, and the
//! input in hexadecimal. An answer is a line with `ok` and the output, or `error` and the reason.

#[allow(missing_docs, reason = "the .proto files are bare")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/random/mod.rs"));
}

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, Write as _},
};

use volt_runtime::{
    Message,
    json::{self, Form, Names},
};

use generated::random::{
    v1::{
        Anys, Choices, Enums, Floats, IntegerMaps, Integers, Lists, Masks, Names as FieldNames,
        Nested, Optionals, OtherMaps, Texts, Times, Tree, Unpacked, Values, Wrappers,
    },
    v2::{Groups, Presence},
};

/// The descriptors of the messages, for Python.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/random/descriptors"));

/// Prints the descriptors, then answers all requests.
pub(super) fn run() -> io::Result<()> {
    let (input, mut output) = (io::stdin().lock(), io::stdout().lock());
    writeln!(output, "{}", hex(DESCRIPTORS))?;
    output.flush()?;
    for line in input.lines() {
        match answer(&line?) {
            Ok(bytes) => writeln!(output, "ok {}", hex(&bytes))?,
            Err(error) => writeln!(output, "error {}", error.replace('\n', " "))?,
        }
        output.flush()?;
    }
    Ok(())
}

fn answer(line: &str) -> Result<Vec<u8>, String> {
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or("the request does not have four words");
    let (name, from, to, input) = (word()?, word()?, word()?, unhex(word()?)?);
    macro_rules! convert {
        ($($message:ident)*) => {
            match name {
                $(<$message as Message>::NAME => converted::<$message>(from, to, &input),)*
                _ => Err(format!("there is no message {name}")),
            }
        };
    }
    convert! {
        Anys Choices Enums Floats IntegerMaps Integers Lists Masks FieldNames Nested Optionals OtherMaps
        Texts Times Tree Unpacked Values Wrappers Groups Presence
    }
}

fn converted<M: Message>(from: &str, to: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    let message: M = match from {
        "json" => json::read(input).map_err(|error| error.to_string())?,
        _ => M::decode(input).map_err(|error| error.to_string())?,
    };
    let mut text = Vec::new();
    let names = match to {
        "binary" => return Ok(message.encode_to_vec()),
        "camel" => Names::LowerCamel,
        _ => Names::Original,
    };
    json::write_with_names(&message, &mut text, Form::Plain, names)
        .map_err(|error| error.to_string())?;
    Ok(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
        u8::from_str_radix(pair, 16).map_err(|error| error.to_string())
    });
    pairs.collect()
}
