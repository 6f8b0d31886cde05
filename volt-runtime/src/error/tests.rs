use super::*;

#[test]
fn display_names_the_call_and_the_reason() {
    let error =
        Error::refused(Status::new(Code::NotFound, "no such resource")).with_method("/pkg.Svc/Get");
    assert_eq!(error.to_string(), "/pkg.Svc/Get: refused: not found: no such resource");
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.executed(), Executed::Yes);
}

#[test]
fn an_invalid_session_is_unauthenticated() {
    let rejected = Error::new(ErrorKind::Routing, "session invalid");
    assert_eq!((rejected.code(), rejected.kind()), (Code::Unauthenticated, ErrorKind::Routing));
    let refused = Error::refused(Status::new(Code::Unknown, "session invalid"));
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(Error::new(ErrorKind::Routing, "no route").code(), Code::Unknown);
}

#[test]
fn a_target_that_is_not_connected_is_unavailable() {
    for text in ["failure forwarding invocation: not found", "unavailable: the host has left"] {
        let error = Error::new(ErrorKind::Routing, text);
        assert_eq!((error.code(), error.executed()), (Code::Unavailable, Executed::No));
        assert!(error.is_transient());
    }
    let error = Error::new(ErrorKind::Routing, "failure forwarding invocation: no such relay");
    assert!(error.code() == Code::Unknown && !error.is_transient());
}

#[test]
fn temporary_failures_are_retryable() {
    let refused = |code| Error::refused(Status::new(code, ""));
    let rejected = Error::new(ErrorKind::Routing, "unavailable: the host has left");
    let aborted = refused(Code::Aborted);
    for error in [Error::connection("lost"), rejected, refused(Code::Unavailable), aborted] {
        assert!(error.is_retryable(), "{error}");
    }
    let exhausted = refused(Code::ResourceExhausted);
    for error in [refused(Code::NotFound), exhausted, Error::deadline("late")] {
        assert!(!error.is_retryable(), "{error}");
    }
}

#[test]
fn the_alternate_form_prints_each_cause_once() {
    let io = std::io::Error::other("reset");
    let middle = Error::connection("the socket failed").with_source(io);
    let error = Error::connection("lost").with_source(middle);
    assert_eq!(error.to_string(), "connection error: lost");
    let chain = "connection error: lost: connection error: the socket failed: reset";
    assert_eq!(format!("{error:#}"), chain);
    let repeated = Error::connection("lost: reset").with_source(std::io::Error::other("reset"));
    assert_eq!(format!("{repeated:#}"), "connection error: lost: reset");
}

#[test]
fn close_frames_report_code_and_text() {
    let error = Error::closed_by_peer(1008, "key\nrevoked");
    let text = "the peer closed the connection with code 1008 (policy violation): key revoked";
    assert_eq!(error.to_string(), format!("connection error: {text}"));
    assert!(error.close_code() == Some(1008) && !error.is_transient());
    let error = Error::closed_by_peer(4001, "");
    assert_eq!(
        error.to_string(),
        "connection error: the peer closed the connection with code 4001"
    );
    assert!(error.is_transient());
}

#[test]
fn the_cause_is_preserved() {
    let error = Error::connection("lost").with_source(std::io::Error::other("reset"));
    assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("reset"));
    assert_eq!(error.code(), Code::Unavailable);
}

#[test]
fn debug_output_has_the_causes_kind_code_and_executed() {
    let status = Status::new(Code::NotFound, "no resource `@a`");
    let error = Error::refused(status).with_method("/p.A/Get");
    let shown =
        "A/Get: refused: not found: no resource `@a` (kind Refused, code NotFound, executed Yes)";
    assert!(format!("{error:?}").ends_with(shown), "{error:?}");
    let error = Error::connection("lost").with_source(std::io::Error::other("reset"));
    let shown = "connection error: lost: reset (kind Connection, code Unavailable, executed Maybe)";
    assert_eq!(format!("{error:?}"), shown);
}

#[test]
fn a_call_without_a_connection_in_time_is_retryable() {
    let late = Error::deadline("there was no connection in time");
    assert!(!late.is_retryable());
    assert!(late.with_source(Error::connection("lost")).is_retryable());
}
