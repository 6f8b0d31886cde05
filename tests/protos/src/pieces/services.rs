//! Services and their methods.

use super::{Piece, piece, strict, with};

pub(super) const PIECES: &[Piece] = &[
    piece("acme.v1.DriveAPI", "let _ = v1::DriveApiClient::new;"),
    piece("acme.v1.DriveAPI", "let _: fn(&Client) -> v1::DriveApiClient = Client::drive;"),
    piece("acme.v1.DriveAPI.Keep", "let _ = |c: v1::DriveApiClient| c.keep(v1::Kept::default());"),
    // New methods of a service have a default.
    piece(
        "acme.v1.DriveAPI.Keep",
        "struct S; impl v1::DriveApi for S { async fn keep(&self, _: Context, _: v1::Kept) -> Result<v1::Kept, Status> { Ok(v1::Kept::default()) } }",
    ),
    piece(
        "acme.v1.FileAPI",
        "struct S; impl v1::FileApi for S { async fn keep(&self, _: Context, _: v1::Kept) -> Result<v1::Kept, Status> { Ok(v1::Kept::default()) } }",
    ),
    piece(
        "acme.v1.DriveAPI.Remove",
        "let _ = |c: v1::DriveApiClient| c.remove(v1::Kept::default());",
    ),
    piece(
        "acme.v1.DriveAPI.Remove",
        "struct S; impl v1::DriveApi for S { async fn remove(&self, _: Context, _: v1::Kept) -> Result<v1::Kept, Status> { Ok(v1::Kept::default()) } }",
    ),
    piece("acme.v1.DriveAPI.DoIT", "let _ = |c: v1::DriveApiClient| c.do_it(v1::Kept::default());"),
    piece(
        "acme.v1.DriveAPI.DoIT",
        "struct S; impl v1::DriveApi for S { async fn do_it(&self, _: Context, _: v1::Kept) -> Result<v1::Kept, Status> { Ok(v1::Kept::default()) } }",
    ),
    piece(
        "acme.v1.DriveAPI.Scan",
        "let _ = |c: v1::DriveApiClient| c.scan(v1::Scanned::default());",
    ),
    // The former name is declared, for callers.
    piece(
        "acme.v1.DriveAPI.Fetch",
        "async fn f(c: v1::DriveApiClient) -> volt_runtime::Result<v1::Kept> { c.fetch(v1::Kept::default()).await }",
    ),
    strict(
        "acme.v1.DriveAPI.Fetch",
        "struct S; impl v1::DriveApi for S { async fn fetch(&self, _: Context, _: v1::Kept) -> Result<v1::Kept, Status> { Ok(v1::Kept::default()) } }",
    ),
    piece("acme.v1.DriveAPI.Ask", "let _ = |c: v1::DriveApiClient| c.ask(v1::Kept::default());"),
    piece(
        "acme.v1.DriveAPI.Ask",
        "struct S; impl v1::DriveApi for S { async fn ask(&self, _: Context, _: v1::Kept) -> Result<v1::Kept, Status> { Ok(v1::Kept::default()) } }",
    ),
    piece(
        "acme.v1.DriveAPI.Answer",
        "async fn f(c: v1::DriveApiClient) -> volt_runtime::Result<v1::Kept> { c.answer(v1::Kept::default()).await }",
    ),
    piece(
        "acme.v1.DriveAPI.Answer",
        "struct S; impl v1::DriveApi for S { async fn answer(&self, _: Context, _: v1::Kept) -> Result<v1::Kept, Status> { Ok(v1::Kept::default()) } }",
    ),
    piece(
        "acme.v1.DriveAPI.AskAlike",
        "let _ = |c: v1::DriveApiClient| c.ask_alike(v1::Other::default());",
    ),
    piece(
        "acme.v1.DriveAPI.AnswerMoved",
        "async fn f(c: v1::DriveApiClient) -> volt_runtime::Result<i32> { Ok(c.answer_moved(v1::Kept::default()).await?.a) }",
    ),
    piece(
        "acme.v1.DriveAPI.Repeat",
        "let _ = |c: v1::DriveApiClient| c.repeat(v1::Kept::default());",
    ),
    piece("acme.v1.DriveAPI.Age", "let _ = |c: v1::DriveApiClient| c.age(v1::Kept::default());"),
    strict("acme.v1.DriveAPI.Age", "let _ = |c: v1::DriveApiClient| c.age(v1::Kept::default());"),
    strict("acme.v1.DriveAPI.Keep", "let _ = |c: v1::DriveApiClient| c.keep(v1::Kept::default());"),
    piece(
        "acme.v1.DriveAPI.Renew",
        "let _ = |c: v1::DriveApiClient| c.renew(v1::Kept::default());",
    ),
    // Each kind of call, and one in the other direction.
    piece(
        "acme.v1.StreamsAPI.UnaryServer",
        "async fn f(c: v1::StreamsApiClient) -> volt_runtime::Result<v1::Kept> { c.unary_server(v1::Kept::default()).await }",
    ),
    piece(
        "acme.v1.StreamsAPI.UnaryClient",
        "async fn f(c: v1::StreamsApiClient) -> volt_runtime::Result<v1::Kept> { c.unary_client(v1::Kept::default()).await }",
    ),
    piece(
        "acme.v1.StreamsAPI.UnaryBoth",
        "async fn f(c: v1::StreamsApiClient) -> volt_runtime::Result<v1::Kept> { c.unary_both(v1::Kept::default()).await }",
    ),
    piece(
        "acme.v1.StreamsAPI.ServerClient",
        "async fn f(c: v1::StreamsApiClient) -> volt_runtime::Result<Option<v1::Kept>> { c.server_client(v1::Kept::default()).await?.message().await }",
    ),
    piece(
        "acme.v1.StreamsAPI.ServerBoth",
        "async fn f(c: v1::StreamsApiClient) -> volt_runtime::Result<Option<v1::Kept>> { c.server_both(v1::Kept::default()).await?.message().await }",
    ),
    piece(
        "acme.v1.StreamsAPI.ClientBoth",
        "async fn f(c: v1::StreamsApiClient) -> volt_runtime::Result<v1::Kept> { c.client_both().await?.finish().await }",
    ),
    piece("acme.v1.FileAPI.Keep", "let _ = |c: v1::FileApiClient| c.keep(v1::Kept::default());"),
    piece("acme.v1.GoneAPI", "let _ = v1::GoneApiClient::new;"),
    piece("acme.v1.GoneAPI", "let _ = Client::gone;"),
    piece("acme.v1.MovedAPI", "let _ = v1::MovedApiClient::new;"),
    piece("acme.v1.FiledAPI", "let _ = v1::FiledApiClient::new;"),
    piece("acme.v1.AgedAPI", "let _ = v1::AgedApiClient::new;"),
    strict("acme.v1.AgedAPI", "let _ = v1::AgedApiClient::new;"),
    piece("acme.v1.RenewedAPI", "let _ = v1::RenewedApiClient::new;"),
    // Another service takes its accessor and its feature.
    piece("acme.v2.LateAPI", "let _: fn(&Client) -> v2::LateApiClient = Client::late;"),
    with("late", "acme.v2.LateAPI", "let _ = v2::LateApiClient::new;"),
    piece("acme.v1.DataAPI", "let _ = v1::DataApiClient::new;"),
];
