//! The testee: reads requests from the standard input and writes the answers to the standard output.
//!
//! A request is a message in one format, to be written in another.

mod generated {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}

use std::io::{self, ErrorKind, Read, Write};

use prost::Message as _;
use volt_runtime::{
    Message as _,
    json::{self, Form, Names},
};

use generated::{
    conformance::{
        ConformanceRequest, ConformanceResponse, FailureSet, WireFormat,
        conformance_request::Payload, conformance_response::Result as Outcome,
    },
    protobuf_test_messages::proto3::TestAllTypesProto3,
};

/// Answers all requests of the suite.
pub(super) fn run() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    while let Some(request) = read(&mut input)? {
        let request = ConformanceRequest::decode(request.as_slice())?;
        let response = ConformanceResponse { result: Some(answer(&request)) }.encode_to_vec();
        let length = u32::try_from(response.len()).map_err(io::Error::other)?;
        output.write_all(&length.to_le_bytes())?;
        output.write_all(&response)?;
        output.flush()?;
    }
    Ok(())
}

/// Reads a frame: a little-endian length of four bytes, and that many bytes.
fn read(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let mut frame = Vec::new();
    input.take(u32::from_le_bytes(length).into()).read_to_end(&mut frame)?;
    Ok(Some(frame))
}

fn answer(request: &ConformanceRequest) -> Outcome {
    if request.message_type == FailureSet::NAME {
        // The suite asks for known failures, which it has read from the list already.
        return Outcome::ProtobufPayload(FailureSet::default().encode_to_vec());
    }
    if request.message_type != TestAllTypesProto3::NAME {
        return Outcome::Skipped("only proto3 is supported".to_owned());
    }
    let message = match &request.payload {
        Some(Payload::ProtobufPayload(bytes)) => {
            TestAllTypesProto3::decode(bytes.as_slice()).map_err(|error| error.to_string())
        }
        Some(Payload::JsonPayload(text)) => {
            json::read(text.as_bytes()).map_err(|error| error.to_string())
        }
        _ => return Outcome::Skipped("only JSON and binary are supported".to_owned()),
    };
    match message {
        Ok(message) => write(&message, request.requested_output_format()),
        Err(error) => Outcome::ParseError(error),
    }
}

fn write(message: &TestAllTypesProto3, format: WireFormat) -> Outcome {
    match format {
        WireFormat::Protobuf => Outcome::ProtobufPayload(message.encode_to_vec()),
        WireFormat::Json => {
            let mut text = Vec::new();
            // Some tests expect camelCase names.
            let names = Names::LowerCamel;
            let written = json::write_with_names(message, &mut text, Form::Plain, names);
            match written.map(|()| String::from_utf8(text)) {
                Ok(Ok(text)) => Outcome::JsonPayload(text),
                Ok(Err(error)) => Outcome::RuntimeError(error.to_string()),
                Err(error) => Outcome::SerializeError(error.to_string()),
            }
        }
        _ => Outcome::Skipped("only JSON and binary are supported".to_owned()),
    }
}
