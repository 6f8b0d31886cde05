//! The losses of peers with the other version.

use super::*;

#[test]
fn numbers_of_removed_fields_should_be_reserved() {
    let free = "its number is free for another meaning";
    for (new, is_free) in [("", true), ("reserved 1;", false), ("reserved 2 to 9;", true)] {
        let report = compared(&message("string a = 1;"), &message(new));
        let change = report.changes.iter().find(|change| change.what == "field removed").unwrap();
        assert_eq!(change.effects[&Wire].why.contains(free), is_free, "{new}");
        assert_eq!(verdicts(change), [Risky, Risky, Breaking]);
    }
}

/// An old client drops unknown fields, so they are missing when it sends a message back.
#[test]
fn a_field_added_to_a_read_and_written_message_may_be_lost() {
    let wrap = |field: &str, request: &str, response: &str| {
        format!(
            "message M {{ {field} }} message O {{}} service S {{ rpc A({request}) returns ({response}); }}"
        )
    };
    for (request, response, verdict) in [("M", "M", Risky), ("M", "O", Fine), ("O", "M", Fine)] {
        let report =
            compared(&wrap("", request, response), &wrap("bool a = 1;", request, response));
        let [change] = &report.changes[..] else { panic!("{:#?}", report.changes) };
        assert_eq!(verdicts(change), [verdict, verdict, Risky]);
        if verdict == Risky {
            assert_eq!(change.effects[&Json].clients, Clients::Old);
        }
    }
}

#[test]
fn numbers_of_another_size_fit_one_way_in_json() {
    let wrap = |field: &str| {
        format!("message Q {{ {field} }} message R {{}} service S {{ rpc A(Q) returns (R); }}")
    };
    let [small, large] = [wrap("int32 a = 1;"), wrap("int64 a = 1;")];
    let clients = |old: &str, new: &str| compared(old, new).changes[0].effects[&Json].clients;
    // A new client's values may be too large for an old Volt, and vice versa.
    assert_eq!(clients(&small, &large), Clients::New);
    assert_eq!(clients(&large, &small), Clients::Old);
}
