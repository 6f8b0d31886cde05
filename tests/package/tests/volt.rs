//! A test with the packaged embedded Volt.

use volt_api::{Client, volt::*};
use volt_embedded::EmbeddedVolt;

#[tokio::test]
async fn a_resource_is_saved() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let note = Resource::default().with_name("note").with_kind(["volt:file"]);
    let request = SaveResourceRequest::default().with_resource(note).with_create(true);
    let saved = client.volt().save_resource(request).await.unwrap();
    assert_eq!(saved.resource.unwrap_or_default().name, "note");
}
