use volt_api::{
    Client, Code,
    data::{SqlImportCsvConfiguration, SqlImportCsvRequest, SqlImportCsvResponse},
    volt::SetFileContentRequest,
};

use crate::support::{code, database, make, query, start};

const BIRDS: &str = "name,wingspan,ring\nwren,0.15,007\n\"heron, grey\",1.85,\nrobin,,12\n";

fn into(database: &str) -> SqlImportCsvConfiguration {
    SqlImportCsvConfiguration::default()
        .with_database_id(database)
        .with_table_name("bird")
        .with_create_table(true)
}

fn block(text: &str) -> SqlImportCsvRequest {
    SqlImportCsvRequest::default().with_block(text)
}

fn complete() -> SqlImportCsvRequest {
    SqlImportCsvRequest::default().with_upload_complete(true)
}

async fn import(
    client: &Client,
    configuration: SqlImportCsvConfiguration,
    then: Vec<SqlImportCsvRequest>,
) -> volt_api::Result<Vec<SqlImportCsvResponse>> {
    let mut call = client.sqlite_database().import_csv().await?;
    let first = SqlImportCsvRequest::default().with_configuration(configuration);
    call.send(first).await?;
    for request in then {
        call.send(request).await?;
    }
    call.half_close();
    let mut answers = Vec::new();
    while let Some(answer) = call.message().await? {
        answers.push(answer);
    }
    Ok(answers)
}

#[tokio::test]
async fn a_csv_upload_creates_a_typed_table_with_progress() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    // Blocks need not end at row boundaries.
    let (head, tail) = BIRDS.split_at(20);
    let then = vec![block(head), block(tail), complete()];
    let answers = import(&client, into(&db).with_progress_interval(2), then).await.unwrap();
    let counts: Vec<_> = answers.iter().map(|one| (one.row_count, one.total_rows)).collect();
    assert_eq!(counts, [(2, 3), (3, 3)]);
    let rows = query(&client, &db, "SELECT *, typeof(wingspan) FROM bird").await.unwrap();
    assert_eq!(rows, ["wren|0.15|007|real", "heron, grey|1.85|NULL|real", "robin|NULL|12|null"]);
}

#[tokio::test]
async fn a_stored_file_can_be_imported_and_extended() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    let file = make(&client, "birds.csv", "volt:file").await.id;
    let content = SetFileContentRequest::default().with_resource_id(&file).with_content(BIRDS);
    client.file().set_file_content(content).await.unwrap();
    let from_file = into(&db).with_source_resource_id(&file);
    import(&client, from_file.clone(), vec![]).await.unwrap();
    let more = from_file.with_create_table(false);
    import(&client, more, vec![]).await.unwrap();
    assert_eq!(query(&client, &db, "SELECT count(*) FROM bird").await.unwrap(), ["6"]);
    let again = import(&client, into(&db), vec![block(BIRDS), complete()]).await;
    assert_eq!(code(again), Code::AlreadyExists);
}

#[tokio::test]
async fn incomplete_imports_change_nothing() {
    let (_volt, client) = start().await;
    let db = database(&client, &[]).await;
    let abort = SqlImportCsvRequest::default().with_abort(true);
    for (then, expected) in [
        (vec![block(BIRDS), abort], Code::Aborted),
        (vec![block(BIRDS)], Code::InvalidArgument),
        (vec![block("a,b\n1,2\n3\n"), complete()], Code::InvalidArgument),
        (vec![complete()], Code::InvalidArgument),
        (
            vec![SqlImportCsvRequest::default().with_block(vec![b'a', 0xff]), complete()],
            Code::InvalidArgument,
        ),
    ] {
        assert_eq!(code(import(&client, into(&db), then).await), expected);
    }
    let tables = "SELECT count(*) FROM sqlite_master";
    assert_eq!(query(&client, &db, tables).await.unwrap(), ["0"]);
}
